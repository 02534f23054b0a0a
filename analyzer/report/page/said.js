/** What both sides said, in order, each byte once; a click on a piece chooses its packet. */
const Said = (() => {
  const place = at("said");
  const most = 200000;
  let one = null;

  const escaped = (text) =>
    text.replace(/\r\n/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);

  function payload(packet, from, length) {
    const i = Packet.index(one, packet);
    const [base64, , start] = one.frames[i];
    return Data.bytes(base64).slice(start + from, start + from + length);
  }

  /** Rows of sixteen octets; `first` is the place of the first one in what its side says. */
  function hexadecimal(octets, first) {
    const rows = [];
    for (let from = 0; from < octets.length; from += 16) {
      const part = [...octets.slice(from, from + 16)];
      const numbers = part.map((octet) => octet.toString(16).padStart(2, "0")).join(" ").padEnd(48);
      rows.push(`${(first + from).toString(16).padStart(6, "0")}  ${numbers} ${part.map((octet) => (octet > 31 && octet < 127 ? String.fromCharCode(octet) : ".")).join("")}\n`);
    }
    return rows.join("");
  }

  /** Whether most of the first octets can be read; what UTF-8 has beyond ASCII counts as such. */
  function seemsText() {
    const pieces = (one.conversation ?? []).filter((item) => item.length > 2).slice(0, 8);
    const octets = pieces.flatMap(([, packet, from, length]) => [...payload(packet, from, Math.min(length, 256))]);
    const strange = octets.filter((octet) => octet < 9 || (octet > 13 && octet < 32) || octet === 127).length;
    return strange <= octets.length / 8;
  }

  function fill() {
    if (!one) return;
    place.replaceChildren();
    if (!one.conversation) {
      place.append(make("p", { class: "quiet" }, Words.say("What the programs said is left out of this page.")));
      return;
    }
    if (!one.conversation.length) {
      place.append(make("p", { class: "quiet" }, Words.say("Neither side said anything.")));
      return;
    }
    const isHex = document.querySelector('input[name="form"]:checked').value === "hex";
    let [side, box, decoder, used] = [-1, null, null, 0];
    for (const item of one.conversation) {
      if (item[0] !== side) {
        side = item[0];
        decoder = new TextDecoder("utf-8");
        const name = Words.say(side ? Words.text("server") : Words.text("client"));
        box = make("pre", { class: side ? "server" : "client", "data-name": name, role: "group", "aria-label": name });
        place.append(box);
      }
      if (item.length === 2) {
        box.append(make("span", { class: "notice" }, `[ ${Words.of(item[1])} ]`));
        continue;
      }
      const [, packet, from, length, offset] = item;
      const octets = payload(packet, from, length);
      used += octets.length;
      if (used > most) {
        place.append(make("p", { class: "quiet" }, Words.say("What follows is not shown.")));
        break;
      }
      const text = isHex ? hexadecimal(octets, offset) : escaped(decoder.decode(octets, { stream: true }));
      box.append(make("span", { class: "piece", "data-packet": packet, title: Words.say("Packet {n}", { n: packet }) }, text));
    }
    if (Words.of(one.said.omitted)) place.append(make("p", { class: "quiet" }, Words.say("What was said later is not in this page.")));
    mark(Packet.now());
  }

  function mark(detail) {
    for (const piece of place.querySelectorAll(".piece.chosen")) piece.classList.remove("chosen");
    if (!one || detail?.connection !== one.number) return;
    const chosen = place.querySelectorAll(`[data-packet="${detail.packet}"]`);
    for (const piece of chosen) piece.classList.add("chosen");
    if (chosen.length) bring(chosen[0]);
  }

  /** Scroll what was said, and nothing else, to a piece. */
  function bring(piece) {
    const [box, frame] = [piece.getBoundingClientRect(), place.getBoundingClientRect()];
    if (box.top < frame.top || box.top > frame.bottom) place.scrollTop += box.top - frame.top - frame.height / 3;
  }

  function show(connection) {
    one = connection;
    document.querySelector(`input[name="form"][value="${seemsText() ? "text" : "hex"}"]`).checked = true;
    fill();
  }

  place.addEventListener("click", (event) => {
    const piece = event.target.closest(".piece");
    if (piece) Packet.choose(one.number, Number(piece.dataset.packet));
  });
  for (const form of document.querySelectorAll('input[name="form"]')) form.addEventListener("change", fill);
  document.addEventListener("packet", ({ detail }) => mark(detail));
  document.addEventListener("language", fill);
  return { show };
})();
