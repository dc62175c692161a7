// The charts of a run's report.
"use strict";
(() => {
  const { closeOf, draw, left, legend, line, time, timeAxis, tip, tooltip, unpack, valueAxis, zoom } = sqChart;
  const { data, format } = sq;
  const { clock } = data;
  const at = (ms) => time(ms, data.seconds);
  function account() {
    const { equity, drawdown, gross, net, hold, caps, halts, start } = data.account;
    const points = { hold: hold && unpack(hold, clock), equity: unpack(equity, clock), drawdown: unpack(drawdown, clock), gross: unpack(gross, clock), net: unpack(net, clock) };
    const shaded = halts.map(([first, length]) =>
      [{ xAxis: closeOf(clock, first - 1) }, { xAxis: closeOf(clock, first + length - 1) }]);
    draw("account", (c, narrow) => {
      const grid = (top, height) => ({ left: left(narrow), right: 20, top, height, outerBoundsMode: "none" }); // else the last label moves one of them
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
            [p.seriesName, p.seriesName === "Equity" || p.seriesName === "Buy and hold" ? format.money(p.value[1]) : format.percent(p.value[1])])),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        legend: legend(c, ["Equity", ...(hold ? ["Buy and hold"] : []), "Drawdown", "Gross exposure", "Net exposure"], narrow),
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
          ...(hold ? [line("Buy and hold", points.hold, c.muted, { lineStyle: { width: 1, color: c.muted, type: [4, 3] } })] : []),
          line("Drawdown", points.drawdown, c.bad, { xAxisIndex: 1, yAxisIndex: 1, areaStyle: { color: c.bad, opacity: .18 }, markArea: halted }),
          line("Gross exposure", points.gross, c.other, { xAxisIndex: 2, yAxisIndex: 2, markArea: halted,
            areaStyle: { color: c.other, opacity: .28 }, lineStyle: { width: .8, color: c.other },
            markLine: { silent: true, symbol: "none", data: caps3 } }),
          line("Net exposure", points.net, c.good, { xAxisIndex: 2, yAxisIndex: 2 }),
        ],
      };
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

  sqTables.sortable();
  sqTables.savable();
  const { days, months, rolling, reached, distribution } = sqReturns;
  const wanted = [
    [document.getElementById("chart-account") && data.account, account], [data.symbols, sqPrices.draw], [data.days, days],
    [data.months, months], [data.rolling, rolling], [data.trips, distribution], [data.trips, reached], [data.costs, costs],
    [data.quality, quality], [data.learned, sqLearned.weights],
    [Object.keys(data.learned?.patterns ?? {}).length, sqLearned.patterns], [data.learned?.thresholds, sqLearned.thresholds],
  ];
  for (const [there, make] of wanted) if (there) make();
  sqTrips.attach();
  document.documentElement.dataset.drawn = "yes";
})();
