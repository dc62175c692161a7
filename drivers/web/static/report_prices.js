// The chart of prices: candles with volume, fills, stops and targets, the regime behind them, the position and layer fields below.
"use strict";
window.sqPrices = (() => {
  const { closeOf, draw: drawChart, floats, lastClose, left, legend, line, numbers, sums, time, timeAxis, tip, tooltip, valueAxis, zoom } = sqChart;
  const { data, format } = sq;
  const { clock } = data;
  const MOST = 240; // candles that are shown at once: more are put together
  const KINDS = [["Buy, opens", 1, true], ["Sell, opens", -1, true], ["Buy, closes", 1, false], ["Sell, closes", -1, false]];
  const at = (ms) => time(ms, data.seconds);
  const price = (x) => format.number(x, 6);
  const known = (x) => Number.isNaN(x) ? null : x;
  let drawn = null, symbol, fills, bands, states, size = 9, seen = [-Infinity, Infinity];

  function fillsOf({ name, fills: f }) {
    const bars = sums(numbers(f.step)), q = floats(f.quantity), p = floats(f.price), after = floats(f.after);
    const fee = floats(f.fee), slip = floats(f.slippage), text = numbers(f.text), order = numbers(f.order);
    return bars.map((bar, i) => {
      const before = after[i] - q[i], opens = Math.abs(after[i]) > Math.abs(before) || after[i] * before < 0;
      return { value: [closeOf(clock, bar), p[i]], quantity: q[i], after: Math.abs(after[i]) < 1e-6 * Math.abs(q[i]) ? 0 : after[i], opens,
        fee: fee[i], slippage: slip[i], said: f.texts[text[i]], order: `${name}-${order[i]}` };
    });
  }

  function bandsOf({ regimes }) {
    if (!regimes) return [];
    const state = numbers(regimes.state), length = numbers(regimes.bars), ends = sums(length);
    return ends.map((end, i) => [closeOf(clock, end - length[i] - 1), closeOf(clock, end - 1), state[i]]);
  }

  function candlesOf({ candles: k }) {
    const made = { width: k.width, fields: {} };
    for (const name of ["open", "high", "low", "close", "volume"]) made[name] = floats(k[name]);
    for (const name of ["stop", "target"]) if (k[name]) made[name] = floats(k[name]);
    for (const [name, packed] of Object.entries(k.fields)) made.fields[name] = floats(packed);
    made.time = Array.from(made.close, (_, i) => closeOf(clock, Math.min(clock.bars, (i + 1) * k.width) - 1));
    return made;
  }

  /** The buckets of what is seen, put together so that at most MOST are shown: [[first, end], …). */
  function shownBuckets(k) {
    const first = k.time.findIndex((ms) => ms >= seen[0]), after = k.time.findIndex((ms) => ms > seen[1]);
    const begin = Math.max(0, first - 1), end = after < 0 ? k.time.length : Math.min(k.time.length, after + 1);
    const group = Math.max(1, Math.ceil((end - begin) / MOST)), made = [];
    for (let i = begin - begin % group; i < end; i += group) made.push([i, Math.min(i + group, k.time.length)]);
    return made;
  }

  function candleRows(k) {
    const rows = [], volume = [];
    for (const [begin, end] of shownBuckets(k)) {
      let open = NaN, close = NaN, high = NaN, low = NaN, traded = 0;
      for (let i = begin; i < end; i++) {
        if (Number.isNaN(k.close[i])) continue;
        if (Number.isNaN(open)) { open = k.open[i]; high = k.high[i]; low = k.low[i]; }
        close = k.close[i]; high = Math.max(high, k.high[i]); low = Math.min(low, k.low[i]); traded += k.volume[i];
      }
      const ms = k.time[end - 1];
      rows.push(Number.isNaN(close) ? [ms, null, null, null, null] : [ms, open, close, low, high]);
      volume.push({ value: [ms, traded], up: close >= open });
    }
    return { rows, volume, bars: k.width * (shownBuckets(k)[0] ? shownBuckets(k)[0][1] - shownBuckets(k)[0][0] : 1) };
  }

  const series = (k, values) => Array.from(values, (x, i) => [k.time[i], known(x)]);
  const short = (name) => name.replace(/^l(\d+)_[a-z0-9_]*?\.?([a-z0-9_.]+)$/, "L$1 $2");
  const roomy = (shown) => shown < 120 ? 11 : shown < 400 ? 8 : 5;

  function take(index) {
    symbol = data.symbols[index];
    symbol.made ??= { candles: candlesOf(symbol), fills: fillsOf(symbol), bands: bandsOf(symbol) };
    ({ fills, bands } = symbol.made);
    states = [...new Set(bands.map((b) => b[2]))].sort();
    const words = [], n = symbol.fills.n, traded = data.symbols.some((s) => s.all_fills);
    if (n < symbol.all_fills) words.push(`Of ${symbol.all_fills} fills the ${n} largest are drawn.`);
    if (symbol.regimes && symbol.regimes.width > 1) words.push(`Regimes are those that hold longest in every ${symbol.regimes.width} bars.`);
    if (traded && !symbol.all_fills) words.push(`${symbol.name} was not traded.`);
    document.getElementById("trades-words").textContent = words.join(" ");
    size = roomy(fills.filter(({ value: [ms] }) => ms >= seen[0] && ms <= seen[1]).length);
  }

  function option(c, narrow) {
    const k = symbol.made.candles, fields = Object.entries(k.fields), traded = data.symbols.some((s) => s.all_fills);
    const spot = [narrow ? 100 : 66, narrow ? 210 : 290];
    const grids = [spot, [spot[0] + spot[1] + 30, 44]];
    for (const _ of [...(traded ? [0] : []), ...fields]) { const [top, height] = grids[grids.length - 1]; grids.push([top + height + 30, 64]); }
    const last = grids.length - 1, below = 2 + (traded ? 1 : 0);
    const alpha = Number(sq.token("--regime-alpha"));
    const { rows, volume } = candleRows(k);
    const regimes = states.map((state) => ({
      name: data.regimes[state], type: "custom", silent: true, z: 0, clip: true, itemStyle: { color: sq.token(`--regime-${state}`) },
      xAxisIndex: 0, yAxisIndex: grids.length, encode: { x: [0, 1], y: -1 }, data: bands.filter((b) => b[2] === state), tooltip: { show: false },
      renderItem: (params, api) => {
        const box = params.coordSys, x0 = api.coord([api.value(0), 0])[0], x1 = api.coord([api.value(1), 0])[0];
        const from = Math.max(x0, box.x), to = Math.min(x1, box.x + box.width);
        return to <= from ? null : {
          type: "rect", shape: { x: from, y: box.y, width: Math.max(to - from, .6), height: box.height },
          style: { fill: sq.token(`--regime-${state}`), opacity: state > 1 ? alpha : alpha / 2 },
        };
      },
    }));
    const marks = KINDS.map(([name, sign, opens]) => {
      const colour = sign > 0 ? c.accent : c.other;
      return {
        name, type: "scatter", symbol: "triangle", symbolRotate: sign > 0 ? 0 : 180, symbolSize: size, z: 5,
        symbolOffset: [0, sign > 0 ? "60%" : "-60%"],
        itemStyle: { color: opens ? colour : c.bg, borderColor: opens ? c.bg : colour, borderWidth: opens ? .5 : 1.3 },
        data: fills.filter((f) => Math.sign(f.quantity) === sign && f.opens === opens),
      };
    }).filter((m) => m.data.length);
    const levels = [["Stop", k.stop, c.bad], ["Target", k.target, c.good]].filter(([, values]) => values).map(([name, values, colour]) =>
      line(name, series(k, values), colour, { step: "end", lineStyle: { width: 1, color: colour, type: "dotted" } }));
    const steps = [[clock.first - clock.step, fills.length ? fills[0].after - fills[0].quantity : 0]];
    for (const f of fills) steps.push([f.value[0], f.after]);
    steps.push([lastClose(clock), steps[steps.length - 1][1]]);
    const under = (name, points, axis, colour, more = {}) => line(name, points, colour, { xAxisIndex: axis, yAxisIndex: axis, ...more });
    return {
      tooltip: { ...tooltip(c), trigger: "item", formatter: told },
      axisPointer: { link: [{ xAxisIndex: "all" }], show: true, type: "line", lineStyle: { color: c.muted, type: "dashed" }, label: { show: false }, triggerTooltip: false },
      legend: [
        legend(c, ["Price", ...levels.map((l) => l.name), ...marks.map((m) => m.name)], narrow),
        { ...legend(c, regimes.map((r) => r.name), narrow, narrow ? 46 : 24), icon: "roundRect" },
      ],
      grid: grids.map(([top, height]) => ({ left: left(narrow), right: 20, top, height, outerBoundsMode: "none" })),
      xAxis: grids.map((_, i) => timeAxis(c, clock, { gridIndex: i, ...(i < last ? { axisLabel: { show: false }, axisTick: { show: false } } : {}) })),
      yAxis: [
        valueAxis(c, "", price, { gridIndex: 0, splitNumber: 5 }),
        valueAxis(c, "volume", (x) => format.number(x, 3), { gridIndex: 1, scale: false, splitNumber: 1, min: 0 }),
        ...(traded ? [valueAxis(c, "position", price, { gridIndex: 2, scale: false, splitNumber: 2 })] : []),
        ...fields.map(([name], i) => valueAxis(c, short(name), (x) => format.number(x, 3), { gridIndex: below + i, splitNumber: 2 })),
        { type: "value", min: 0, max: 1, show: false, gridIndex: 0 }, // the regimes fill the height, whatever the price
      ],
      dataZoom: zoom(c, grids.map((_, i) => i)),
      series: [
        ...regimes,
        { name: "Price", type: "candlestick", data: rows, encode: { x: 0, y: [1, 2, 3, 4] }, barMaxWidth: 14,
          itemStyle: { color: c.good, color0: c.bad, borderColor: c.good, borderColor0: c.bad, borderWidth: 1 } },
        ...levels, ...marks,
        { name: "Volume", type: "bar", xAxisIndex: 1, yAxisIndex: 1, barMaxWidth: 14, silent: true,
          data: volume.map(({ value, up }) => ({ value, itemStyle: { color: up ? c.good : c.bad, opacity: .45 } })) },
        ...(traded ? [under("Position", steps, 2, c.muted, { step: "end", areaStyle: { color: c.muted, opacity: .2 } })] : []),
        ...fields.map(([name, values], i) => under(short(name), series(k, values), below + i, c.accent, { lineStyle: { width: 1, color: c.accent } })),
      ],
    };
  }

  function told({ data: f, seriesName, value, seriesType }) {
    if (f.said) return tip(`${symbol.name}, ${at(f.value[0])}`, [
      [f.quantity > 0 ? "bought" : "sold", `${price(Math.abs(f.quantity))} at ${price(f.value[1])}`], ["position after", price(f.after)],
      ["fee", format.money(f.fee)], ["slippage", format.money(f.slippage)], ["order", f.order], [f.said],
    ]);
    if (seriesType === "candlestick") return tip(`${symbol.name}, to ${at(value[0])}`,
      [["open", price(value[1])], ["high", price(value[4])], ["low", price(value[3])], ["close", price(value[2])]]);
    return tip(at(value[0]), [[seriesName, price(value[1])]]);
  }

  /** After a move or a zoom: candles of the right length, and triangles as large as there is room for. */
  function refresh() {
    const zoomed = drawn.chart.getOption().dataZoom[0];
    seen = [zoomed.startValue, zoomed.endValue];
    const c = sqChart.look(), { rows, volume } = candleRows(symbol.made.candles);
    size = roomy(fills.filter(({ value: [ms] }) => ms >= seen[0] && ms <= seen[1]).length);
    const there = new Set(drawn.chart.getOption().series.map(({ name }) => name));
    drawn.chart.setOption({ series: [
      { name: "Price", data: rows },
      { name: "Volume", data: volume.map(({ value, up }) => ({ value, itemStyle: { color: up ? c.good : c.bad, opacity: .45 } })) },
      ...KINDS.filter(([name]) => there.has(name)).map(([name]) => ({ name, symbolSize: size })),
    ] });
  }

  function draw() {
    const pick = document.getElementById("symbol");
    data.symbols.forEach(({ name, all_fills }, i) => pick.append(new Option(all_fills ? `${name} (${all_fills} fills)` : name, i)));
    pick.value = data.symbols.reduce((best, s, i) => s.all_fills > data.symbols[best].all_fills ? i : best, 0);
    take(pick.value);
    const fields = Object.keys(symbol.made.candles.fields).length, traded = data.symbols.some((s) => s.all_fills);
    document.getElementById("chart-trades").style.height = `${66 + 290 + 74 + 94 * (fields + (traded ? 1 : 0)) + 96}px`;
    drawn = drawChart("trades", option);
    pick.addEventListener("change", () => { take(pick.value); drawn.fill(true); refresh(); });
    drawn.chart.on("datazoom", refresh);
  }

  /** Shows a stretch of time of a symbol, with as much again on both sides. True where the symbol is drawn. */
  function show(name, from, to) {
    const index = data.symbols.findIndex((s) => s.name === name);
    if (index < 0) return false;
    const pick = document.getElementById("symbol"), room = Math.max(to - from, 30 * clock.step);
    pick.value = index;
    take(index);
    drawn.fill(true);
    drawn.chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue: from - room, endValue: to + room });
    return true;
  }

  return { draw, show };
})();
