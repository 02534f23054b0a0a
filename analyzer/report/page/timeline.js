/** All connections together over time, in their phases' colours: each a line from its first to its last packet; where
 * they are too many for lines, how many were in each phase at a time. */
const Timeline = (() => {
  const phases = ["handshake", "data", "teardown"];
  const whole = 65535;
  const most = 90;
  let shown = null;

  /** Draw these rows; the others are left out. */
  function show(columns, marks, rows, lasted) {
    const order = Array.from(rows).sort((a, b) => columns.first[a] - columns.first[b]);
    shown = { columns, marks, order, lasted: Math.max(lasted, 1e-9) };
    paint();
  }

  /** Begin and end of a row's phase in seconds; null where it was not seen. */
  function span({ columns }, row, phase) {
    const [from, to] = [columns.phases[row * 6 + phase * 2], columns.phases[row * 6 + phase * 2 + 1]];
    if (from > to) return null;
    const [first, lasted] = [columns.first[row], columns.lasted[row]];
    return [first + (from / whole) * lasted, first + (to / whole) * lasted];
  }

  function paint() {
    if (!shown) return;
    const canvas = at("history");
    const style = getComputedStyle(canvas);
    const color = (name) => style.getPropertyValue(`--${name}`);
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const isCrowd = shown.order.length > most;
    const height = isCrowd ? 150 : Math.max(48, Math.min(220, shown.order.length * 12));
    canvas.style.height = `${height}px`;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const x = (seconds) => (seconds / shown.lasted) * (width - 8) + 4;
    if (isCrowd) crowd(pen, x, width, height, color);
    else lines(pen, x, height, color);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => make("span", {}, Format.duration(part * shown.lasted * 1e9)));
    at("axis").replaceChildren(...ticks);
  }

  function lines(pen, x, height, color) {
    const { columns, marks, order } = shown;
    const step = height / Math.max(order.length, 1);
    const thick = Math.max(1.5, Math.min(step * 0.66, 10));
    const places = new Map();
    const bar = (name, [from, to], y, opacity = 1) => {
      pen.globalAlpha = opacity;
      pen.fillStyle = color(name);
      pen.fillRect(x(from), y, Math.max(x(to) - x(from), 2), thick);
      pen.globalAlpha = 1;
    };
    order.forEach((row, k) => {
      const y = k * step + (step - thick) / 2;
      places.set(row, y + thick / 2);
      bar("none", [columns.first[row], columns.first[row] + columns.lasted[row]], y, 0.35);
      phases.forEach((phase, j) => {
        const seen = span(shown, row, j);
        if (seen) bar(phase, seen, y);
      });
    });
    for (let i = 0; i < marks.row.length; i += 1) {
      const row = marks.row[i];
      if (!places.has(row)) continue;
      const size = Math.max(5, thick + 4);
      pen.fillStyle = color(marks.kind[i] ? "reset" : "again");
      const from = x(columns.first[row] + (marks.at[i] / whole) * columns.lasted[row]);
      pen.fillRect(from - 1, places.get(row) - size / 2, marks.kind[i] ? 3 : 2, size);
    }
  }

  /** Stacked: connections in each phase, those between two phases on top; trouble as a row of marks below. */
  function crowd(pen, x, width, height, color) {
    const { columns, marks, order } = shown;
    const names = [...phases, "none"];
    const counts = names.map(() => new Float64Array(width + 1));
    const add = (name, from, to, by) => {
      counts[name][Math.floor(x(from))] += by;
      counts[name][Math.min(width, Math.floor(x(to)) + 1)] -= by;
    };
    for (const row of order) {
      add(3, columns.first[row], columns.first[row] + columns.lasted[row], 1);
      for (let j = 0; j < phases.length; j += 1) {
        const seen = span(shown, row, j);
        if (!seen) continue;
        add(j, ...seen, 1);
        add(3, ...seen, -1);
      }
    }
    for (const one of counts) for (let i = 1; i <= width; i += 1) one[i] += one[i - 1];
    let greatest = 1;
    for (let i = 0; i < width; i += 1) greatest = Math.max(greatest, counts.reduce((sum, one) => sum + Math.max(0, one[i]), 0));
    const room = height - 26;
    for (let i = 0; i < width; i += 1) {
      let y = height - 10;
      counts.forEach((one, k) => {
        const tall = (Math.max(0, one[i]) / greatest) * room;
        pen.fillStyle = color(names[k]);
        pen.fillRect(i, y - tall, 1, tall);
        y -= tall;
      });
    }
    const isShown = new Set(marks.row.length ? order : []);
    for (let i = 0; i < marks.row.length; i += 1) {
      const row = marks.row[i];
      if (!isShown.has(row)) continue;
      pen.fillStyle = color("again");
      pen.fillRect(x(columns.first[row] + (marks.at[i] / whole) * columns.lasted[row]), height - 7, 1, 7);
    }
    pen.fillStyle = color("quiet");
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(Words.say("up to {n} at a time", { n: Format.count(greatest) }), 4, 12);
  }

  /** The row whose line is there; of a crowd, the first that began then. */
  function rowAt(event) {
    if (!shown?.order.length) return -1;
    const { columns, order, lasted } = shown;
    const box = at("history").getBoundingClientRect();
    if (order.length <= most) {
      const k = Math.floor(((event.clientY - box.top) / box.height) * order.length);
      return order[Math.max(0, Math.min(order.length - 1, k))];
    }
    const seconds = ((event.clientX - box.left) / box.width) * lasted;
    return order.find((row) => columns.first[row] >= seconds) ?? order.at(-1);
  }

  new ResizeObserver(() => requestAnimationFrame(paint)).observe(at("history").parentElement);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  return { show, rowAt };
})();
