// What a run learned: weights of the sources over time, patterns off and on, thresholds.
"use strict";
window.sqLearned = (() => {
  const { draw, floats, left, legend, line, time, tip, tooltip, valueAxis } = sqChart;
  const { data, format } = sq;
  const learned = data.learned;
  const at = (ms) => time(ms);
  const points = (packed) => { const values = floats(packed); return learned.time.map((ms, i) => [ms, values[i]]); };
  const axis = (c, more = {}) => ({ type: "time", min: learned.time[0], max: learned.time[learned.time.length - 1],
    axisLine: { lineStyle: { color: c.line } }, axisTick: { lineStyle: { color: c.line } },
    axisLabel: { color: c.muted, fontSize: 11, hideOverlap: true }, splitLine: { show: false }, ...more });

  function weights() {
    const names = Object.keys(learned.weights);
    draw("weights", (c, narrow) => ({
      tooltip: { ...tooltip(c), formatter: (found) => tip(at(found[0].axisValue), [...found].sort((a, b) => b.value[1] - a.value[1]).map((p) =>
        [p.seriesName, format.percent(p.value[1], 1)])) },
      legend: { ...legend(c, names, narrow), type: "scroll", pageTextStyle: { color: c.muted }, pageIconColor: c.accent, pageIconInactiveColor: c.line },
      grid: { left: left(narrow), right: 16, top: 44, bottom: 30 }, xAxis: axis(c),
      yAxis: valueAxis(c, "weight", (x) => format.percent(x, 0), { min: 0, max: 1, scale: false }),
      series: names.map((name, k) => line(name, points(learned.weights[name]), sq.token(`--series-${k}`), { stack: "weights",
        lineStyle: { width: .6, color: c.bg }, areaStyle: { color: sq.token(`--series-${k}`), opacity: .9 } })),
    }));
  }

  function patterns() {
    const names = Object.keys(learned.patterns);
    const states = ["on", "advised to be off", "off"];
    document.getElementById("chart-patterns").style.height = `${96 + 22 * names.length}px`;
    const cells = names.flatMap((name, y) => learned.patterns[name].map((state, x) => [x, y, state]));
    draw("patterns", (c, narrow) => ({
      tooltip: { ...tooltip(c), trigger: "item", formatter: ({ value: [x, y, state] }) => tip(`${names[y]}, from ${at(learned.time[x])}`, [[states[state]]]) },
      grid: { left: left(narrow), right: 16, top: 8, bottom: 66 },
      xAxis: { type: "category", data: learned.time.map((ms) => at(ms).slice(5, 10)), axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false },
        axisLabel: { color: c.muted, fontSize: 11, hideOverlap: true } },
      yAxis: { type: "category", data: names, inverse: true, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.ink, fontSize: 11 } },
      visualMap: { type: "piecewise", dimension: 2, orient: "horizontal", bottom: 4, left: left(narrow), itemHeight: 10, textStyle: { color: c.muted, fontSize: 11 },
        pieces: states.map((label, value) => ({ value, label, color: [c.surface, c.warn, c.bad][value] })) },
      series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: c.bg, borderWidth: 1 }, emphasis: { itemStyle: { borderColor: c.ink } } }],
    }));
  }

  function thresholds() {
    const names = Object.keys(learned.thresholds);
    draw("thresholds", (c, narrow) => {
      const colours = [c.accent, c.bad, c.good, c.other];
      return {
        tooltip: { ...tooltip(c), formatter: (found) => tip(at(found[0].axisValue), found.map((p) => [p.seriesName, format.fixed(p.value[1], 3)])) },
        legend: legend(c, names, narrow),
        grid: { left: left(narrow), right: 16, top: 52, bottom: 30 }, xAxis: axis(c),
        yAxis: valueAxis(c, "from regime.yml", (x) => format.fixed(x, 2), { scale: false }),
        series: names.flatMap((name, i) => [
          line(name, points(learned.thresholds[name].held), colours[i], { step: "end" }),
          line(`${name}, advised`, points(learned.thresholds[name].advised), colours[i], { step: "end", lineStyle: { width: 1, color: colours[i], type: [4, 3] } }),
        ]),
      };
    });
  }

  return { weights, patterns, thresholds };
})();
