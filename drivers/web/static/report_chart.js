// What the charts of a report share: packed series, the look of the theme, tooltips that cannot be injected into, the keyboard.
"use strict";
window.sqChart = (() => {
  const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  const charts = [];

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  }
  const floats = (text) => new Float32Array(bytes(text));
  const numbers = (packed) => new (ARRAYS[packed.size])(bytes(packed.data));
  const sums = (steps) => { let at = 0; return Array.from(steps, (step) => (at += step)); };

  /** The close of a bar, ms: bars follow each other by the clock's step but where the market was closed. */
  function closeOf(clock, bar) {
    const { jumps } = clock;
    let low = 0, high = jumps.length;
    while (low < high) { const middle = (low + high) >> 1; if (jumps[middle][0] <= bar) low = middle + 1; else high = middle; }
    const [at, close] = low ? jumps[low - 1] : [0, clock.first];
    return close + (bar - at) * clock.step;
  }
  const lastClose = (clock) => closeOf(clock, clock.bars - 1);

  /** [[ms, value], …] of a packed series; a NaN is null and breaks the line. */
  function unpack(packed, clock, scale = 1) {
    const values = floats(packed.value);
    return sums(numbers(packed.step)).map((bar, i) =>
      [closeOf(clock, bar), Number.isNaN(values[i]) ? null : values[i] * scale]);
  }

  const look = () => ({
    ink: sq.token("--ink"), muted: sq.token("--muted"), line: sq.token("--line"), bg: sq.token("--bg"), surface: sq.token("--surface"),
    raised: sq.token("--raised"), accent: sq.token("--accent"), good: sq.token("--good"), bad: sq.token("--bad"), warn: sq.token("--warn"),
    other: sq.token("--step"),
  });

  function time(ms, seconds) {
    return new Date(ms).toISOString().slice(0, seconds ? 19 : 16).replace("T", " ");
  }

  /** A tooltip as elements: text is text, whatever is in it. */
  function tip(heading, rows) {
    const box = document.createElement("div");
    box.className = "tip";
    const head = document.createElement("b");
    head.textContent = heading;
    box.append(head);
    for (const [label, value] of rows) {
      const row = document.createElement("div");
      for (const text of value === undefined ? [label] : [label, value]) {
        const part = document.createElement("span");
        part.textContent = text;
        row.append(part);
      }
      box.append(row);
    }
    return box;
  }

  const tooltip = (c) => ({
    trigger: "axis", confine: true, backgroundColor: c.raised, borderColor: c.line, padding: [8, 10],
    textStyle: { color: c.ink }, axisPointer: { type: "line", lineStyle: { color: c.muted, type: "dashed" } }, transitionDuration: 0,
  });
  const DATES = { year: "{yyyy}", month: "{d} {MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}" };
  const timeAxis = (c, clock, more = {}) => ({
    type: "time", min: clock.first - clock.step, max: lastClose(clock),
    axisLine: { lineStyle: { color: c.line } }, axisTick: { lineStyle: { color: c.line } },
    axisLabel: { color: c.muted, hideOverlap: true, fontSize: 11, formatter: DATES }, splitLine: { show: false }, ...more,
  });
  const valueAxis = (c, name, formatter, more = {}) => ({
    type: "value", scale: true, name, nameLocation: "end", nameGap: 8, splitNumber: 4,
    nameTextStyle: { color: c.muted, align: "left", padding: [0, 0, 0, -44], fontSize: 11 },
    axisLabel: { color: c.muted, formatter, fontSize: 11, hideOverlap: true }, splitLine: { lineStyle: { color: c.line, opacity: .6 } }, ...more,
  });
  const zoom = (c, axes) => [
    { type: "inside", xAxisIndex: axes, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, preventDefaultMouseMove: false, filterMode: "weakFilter" },
    {
      type: "slider", xAxisIndex: axes, height: 22, bottom: 8, left: 60, right: 24, showDetail: false, brushSelect: false,
      filterMode: "weakFilter", borderColor: c.line, fillerColor: `${c.accent}22`, handleStyle: { color: c.raised, borderColor: c.accent },
      moveHandleStyle: { color: c.muted }, dataBackground: { lineStyle: { color: c.line }, areaStyle: { color: c.line } },
      selectedDataBackground: { lineStyle: { color: c.accent }, areaStyle: { color: c.accent, opacity: .15 } },
    },
  ];

  const left = (narrow) => narrow ? 52 : 66;
  const legend = (c, names, narrow, top = 0) => ({
    data: names, top, left: narrow ? 0 : left(narrow) - 8, right: narrow ? 0 : 16, padding: [2, 5], itemGap: narrow ? 8 : 12,
    textStyle: { color: c.ink, fontSize: narrow ? 11 : 12 }, inactiveColor: c.muted, itemHeight: 10, itemWidth: narrow ? 12 : 18,
  });
  const line = (name, points, colour, more = {}) => ({
    name, type: "line", data: points, showSymbol: false, connectNulls: false, lineStyle: { width: 1.4, color: colour },
    itemStyle: { color: colour }, emphasis: { disabled: true }, ...more,
  });

  /** A chart in `#chart-<name>`; `option(colours, narrow)` makes it, again when the theme or the width changes. */
  function draw(name, option) {
    const element = document.getElementById(`chart-${name}`);
    if (!element) return null;
    const chart = echarts.init(element, null, { renderer: "canvas" });
    const narrow = () => element.clientWidth < 560;
    let was = null;
    function fill(keep = true) {
      const zoomed = keep ? chart.getOption()?.dataZoom?.map(({ start, end }) => ({ start, end })) : null;
      const made = option(look(), narrow());
      was = narrow();
      if (zoomed) made.dataZoom = made.dataZoom?.map((part, i) => ({ ...part, ...zoomed[i] }));
      chart.setOption({ animation: false, useUTC: true, backgroundColor: "transparent", aria: { enabled: true, label: { description: element.dataset.label } },
        textStyle: { fontFamily: "system-ui, sans-serif" }, ...made }, true);
    }
    fill(false);
    sq.onTheme(() => fill());
    new ResizeObserver(() => { chart.resize(); if (narrow() !== was) fill(); }).observe(element);
    keyboard(element, chart);
    charts.push(chart);
    return { chart, fill };
  }

  /** Arrows move what is seen by a fifth, plus and minus zoom about its middle, 0 shows all. */
  function keyboard(element, chart) {
    element.addEventListener("keydown", (event) => {
      const seen = chart.getOption().dataZoom?.[0];
      if (!seen || event.ctrlKey || event.metaKey || event.altKey) return;
      let { start, end } = seen;
      const width = end - start, by = { ArrowLeft: -width / 5, ArrowRight: width / 5 }[event.key];
      const factor = { "+": .5, "=": .5, "-": 2, 0: Infinity }[event.key];
      if (by !== undefined) {
        const shift = Math.max(-start, Math.min(100 - end, by));
        start += shift; end += shift;
      } else if (factor !== undefined) {
        const half = Math.min(50, Math.max(.02, width * factor / 2)), middle = Math.min(100 - half, Math.max(half, (start + end) / 2));
        start = middle - half; end = middle + half;
      } else return;
      event.preventDefault();
      chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, start, end });
    });
  }

  return { charts, closeOf, draw, floats, lastClose, left, legend, line, look, numbers, sums, time, timeAxis, tip, tooltip, unpack, valueAxis, zoom };
})();
