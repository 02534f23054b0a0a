/** The sequence diagram, drawn beforehand: a click or an arrow key chooses a packet. */
const Diagram = (() => {
  let number = 0;
  let calls = "";
  let chosen = 0;
  const place = at("diagram");

  /** Copy a drawing of the page into an element, in the reader's language; gives whether there is one. */
  function copy(id, element) {
    const drawing = document.getElementById(id);
    element.replaceChildren();
    delete element.dataset.drawing;
    if (!drawing) return false;
    element.append(...[...drawing.content.children].filter(Words.isRead).map((svg) => svg.cloneNode(true)));
    element.dataset.drawing = id;
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

  /** Mark the packet that is chosen; gives its drawing. */
  function mark() {
    place.querySelector(".chosen")?.classList.remove("chosen");
    const packet = chosen ? place.querySelector(`[data-packet="${chosen}"]`) : null;
    packet?.classList.add("chosen");
    return packet;
  }

  document.addEventListener("language", () => {
    note();
    for (const element of document.querySelectorAll("[data-drawing]")) copy(element.dataset.drawing, element);
    mark();
  });
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
    chosen = detail.connection === number ? detail.packet : 0;
    const packet = mark();
    if (!packet) return;
    const box = packet.getBoundingClientRect();
    const frame = place.getBoundingClientRect();
    if (box.top < frame.top || box.bottom > frame.bottom) {
      place.scrollTop += box.top - frame.top - frame.height / 2 + box.height / 2;
    }
  });
  return { show, copy };
})();
