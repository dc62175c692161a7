// The chart of runs side by side.
"use strict";
(() => {
  const { draw, lastClose, time, timeAxis, tip, tooltip, unpack, valueAxis, zoom } = sqChart;
  const { format } = sq, { runs, shifted } = sq.data;
  if (shifted) for (const { clock } of runs.slice(1)) {
    const by = runs[0].clock.first - runs[0].clock.step + clock.step - clock.first;
    clock.first += by;
    for (const jump of clock.jumps) jump[1] += by;
  }
  const share = (x) => format.percent(x, x !== 0 && Math.abs(x) < .01 ? 2 : 1);

  if (runs.every((run) => run.equity)) {
    const points = runs.map((run) => ({ equity: unpack(run.equity, run.clock), drawdown: unpack(run.drawdown, run.clock) }));
    const names = runs.map((run) => run.name), dashes = ["solid", [5, 3], [2, 2], [8, 3, 2, 3]];
    const first = Math.min(...runs.map(({ clock }) => clock.first - clock.step));
    const last = Math.max(...runs.map(({ clock }) => lastClose(clock)));
    draw("equity", (c, narrow) => {
      const colours = [c.accent, c.other, c.good, c.bad, c.muted, ...["regime", "pattern", "fusion", "meta", "rl"].map((d) => sq.token(`--domain-${d}`))];
      const colour = (i) => colours[i % colours.length];
      const axis = (more) => timeAxis(c, runs[0].clock, { min: first, max: last, ...more });
      const line = (i, what, more) => ({
        name: names[i], type: "line", data: points[i][what], showSymbol: false, emphasis: { disabled: true },
        lineStyle: { width: 1.5, color: colour(i), type: dashes[i % dashes.length] }, itemStyle: { color: colour(i) }, ...more,
      });
      const grid = (top, height) => ({ left: narrow ? 52 : 66, right: 16, top, height });
      return {
        tooltip: {
          ...tooltip(c),
          formatter: (found) => tip(time(found[0].axisValue, runs[0].seconds), found.map((p) =>
            [`${p.seriesName}${p.axisIndex ? ", drawdown" : ""}`, format.percent(p.value[1])])),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        legend: { data: names, type: "scroll", top: 0, left: narrow ? 0 : 58, textStyle: { color: c.ink }, inactiveColor: c.muted },
        grid: narrow ? [grid(60, 230), grid(330, 110)] : [grid(52, 280), grid(368, 120)],
        xAxis: [axis({ gridIndex: 0, axisLabel: { show: false } }), axis({ gridIndex: 1 })],
        yAxis: [
          valueAxis(c, "return", share, { gridIndex: 0 }),
          valueAxis(c, "drawdown", share, { gridIndex: 1, max: 0, splitNumber: 2 }),
        ],
        dataZoom: zoom(c, [0, 1]),
        series: runs.flatMap((_, i) => [line(i, "equity"), line(i, "drawdown", { xAxisIndex: 1, yAxisIndex: 1 })]),
      };
    });
  }
  sqTables.sortable();
  sqTables.savable();
  document.documentElement.dataset.drawn = "yes";
})();
