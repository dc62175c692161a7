// The values of a run around one bar: unpacked, named where they are codes, and drawn small.
"use strict";

sqGraph.values = (run, codes) => {
  if (!run) return { there: false };
  const state = { bar: run.at, symbol: run.symbol };
  const unpacked = new Map();

  /** A column's numbers: float64, or int64 as BigInt, in little-endian base64; a column that never changes is sent once. */
  function numbers(column) {
    if (!unpacked.has(column)) {
      const { type, data } = run.columns[column];
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      unpacked.set(column, type === "f8" ? new Float64Array(bytes.buffer) : new BigInt64Array(bytes.buffer));
    }
    return unpacked.get(column);
  }

  function at(column, bar = state.bar, symbol = state.symbol) {
    const found = numbers(column);
    if (found.length === 1) return found[0];
    return run.columns[column].per === "bar" ? found[bar] : found[bar * run.symbols.length + symbol];
  }

  /** Digits that tell a number apart: seven significant ones; the exact number is in the title. */
  function digits(x) {
    if (Number.isInteger(x) && Math.abs(x) < 1e15) return x.toLocaleString("en-GB");
    const size = Math.abs(x);
    return size < 1e-4 || size >= 1e12 ? x.toExponential(5) : x.toLocaleString("en-GB", { maximumSignificantDigits: 7 });
  }

  function named(value, code) {
    const number = Number(value);
    if (code.time) return number > 1e15 ? `${new Date(number / 1e6).toISOString().slice(0, 19).replace("T", " ")} UTC` : String(value);
    if (code.mask) return code.names.filter((_, i) => (value >> BigInt(i)) & 1n).join(" · ") || "none";
    return code.names[String(number)] ?? `UNKNOWN (${number})`;
  }

  /** A value as it is read: {text, exact, known}. */
  function shown(column, code) {
    const value = at(column);
    if (typeof value === "bigint") return { text: code ? named(value, code) : value.toLocaleString("en-GB"), exact: String(value), known: true };
    if (Number.isNaN(value)) return { text: "not known", exact: "NaN", known: false };
    if (!Number.isFinite(value)) return { text: value > 0 ? "infinite" : "minus infinite", exact: String(value), known: true };
    return { text: digits(value), exact: String(value), known: true };
  }

  const columnsOf = (layer) => layer.outputs.flatMap((field) => (field.columns ?? []).filter((column) => column in run.columns).map((column) => ({ field, column })));

  /** A row for each recorded value of a layer. */
  const of = (layer) => columnsOf(layer).map(({ field, column }) => {
    const name = column.startsWith(`${layer.name}.`) ? column.slice(layer.name.length + 1) : layer.label;
    return { column, name, about: field.about, ...shown(column, codes[field.codes]) };
  });

  /** What stands on the node: the first value that has a name, else the first that is known. */
  function headline(layer) {
    const all = columnsOf(layer);
    const word = all.find(({ field }) => field.codes && !codes[field.codes].mask && !codes[field.codes].time);
    const first = word ?? all.find(({ column }) => typeof at(column) === "number");
    if (!first) return "";
    const value = shown(first.column, codes[first.field.codes]);
    return value.known ? (typeof at(first.column) === "number" ? sq.format.number(at(first.column), 3) : value.text) : "–";
  }

  const whyNone = (layer) => layer.log
    ? "It returns a log, whose entries vary in number: the tables orders and fills of the run hold them."
    : "This run did not record it.";

  const SVG = "http://www.w3.org/2000/svg";

  /** The column over the embedded bars, the chosen one marked; nothing for what never changes. */
  function sparkline(column) {
    const series = run.times.map((_, bar) => Number(at(column, bar)));
    const known = series.filter(Number.isFinite);
    const low = Math.min(...known);
    const high = Math.max(...known);
    if (known.length < 2 || low === high) return "";
    const [width, height] = [84, 20];
    const x = (bar) => (2 + (bar * (width - 4)) / (series.length - 1)).toFixed(1);
    const y = (value) => (height - 3 - ((value - low) * (height - 6)) / (high - low)).toFixed(1);
    let pen = "M";
    const path = series.map((value, bar) => {
      if (!Number.isFinite(value)) { pen = "M"; return ""; }
      const step = `${pen}${x(bar)} ${y(value)}`;
      pen = "L";
      return step;
    }).join("");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", path);
    svg.append(line);
    const here = series[state.bar];
    if (Number.isFinite(here)) {
      const dot = document.createElementNS(SVG, "circle");
      Object.entries({ cx: x(state.bar), cy: y(here), r: 2.6 }).forEach(([key, value]) => dot.setAttribute(key, value));
      svg.append(dot);
    }
    return svg;
  }

  const time = () => new Date(run.times[state.bar]).toISOString().slice(0, 19).replace("T", " ");
  const where = () => `${run.symbols[state.symbol]} at the close of ${time()} UTC`;

  return { there: true, run, state, of, headline, whyNone, sparkline, where, time };
};
