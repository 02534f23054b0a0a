// The plots of a connection: Plots.show(section, number) draws what <script id="plots-number"> holds.
//
// All plots of a connection share their moments: to zoom, to move or to choose a packet in one does it in all.
(function (Plots) {
  "use strict";

  const { say } = Plots;
  const NEAR = 24; // pixels from the pointer to a packet that it means
  const PRINTED = 660; // pixels of a printed page
  const SHORTEST = 2e-7; // seconds in view
  const FONT = 11.5;

  function made(tag, name = "", words = "") {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (words) element.textContent = words;
    return element;
  }

  // Digits behind the point that tell such steps apart.
  function decimals(step) {
    let digits = 0;
    while (digits < 9 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
    return digits;
  }

  class Panel {
    constructor(section, number, json) {
      this.number = number;
      this.course = new Plots.Course(json);
      this.chosen = -1;
      const { time, length } = this.course;
      const long = time[length - 1] - time[0] || 1e-3;
      this.whole = [time[0] - long * 0.02, time[length - 1] + long * 0.02];
      const [client, server] = json.sides;
      const direction = server.payload_bytes > client.payload_bytes ? 1 : 0;
      this.view = { from: this.whole[0], to: this.whole[1], up: null, direction, pixels: 600, above: new Set() };
      this.root = made("div", "plots");
      section.replaceChildren(this.root);
      this.plots = [];
      this.build();
      this.resized = new ResizeObserver(() => this.fit());
      this.resized.observe(this.root);
    }

    close() {
      this.resized.disconnect();
      this.plots.forEach((plot) => plot.u.destroy());
    }

    // Everything that has words or colours; once more when the language changes.
    build() {
      this.plots.forEach((plot) => plot.u.destroy());
      this.root.replaceChildren(made("h3", "", say("Plots")));
      this.colors = Plots.colorsOf(this.root);
      this.root.append(this.bar());
      for (const note of this.notes()) this.root.append(made("p", "plots-note", note));
      this.facts = made("p", "plots-facts");
      this.facts.setAttribute("role", "status");
      this.plots = Plots.kindsOf(this.course).map((kind) => new Plot(this, kind));
      this.root.append(...this.plots.map((plot) => plot.figure), this.summary());
      this.plots[0].figure.after(this.facts);
      this.tell();
      this.fit();
    }

    bar() {
      const bar = made("div", "plots-bar");
      bar.setAttribute("role", "group");
      bar.setAttribute("aria-label", say("Plots"));
      if (this.course.about.protocol === "tcp") {
        [say("client → server"), say("server → client")].forEach((words, side) => {
          const button = this.button(words, words, () => this.turn(side));
          button.setAttribute("aria-pressed", String(this.view.direction === side));
          bar.append(button);
        });
      }
      bar.append(
        this.button("+", say("Zoom in"), () => this.zoom(0.5)),
        this.button("−", say("Zoom out"), () => this.zoom(2)),
        this.button(say("Whole"), say("Show the whole connection"), () => this.reset()),
        made("span", "plots-keys", matchMedia("(pointer: coarse)").matches
          ? say("One finger moves, two zoom; tap a packet to choose it.")
          : say("Drag to zoom, Shift-drag to move, double-click for the whole. In a plot: wheel or + and − zoom, ← → move, n and p go from packet to packet.")),
      );
      return bar;
    }

    button(words, label, act) {
      const button = made("button", "", words);
      button.type = "button";
      button.setAttribute("aria-label", label);
      button.title = label;
      button.addEventListener("click", act);
      return button;
    }

    // What the plots do not show as it was.
    notes() {
      const about = this.course.about, notes = [];
      const values = {
        drawn: Plots.grouped(about.drawn), packets: Plots.grouped(about.packets), left_out: Plots.grouped(about.left_out),
        remarkable: Plots.grouped(about.remarkable), remarkable_drawn: Plots.grouped(about.remarkable_drawn),
      };
      if (about.drawn < about.packets) {
        notes.push(about.remarkable_drawn === about.remarkable
          ? say("{drawn} of {packets} packets are drawn: everything that went wrong, the highest and lowest values of each moment, and of the rest as many as there is room for.", values)
          : say("{drawn} of {packets} packets are drawn, {remarkable_drawn} of the {remarkable} remarkable ones, and the highest and lowest values of each moment.", values));
      }
      if (about.left_out) notes.push(say("{left_out} packets in the middle are not in this page.", values));
      if (about.protocol === "tcp" && !about.scaled) notes.push(say("The handshake was not captured, so windows may be greater than they are drawn."));
      return notes;
    }

    // The plots in words.
    summary() {
      const { about } = this.course, details = made("details", "plots-words"), list = made("ul");
      details.append(made("summary", "", say("The plots in words")), list);
      details.id = `plots-words-${this.number}`;
      about.sides.forEach((side, k) => {
        const values = {
          packets: Plots.grouped(side.packets), octets: Plots.octets(side.payload_bytes),
          again: Plots.grouped(side.retransmitted_packets), samples: Plots.grouped(side.rtt_samples),
          least: Plots.duration(side.min_rtt_ns), mean: Plots.duration(side.mean_rtt_ns), most: Plots.duration(side.max_rtt_ns),
          flight: Plots.octets(side.max_in_flight), silence: Plots.duration(side.max_idle_ns),
          narrow: Plots.octets(side.min_window), wide: Plots.octets(side.max_window),
        };
        const told = [k ? say("Server:") : say("Client:"), say("{packets} packets with {octets}.", values)];
        if (about.protocol === "tcp") {
          if (side.retransmitted_packets) told.push(say("{again} sent again.", values));
          if (side.rtt_samples) told.push(say("Round trips {least} to {most}, on average {mean} ({samples} measured).", values));
          if (side.max_in_flight) told.push(say("At most {flight} in flight.", values));
          if (side.windows) told.push(say("Its window was {narrow} to {wide}.", values));
        }
        told.push(say("Its longest silence: {silence}.", values));
        list.append(made("li", "", told.join(" ")));
      });
      return details;
    }

    // Gives the plots the width that there is.
    fit() {
      const width = this.root.clientWidth;
      if (!width || width === this.plots[0].u.width) return;
      this.plots.forEach((plot) => plot.fit(width));
      this.refresh();
    }

    refresh() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.redraw(); });
    }

    redraw() {
      this.root.dataset.view = `${this.view.from} ${this.view.to}`;
      this.plots.forEach((plot) => plot.redraw());
    }

    look(from, to, up = null) {
      const longest = this.whole[1] - this.whole[0];
      const long = Math.min(longest, Math.max(SHORTEST, to - from));
      const middle = (from + to) / 2;
      const start = Math.max(this.whole[0], Math.min(this.whole[1] - long, middle - long / 2));
      Object.assign(this.view, { from: start, to: start + long, up });
      this.refresh();
    }

    reset() { this.look(...this.whole); }

    turn(side) {
      this.view.direction = side;
      this.view.up = null;
      this.root.querySelectorAll("[aria-pressed]").forEach((button, k) => button.setAttribute("aria-pressed", String(k === side)));
      this.refresh();
    }

    // Shows so many times as much, keeping a moment where it is.
    zoom(factor, moment = (this.view.from + this.view.to) / 2) {
      const { from, to } = this.view;
      this.look(moment - (moment - from) * factor, moment + (to - moment) * factor);
    }

    move(part) {
      const long = this.view.to - this.view.from;
      this.look(this.view.from + long * part, this.view.to + long * part, this.view.up);
    }

    // Marks a packet, and brings its moment into view.
    choose(number) {
      this.chosen = this.course.rowOf(number);
      this.wanted = number;
      const moment = this.course.time[this.chosen], { from, to } = this.view;
      if (moment < from || moment > to) this.look(moment - (to - from) / 2, moment + (to - from) / 2);
      this.tell();
      this.refresh();
    }

    tell() {
      if (this.chosen < 0) {
        this.facts.textContent = say("Click a packet, and its row, its arrow and its place in every plot are marked.");
        return;
      }
      const drawn = this.course.number[this.chosen];
      const missing = drawn === this.wanted ? [] : [say("Packet {wanted} is not drawn, the nearest is:", { wanted: this.wanted })];
      this.facts.textContent = [...missing, this.course.facts(this.chosen).join(" · ")].join(" ");
    }

    say(row) {
      const packet = this.course.number[row];
      document.dispatchEvent(new CustomEvent("packet", { detail: { connection: this.number, packet } }));
    }

    step(by) {
      const start = this.chosen < 0 ? this.course.between(this.view.from, this.view.to)[0] - (by > 0 ? 0 : 1) : this.chosen + by;
      this.say(Math.max(0, Math.min(this.course.length - 1, start)));
    }
  }

  class Plot {
    constructor(panel, kind) {
      this.panel = panel;
      this.kind = kind;
      this.figure = made("figure", `plot plot-${kind.name}`);
      const caption = this.figure.appendChild(made("figcaption"));
      caption.append(made("strong", "", kind.title()));
      for (const [name, words] of kind.legend(panel.course)) {
        const item = caption.appendChild(made("span", "plot-key"));
        item.append(made("i", `plot-swatch plot-${name}-swatch`), words);
      }
      this.note = caption.appendChild(made("span", "plot-note"));
      this.area = this.figure.appendChild(made("div", "plot-area"));
      this.area.tabIndex = 0;
      this.area.setAttribute("role", "application");
      this.area.setAttribute("aria-label", kind.title());
      this.area.setAttribute("aria-describedby", `plots-words-${panel.number}`);
      this.hint = made("div", "plot-hint");
      this.hint.hidden = true;
      this.u = new uPlot(this.options(), [panel.whole, [null, null]], this.area);
      this.u.over.append(this.hint);
      this.listen();
    }

    options() {
      const { kind, panel } = this, ink = () => panel.colors.ink, grid = { stroke: () => panel.colors.grid, width: 1 };
      const font = `${FONT}px ${panel.colors.font}`;
      const axis = { stroke: ink, grid, ticks: { ...grid, size: 4 }, font };
      const powers = (u, _axis, min, max) => {
        const [low, high] = [min, max].map((value) => Math.round(Math.log10(value))), each = Math.ceil((high - low) / 5);
        return Array.from({ length: Math.floor((high - low) / each) + 1 }, (_, k) => 10 ** (low + k * each));
      };
      return {
        width: 600, height: kind.height, legend: { show: false }, padding: [8, 12, 0, 0],
        scales: {
          x: { time: false, auto: false, range: () => [panel.view.from, panel.view.to] },
          y: { auto: false, distr: kind.log ? 3 : 1, range: () => this.range() },
        },
        axes: [
          { ...axis, size: 26, space: 80, values: (u, ticks, _axis, _space, step) => ticks.map((tick) => `${tick.toFixed(decimals(step))} s`) },
          { ...axis, ...(kind.log ? { splits: powers, filter: (u, ticks) => ticks } : {}), size: 76, space: 34, values: (u, ticks, _axis, _space, step) => ticks.map((tick) => tick === null ? "" : kind.value(tick, step)) },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        cursor: {
          points: { show: false }, y: kind.name === "sequence",
          drag: { x: true, y: Boolean(kind.zoomsUp), uni: 40, setScale: false },
          sync: { key: `plots-${panel.number}`, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
          bind: {
            dblclick: () => () => panel.reset(),
            mousedown: (u, target, act) => (event) => {
              this.pressed = [event.clientX, event.clientY];
              if (event.shiftKey || event.pointerType === "touch") this.drag(event); else act(event);
            },
          },
        },
        hooks: {
          draw: [(u) => this.draw(u)],
          setSelect: [(u) => this.selected(u)],
          setCursor: [(u) => this.hover(u)],
        },
      };
    }

    range() {
      const { view, course } = this.panel;
      return this.kind.zoomsUp && view.up || this.kind.range(course, view);
    }

    fit(width) {
      this.u.setSize({ width, height: width < 500 ? Math.min(this.kind.height, 280) : this.kind.height });
      this.panel.view.pixels = this.u.bbox.width / (window.devicePixelRatio || 1);
    }

    redraw() {
      const { view, course } = this.panel, [min, max] = this.range();
      this.u.batch(() => {
        this.u.setScale("x", { min: view.from, max: view.to });
        this.u.setScale("y", { min, max });
      });
      this.u.redraw(false, true);
      this.note.textContent = this.kind.note ? this.kind.note(course, view) : "";
    }

    draw(u) {
      const { course, view, chosen, colors } = this.panel, painter = new Plots.Painter(u, colors), { ctx } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      ctx.clip();
      this.kind.draw(painter, course, view);
      if (chosen >= 0) painter.chosen(course.time[chosen], this.kind.places(course, view, chosen));
      ctx.restore();
    }

    selected(u) {
      const { left, top, width, height } = u.select;
      if (width < 4 && height < 4) return;
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      const { view } = this.panel, isTall = this.kind.zoomsUp && height >= 4 && height < u.over.clientHeight;
      const up = isTall ? [u.posToVal(top + height, "y"), u.posToVal(top, "y")] : null;
      const times = width >= 4 ? [u.posToVal(left, "x"), u.posToVal(left + width, "x")] : [view.from, view.to];
      this.panel.look(...times, up);
    }

    // The row nearest to a place of the plot in pixels, or -1.
    nearest(left, top) {
      const { course, view } = this.panel, { u } = this;
      const [first, end] = course.between(u.posToVal(left - NEAR, "x"), u.posToVal(left + NEAR, "x"));
      let best = -1, least = NEAR;
      for (let i = first; i < end; i++) {
        const places = this.kind.places(course, view, i);
        const across = Math.abs(u.valToPos(course.time[i], "x") - left);
        if (across >= least || !(places.length || this.kind.name === "throughput")) continue;
        const heights = places.map((value) => u.valToPos(value, "y"));
        const away = heights.length ? Math.max(0, Math.min(...heights) - top, top - Math.max(...heights)) : 0;
        const distance = Math.hypot(across, away);
        if (distance < least) { least = distance; best = i; }
      }
      return best;
    }

    hover(u) {
      const { left, top } = u.cursor;
      const row = u.cursor.event && left >= 0 && top >= 0 && u.over.matches(":hover") ? this.nearest(left, top) : -1;
      this.hint.hidden = row < 0;
      if (row < 0) return;
      this.hint.replaceChildren(...this.panel.course.facts(row).map((fact) => made("span", "", fact)));
      const { offsetWidth, offsetHeight } = this.hint, { clientWidth, clientHeight } = u.over;
      const beside = left + 14 + offsetWidth < clientWidth ? left + 14 : Math.max(0, left - 14 - offsetWidth);
      this.hint.style.left = `${Math.min(beside, Math.max(0, clientWidth - offsetWidth))}px`;
      this.hint.style.top = `${Math.min(top + 14, Math.max(0, clientHeight - offsetHeight))}px`;
    }

    listen() {
      const { over } = this.u, { panel } = this;
      over.addEventListener("click", (event) => {
        const [x, y] = this.pressed || [event.clientX, event.clientY];
        if (Math.hypot(event.clientX - x, event.clientY - y) > 4) return;
        const box = over.getBoundingClientRect();
        const row = this.nearest(event.clientX - box.left, event.clientY - box.top);
        if (row >= 0) panel.say(row);
      });
      over.addEventListener("wheel", (event) => {
        if (!(event.ctrlKey || event.metaKey || this.area.contains(document.activeElement))) return;
        event.preventDefault();
        const moment = this.u.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) panel.move((event.deltaX || event.deltaY) / over.clientWidth);
        else panel.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 150), moment);
      }, { passive: false });
      this.area.addEventListener("keydown", (event) => this.key(event));
      this.touch(over);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { panel } = this;
      const acts = {
        ArrowLeft: () => panel.move(-0.2), ArrowRight: () => panel.move(0.2), "+": () => panel.zoom(0.5), "=": () => panel.zoom(0.5),
        "-": () => panel.zoom(2), "0": () => panel.reset(), Home: () => panel.reset(), n: () => panel.step(1), p: () => panel.step(-1),
        Escape: () => this.area.blur(),
      };
      if (!acts[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      acts[event.key]();
    }

    // Moves the view with the pointer.
    drag(event) {
      const { view } = this.panel, { from, to, up } = view, width = this.u.over.clientWidth, x = event.clientX;
      const follow = (moved) => {
        const by = (x - moved.clientX) / width * (to - from);
        this.panel.look(from + by, to + by, up);
      };
      const stop = () => { removeEventListener("mousemove", follow); removeEventListener("mouseup", stop); };
      addEventListener("mousemove", follow);
      addEventListener("mouseup", stop);
    }

    // One finger moves what is zoomed, two zoom.
    touch(over) {
      const fingers = new Map(), { panel } = this;
      const moment = (x) => this.u.posToVal(x - over.getBoundingClientRect().left, "x");
      over.addEventListener("pointerdown", (event) => { if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX); });
      over.addEventListener("pointermove", (event) => {
        if (!fingers.has(event.pointerId)) return;
        const before = [...fingers.values()];
        fingers.set(event.pointerId, event.clientX);
        const now = [...fingers.values()];
        if (now.length === 1) { panel.move((before[0] - now[0]) / over.clientWidth); return; }
        const spread = (places) => Math.max(8, Math.abs(places[0] - places[1]));
        panel.zoom(spread(before) / spread(now), moment((now[0] + now[1]) / 2));
      });
      for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
  }

  const panels = new Map();
  const each = (act) => panels.forEach((panel) => act(panel));

  // Draws the plots of a connection in a section, in the place of another's.
  Plots.show = function (section, number) {
    const known = panels.get(section);
    if (known && known.number === number) return;
    if (known) known.close();
    panels.delete(section);
    const data = document.getElementById(`plots-${number}`);
    if (data) panels.set(section, new Panel(section, number, JSON.parse(data.textContent)));
    else section.replaceChildren(made("p", "plots-note", say("This page has no plots of this connection.")));
  };

  document.addEventListener("packet", ({ detail }) => each((panel) => {
    if (panel.number === detail.connection) panel.choose(detail.packet);
  }));
  document.addEventListener("language", () => each((panel) => panel.build()));

  const recolor = () => each((panel) => { panel.colors = Plots.colorsOf(panel.root); panel.refresh(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);

  // Paper is white and narrow whatever the screen is.
  const printing = (isPrinting) => each((panel) => {
    panel.root.classList.toggle("plots-printed", isPrinting);
    panel.colors = Plots.colorsOf(panel.root);
    panel.plots.forEach((plot) => plot.fit(isPrinting ? PRINTED : panel.root.clientWidth));
    panel.redraw();
  });
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));
})(window.Plots = window.Plots || {});
