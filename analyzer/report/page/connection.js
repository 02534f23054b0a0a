/** One connection: its phases, its transactions, and all parts of the page that show more of it. */
const Connection = (() => {
  const { told } = Data.report;
  const { text } = Words;
  let one = null;

  function heading() {
    const [client, server] = one.ends;
    at("ends").replaceChildren(
      make("span", { class: "nth" }, String(one.number)), " ",
      make("span", { class: "client" }, client), " → ", make("span", { class: "server" }, server),
    );
    const facts = one.said.facts.map((fact) => make("span", {}, Words.of(fact)));
    const tunnels = one.said.tunnels.map((tunnel) => make("span", {}, Words.of(tunnel)));
    const badge = Words.of(one.said.ending);
    at("ending").replaceChildren(
      ...(badge ? [make("span", { class: one.said.loud ? "badge loud" : "badge" }, badge)] : []), ...facts, ...tunnels,
    );
    at("why").textContent = Words.of(one.said.why);
  }

  /** The phases side by side, the wider the more packets, so that none is lost. */
  function phases() {
    const found = new Map(one.phases.map((phase) => [phase.phase, phase]));
    const card = (name) => {
      const phase = found.get(name);
      const title = make("b", {}, Words.say(name));
      if (!phase) return make("div", { class: `phase ${name} missing` }, title, make("span", {}, Words.say("not seen")));
      const facts = [Words.say("packets: {n}", { n: Format.count(phase.packets) }), Format.duration(phase.duration_ns)];
      if (phase.bytes) facts.push(Format.size(phase.bytes));
      const choose = () => Packet.choose(one.number, phase.first);
      const button = make("button", { type: "button", class: `phase ${name}`, click: choose }, title, make("span", {}, facts.join(" · ")));
      button.style.flexGrow = String(1 + Math.log2(1 + phase.packets) / 2);
      return button;
    };
    at("phases").replaceChildren(...[text("handshake"), text("data"), text("teardown")].map(card));
    at("phases").hidden = !one.tcp;
  }

  function transactions() {
    const names = [
      text("Transaction"), text("Direction"), text("Packets"), text("Bytes"), text("Duration"), text("Interval"),
      text("Retransmissions"), text("From packet"),
    ];
    const kind = (k) => (k > 1 ? "number" : "");
    const head = make("tr", {}, ...names.map((name, k) => make("th", { scope: "col", class: kind(k) }, Words.say(name))));
    const direction = (side) => (side < 0 ? "↔" : side ? "←" : "→");
    const { listed, leftOut } = one.transactions;
    const rows = listed.map((part) => {
      const cells = [
        direction(part.side), Format.count(part.packets), Format.size(part.client_bytes + part.server_bytes),
        Format.duration(part.duration_ns), part.interval_ns < 0 ? "–" : Format.duration(part.interval_ns),
        part.retransmissions ? Format.count(part.retransmissions) : "–",
      ];
      const button = make("button", { type: "button", class: "link", click: () => Packet.choose(one.number, part.first) }, String(part.first));
      const loud = part.retransmissions ? "loud" : "";
      return make("tr", { class: part.phase }, make("th", { scope: "row" }, Words.of(part.name)),
        ...cells.map((cell, k) => make("td", { class: `${kind(k + 1)} ${k === 5 ? loud : ""}` }, cell)), make("td", { class: "number" }, button));
    });
    if (leftOut) {
      const said = Words.say("… {n} more", { n: Format.count(leftOut) });
      rows.splice(rows.length / 2, 0, make("tr", { class: "quiet" }, make("td", { colspan: names.length }, said)));
    }
    at("transactions").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
    at("transactions-part").hidden = !rows.length;
  }

  function remarks() {
    const items = one.said.remarks.map((remark) =>
      make("li", {}, make("b", { class: remark.loud ? "loud" : "" }, `${Format.count(remark.packets)} ${Words.of(remark.event)}`),
        make("ul", {}, ...remark.told.map(([packet, sentence]) =>
          make("li", {}, make("button", { type: "button", class: "link", click: () => Packet.choose(one.number, packet) }, String(packet)), " ", Words.of(sentence))))));
    at("remarks").replaceChildren(...items);
    at("remarks-part").hidden = !items.length;
  }

  function words() {
    if (!one) return;
    heading();
    phases();
    transactions();
    remarks();
  }

  function show(number) {
    one = Data.connection(number);
    if (!one) return;
    at("connection").hidden = false;
    words();
    Diagram.show(one);
    Sequence.show(one);
    at("states-part").hidden = !Diagram.copy(`states-${number}`, at("states"));
    Said.show(one);
    if (window.Plots) window.Plots.show(at("plots"), number);
    All.choose(number);
    Packet.choose(number, one.packets.number[0]);
    const place = told.indexOf(number);
    at("before").disabled = place <= 0;
    at("after").disabled = place === told.length - 1;
    at("before").onclick = () => (location.hash = `c${told[place - 1]}`);
    at("after").onclick = () => (location.hash = `c${told[place + 1]}`);
  }

  document.addEventListener("language", words);
  return { show, now: () => one?.number };
})();
