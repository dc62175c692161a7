// The charts of a run's report.
"use strict";
(() => {
  const { closeOf, draw, floats, lastClose, numbers, sortable, sums, time, timeAxis, tip, tooltip, unpack, valueAxis, zoom } = sqChart;
  const { data, format } = sq;
  const { clock } = data;
  const at = (ms) => time(ms, data.seconds);
  const price = (x) => format.number(x, 6);
  const line = (name, points, colour, more = {}) => ({
    name, type: "line", data: points, showSymbol: false, connectNulls: false, lineStyle: { width: 1.4, color: colour },
    itemStyle: { color: colour }, emphasis: { disabled: true }, ...more,
  });
  const legend = (c, names, narrow, top = 0) => ({
    data: names, top, left: narrow ? 0 : left(narrow) - 8, right: narrow ? 0 : 16, padding: [2, 5], itemGap: narrow ? 8 : 12,
    textStyle: { color: c.ink, fontSize: narrow ? 11 : 12 }, inactiveColor: c.muted, itemHeight: 10, itemWidth: narrow ? 12 : 18,
  });
  const left = (narrow) => narrow ? 52 : 66;

  function account() {
    const { equity, drawdown, gross, net, caps, halts, start } = data.account;
    const points = { equity: unpack(equity, clock), drawdown: unpack(drawdown, clock), gross: unpack(gross, clock), net: unpack(net, clock) };
    const shaded = halts.map(([first, length]) =>
      [{ xAxis: closeOf(clock, first - 1) }, { xAxis: closeOf(clock, first + length - 1) }]);
    draw("account", (c, narrow) => {
      const grid = (top, height) => ({ left: left(narrow), right: 16, top, height });
      const bottom = { axisLabel: { show: false }, axisTick: { show: false } };
      const halted = { silent: true, itemStyle: { color: c.warn, opacity: .13 }, data: shaded };
      const level = (value, colour, text) => ({ yAxis: value, lineStyle: { color: colour, type: "dashed" },
        label: { show: Boolean(text), formatter: text, position: "insideEndTop", color: c.muted, fontSize: 11 } });
      const caps3 = [...(caps.gross ? [level(caps.gross, c.other, "gross cap")] : []),
        ...(caps.net ? [level(caps.net, c.good, "net cap"), level(-caps.net, c.good)] : [])];
      return {
        tooltip: {
          ...tooltip(c),
          formatter: (found) => tip(at(found[0].axisValue), found.filter((p) => p.value[1] !== null).map((p) =>
            [p.seriesName, p.seriesName === "Equity" ? format.money(p.value[1]) : format.percent(p.value[1])])),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        legend: legend(c, ["Equity", "Drawdown", "Gross exposure", "Net exposure"], narrow),
        grid: narrow ? [grid(50, 176), grid(254, 70), grid(352, 98)] : [grid(52, 210), grid(290, 76), grid(396, 104)],
        xAxis: [timeAxis(c, clock, { gridIndex: 0, ...bottom }), timeAxis(c, clock, { gridIndex: 1, ...bottom }), timeAxis(c, clock, { gridIndex: 2 })],
        yAxis: [
          valueAxis(c, "equity", (x) => narrow ? format.number(x / 1000, 5) + "k" : format.number(x, 7), { gridIndex: 0 }),
          valueAxis(c, "drawdown", (x) => format.percent(x, x > -.01 && x < 0 ? 1 : 0), { gridIndex: 1, max: 0, splitNumber: 2 }),
          valueAxis(c, "exposure / equity", null, { gridIndex: 2, scale: false, splitNumber: 3,
            max: (v) => Math.max(v.max, 1.04 * (caps.gross ?? 0)), min: (v) => Math.min(v.min, -1.04 * (caps.net ?? 0)),
            axisLabel: { color: c.muted, fontSize: 11, formatter: (x) => format.percent(x, 0), showMinLabel: false, showMaxLabel: false } }),
        ],
        dataZoom: zoom(c, [0, 1, 2]),
        series: [
          line("Equity", points.equity, c.accent, {
            markArea: halted, markLine: { silent: true, symbol: "none", data: [{ ...level(start), lineStyle: { color: c.muted, type: "dotted" } }] },
          }),
          line("Drawdown", points.drawdown, c.bad, { xAxisIndex: 1, yAxisIndex: 1, areaStyle: { color: c.bad, opacity: .18 }, markArea: halted }),
          line("Gross exposure", points.gross, c.other, { xAxisIndex: 2, yAxisIndex: 2, markArea: halted,
            areaStyle: { color: c.other, opacity: .28 }, lineStyle: { width: .8, color: c.other },
            markLine: { silent: true, symbol: "none", data: caps3 } }),
          line("Net exposure", points.net, c.good, { xAxisIndex: 2, yAxisIndex: 2 }),
        ],
      };
    });
  }

  function fillsOf(symbol) {
    const f = symbol.fills, bars = sums(numbers(f.step)), q = floats(f.quantity), p = floats(f.price), after = floats(f.after);
    const fee = floats(f.fee), slip = floats(f.slippage), text = numbers(f.text), order = numbers(f.order);
    return bars.map((bar, i) => {
      const before = after[i] - q[i], opens = Math.abs(after[i]) > Math.abs(before) || after[i] * before < 0;
      return { value: [closeOf(clock, bar), p[i]], quantity: q[i], after: Math.abs(after[i]) < 1e-6 * Math.abs(q[i]) ? 0 : after[i], opens,
        fee: fee[i], slippage: slip[i], said: f.texts[text[i]], order: `${symbol.name}-${order[i]}` };
    });
  }

  function bandsOf(symbol) {
    if (!symbol.regimes) return [];
    const state = numbers(symbol.regimes.state), length = numbers(symbol.regimes.bars), ends = sums(length);
    return ends.map((end, i) => [closeOf(clock, end - length[i] - 1), closeOf(clock, end - 1), state[i]]);
  }

  function trades() {
    const pick = document.getElementById("symbol");
    data.symbols.forEach(({ name, all_fills }, i) => pick.append(new Option(all_fills ? `${name} (${all_fills} fills)` : name, i)));
    const busiest = data.symbols.reduce((best, s, i) => s.all_fills > data.symbols[best].all_fills ? i : best, 0);
    pick.value = busiest;
    const traded = data.symbols.some((s) => s.all_fills);
    let symbol, points, fills, bands, states;
    function take() {
      symbol = data.symbols[pick.value];
      points = unpack(symbol.price, clock);
      fills = fillsOf(symbol);
      bands = bandsOf(symbol);
      states = [...new Set(bands.map((b) => b[2]))].sort();
      say();
    }
    function say() {
      const words = [], n = symbol.fills.n;
      if (n < symbol.all_fills) words.push(`Of ${symbol.all_fills} fills the ${n} largest are drawn.`);
      if (symbol.regimes && symbol.regimes.width > 1) words.push(`Regimes are those that hold longest in every ${symbol.regimes.width} bars.`);
      if (traded && !symbol.all_fills) words.push(`${symbol.name} was not traded.`);
      document.getElementById("trades-words").textContent = words.join(" ");
    }
    let size = 9;
    const roomy = (shown) => shown < 120 ? 11 : shown < 400 ? 8 : 5;
    const kinds = [["Buy, opens", 1, true], ["Sell, opens", -1, true], ["Buy, closes", 1, false], ["Sell, closes", -1, false]];
    take();
    size = roomy(fills.length);
    const drawn = draw("trades", (c, narrow) => {
      const grids = traded ? (narrow ? [[100, 236], [364, 80]] : [[62, 308], [404, 92]]) : [[narrow ? 78 : 66, narrow ? 130 : 190]];
      const alpha = Number(sq.token("--regime-alpha")), bandAxis = grids.length;
      const regimes = states.map((state) => ({
        name: data.regimes[state], type: "custom", silent: true, z: 0, clip: true, itemStyle: { color: sq.token(`--regime-${state}`) },
        xAxisIndex: 0, yAxisIndex: bandAxis, encode: { x: [0, 1], y: -1 }, data: bands.filter((b) => b[2] === state), tooltip: { show: false },
        renderItem: (params, api) => {
          const box = params.coordSys, x0 = api.coord([api.value(0), 0])[0], x1 = api.coord([api.value(1), 0])[0];
          const from = Math.max(x0, box.x), to = Math.min(x1, box.x + box.width);
          return to <= from ? null : {
            type: "rect", shape: { x: from, y: box.y, width: Math.max(to - from, .6), height: box.height },
            style: { fill: sq.token(`--regime-${state}`), opacity: state > 1 ? alpha : alpha / 2 },
          };
        },
      }));
      const marks = kinds.map(([name, sign, opens]) => {
        const colour = sign > 0 ? c.accent : c.other;
        return {
          name, type: "scatter", symbol: "triangle", symbolRotate: sign > 0 ? 0 : 180, symbolSize: size, z: 5,
          symbolOffset: [0, sign > 0 ? "60%" : "-60%"],
          itemStyle: { color: opens ? colour : c.bg, borderColor: opens ? c.bg : colour, borderWidth: opens ? .5 : 1.3 },
          data: fills.filter((f) => Math.sign(f.quantity) === sign && f.opens === opens),
        };
      });
      const steps = [[clock.first - clock.step, fills.length ? fills[0].after - fills[0].quantity : 0]];
      for (const f of fills) steps.push([f.value[0], f.after]);
      steps.push([lastClose(clock), steps[steps.length - 1][1]]);
      const shown = marks.filter((m) => m.data.length);
      return {
        tooltip: {
          ...tooltip(c), trigger: "item",
          formatter: ({ data: f, seriesName, value }) => f.said
            ? tip(`${symbol.name}, ${at(f.value[0])}`, [
              [f.quantity > 0 ? "bought" : "sold", `${price(Math.abs(f.quantity))} at ${price(f.value[1])}`], ["position after", price(f.after)],
              ["fee", format.money(f.fee)], ["slippage", format.money(f.slippage)], ["order", f.order], [f.said],
            ])
            : tip(at(value[0]), [[seriesName, price(value[1])]]),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }], show: true, type: "line", lineStyle: { color: c.muted, type: "dashed" }, label: { show: false }, triggerTooltip: false },
        legend: [
          legend(c, ["Close", ...shown.map((m) => m.name)], narrow),
          { ...legend(c, regimes.map((r) => r.name), narrow, narrow && traded ? 44 : 24), icon: "roundRect" },
        ],
        grid: grids.map(([top, height]) => ({ left: left(narrow), right: 16, top, height })),
        xAxis: grids.map((_, i) => timeAxis(c, clock, { gridIndex: i, ...(i < grids.length - 1 ? { axisLabel: { show: false } } : {}) })),
        yAxis: [
          valueAxis(c, "", price, { gridIndex: 0, splitNumber: 5 }),
          ...(traded ? [valueAxis(c, "position", price, { gridIndex: 1, scale: false, splitNumber: 2 })] : []),
          { type: "value", min: 0, max: 1, show: false, gridIndex: 0 }, // the regimes fill the height, whatever the price
        ],
        dataZoom: zoom(c, grids.map((_, i) => i)),
        series: [
          ...regimes, line("Close", points, c.ink, { lineStyle: { width: 1.1, color: c.ink } }), ...shown,
          ...(traded ? [line("Position", steps, c.muted, { step: "end", xAxisIndex: 1, yAxisIndex: 1, areaStyle: { color: c.muted, opacity: .2 } })] : []),
        ],
      };
    });
    pick.addEventListener("change", () => { take(); size = roomy(fills.length); drawn.fill(false); });
    drawn.chart.on("datazoom", () => { // triangles grow when there is room for them
      const { startValue, endValue } = drawn.chart.getOption().dataZoom[0];
      const fit = roomy(fills.filter(({ value: [ms] }) => ms >= startValue && ms <= endValue).length);
      if (fit === size) return;
      size = fit;
      drawn.chart.setOption({ series: kinds.map(([name]) => ({ name, type: "scatter", symbolSize: size })).filter(({ name }) =>
        drawn.chart.getOption().series.some((s) => s.name === name)) });
    });
  }

  function costs() {
    const names = { before: "before costs", slipped: "after slippage", after: "after slippage and fees" };
    const points = Object.fromEntries(Object.keys(names).map((key) => [key, unpack(data.costs[key], clock)]));
    draw("costs", (c, narrow) => ({
      tooltip: { ...tooltip(c), formatter: (found) => tip(at(found[0].axisValue), found.map((p) => [p.seriesName, format.money(p.value[1])])) },
      legend: legend(c, Object.values(names), narrow),
      grid: { left: left(narrow), right: 16, top: 52, bottom: 66 },
      xAxis: timeAxis(c, clock), yAxis: valueAxis(c, "profit", (x) => format.number(x, 6)), dataZoom: zoom(c, [0]),
      series: [line(names.before, points.before, c.good), line(names.slipped, points.slipped, c.other), line(names.after, points.after, c.accent)],
    }));
  }

  function quality() {
    const { starts, period, symbols, kinds } = data.quality;
    if (!kinds.length) {
      document.getElementById("quality-part").hidden = true;
      document.getElementById("quality-none").hidden = false;
      return;
    }
    const label = (ms) => time(ms).slice(...(period >= 864e5 ? [5, 10] : [11, 16]));
    const full = (ms) => time(ms).slice(0, period >= 864e5 ? 10 : 16);
    let kind = kinds[0];
    const height = Math.max(150, 84 + symbols.length * Math.min(26, Math.max(9, 640 / symbols.length)));
    document.getElementById("chart-quality").style.height = `${height}px`;
    const shown = (x) => kind.share ? format.percent(x, 1) : format.number(x, 6);
    const drawn = draw("quality", (c, narrow) => {
      const cells = kind.cells.flatMap((row, y) => row.map((value, x) => [x, y, value]));
      const most = Math.max(...cells.map((cell) => cell[2] ?? 0));
      return {
        tooltip: { ...tooltip(c), trigger: "item", formatter: ({ value: [x, y, v] }) => tip(`${symbols[y]}, ${full(starts[x])}`, [[kind.label, shown(v)]]) },
        grid: { left: narrow ? 76 : 96, right: 16, top: 8, bottom: 62 },
        xAxis: { type: "category", data: starts.map(label), axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false },
          axisLabel: { color: c.muted, hideOverlap: true, fontSize: 11 } },
        yAxis: { type: "category", data: symbols, inverse: true, axisLine: { show: false }, axisTick: { show: false },
          axisLabel: { color: c.ink, fontSize: 11, width: narrow ? 66 : 86, overflow: "truncate" } },
        visualMap: { min: 0, max: most || 1, calculable: false, orient: "horizontal", bottom: 4, left: narrow ? 76 : 96, itemHeight: 120, itemWidth: 10,
          text: [shown(most), "0"], textStyle: { color: c.muted, fontSize: 11 }, inRange: { color: ["--heat-0", "--heat-1", "--heat-2"].map(sq.token) } },
        series: [{ type: "heatmap", data: cells.filter((cell) => cell[2] !== null), itemStyle: { borderColor: c.bg, borderWidth: 1 }, emphasis: { itemStyle: { borderColor: c.ink } } }],
      };
    });
    const box = document.getElementById("quality-kinds");
    for (const each of kinds) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = each.label;
      button.setAttribute("aria-pressed", each === kind);
      button.addEventListener("click", () => {
        kind = each;
        for (const other of box.children) other.setAttribute("aria-pressed", other === button);
        drawn.fill();
      });
      box.append(button);
    }
  }

  sortable();
  const wanted = [
    [document.getElementById("chart-account") && data.account, account], [data.symbols, trades], [data.costs, costs], [data.quality, quality],
  ];
  for (const [there, make] of wanted) if (there) make();
  document.documentElement.dataset.drawn = "yes";
})();
