// The charts of returns: by day and month, rolling, and of round trips.
"use strict";
window.sqReturns = (() => {
  const { draw, floats, left, legend, line, tip, tooltip, valueAxis } = sqChart;
  const { data, format } = sq;
  const DAY = 864e5, WEEK = 7 * DAY;
  const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const date = (ms) => new Date(ms).toISOString().slice(0, 10);
  const category = (c, names, more = {}) => ({ type: "category", data: names, axisLine: { show: false }, axisTick: { show: false },
    axisLabel: { color: c.muted, fontSize: 11, hideOverlap: true }, ...more });
  /** Colours from loss to gain with nothing in the middle. */
  const scale = (c, cells) => {
    const most = Math.max(...cells.map((cell) => Math.abs(cell[2]))) || 1;
    return { min: -most, max: most, calculable: false, orient: "horizontal", bottom: 2, left: 52, itemHeight: 120, itemWidth: 10,
      text: [format.percent(most), format.percent(-most)], textStyle: { color: c.muted, fontSize: 11 }, inRange: { color: [c.bad, c.surface, c.good] } };
  };
  /** Numbers on strong colours are written in that of the page. */
  const written = (c, cells) => {
    const most = Math.max(...cells.map((cell) => Math.abs(cell[2]))) || 1;
    return cells.map((value) => ({ value, label: { color: Math.abs(value[2]) > 0.55 * most ? c.bg : c.ink } }));
  };
  const cellsOf = (c, cells, show) => ({ type: "heatmap", data: written(c, cells), itemStyle: { borderColor: c.bg, borderWidth: 1 },
    label: { show, fontSize: 10, color: c.ink, formatter: ({ value }) => format.fixed(100 * value[2], 1) }, emphasis: { itemStyle: { borderColor: c.ink } } });

  function days() {
    const monday = (ms) => Math.floor((ms / DAY + 3) / 7);
    const first = monday(data.days[0][0]), weeks = monday(data.days[data.days.length - 1][0]) - first + 1;
    const names = Array.from({ length: weeks }, (_, i) => date((first + i) * WEEK - 3 * DAY).slice(weeks > 60 ? 0 : 5));
    const cells = data.days.map(([ms, x]) => [monday(ms) - first, (ms / DAY + 3) % 7, x, ms]);
    draw("days", (c) => ({
      tooltip: { ...tooltip(c), trigger: "item", formatter: ({ value }) => tip(date(value[3]), [["return", format.percent(value[2])]]) },
      grid: { left: 52, right: 16, top: 8, bottom: 54 }, xAxis: category(c, names),
      yAxis: category(c, WEEKDAYS, { inverse: true }), visualMap: { ...scale(c, cells), dimension: 2 }, series: [cellsOf(c, cells, weeks <= 12)],
    }));
  }

  function months() {
    const years = [...new Set(data.months.map(([year]) => year))];
    const cells = data.months.map(([year, month, x]) => [month - 1, years.indexOf(year), x]);
    document.getElementById("chart-months").style.height = `${84 + 30 * years.length}px`;
    draw("months", (c, narrow) => ({
      tooltip: { ...tooltip(c), trigger: "item", formatter: ({ value }) => tip(`${MONTHS[value[0]]} ${years[value[1]]}`, [["return", format.percent(value[2])]]) },
      grid: { left: 52, right: 16, top: 8, bottom: 54 }, xAxis: category(c, MONTHS),
      yAxis: category(c, years.map(String), { inverse: true }), visualMap: { ...scale(c, cells), dimension: 2 }, series: [cellsOf(c, cells, !narrow)],
    }));
  }

  function rolling() {
    const { day, days: width, volatility, sharpe, hold_volatility: hold } = data.rolling;
    const points = (packed) => { const values = floats(packed); return day.map((ms, i) => [ms, Number.isNaN(values[i]) ? null : values[i]]); };
    draw("rolling", (c, narrow) => {
      const axis = (i) => ({ type: "time", gridIndex: i, min: day[0], max: day[day.length - 1], axisLine: { lineStyle: { color: c.line } },
        axisLabel: { show: i === 1, color: c.muted, fontSize: 11, hideOverlap: true }, splitLine: { show: false } });
      const names = ["Sharpe ratio", "Volatility", ...(hold ? ["Volatility, buy and hold"] : [])];
      return {
        tooltip: { ...tooltip(c), formatter: (found) => tip(`${width} days to ${date(found[0].axisValue)}`, found.map((p) =>
          [p.seriesName, p.seriesName === "Sharpe ratio" ? format.fixed(p.value[1]) : format.percent(p.value[1])])) },
        axisPointer: { link: [{ xAxisIndex: "all" }] }, legend: legend(c, names, narrow),
        grid: [52, 186].map((top) => ({ left: left(narrow), right: 20, top, height: 100, outerBoundsMode: "none" })),
        xAxis: [axis(0), axis(1)],
        yAxis: [valueAxis(c, "Sharpe", (x) => format.fixed(x, 1), { gridIndex: 0, splitNumber: 3 }),
          valueAxis(c, "volatility a year", (x) => format.percent(x, 0), { gridIndex: 1, splitNumber: 3, min: 0 })],
        series: [line(names[0], points(sharpe), c.accent), line(names[1], points(volatility), c.other, { xAxisIndex: 1, yAxisIndex: 1 }),
          ...(hold ? [line(names[2], points(hold), c.muted, { xAxisIndex: 1, yAxisIndex: 1, lineStyle: { width: 1, color: c.muted, type: [4, 3] } })] : [])],
      };
    });
  }

  /** Round trips by profit in basis points: 1 to 99 % in up to 41 bins of a round width, the rest in the bins at the ends. */
  function distribution() {
    const bps = [...floats(data.trips.bps)].filter(Number.isFinite), sorted = [...bps].sort((a, b) => a - b);
    const quantile = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
    const span = Math.max(1, quantile(.99) - quantile(.01)), raw = span / Math.min(40, Math.max(8, Math.sqrt(bps.length)));
    const ten = 10 ** Math.floor(Math.log10(raw)), width = [1, 2, 5, 10].map((k) => k * ten).find((w) => w >= raw);
    const first = Math.floor(quantile(.01) / width), last = Math.floor(quantile(.99) / width), counts = new Array(last - first + 1).fill(0);
    for (const x of bps) counts[Math.max(0, Math.min(last - first, Math.floor(x / width) - first))] += 1;
    const from = counts.map((_, i) => (first + i) * width);
    draw("distribution", (c, narrow) => ({
      tooltip: { ...tooltip(c), trigger: "item", formatter: ({ dataIndex: i }) =>
        tip(`${i ? from[i] : "below " + (from[1] ?? from[0] + width)} ${i && i < from.length - 1 ? `to ${from[i] + width}` : i ? "and above" : ""} bps`, [["round trips", String(counts[i])]]) },
      grid: { left: left(narrow), right: 16, top: 30, bottom: 44 },
      xAxis: category(c, from.map((x) => format.number(x, 4)), { name: "bps after fees", nameLocation: "middle", nameGap: 26, nameTextStyle: { color: c.muted, fontSize: 11 } }),
      yAxis: valueAxis(c, "round trips", (x) => format.number(x, 4), { scale: false, minInterval: 1 }),
      series: [{ name: "Round trips", type: "bar", barCategoryGap: "8%", data: counts.map((n, i) => ({ value: n, itemStyle: { color: from[i] >= 0 ? c.good : c.bad } })) }],
    }));
  }

  function reached() {
    const [bps, adverse, favourable] = ["bps", "adverse", "favourable"].map((key) => floats(data.trips[key]));
    const points = [...bps].map((x, i) => ({ value: [adverse[i], favourable[i]], bps: x, side: data.trips.side[i] })).filter(({ value: [a, f] }) => Number.isFinite(a) && Number.isFinite(f));
    const groups = [["Gained", (p) => p.bps > 0], ["Lost", (p) => !(p.bps > 0)]];
    draw("reached", (c, narrow) => ({
      tooltip: { ...tooltip(c), trigger: "item", formatter: ({ data: p }) => tip(p.side > 0 ? "long" : "short", [
        ["against it (MAE)", `${format.fixed(p.value[0], 1)} bps`], ["with it (MFE)", `${format.fixed(p.value[1], 1)} bps`], ["profit", `${format.fixed(p.bps, 1)} bps`]]) },
      legend: legend(c, groups.map(([name]) => name), narrow),
      grid: { left: left(narrow), right: 16, top: 52, bottom: 44 },
      xAxis: { ...valueAxis(c, "", (x) => format.number(x, 4), { scale: false }), name: "MAE, bps", nameLocation: "middle", nameGap: 26, nameTextStyle: { color: c.muted, fontSize: 11 } },
      yAxis: valueAxis(c, "MFE, bps", (x) => format.number(x, 4), { scale: false }),
      series: groups.map(([name, wanted], i) => ({ name, type: "scatter", symbolSize: 6, data: points.filter(wanted), itemStyle: { color: i ? c.bad : c.good, opacity: .65 } })),
    }));
  }

  return { days, distribution, months, reached, rolling };
})();
