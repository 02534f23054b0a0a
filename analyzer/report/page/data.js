/** What the page was made from: JSON in elements of the page, columns of numbers in base64. */
const Data = (() => {
  const types = { Uint8Array, Uint16Array, Uint32Array, Float64Array };
  const parsed = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };

  function bytes(base64) {
    const text = atob(base64);
    const octets = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) octets[i] = text.charCodeAt(i);
    return octets;
  }

  /** A column as an array; this machine is little-endian, as all that browsers run on. */
  const column = ({ type, data, same, length }) =>
    type ? new types[type](bytes(data).buffer) : new Float64Array(length).fill(same);
  const columns = (table) => Object.fromEntries(Object.entries(table).map(([name, one]) => [name, column(one)]));

  const report = parsed("report");
  const known = new Map();

  /** A connection that is told in detail, else null. */
  function connection(number) {
    if (!known.has(number)) known.set(number, parsed(`connection-${number}`));
    return known.get(number);
  }

  return { report, connection, bytes, columns };
})();
