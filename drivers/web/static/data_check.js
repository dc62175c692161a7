// The charts of `data check --html`: a heat map of faults, a line for each symbol, the distribution of the spread.
"use strict";
(() => {
  const { data, token, format, onTheme } = window.sq;
  if (!data.symbols.length) return;
  const charts = new Map(); // element -> {chart, options}
  const axis = () => ({
    axisLabel: { color: token("--muted"), hideOverlap: true },
    axisLine: { lineStyle: { color: token("--line") } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: token("--line"), opacity: 0.6 } },
  });
  const tooltip = () => ({
    backgroundColor: token("--raised"), borderColor: token("--line"), textStyle: { color: token("--ink"), fontSize: 13 }, confine: true,
  });

  // Draws a chart now, and again whenever the theme or the width changes.
  function draw(element, options) {
    const chart = echarts.init(element, null, { renderer: "canvas" });
    charts.set(element, { chart, options });
    chart.setOption(options());
    new ResizeObserver(() => chart.resize()).observe(element);
    return chart;
  }
  const redraw = (element) => {
    const { chart, options } = charts.get(element);
    chart.setOption(options(), { notMerge: true });
  };
  onTheme(() => charts.forEach((_, element) => redraw(element)));

  const day = 86400000;
  const label = (ms) => data.width >= day ? new Date(ms).toISOString().slice(0, 10) : format.time(ms).slice(5);

  // -- the map ----------------------------------------------------------------------------------------------------------------
  const map = document.getElementById("map");
  const total = (name) => data.symbols.reduce((sum, s) => sum + s.counts[name].reduce((a, [, count]) => a + count, 0), 0);
  let measure = data.measures.find(total) ?? data.measures[0];
  const rows = data.symbols.map((s) => s.name).reverse(); // the first on top
  map.style.height = `${Math.min(90 + 22 * rows.length, 1200)}px`;

  function cells() {
    const found = [];
    data.symbols.forEach((symbol, n) => {
      const at = new Map(symbol.counts[measure]);
      symbol.expected.forEach((expected, k) => {
        const count = at.get(k) ?? 0;
        if (expected || count) found.push([k, rows.length - 1 - n, Math.min(1, count / Math.max(expected, 1)), count, expected]);
      });
    });
    return found;
  }
  const mix = (one, other, share) => {
    const part = (colour, k) => parseInt(colour.slice(2 * k + 1, 2 * k + 3), 16);
    return `rgb(${[0, 1, 2].map((k) => Math.round(part(one, k) * (1 - share) + part(other, k) * share)).join(",")})`;
  };
  // Steps of ten: one bar of a day shows beside an hour, and an hour beside a day.
  function pieces() {
    const none = mix(token("--surface"), token("--line"), 0.45), some = token("--warn"), all = token("--bad");
    return [
      { lte: 0, label: "none", color: none },
      { gt: 0, lte: 0.001, label: "to 0.1\u202f%", color: mix(none, some, 0.35) },
      { gt: 0.001, lte: 0.01, label: "1\u202f%", color: mix(none, some, 0.65) },
      { gt: 0.01, lte: 0.1, label: "10\u202f%", color: some },
      { gt: 0.1, lte: 0.5, label: "50\u202f%", color: mix(some, all, 0.6) },
      { gt: 0.5, label: "more", color: all },
    ];
  }
  const mapOptions = () => ({
    animation: false,
    aria: { enabled: false },
    grid: { left: 8, right: 24, top: 8, bottom: 56, containLabel: true },
    tooltip: {
      ...tooltip(),
      formatter: ({ value: [k, y, , count, expected] }) =>
        `<strong>${echarts.format.encodeHTML(rows[y])}</strong> ${data.unit} from ${format.time(data.starts[k])}<br>${measure}: ${count} of ${expected} bars`,
    },
    xAxis: {
      type: "category", data: data.starts.map(label), ...axis(), splitLine: { show: false },
      axisLabel: { color: token("--muted"), hideOverlap: true, alignMinLabel: "left", alignMaxLabel: "right" },
    },
    yAxis: { type: "category", data: rows, ...axis(), splitLine: { show: false }, axisLabel: { color: token("--ink") } },
    visualMap: {
      type: "piecewise", dimension: 2, orient: "horizontal", left: "center", bottom: 0, itemWidth: 14, itemHeight: 14, itemGap: 8,
      showLabel: true, textStyle: { color: token("--muted") }, selectedMode: false, pieces: pieces(),
    },
    series: [{
      type: "heatmap", data: cells(), progressive: 0,
      itemStyle: { borderColor: token("--line"), borderWidth: 0.6 },
      emphasis: { itemStyle: { borderColor: token("--accent"), borderWidth: 2 } },
    }],
  });
  draw(map, mapOptions);
  const buttons = [...document.querySelectorAll("[data-measure]")];
  function choose(name) {
    measure = name;
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.measure === name)));
    document.getElementById("about-measure").textContent = buttons.find((b) => b.dataset.measure === name).title;
    redraw(map);
  }
  buttons.forEach((button) => button.addEventListener("click", () => choose(button.dataset.measure)));
  choose(measure);

  // -- a line for each symbol ---------------------------------------------------------------------------------------------------
  // Stretches without a close between the first and the last: what an outage looks like.
  function outages(close) {
    const known = (x) => x !== null;
    const first = close.findIndex(known), last = close.findLastIndex(known);
    const found = [];
    for (let k = first; k >= 0 && k <= last; k++) {
      if (known(close[k])) continue;
      const from = k;
      while (!known(close[k + 1])) k++;
      found.push([{ xAxis: data.times[Math.max(from - 1, 0)] }, { xAxis: data.times[k] }]);
    }
    return found;
  }
  const pairs = (values) => values.map((value, k) => [data.times[k], value]);
  const band = (symbol) => symbol.high.map((high, k) => [data.times[k], high === null || symbol.low[k] === null ? null : high - symbol.low[k]]);

  // Both grids begin at the same place, so that an hour of the price is above the same hour of the volume.
  const room = (symbol) => 16 + 7 * Math.max(4, ...[symbol.high, symbol.low].map((x) => format.number(Math.max(...x), 4).length));
  const lineOptions = (symbol) => () => ({
    animation: false,
    grid: [{ left: room(symbol), right: 10, top: 12, height: 118 }, { left: room(symbol), right: 10, top: 144, bottom: 24 }],
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    tooltip: {
      ...tooltip(), trigger: "axis",
      formatter: (points) => {
        const k = points[0].dataIndex;
        const range = symbol.low[k] === null ? "" : ` (${format.number(symbol.low[k], 6)} to ${format.number(symbol.high[k], 6)})`;
        return `to ${format.time(data.times[k])}<br>close ${format.number(symbol.close[k], 6)}${range}<br>volume ${format.number(symbol.volume[k])}`;
      },
    },
    xAxis: [
      { type: "time", gridIndex: 0, ...axis(), axisLabel: { show: false }, splitLine: { show: false } },
      { type: "time", gridIndex: 1, ...axis(), splitLine: { show: false }, splitNumber: 4 },
    ],
    yAxis: [
      { type: "value", scale: true, gridIndex: 0, splitNumber: 3, ...axis() },
      { type: "value", gridIndex: 1, splitNumber: 1, ...axis(), axisLabel: { show: false }, splitLine: { show: false } },
    ],
    series: [
      { type: "line", data: pairs(symbol.low), stack: "band", symbol: "none", lineStyle: { opacity: 0 }, stackStrategy: "all", silent: true },
      {
        type: "line", data: band(symbol), stack: "band", symbol: "none", lineStyle: { opacity: 0 }, stackStrategy: "all", silent: true,
        areaStyle: { color: token("--accent"), opacity: 0.22 },
      },
      {
        type: "line", data: pairs(symbol.close), symbol: "none", lineStyle: { color: token("--accent"), width: 1.4 },
        markArea: { silent: true, itemStyle: { color: token("--bad"), opacity: 0.25 }, data: outages(symbol.close) },
      },
      { type: "bar", data: pairs(symbol.volume), xAxisIndex: 1, yAxisIndex: 1, itemStyle: { color: token("--muted") }, barMinWidth: 0.5 },
    ],
  });

  // A chart is made when it comes into view: a folder may hold hundreds of symbols.
  const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    seen.unobserve(entry.target);
    draw(entry.target, lineOptions(data.symbols[Number(entry.target.dataset.symbol)]));
  }), { rootMargin: "200px" });
  const lines = document.getElementById("lines");
  const AT_FIRST = 12;
  const figures = data.symbols.map((symbol, n) => {
    const closes = symbol.close.filter((x) => x !== null);
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const name = document.createElement("span");
    name.textContent = symbol.name;
    const range = document.createElement("small");
    range.className = "muted";
    range.textContent = closes.length ? `${format.number(closes[0], 6)} to ${format.number(closes.at(-1), 6)}` : "no bars";
    caption.append(name, range);
    const chart = document.createElement("div");
    chart.className = "chart";
    chart.dataset.symbol = String(n);
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `Close and volume of ${symbol.name}, ${range.textContent}`);
    figure.append(caption, chart);
    figure.hidden = n >= AT_FIRST;
    lines.append(figure);
    seen.observe(chart);
    return figure;
  });
  if (figures.length > AT_FIRST) {
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = `Show all ${figures.length} symbols`;
    all.addEventListener("click", () => {
      figures.forEach((figure) => { figure.hidden = false; });
      figures[AT_FIRST].querySelector(".chart").scrollIntoView({ block: "nearest" });
      all.remove();
    });
    lines.after(all);
  }

  // -- the spread ---------------------------------------------------------------------------------------------------------------
  const spreads = document.getElementById("spreads");
  if (spreads) {
    const colours = ["--domain-kinematics", "--domain-pattern", "--domain-fusion", "--domain-regime", "--domain-risk", "--domain-meta"];
    const middle = data.spreadEdges.slice(1).map((edge, k) => Math.sqrt(edge * data.spreadEdges[k]));
    draw(spreads, () => ({
      animation: false,
      grid: { left: 8, right: 16, top: 40, bottom: 28, containLabel: true },
      legend: { type: "scroll", top: 0, textStyle: { color: token("--ink") } },
      tooltip: { ...tooltip(), trigger: "axis", valueFormatter: (x) => format.percent(x), axisPointer: { label: { show: false } } },
      xAxis: {
        type: "category", data: middle.map((x) => format.number(x, 3)), name: "basis points", nameLocation: "middle", nameGap: 26,
        nameTextStyle: { color: token("--muted") }, ...axis(), splitLine: { show: false },
      },
      yAxis: { type: "value", ...axis(), axisLabel: { color: token("--muted"), formatter: (x) => format.percent(x, 0) } },
      series: data.symbols.filter((s) => s.spread.length).map((s, n) => {
        const total = s.spread.reduce((a, b) => a + b, 0);
        const colour = token(colours[n % colours.length]);
        return {
          name: s.name, type: "line", step: "middle", symbol: "none", data: s.spread.map((x) => x / total),
          lineStyle: { color: colour, type: n >= colours.length ? "dashed" : "solid" }, itemStyle: { color: colour },
          areaStyle: { color: colour, opacity: 0.12 },
        };
      }),
    }));
  }
})();
