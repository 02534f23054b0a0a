// What each plot draws of the moments in view, on the canvas of uPlot: a kind is a title, a range and a painter.
(function (Plots) {
  "use strict";

  const { say, EVENT, SENT_AGAIN, FIN, SYN, RST } = Plots;
  const MOST_BARS = 6000; // more than so many in view are drawn a pixel's column at a time
  const HEADROOM = 0.06;
  const STRETCHES = 30; // a throughput is that of so small a part of the view
  const FAR_WINDOW = 3, FAR_LIMIT = 12; // a window so many times as high as the rest is left outside

  // Draws in seconds and values on the pixels of one plot.
  class Painter {
    constructor(u, colors) {
      const { left, top, width, height } = u.bbox, { x, y } = u.scales;
      this.ctx = u.ctx;
      this.colors = colors;
      this.dot = window.devicePixelRatio || 1;
      this.log = y.distr === 3;
      this.box = { left, top, width, height };
      const low = this.log ? Math.log10(y.min) : y.min, high = this.log ? Math.log10(y.max) : y.max;
      this.x = (time) => left + (time - x.min) / (x.max - x.min) * width;
      this.y = (value) => {
        const at = top + height - ((this.log ? Math.log10(value) : value) - low) / (high - low) * height;
        return Math.max(top - 9999, Math.min(top + height + 9999, at));
      };
    }

    // A line that keeps its value until the next point; of a pixel's column it keeps the lowest and the highest.
    steps(color, points, width = 1.25, dash = []) {
      const { ctx } = this;
      ctx.beginPath();
      ctx.strokeStyle = this.colors[color];
      ctx.lineWidth = width * this.dot;
      ctx.setLineDash(dash.map((length) => length * this.dot));
      let column = NaN, last = NaN, low = 0, high = 0;
      for (const [time, value] of points) {
        const px = Math.round(this.x(time)), py = this.y(value);
        if (px === column) {
          if (py < low || py > high) { ctx.moveTo(px, low = Math.min(low, py)); ctx.lineTo(px, high = Math.max(high, py)); }
          last = py;
          continue;
        }
        if (Number.isNaN(last)) ctx.moveTo(px, py);
        else { ctx.moveTo(column, last); ctx.lineTo(px, last); ctx.lineTo(px, py); }
        column = px; low = Math.min(py, Number.isNaN(last) ? py : last); high = Math.max(py, Number.isNaN(last) ? py : last);
        last = py;
      }
      if (!Number.isNaN(last)) { ctx.moveTo(column, last); ctx.lineTo(this.box.left + this.box.width, last); }
      ctx.stroke();
      ctx.setLineDash([]);
    }

    // Bars from one value to another at a moment; where there are many, those of a pixel's column become one.
    bars(color, bars, width, caps) {
      const { ctx } = this, half = 2 * this.dot;
      ctx.beginPath();
      ctx.strokeStyle = this.colors[color];
      ctx.lineWidth = width * this.dot;
      let column = NaN, low = 0, high = 0;
      const flush = () => { if (!Number.isNaN(column)) { ctx.moveTo(column, low); ctx.lineTo(column, high); } };
      const together = bars.length > MOST_BARS;
      for (const [time, from, to] of bars) {
        const px = together ? Math.round(this.x(time)) : this.x(time);
        let bottom = this.y(from), top = this.y(to);
        if (bottom - top < this.dot) { bottom += this.dot / 2; top -= this.dot / 2; }
        if (together) {
          if (px !== column || top - high > this.dot || low - bottom > this.dot) { flush(); column = px; low = top; high = bottom; }
          else { low = Math.min(low, top); high = Math.max(high, bottom); }
          continue;
        }
        ctx.moveTo(px, bottom); ctx.lineTo(px, top);
        if (caps && bottom - top > 5 * this.dot) {
          ctx.moveTo(px - half, bottom - half); ctx.lineTo(px, bottom); ctx.lineTo(px + half, bottom - half);
          ctx.moveTo(px - half, top + half); ctx.lineTo(px, top); ctx.lineTo(px + half, top + half);
        }
      }
      flush();
      ctx.stroke();
    }

    // Straight lines, each from one moment and value to another.
    slopes(color, lines) {
      const { ctx } = this;
      ctx.beginPath();
      ctx.strokeStyle = this.colors[color];
      ctx.lineWidth = this.dot / 2;
      for (const [from, low, to, high] of lines) { ctx.moveTo(this.x(from), this.y(low)); ctx.lineTo(this.x(to), this.y(high)); }
      ctx.stroke();
    }

    // Small squares; one that covers the one before is left out.
    dots(color, points, size = 3) {
      const { ctx } = this, edge = size * this.dot;
      ctx.fillStyle = this.colors[color];
      let lastX = NaN, lastY = NaN;
      for (const [time, value] of points) {
        const px = Math.round(this.x(time) - edge / 2), py = Math.round(this.y(value) - edge / 2);
        if (px === lastX && py === lastY) continue;
        ctx.fillRect(lastX = px, lastY = py, edge, edge);
      }
    }

    letter(color, time, value, words, above) {
      const { ctx } = this;
      ctx.fillStyle = this.colors[color];
      ctx.font = `bold ${11 * this.dot}px sans-serif`;
      ctx.textAlign = "center";
      ctx.textBaseline = above ? "bottom" : "top";
      ctx.fillText(words, this.x(time), this.y(value) + (above ? -4 : 4) * this.dot);
    }

    // The packet that is chosen: a line through its moment, a ring around its places.
    chosen(time, values) {
      const { ctx, box } = this, px = Math.round(this.x(time)) + 0.5;
      if (px < box.left - 1 || px > box.left + box.width + 1) return;
      ctx.strokeStyle = this.colors.chosen;
      ctx.lineWidth = this.dot;
      ctx.setLineDash([4 * this.dot, 3 * this.dot]);
      ctx.beginPath(); ctx.moveTo(px, box.top); ctx.lineTo(px, box.top + box.height); ctx.stroke();
      ctx.setLineDash([]);
      ctx.lineWidth = 2 * this.dot;
      for (const value of values) {
        ctx.beginPath(); ctx.arc(px, this.y(value), 6 * this.dot, 0, 2 * Math.PI); ctx.stroke();
      }
    }
  }

  const COLORS = ["client", "server"];

  // Rows in view of which something holds.
  function* rows(course, view, holds) {
    const [first, end] = course.between(view.from, view.to);
    for (let i = first; i < end; i++) if (holds(i)) yield i;
  }

  function span(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
    return low <= high ? [low, high] : [0, 1];
  }

  const padded = ([low, high]) => {
    const pad = (high - low || Math.abs(high) || 1) * HEADROOM;
    return [low - pad, high + pad];
  };

  // Zero to the highest, with a little room.
  const fromZero = (values) => [0, (span([0, ...values])[1] || 1) * (1 + HEADROOM)];

  // Whether its numbers are the connection's.
  const measures = (course, i) => !course.isCopy(i) && !(course.flags[i] & RST) && !(course.has(i, EVENT.reusedPorts) && course.start[i]);

  const sequence = {
    name: "sequence", title: () => say("Time and sequence numbers"), height: 360, directed: true, zoomsUp: true,
    value: (number, step) => step >= 1000 ? Plots.octets(number).replace(/B$/, "") : Plots.grouped(number),
    legend: (course) => [
      ["segment", say("segments")], ["again", say("sent again"), course.saw(SENT_AGAIN)],
      ["disorder", say("out of order"), course.saw(1 << EVENT.outOfOrder)], ["ack", "ACK"], ["window", say("window")],
      ["sack", "SACK", course.sackOf.size], ["lost", say("lost before"), course.saw(1 << EVENT.lost)],
      ["copy", say("capture's copy"), course.saw(1 << EVENT.copy)],
    ].filter(([, , isThere = true]) => isThere),
    sends: (course, view) => (i) => course.side[i] === view.direction && course.takesNumbers(i),
    answers: (course, view) => (i) => course.side[i] !== view.direction && course.acked[i] >= 0,
    range(course, view) {
      const places = [];
      for (const i of rows(course, view, (i) => measures(course, i))) {
        if (this.sends(course, view)(i)) places.push(course.start[i], course.end[i]);
        else if (this.answers(course, view)(i)) places.push(course.acked[i]);
      }
      const [low, high] = span(places);
      const edges = [];
      view.above.delete(this.name);
      for (const i of rows(course, view, (i) => measures(course, i) && this.answers(course, view)(i))) {
        const edge = course.edge(i);
        if (edge < 0) continue;
        if (edge - high <= FAR_WINDOW * (high - low)) edges.push(edge); else view.above.add(this.name);
      }
      return padded([low, Math.max(high, edges.reduce((a, b) => Math.max(a, b), high))]);
    },
    draw(painter, course, view) {
      const sends = this.sends(course, view), answers = this.answers(course, view);
      const acks = [...rows(course, view, (i) => answers(i) && measures(course, i))];
      painter.steps("window", acks.filter((i) => course.edge(i) >= 0).map((i) => [course.time[i], course.edge(i)]));
      painter.steps("ack", acks.map((i) => [course.time[i], course.acked[i]]));
      const blocks = [];
      for (const i of acks) for (const [left, right] of course.sackOf.get(i) || []) blocks.push([course.time[i], left, right]);
      painter.bars("sack", blocks, 1.5, false);
      const kinds = { segment: [], again: [], disorder: [], copy: [] }, lost = [], leftOut = [];
      let before = -1;
      for (const i of rows(course, view, sends)) {
        const bar = [course.time[i], course.start[i], course.end[i]];
        const kind = course.isCopy(i) ? "copy" : course.isSentAgain(i) ? "again"
          : course.has(i, EVENT.outOfOrder) ? "disorder" : "segment";
        kinds[kind].push(bar);
        if (course.has(i, EVENT.lost)) lost.push([course.time[i], course.start[i]]);
        if (kind !== "segment") continue;
        if (before >= 0 && course.packets[i] > 1) leftOut.push([course.time[before], course.end[before], course.time[i], course.start[i]]);
        before = i;
      }
      painter.slopes("segment", leftOut);
      for (const kind of ["copy", "segment", "disorder", "again"]) {
        const isLoud = kind === "again" || kind === "disorder";
        painter.bars(kind, kinds[kind], isLoud ? 2 : 1.25, true);
        // However small it is drawn, it can be seen.
        if (isLoud) painter.dots(kind, kinds[kind].map(([time, from, to]) => [time, (from + to) / 2]), 5);
      }
      painter.dots("lost", lost, 6);
      const repeats = acks.filter((i) => course.has(i, EVENT.duplicateAck));
      painter.bars("ack", repeats.map((i) => tick(painter, course.time[i], course.acked[i])), 1.25, false);
      for (const i of acks.filter((i) => course.has(i, EVENT.zeroWindow))) painter.letter("window", course.time[i], course.acked[i], "Z", true);
      for (const i of rows(course, view, (i) => course.flags[i] & (SYN | FIN | RST) && !course.isCopy(i))) {
        const place = sends(i) || course.side[i] === view.direction ? course.end[i] : course.acked[i];
        if (place < 0) continue;
        const flags = course.flags[i];
        const mine = course.side[i] === view.direction;
        painter.letter(flags & RST ? "again" : COLORS[course.side[i]], course.time[i], place,
          flags & RST ? "R" : flags & SYN ? "S" : "F", mine);
      }
    },
    note(course, view) {
      const told = view.above.has(this.name) ? [say("the window reaches higher")] : [];
      if (course.about.drawn < course.about.packets) {
        const [first, end] = course.between(view.from, view.to);
        const packets = course.packets.subarray(first, end).reduce((sum, some) => sum + some, 0);
        told.push(say("in view: {drawn} of {packets} packets", { drawn: Plots.grouped(end - first), packets: Plots.grouped(packets) }));
      }
      return told.join(", ");
    },
    places(course, view, i) {
      if (course.side[i] === view.direction) return [course.start[i], course.end[i]];
      return course.acked[i] >= 0 ? [course.acked[i]] : [];
    },
  };

  // A short line below the ACK line: this ACK said nothing new.
  function tick(painter, time, value) {
    const pixel = painter.y(0) - painter.y(1) || 1;
    return [time, value - 5 * painter.dot / pixel, value];
  }

  const throughput = {
    name: "throughput", title: () => say("Throughput"), height: 180,
    value: (number) => Plots.rate(number),
    legend: () => [["client", say("from the client")], ["server", say("from the server")]],
    // Octets a second over a moving stretch of the view, at each second pixel.
    rates(course, view) {
      const key = [view.from, view.to, view.pixels].join();
      if (view.rates && view.rates.key === key) return view.rates;
      const width = (view.to - view.from) / STRETCHES, count = Math.max(2, Math.floor(view.pixels / 2));
      const lines = [0, 1].map((side) => {
        const line = [];
        for (let k = 0; k <= count; k++) {
          const moment = view.from + (view.to - view.from) * k / count;
          const octets = course.sentBy(side, moment + width / 2) - course.sentBy(side, moment - width / 2);
          line.push([moment, octets * 8 / width]);
        }
        return line;
      });
      return view.rates = { key, width, lines };
    },
    range(course, view) { return fromZero(this.rates(course, view).lines.flat().map((point) => point[1])); },
    draw(painter, course, view) {
      this.rates(course, view).lines.forEach((line, side) => {
        if (line.some((point) => point[1])) painter.steps(COLORS[side], line, 1.5);
      });
    },
    note: (course, view) => say("over {time} at a time", { time: Plots.duration(1e9 * (view.to - view.from) / STRETCHES) }),
    places: () => [],
  };

  const roundTrips = {
    name: "rtt", title: () => say("Round-trip time"), height: 180,
    value: (number) => Plots.duration(number * 1e9),
    legend: () => [["client", say("of the client's segments")], ["server", say("of the server's segments")]],
    range(course, view) {
      return fromZero([...rows(course, view, (i) => course.rtt_ns[i] >= 0)].map((i) => course.rtt_ns[i] / 1e9));
    },
    draw(painter, course, view) {
      for (const side of [0, 1]) {
        const answers = [...rows(course, view, (i) => course.side[i] !== side && course.rtt_ns[i] >= 0)];
        painter.dots(COLORS[side], answers.map((i) => [course.time[i], course.rtt_ns[i] / 1e9]));
      }
    },
    places: (course, view, i) => course.rtt_ns[i] >= 0 ? [course.rtt_ns[i] / 1e9] : [],
  };

  const inFlight = {
    name: "flight", title: () => say("Octets in flight and the receiver's window"), height: 180, directed: true,
    value: (number) => Plots.octets(number),
    legend: () => [["segment", say("in flight")], ["window", say("receiver's window")]],
    windows: (course, view) => rows(course, view, (i) => course.side[i] !== view.direction && course.window[i] >= 0 && measures(course, i)),
    range(course, view) {
      const octets = [...rows(course, view, (i) => measures(course, i))].map((i) => course.inFlight[view.direction][i]);
      const high = span([0, ...octets])[1];
      const limits = [...this.windows(course, view)].map((i) => course.window[i]);
      const near = limits.filter((limit) => limit <= FAR_LIMIT * (high || 1));
      if (near.length < limits.length) view.above.add(this.name); else view.above.delete(this.name);
      return fromZero([high, ...near]);
    },
    note(course, view) { return view.above.has(this.name) ? say("the window reaches higher") : ""; },
    draw(painter, course, view) {
      painter.steps("window", [...this.windows(course, view)].map((i) => [course.time[i], course.window[i]]), 1.25, [5, 3]);
      const all = [...rows(course, view, (i) => measures(course, i))];
      painter.steps("segment", all.map((i) => [course.time[i], course.inFlight[view.direction][i]]), 1.5);
    },
    places: (course, view, i) => [course.inFlight[view.direction][i]],
  };

  const gaps = {
    name: "gaps", title: () => say("Time since the packet before"), height: 180, log: true,
    value: (number) => Plots.duration(number * 1e9),
    legend: () => [["client", say("the client's packet")], ["server", say("the server's packet")]],
    range(course, view) {
      const [low, high] = span([...rows(course, view, (i) => course.gap_ns[i] > 0)].map((i) => course.gap_ns[i] / 1e9));
      return [10 ** Math.floor(Math.log10(low * 0.97 || 1e-6)), 10 ** Math.ceil(Math.log10(high * 1.01))];
    },
    draw(painter, course, view) {
      for (const side of [0, 1]) {
        const ended = [...rows(course, view, (i) => course.side[i] === side && course.gap_ns[i] > 0)];
        painter.dots(COLORS[side], ended.map((i) => [course.time[i], course.gap_ns[i] / 1e9]));
      }
    },
    places: (course, view, i) => course.gap_ns[i] > 0 ? [course.gap_ns[i] / 1e9] : [],
  };

  const NAMES = ["client", "server", "segment", "again", "disorder", "ack", "window", "sack", "lost", "copy", "chosen", "ink", "grid"];

  // The page's colours as they are now, for a canvas knows no style sheet.
  Plots.colorsOf = function (element) {
    const probe = element.appendChild(document.createElement("span"));
    const colors = {};
    for (const name of NAMES) {
      probe.style.color = `var(--plot-${name})`;
      colors[name] = getComputedStyle(probe).color;
    }
    colors.font = getComputedStyle(element).fontFamily;
    probe.remove();
    return colors;
  };

  Plots.kindsOf = (course) => course.about.protocol === "tcp" ? [sequence, throughput, roundTrips, inFlight, gaps] : [throughput, gaps];
  Plots.Painter = Painter;
})(window.Plots = window.Plots || {});
