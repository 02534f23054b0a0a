// The columns of a connection's plots: decoded, looked up by time, put into words.
(function (Plots) {
  "use strict";

  const ARRAYS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array, f8: Float64Array };
  const FIN = 1, SYN = 2, RST = 4, ACK = 16;
  const FLAG_WORDS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
  const FLAG_ORDER = [1, 2, 0, 3, 5, 6, 7, 8, 4];
  const EVENT = {
    retransmission: 0, fast: 1, spurious: 2, outOfOrder: 3, duplicateAck: 4, lost: 5,
    zeroWindow: 9, reusedPorts: 14, copy: 15,
  };
  const SENT_AGAIN = 1 << EVENT.retransmission | 1 << EVENT.fast | 1 << EVENT.spurious;

  // A column as plots.py writes it, as an array of n numbers.
  function decoded(column, n) {
    if ("constant" in column) return new Float64Array(n).fill(column.constant);
    const octets = Uint8Array.from(atob(column.data), (letter) => letter.charCodeAt(0));
    const values = new ARRAYS[column.type](octets.buffer);
    if (!("from" in column)) return values;
    const sums = new Float64Array(values.length);
    let sum = column.from;
    for (let i = 0; i < values.length; i++) sums[i] = sum += values[i];
    return sums;
  }

  class Course {
    constructor(json) {
      this.about = json;
      const n = this.length = json.drawn;
      for (const name of Object.keys(json.columns)) this[name] = decoded(json.columns[name], n);
      this.time = Float64Array.from(this.time_ns, (ns) => ns / 1e9);
      this.end = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        const numbers = this.flags[i] & RST ? 0 : this.payload_len[i] + (this.flags[i] & (SYN | FIN) ? 1 : 0);
        this.end[i] = this.start[i] + numbers;
      }
      this.inFlight = [this.client_in_flight, this.server_in_flight];
      const { packet, left, right } = json.sack;
      const blocks = "data" in packet ? decoded(packet).length : 0;
      this.sackOf = new Map();
      const [owners, lefts, rights] = [packet, left, right].map((column) => decoded(column, blocks));
      for (let k = 0; k < blocks; k++) {
        if (!this.sackOf.has(owners[k])) this.sackOf.set(owners[k], []);
        this.sackOf.get(owners[k]).push([lefts[k], rights[k]]);
      }
      this.sums = [0, 1].map((side) => this.summed(side));
    }

    // Times and octets sent so far of one side, for its throughput.
    summed(side) {
      const times = [], sums = [], steps = [];
      let sum = 0;
      for (let i = 0; i < this.length; i++) {
        if (this.side[i] !== side) continue;
        times.push(this.time[i]);
        sums.push(sum += this.octets[i]);
        steps.push(this.packets[i]);
      }
      return { times, sums, steps };
    }

    // Octets that a side had sent by a moment; between packets that were left out, evenly.
    sentBy(side, moment) {
      const { times, sums, steps } = this.sums[side];
      const next = after(times, moment);
      const sum = next ? sums[next - 1] : 0;
      if (next === times.length || steps[next] <= 1 || !next) return sum;
      return sum + (sums[next] - sum) * (moment - times[next - 1]) / (times[next] - times[next - 1]);
    }

    // Rows from the last before the first moment to the first after the second: [first, one after the last].
    between(from, to) {
      return [Math.max(0, after(this.time, from) - 1), Math.min(this.length, after(this.time, to) + 1)];
    }

    has(i, event) { return this.events[i] >>> event & 1; }
    saw(bits) { return this.events.some((events) => events & bits); }
    isCopy(i) { return this.has(i, EVENT.copy); }
    isSentAgain(i) { return this.events[i] & SENT_AGAIN; }
    takesNumbers(i) { return this.end[i] > this.start[i]; }
    // Right edge of the window, or -1.
    edge(i) { return this.window[i] < 0 || this.acked[i] < 0 ? -1 : this.acked[i] + this.window[i]; }

    // The row of a packet, or of the one with the nearest number.
    rowOf(number) {
      let best = 0;
      for (let i = 1; i < this.length; i++) {
        if (Math.abs(this.number[i] - number) < Math.abs(this.number[best] - number)) best = i;
      }
      return best;
    }

    // All that a plot says of one packet.
    facts(i) {
      const say = Plots.say, facts = [`#${this.number[i]}`, Plots.seconds(this.time[i])];
      facts.push(this.side[i] ? say("server → client") : say("client → server"));
      if (this.about.protocol !== "tcp") return [...facts, Plots.octets(this.payload_len[i])];
      facts.push(FLAG_ORDER.filter((bit) => this.flags[i] >>> bit & 1).map((bit) => FLAG_WORDS[bit]).join(","));
      const seq = this.start[i], next = this.end[i];
      facts.push(next > seq ? `seq ${Plots.grouped(seq)}:${Plots.grouped(next)} (${Plots.grouped(this.payload_len[i])})` : `seq ${Plots.grouped(seq)}`);
      if (this.acked[i] >= 0) facts.push(`ack ${Plots.grouped(this.acked[i])}`);
      if (this.window[i] >= 0) facts.push(`win ${Plots.grouped(this.window[i])}`);
      for (const [left, right] of this.sackOf.get(i) || []) facts.push(`SACK ${Plots.grouped(left)}:${Plots.grouped(right)}`);
      if (this.rtt_ns[i] >= 0) facts.push(say("round trip {time}", { time: Plots.duration(this.rtt_ns[i]) }));
      const unacknowledged = this.inFlight[this.side[i]][i];
      if (unacknowledged > 0) facts.push(say("{octets} in flight", { octets: Plots.octets(unacknowledged) }));
      if (this.gap_ns[i] > 0) facts.push(say("{time} after the packet before", { time: Plots.duration(this.gap_ns[i]) }));
      return [...facts, ...this.eventWords(i)];
    }

    eventWords(i) {
      const bits = Object.keys(this.about.events).filter((bit) => this.events[i] >>> bit & 1);
      const words = bits.map((bit) => Plots.of(this.about.events[bit]));
      if (words.length && this.refers_to[i] > 0) words[0] += ` (#${this.refers_to[i]})`;
      return words;
    }
  }

  // How many of the numbers, in order, are not above this one.
  function after(numbers, value) {
    let low = 0, high = numbers.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (numbers[middle] <= value) low = middle + 1; else high = middle;
    }
    return low;
  }

  // A text of the page, and one of the data, in the reader's language.
  Plots.say = (english, values = {}) => Words.say(english, values);
  Plots.of = (text) => Words.of(text);
  Plots.grouped = (number) => number.toLocaleString("en-US");
  Plots.seconds = (time) => `${time.toFixed(6)} s`;

  const scaled = (value, units, step = 1000) => {
    let k = 0;
    while (Math.abs(value) >= step && k < units.length - 1) { value /= step; k++; }
    return `${Number(value.toPrecision(3))} ${units[k]}`;
  };
  Plots.octets = (number) => scaled(number, ["B", "kB", "MB", "GB", "TB"]);
  Plots.rate = (number) => scaled(number, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
  Plots.duration = (ns) => !ns ? "0 s" : ns < 1e9 ? scaled(ns, ["ns", "µs", "ms"]) : `${Number((ns / 1e9).toPrecision(4))} s`;

  Object.assign(Plots, { Course, EVENT, SENT_AGAIN, FIN, SYN, RST, ACK });
})(window.Plots = window.Plots || {});
