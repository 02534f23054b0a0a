/** A connection's life in a line: its phases as bars over its time, packets sent again and resets as marks. A phase that
 * was not seen begins after its end. */
const Lifeline = (() => {
  const width = 160;
  const height = 16;
  const least = 3;
  const phases = ["handshake", "data", "teardown"];
  const whole = 65535;

  /** Where the marks of each row begin, in the marks' columns, which are in the rows' order. */
  function starts(marks, rows) {
    const found = new Uint32Array(rows + 1);
    for (const row of marks.row) found[row + 1] += 1;
    for (let row = 0; row < rows; row += 1) found[row + 1] += found[row];
    return found;
  }

  function drawn(columns, marks, begins, row) {
    const line = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "lifeline", preserveAspectRatio: "none", "aria-hidden": "true" });
    line.append(draw("rect", { class: "base", x: 0, y: columns.protocol[row] ? 7 : 4, width, height: columns.protocol[row] ? 2 : 8 }));
    const room = width - phases.length * least;
    phases.forEach((phase, k) => {
      const from = columns.phases[row * 6 + k * 2];
      const to = columns.phases[row * 6 + k * 2 + 1];
      if (from > to) return;
      line.append(draw("rect", { class: phase, x: (from / whole) * room + k * least, y: 2, width: ((to - from) / whole) * room + least, height: 12, rx: 1 }));
    });
    for (let i = begins[row]; i < begins[row + 1] && i < begins[row] + width; i += 1) {
      const x = (marks.at[i] / whole) * (width - 4) + 2;
      if (marks.kind[i]) line.append(draw("path", { class: "reset", d: `M${x - 4} 4l8 8m0 -8l-8 8` }));
      else line.append(draw("path", { class: "again", d: `M${x} 0v16` }));
    }
    return line;
  }

  return { starts, drawn };
})();
