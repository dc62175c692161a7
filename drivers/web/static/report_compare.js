// The chart of two runs.
"use strict";
(() => {
  const { draw, lastClose, sortable, time, timeAxis, tip, tooltip, unpack, valueAxis, zoom } = sqChart;
  const { format } = sq, { runs, shifted } = sq.data;
  if (shifted) {
    const by = runs[0].clock.first - runs[0].clock.step + runs[1].clock.step - runs[1].clock.first;
    runs[1].clock.first += by;
    for (const jump of runs[1].clock.jumps) jump[1] += by;
  }
  const share = (x) => format.percent(x, x !== 0 && Math.abs(x) < .01 ? 2 : 1);

  if (runs.every((run) => run.equity)) {
    const points = runs.map((run) => ({ equity: unpack(run.equity, run.clock), drawdown: unpack(run.drawdown, run.clock) }));
    const names = runs[0].name === runs[1].name ? [`${runs[0].name} (first)`, `${runs[1].name} (second)`] : runs.map((run) => run.name);
    const first = Math.min(...runs.map(({ clock }) => clock.first - clock.step));
    const last = Math.max(...runs.map(({ clock }) => lastClose(clock)));
    draw("equity", (c, narrow) => {
      const axis = (more) => timeAxis(c, runs[0].clock, { min: first, max: last, ...more });
      const line = (i, what, more) => ({
        name: names[i], type: "line", data: points[i][what], showSymbol: false, emphasis: { disabled: true },
        lineStyle: { width: 1.5, color: i ? c.other : c.accent, type: i ? [5, 3] : "solid" }, itemStyle: { color: i ? c.other : c.accent }, ...more,
      });
      const grid = (top, height) => ({ left: narrow ? 52 : 66, right: 16, top, height });
      return {
        tooltip: {
          ...tooltip(c),
          formatter: (found) => tip(time(found[0].axisValue, runs[0].seconds), found.map((p) =>
            [`${p.seriesName}${p.axisIndex ? ", drawdown" : ""}`, format.percent(p.value[1])])),
        },
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        legend: { data: names, top: 0, left: narrow ? 0 : 58, textStyle: { color: c.ink }, inactiveColor: c.muted },
        grid: narrow ? [grid(60, 230), grid(330, 110)] : [grid(52, 280), grid(368, 120)],
        xAxis: [axis({ gridIndex: 0, axisLabel: { show: false } }), axis({ gridIndex: 1 })],
        yAxis: [
          valueAxis(c, "return", share, { gridIndex: 0 }),
          valueAxis(c, "drawdown", share, { gridIndex: 1, max: 0, splitNumber: 2 }),
        ],
        dataZoom: zoom(c, [0, 1]),
        series: [0, 1].flatMap((i) => [line(i, "equity"), line(i, "drawdown", { xAxisIndex: 1, yAxisIndex: 1 })]),
      };
    });
  }
  sortable();
  document.documentElement.dataset.drawn = "yes";
})();
