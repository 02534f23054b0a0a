/** The page begins: `#c3` in its address is connection 3. */
(() => {
  const named = () => Number(/^#c(\d+)$/.exec(location.hash)?.[1] ?? 0);

  function follow() {
    const number = named();
    if (!number || number === Connection.now()) return;
    Connection.show(number);
    at("connection").scrollIntoView();
    at("ends").focus({ preventScroll: true });
  }

  Words.offer(at("languages"));
  Words.apply(document);
  All.start();
  const first = Data.report.told.includes(named()) ? named() : Data.report.told[0];
  if (first) Connection.show(first);
  window.addEventListener("hashchange", follow);
  document.documentElement.dataset.ready = "yes";
})();
