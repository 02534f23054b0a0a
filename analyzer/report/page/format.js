/** Quantities as the command line writes them. */
const Format = (() => {
  const scaled = (value, units) => {
    const [unit, name] = units.find(([size]) => value < size * 999.5) ?? units.at(-1);
    const number = value / unit;
    return `${unit > units[0][0] && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${name}`;
  };
  const two = (number) => String(number).padStart(2, "0");

  /** Nanoseconds: 850 ns, 6.8 ms, 43 s, 2m 05s, 3h 20m. */
  function duration(ns) {
    if (ns <= 0) return ns < 0 ? `-${duration(-ns)}` : "0 s";
    const seconds = Math.round(ns / 1e9);
    if (seconds >= 86400) return `${Math.floor(seconds / 86400)}d ${two(Math.floor((seconds % 86400) / 3600))}h`;
    if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h ${two(Math.floor((seconds % 3600) / 60))}m`;
    if (seconds >= 60) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
    return scaled(ns, [[1, "ns"], [1e3, "µs"], [1e6, "ms"], [1e9, "s"]]);
  }

  const size = (octets) => scaled(octets, [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]]);
  const count = (number) => number.toLocaleString("en-US");
  const seconds = (ns) => (Math.floor(ns / 1000) / 1e6).toFixed(6);
  const clock = (at) => new Date(at * 1000).toISOString().replace("T", " ").slice(0, 19);

  return { duration, size, count, seconds, clock };
})();
