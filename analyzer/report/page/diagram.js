/** The sequence diagram, drawn beforehand: a click or an arrow key chooses a packet. */
const Diagram = (() => {
  let number = 0;
  let calls = "";
  const place = at("diagram");

  /** Copy a drawing of the page into an element, in the reader's language; gives whether there is one. */
  function copy(id, element) {
    const drawing = document.getElementById(id);
    element.replaceChildren();
    if (!drawing) return false;
    element.append(drawing.content.cloneNode(true));
    Words.apply(element);
    return true;
  }

  function show(connection) {
    number = connection.number;
    copy(`diagram-${number}`, place);
    calls = connection.said.calls;
    note();
  }

  /** What the socket calls beside the states are worth. */
  function note() {
    at("calls-note").textContent = Words.of(calls);
    at("calls-note").hidden = !calls;
  }

  document.addEventListener("language", note);
  place.addEventListener("click", (event) => {
    const packet = event.target.closest("[data-packet]");
    if (packet) Packet.choose(number, Number(packet.dataset.packet));
  });
  place.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    Packet.step(number, by);
  });
  document.addEventListener("packet", ({ detail }) => {
    place.querySelector(".chosen")?.classList.remove("chosen");
    if (detail.connection !== number) return;
    const packet = place.querySelector(`[data-packet="${detail.packet}"]`);
    if (!packet) return;
    packet.classList.add("chosen");
    const box = packet.getBoundingClientRect();
    const frame = place.getBoundingClientRect();
    if (box.top < frame.top || box.bottom > frame.bottom) {
      place.scrollTop += box.top - frame.top - frame.height / 2 + box.height / 2;
    }
  });
  return { show, copy };
})();
