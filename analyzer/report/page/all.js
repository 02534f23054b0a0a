/** The first part of the page: what the capture is worth, and the table of all connections. */
const All = (() => {
  const { report } = Data;
  const { text } = Words;
  const columns = Data.columns(report.columns);
  const marks = Data.columns(report.marks);
  const rows = columns.number.length;
  const begins = Lifeline.starts(marks, rows);
  const told = new Set(report.told);
  const end = (side, row) => {
    const address = report.addresses[columns[side][row]];
    const port = columns[`${side}Port`][row];
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  };
  const troubles = (row) => columns.retransmitted[row] + columns.out_of_order[row] + columns.zero_windows[row];

  function trouble(row) {
    const said = [];
    const { retransmitted, out_of_order: late, zero_windows: zero } = columns;
    if (retransmitted[row]) said.push(Words.say("{n} retransmitted", { n: Format.count(retransmitted[row]) }));
    if (late[row]) said.push(Words.say("{n} out of order", { n: Format.count(late[row]) }));
    if (zero[row]) said.push(Words.say("{n} zero window", { n: Format.count(zero[row]) }));
    return said.join(", ");
  }

  function ending(row) {
    const { text: word, loud } = report.causes[columns.cause[row]];
    return make("span", { class: loud ? "badge loud" : "badge" }, Words.of(word));
  }

  const bytes = (row) => columns.clientBytes[row] + columns.serverBytes[row];
  const table = new Table(
    at("connections"),
    [
      { name: text("No."), kind: "number", cell: (row) => String(columns.number[row]), value: (row) => columns.number[row] },
      { name: text("Client"), kind: "end-client", cell: (row) => end("client", row), value: (row) => end("client", row) },
      { name: text("Server"), kind: "end-server", cell: (row) => end("server", row), value: (row) => end("server", row) },
      { name: text("Life"), kind: "life", cell: (row) => Lifeline.drawn(columns, marks, begins, row) },
      { name: text("Ending"), kind: "ending", cell: ending, value: (row) => Words.of(report.causes[columns.cause[row]].text) },
      { name: text("Start"), kind: "number start", cell: (row) => columns.first[row].toFixed(3), value: (row) => columns.first[row] },
      { name: text("Duration"), kind: "number lasted", cell: (row) => Format.duration(columns.lasted[row] * 1e9), value: (row) => columns.lasted[row], down: true },
      { name: text("Packets"), kind: "number packets", cell: (row) => Format.count(columns.packets[row]), value: (row) => columns.packets[row], down: true },
      { name: text("Bytes"), kind: "number bytes", cell: (row) => Format.size(bytes(row)), value: bytes, down: true },
      { name: text("Trouble"), kind: "trouble", cell: trouble, value: troubles, down: true },
    ],
    {
      opened: (row) => open(row),
      describe: (row) => (told.has(columns.number[row]) ? "told" : "untold"),
    },
  );

  function open(row) {
    table.choose(row, false);
    if (told.has(columns.number[row])) location.hash = `c${columns.number[row]}`;
    else {
      at("matches").textContent = Words.say("Connection {number} is not told in detail in this page.", { number: columns.number[row] });
    }
  }

  function wanted() {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [cause, verdict] = [at("cause").value, at("verdict").value];
    const [inTrouble, inDetail] = [at("trouble").checked, at("detail").checked];
    const found = [];
    for (let row = 0; row < rows; row += 1) {
      if (cause !== "" && columns.cause[row] !== Number(cause)) continue;
      if (verdict !== "" && (!columns.protocol[row] || columns.verdict[row] !== Number(verdict))) continue;
      if (inTrouble && !troubles(row)) continue;
      if (inDetail && !told.has(columns.number[row])) continue;
      if (words.length) {
        const ends = `${columns.number[row]} ${end("client", row)} ${end("server", row)}`;
        if (!words.every((word) => ends.includes(word))) continue;
      }
      found.push(row);
    }
    return found;
  }

  function filter() {
    const found = wanted();
    table.show(found);
    Timeline.show(columns, marks, found, report.last - report.first);
    at("matches").textContent = Words.say("{n} of {all}", { n: Format.count(found.length), all: Format.count(rows) });
  }

  function options(select, used, named) {
    const before = select.value;
    const all = make("option", { value: "" }, Words.say("any"));
    select.replaceChildren(all, ...used.map((code) => make("option", { value: code }, named(code))));
    select.value = before;
  }

  function words() {
    at("file").textContent = report.file;
    const { facts, damage, doubts, notes } = report.quality;
    const said = (value) => (Array.isArray(value) ? value : [value]).map(Words.of);
    const items = said(facts);
    if (report.first) items.push(Words.say("from {time} UTC", { time: Format.clock(report.first) }));
    if (report.filter) items.push(Words.say("filter: {filter}", { filter: report.filter }));
    at("facts").replaceChildren(...items.map((item) => make("li", {}, item)));
    at("notes").replaceChildren(
      ...[damage, ...doubts].filter(Boolean).map((doubt) => make("p", { class: "doubt" }, Words.of(doubt))),
      ...[...notes, ...report.leftOut].map((note) => make("p", { class: "quiet" }, Words.of(note))),
    );
    options(at("cause"), [...new Set(columns.cause)].sort((a, b) => a - b), (code) => Words.of(report.causes[code].text));
    options(at("verdict"), [...new Set(columns.verdict)].sort((a, b) => a - b), (code) => report.verdicts[code]);
    filter();
  }

  function start() {
    at("history").parentElement.hidden = rows === 0;
    let waiting = 0;
    at("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, rows > 5000 ? 150 : 0);
    });
    for (const id of ["cause", "verdict", "trouble", "detail"]) at(id).addEventListener("change", filter);
    at("filters").addEventListener("submit", (event) => event.preventDefault());
    at("history").addEventListener("click", (event) => {
      const row = Timeline.rowAt(event);
      if (row >= 0) open(row);
    });
    document.addEventListener("language", words);
    words();
  }

  /** Mark a connection in the table. */
  const choose = (number) => table.choose(columns.number.indexOf(number));
  return { start, choose };
})();
