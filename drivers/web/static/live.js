// The live page: server-sent events into charts and tables. Reads only; a command is a request with the token.
"use strict";
(() => {
  const { data, format, token } = window.sq;
  const charts = window.LightweightCharts;
  const at = (id) => document.getElementById(id);
  const signed = (x, digits) => typeof x === "number" ? (x > 0 ? "+" : "") + format.fixed(x, digits) : "–";
  const shown = (x, digits = 6) => typeof x === "number" ? format.number(x, digits) : "–";
  const share = (x) => typeof x === "number" ? format.percent(x) : "–";
  const stamp = (ms) => new Date(ms).toISOString().slice(5, 19).replace("T", " ");
  let whole = null, past = null, symbol = null, secret = sessionStorage.getItem("sq-token") || "";

  // -- charts ---------------------------------------------------------------------------------------------------------------
  const look = () => ({
    layout: { background: { color: token("--bg") }, textColor: token("--ink"), attributionLogo: true },
    grid: { vertLines: { color: token("--line") }, horzLines: { color: token("--line") } },
    rightPriceScale: { borderColor: token("--line") },
    timeScale: { borderColor: token("--line"), timeVisible: true },
  });
  const chart = charts.createChart(at("chart"), { ...look(), autoSize: true });
  const candles = chart.addSeries(charts.CandlestickSeries);
  const line = (color) => chart.addSeries(charts.LineSeries, { color, lineWidth: 1, lineStyle: 2, priceLineVisible: false, lastValueVisible: false });
  const stops = line(token("--bad")), targets = line(token("--good"));
  const marks = charts.createSeriesMarkers(candles, []);
  const below = charts.createChart(at("equity-chart"), { ...look(), autoSize: true });
  const equity = below.addSeries(charts.LineSeries, { color: token("--accent"), lineWidth: 2 });
  const colours = () => candles.applyOptions({
    upColor: token("--good"), downColor: token("--bad"), borderVisible: false, wickUpColor: token("--good"), wickDownColor: token("--bad"),
  });
  colours();
  window.sq.onTheme(() => { chart.applyOptions(look()); below.applyOptions(look()); colours(); });

  const candle = ([time, open, high, low, close]) => close === null ? { time } : { time, open, high, low, close };
  const level = (k) => (row) => row[k] === null ? { time: row[0] } : { time: row[0], value: row[k] };
  const point = ([time, value]) => value === null ? { time } : { time, value };
  const view = () => past || whole;
  function drawMarks() {
    const first = view().candles[symbol].length ? view().candles[symbol][0][0] : 0;
    marks.setMarkers(view().marks[symbol].filter((m) => m.time >= first).map((m) => ({
      time: m.time, position: m.quantity > 0 ? "belowBar" : "aboveBar", shape: m.quantity > 0 ? "arrowUp" : "arrowDown",
      color: m.quantity > 0 ? token("--good") : token("--bad"), text: shown(m.quantity, 4),
    })));
  }
  function draw() {
    const rows = view().candles[symbol];
    candles.setData(rows.map(candle)); stops.setData(rows.map(level(5))); targets.setData(rows.map(level(6)));
    equity.setData(view().equity.map(point));
    drawMarks();
  }
  function merge(into, rows) {
    const last = into.length ? into[into.length - 1][0] : -1;
    into.push(...rows.filter((row) => row[0] > last));
    into.splice(0, Math.max(0, into.length - 720));
  }

  // -- tables ---------------------------------------------------------------------------------------------------------------
  function rows(id, list, none) {
    const body = at(id).querySelector("tbody");
    body.replaceChildren(...list.map((cells) => {
      const row = document.createElement("tr");
      for (const cell of cells) {
        const [text, kind] = Array.isArray(cell) ? cell : [cell, ""];
        const td = document.createElement("td");
        td.textContent = text; if (kind) td.className = kind;
        row.append(td);
      }
      return row;
    }));
    if (!list.length) { const row = document.createElement("tr"), td = document.createElement("td"); td.textContent = none; td.className = "muted"; td.colSpan = 12; row.append(td); body.append(row); }
  }
  const words = (entry) => Object.entries(entry).filter(([k, v]) => !["at", "event", "warns", "symbol", "order", "layer"].includes(k) && v !== null && !(Array.isArray(v) && !v.length))
    .map(([k, v]) => `${k.replaceAll("_", " ")} ${Array.isArray(v) ? v.join(", ") : typeof v === "number" ? shown(v, 8) : v}`).join(" · ");
  const number = (text) => [text, "number"];

  function status(now) {
    at("level").textContent = now.level + (now.kill_reasons.length ? ` · ${now.kill_reasons.join(", ")}` : "");
    at("level").className = `badge ${now.level === "RUN" ? "good" : "bad"}`;
    at("equity").textContent = format.money(now.equity);
    at("day").textContent = `today ${share(now.day)}, fees ${format.money(now.fees)}`;
    at("drawdown").textContent = share(now.drawdown);
    at("gross").textContent = `exposure ${format.money(now.gross)}, books ${now.reconciled ? "agree" : "differ"}`;
    rows("positions", now.positions.map((p) => [
      p.symbol, number(shown(p.price, 8)), number(shown(p.position)), number(shown(p.average, 8)),
      [signed(p.unrealised, 2), `number ${p.unrealised > 0 ? "good" : p.unrealised < 0 ? "bad" : ""}`], number(share(p.weight)),
      number(shown(p.stop, 8)), number(shown(p.target, 8)), p.regime, `${p.signal} ${signed(p.score, 2)}`, p.verdict, p.reasons.join(", "),
    ]), "no symbols");
    at("open-orders").textContent = `(${now.open_orders})`;
    rows("orders", now.orders.map((o) => [
      o.order, o.type + (o.reduce_only ? ", reduce only" : ""), number(shown(o.quantity)), number(shown(o.filled)), number(shown(o.limit_price, 8)), number(shown(o.stop_price, 8)),
    ]), "none that was seen since the page began");
  }
  function feed(beat) {
    const f = beat.feed, up = f && f.streams ? Object.values(f.streams) : [];
    at("beat").textContent = beat.alive ? "live" : "no heartbeat";
    at("beat").className = beat.alive ? "good" : "bad";
    at("feed").textContent = !f ? "recorded" : !up.length ? "REST" : up.every((s) => s.up) ? "up" : `${up.filter((s) => !s.up).length} of ${up.length} down`;
    at("feed").className = `big ${up.some((s) => !s.up) ? "bad" : ""}`;
    at("feed-more").textContent = f ? `${f.missing_bars} bars missing, skew ${shown(f.skew_ms, 3)} ms` : "";
    const ms = beat.bar_ms || {};
    at("latency").textContent = typeof ms.last === "number" ? `${format.fixed(ms.last, 1)} ms` : "–";
    at("latency-more").textContent = typeof ms.p99 === "number" ? `median ${format.fixed(ms.median, 1)}, p99 ${format.fixed(ms.p99, 1)} ms` : "bar to orders";
    const flat = Object.entries(f || {}).filter(([, v]) => v !== null && typeof v !== "object").map(([k, v]) => [k.replaceAll("_", " "), String(v)]);
    const streams = Object.entries((f || {}).streams || {}).map(([k, s]) => [`${k} stream`, `${s.up ? "up" : "down"}, heard ${s.heard || "never"}, ${s.reconnects} reconnects`]);
    rows("health", [...streams, ...flat, ["books out of step", ((f || {}).unknown_books || []).join(", ") || "none"]], "nothing known");
  }

  function take(news) {
    if (news.heartbeat) feed(news.heartbeat);
    if (!news.now) return;
    if (news.whole || !whole) {
      whole = news;
      symbol = symbol && whole.candles[symbol] ? symbol : whole.symbols[0];
      at("symbols").replaceChildren(...whole.symbols.map((name) => {
        const b = document.createElement("button");
        b.type = "button"; b.textContent = name; b.setAttribute("aria-pressed", String(name === symbol));
        b.addEventListener("click", () => { symbol = name; for (const o of at("symbols").children) o.setAttribute("aria-pressed", String(o.textContent === name)); draw(); });
        return b;
      }));
      at("about").replaceChildren(at("about").options[0], ...whole.symbols.map((name) => new Option(name, name)));
      draw(); chart.timeScale().fitContent(); below.timeScale().fitContent(); days();
    } else {
      for (const name of Object.keys(news.candles)) { merge(whole.candles[name], news.candles[name]); whole.marks[name] = news.marks[name]; }
      merge(whole.equity, news.equity);
      if (past === null) { if (news.equity.length) draw(); else drawMarks(); }
      whole.log = news.log;
    }
    if (news.now.positions) status(news.now);
    events();
  }
  function events() {
    const all = at("minor").checked;
    rows("log", view().log.filter((e) => all || !["refusal", "regime_change"].includes(e.event)).reverse().map((e) => [stamp(e.at), [e.event.replaceAll("_", " "), e.warns ? "warn" : ""], e.symbol || "", e.order || "", words(e)]), "nothing yet");
  }

  // -- the connection: fetch, so that it can bring the token -----------------------------------------------------------------
  const headers = () => secret ? { Authorization: `Bearer ${secret}` } : {};
  function ask() {
    secret = window.prompt("Token of this page (STRATOQUANT_PAGE_TOKEN)") || "";
    if (secret) sessionStorage.setItem("sq-token", secret);
    return secret;
  }
  async function listen() {
    for (;;) {
      try {
        const answer = await fetch("events", { headers: headers(), cache: "no-store" });
        if (answer.status === 401) { sessionStorage.removeItem("sq-token"); if (!ask()) { at("beat").textContent = "needs the token"; return; } continue; }
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = ""; ;) {
          const { value, done } = await reader.read();
          if (done) break;
          const parts = (rest + value).split("\n\n");
          rest = parts.pop();
          for (const part of parts) if (part.startsWith("data: ")) take(JSON.parse(part.slice(6)));
        }
      } catch (error) { console.warn("the page lost its stream:", error); } // it is tried again
      at("beat").textContent = "not connected"; at("beat").className = "bad";
      await new Promise((go) => setTimeout(go, 2000));
    }
  }
  // -- earlier days: run again from the journal by the page's process ------------------------------------------------------
  at("minor").addEventListener("change", () => { if (whole) events(); });
  async function days() {
    const answer = await fetch("days", { headers: headers(), cache: "no-store" });
    if (!answer.ok) return;
    const list = await answer.json(), chosen = at("days").value;
    at("of-days").hidden = !list.length;
    at("days").replaceChildren(at("days").options[0], ...list.reverse().map((d) => new Option(d.begins ? new Date(d.begins).toISOString().slice(0, 10) : "the first", d.name)));
    at("days").value = chosen;
  }
  at("days").addEventListener("change", async () => {
    const name = at("days").value;
    at("day-said").textContent = name ? "reading…" : "";
    if (name) {
      const answer = await fetch(`day?name=${encodeURIComponent(name)}`, { headers: headers(), cache: "no-store" });
      if (at("days").value !== name) return; // another was chosen meanwhile
      const found = await answer.json();
      at("day-said").textContent = answer.ok ? "" : found.result || "it cannot be read";
      past = answer.ok ? found : null;
    } else past = null;
    if (whole) { draw(); events(); chart.timeScale().fitContent(); below.timeScale().fitContent(); }
  });
  if (data.buttons) {
    at("buttons").hidden = false;
    for (const button of document.querySelectorAll("[data-command]")) button.addEventListener("click", async () => {
      const text = [button.dataset.command, at("about").value].filter(Boolean).join(" ");
      if (!window.confirm(`Send ${text}?`)) return;
      if (!secret && !ask()) return;
      const answer = await fetch("command", { method: "POST", body: text, headers: headers() });
      if (answer.status === 401) sessionStorage.removeItem("sq-token"), secret = "";
      at("said").textContent = (await answer.json()).result;
    });
  }
  listen();
})();
