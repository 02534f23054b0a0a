/** The packet that is chosen: what it says, tcpdump's line, its octets in hexadecimal and as text.
 *
 * A choice is the event "packet" of the document, with {connection, packet}: whoever shows packets sends and hears it. */
const Packet = (() => {
  const choose = (connection, packet) =>
    document.dispatchEvent(new CustomEvent("packet", { detail: { connection, packet } }));
  const { text } = Words;
  let shown = null;

  /** Index of a packet in its connection's columns, -1 where the page does not tell it. */
  const index = (one, packet) => one.packets.number.indexOf(packet);

  /** The next packet in some direction. */
  function step(connection, by) {
    const one = Data.connection(connection);
    const now = shown?.connection === connection ? index(one, shown.packet) : -1;
    const next = Math.max(0, Math.min(one.packets.number.length - 1, now + by));
    choose(connection, one.packets.number[next]);
  }

  /** The sequence number after a packet's; SYN and FIN have one, too. */
  const next = ({ packets }, i) => (packets.seq[i] + packets.length[i] + /SYN|FIN/.test(packets.flags[i])) >>> 0;

  const line = (name, ...value) => [make("dt", {}, Words.say(name)), make("dd", {}, ...value)];

  function facts(one, i) {
    const { packets } = one;
    const side = packets.side[i];
    const way = Words.say(side ? text("server → client") : text("client → server"));
    const items = [
      ...line(text("Time"), `${Format.seconds(packets.time[i])} s`),
      ...line(text("Direction"), make("span", { class: side ? "server" : "client" }, way)),
    ];
    if (one.tcp) {
      const [client, server] = packets.states.map((states) => packets.names[states[i]]);
      items.push(
        ...line(text("Flags"), packets.flags[i]),
        ...line(text("States"), make("span", { class: "client" }, client), " · ", make("span", { class: "server" }, server)),
        ...line(text("Sequence"), `${packets.seq[i]} → ${next(one, i)}`),
      );
      if (packets.ack[i] >= 0) items.push(...line(text("Acknowledges"), String(packets.ack[i])));
      items.push(...line(text("Window"), Format.count(packets.window[i])));
    }
    items.push(...line(text("Payload"), Format.size(packets.length[i])));
    return make("dl", {}, ...items);
  }

  function hex(one, i) {
    const [base64, wire, start] = one.frames[i];
    const octets = Data.bytes(base64);
    const rows = [];
    const printable = (octet) => (octet > 31 && octet < 127 ? String.fromCharCode(octet) : ".");
    for (let from = 0; from < octets.length; from += 16) {
      const part = [...octets.slice(from, from + 16)];
      const split = Math.max(0, Math.min(part.length, start - from));
      const numbers = part.map((octet) => octet.toString(16).padStart(2, "0") + " ");
      const head = numbers.slice(0, split).join("");
      const tail = numbers.slice(split).join("");
      const shownAs = part.map(printable).join("");
      rows.push(
        make("span", { class: "offset" }, from.toString(16).padStart(4, "0"), "  "),
        make("span", { class: "header" }, head), make("span", { class: "payload" }, tail),
        " ".repeat((16 - part.length) * 3 + 1),
        make("span", { class: "header" }, shownAs.slice(0, split)), make("span", { class: "payload" }, shownAs.slice(split)), "\n",
      );
    }
    const box = make("pre", { class: "hex", tabindex: 0, "aria-label": Words.say("Bytes of the packet") }, ...rows);
    const cut = wire > octets.length ? Words.say("The page has {n} of its {all} bytes.", { n: octets.length, all: wire }) : "";
    return cut ? [box, make("p", { class: "quiet" }, cut)] : [box];
  }

  /** A line of tshark's tree, and those under it; the first levels are open. */
  function branch([line, under], depth) {
    if (!under.length) return make("li", {}, line);
    return make("li", {}, make("details", { open: depth < 2 }, make("summary", {}, line), tree(under, depth + 1)));
  }
  const tree = (fields, depth) => make("ul", {}, ...fields.map((field) => branch(field, depth)));

  /** What tshark decodes here, where the page was written with it. */
  function decoded(one, packet) {
    const told = one.decoded[packet];
    if (!told) return [];
    const [protocol, info, fields] = told;
    const line = make("p", {}, make("strong", {}, protocol), ` ${info}`);
    return [make("section", { class: "decoded", "aria-label": Words.say("Decoded by tshark") }, line, tree(fields, 0))];
  }

  function show(detail) {
    shown = detail;
    const panel = at("packet");
    const one = Data.connection(detail.connection);
    const i = one ? index(one, detail.packet) : -1;
    const heading = make("h3", {}, Words.say("Packet {n}", { n: detail.packet }));
    if (i < 0) {
      panel.replaceChildren(heading, make("p", { class: "quiet" }, Words.say("This page does not have this packet's bytes.")));
      return;
    }
    const event = one.said.events[i];
    const move = (by, glyph, name) =>
      make("button", { type: "button", "aria-label": Words.say(name), click: () => step(detail.connection, by) }, glyph);
    panel.replaceChildren(
      make("div", { class: "heading" }, heading, make("span", { class: "steps" }, move(-1, "‹", text("Previous packet")), move(1, "›", text("Next packet")))),
      ...(event ? [make("p", { class: event[0] ? "event loud" : "event" }, Words.of(event[1]))] : []),
      facts(one, i),
      make("pre", { class: "tcpdump", tabindex: 0, "aria-label": Words.say("tcpdump's line") }, one.tcpdump[i]),
      ...decoded(one, detail.packet),
      ...hex(one, i),
    );
  }

  document.addEventListener("packet", (event) => show(event.detail));
  document.addEventListener("language", () => shown && show(shown));
  return { choose, step, index, next, now: () => shown };
})();
