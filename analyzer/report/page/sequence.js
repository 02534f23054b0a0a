/** The time sequence of a connection: six columns, as an analyser of the wire has them. */
const Sequence = (() => {
  const { text } = Words;
  let one = null;
  let table = null;
  /** A number as it was on the wire where the reader wants that, and it is known. */
  function number(value, side) {
    const start = one.iss[side];
    return at("absolute").checked && start !== null ? (value + start) >>> 0 : value;
  }

  function summary(i, side) {
    const { packets } = one;
    if (packets.side[i] !== side) return "";
    if (!one.tcp) return `UDP (${packets.length[i]})`;
    const seq = number(packets.seq[i], side);
    const ack = packets.ack[i] < 0 ? "–" : number(packets.ack[i], 1 - side);
    return Words.say("seq {seq} ack {ack} next {next}", { seq, ack, next: number(Packet.next(one, i), side) });
  }

  function arrow(i) {
    const { packets } = one;
    const event = one.said.events[i];
    const flags = one.tcp ? packets.flags[i] : "UDP";
    const label = packets.length[i] ? `${flags} (${packets.length[i]})` : flags;
    const classes = ["flow", packets.side[i] ? "server" : "client", event?.[0] || /RST/.test(flags) ? "loud" : ""];
    const title = event ? Words.of(event[1]) : null;
    return make("span", { class: classes.join(" "), title }, make("span", {}, label), event ? make("small", {}, title) : null);
  }

  const window_ = (i, side) => (one.tcp && one.packets.side[i] === side ? Format.count(one.packets.window[i]) : "");
  const columns = [
    { name: text("Time"), kind: "number", cell: (i) => Format.seconds(one.packets.time[i]), value: (i) => one.packets.time[i] },
    { name: text("Client says"), kind: "summary client", cell: (i) => summary(i, 0) },
    { name: text("Window"), kind: "number window client", cell: (i) => window_(i, 0) },
    { name: text("Packet"), kind: "arrow", cell: arrow },
    { name: text("Window"), kind: "number window server", cell: (i) => window_(i, 1) },
    { name: text("Server says"), kind: "summary server", cell: (i) => summary(i, 1) },
  ];

  function show(connection) {
    one = connection;
    const choose = (i) => Packet.choose(one.number, one.packets.number[i]);
    const describe = (i) => (one.tcp ? ["none", "handshake", "data", "teardown"][one.packets.phase[i]] : "data");
    table ??= new Table(at("sequence"), columns, { opened: choose, moved: choose, describe });
    table.show([...one.packets.number.keys()]);
    at("omitted").textContent = Words.of(one.said.omitted);
  }

  at("absolute").addEventListener("change", () => table?.refresh());
  document.addEventListener("packet", ({ detail }) => {
    if (one && detail.connection === one.number) table.choose(Packet.index(one, detail.packet));
  });
  document.addEventListener("language", () => one && (at("omitted").textContent = Words.of(one.said.omitted)));
  return { show };
})();
