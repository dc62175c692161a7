// The page of the graph: what is shown is a state, the state stands in the address, and every control changes the state.
"use strict";
(() => {
  const { data } = sq;
  const h = sqGraph.html;
  const $ = (id) => document.getElementById(id);
  const model = sqGraph.model(data);
  const values = sqGraph.values(data.run, data.codes);
  const phone = window.matchMedia("(max-width: 760px)");
  const READABLE = 0.42; // where the whole would be smaller than this, its domains begin collapsed

  const state = {
    mode: "all", layer: null, collapsed: new Set(), of: null, hops: 1, direction: "both", from: null, to: null,
  };
  const populated = data.domains.filter((domain) => data.layers.some((layer) => layer.domain === domain));
  const members = new Map(populated.map((domain) => [domain, data.layers.filter((layer) => layer.domain === domain)]));
  const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const say = (text) => { $("said").textContent = text; };

  // ---- the address

  const short = (name) => (name ? model.layers.get(name).id : null);
  const full = (name) => `${short(name)} ${model.layers.get(name).label}`;
  const named = (id) => model.byId.get(id)?.name ?? (model.layers.has(id) ? id : null);

  function address() {
    const parts = new URLSearchParams();
    const put = (key, value) => { if (value !== null && value !== "") parts.set(key, value); };
    put("layer", short(state.layer));
    if (state.mode === "near") {
      put("near", short(state.of));
      put("hops", state.hops);
      if (state.direction !== "both") put("direction", state.direction);
    }
    if (state.mode === "path") {
      put("from", short(state.from));
      put("to", short(state.to));
    }
    if (state.mode === "all") parts.set("collapsed", [...state.collapsed].join(","));
    if (values.there) {
      put("bar", new Date(data.run.times[values.state.bar]).toISOString());
      put("symbol", data.run.symbols[values.state.symbol]);
    }
    return `#${parts.toString().replaceAll("%2C", ",").replaceAll("%3A", ":")}`;
  }

  function readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    state.layer = named(parts.get("layer"));
    state.of = named(parts.get("near"));
    state.from = named(parts.get("from"));
    state.to = named(parts.get("to"));
    state.mode = state.of ? "near" : state.from || state.to ? "path" : "all";
    state.hops = Math.max(1, Math.min(6, Number(parts.get("hops")) || 1));
    state.direction = ["up", "down"].includes(parts.get("direction")) ? parts.get("direction") : "both";
    state.collapsed = parts.has("collapsed") ? new Set(parts.get("collapsed").split(",").filter((name) => members.has(name))) : null;
    if (values.there) {
      const bar = data.run.times.indexOf(Date.parse(parts.get("bar")));
      const symbol = data.run.symbols.indexOf(parts.get("symbol"));
      if (bar >= 0) values.state.bar = bar;
      if (symbol >= 0) values.state.symbol = symbol;
    }
  }

  let written = null;
  function writeAddress() {
    written = address();
    if (written !== location.hash) history.replaceState(null, "", written);
  }

  // ---- what is drawn

  const view = sqGraph.view($("graph"), { onLayer: choose, onDomain: toggle, onHover: hover });
  const panel = sqGraph.panel($("panel"), model, values, { onLayer: choose, onNear: near, onPath: path });

  function visible() {
    if (state.mode === "near") return model.near(state.of, state.hops, state.direction);
    if (state.mode === "path") return state.from && state.to ? model.between(state.from, state.to) : new Set();
    return new Set(data.layers.map((layer) => layer.name));
  }

  /** The edges between what is drawn; those of a collapsed domain come together in its card. */
  function drawnEdges(end) {
    const found = new Map();
    const named = new Set(); // a delayed value that goes to several layers bears its name once
    model.edges.forEach((edge) => {
      const [from, to] = [end(edge.source), end(edge.target)];
      if (!from || !to || from === to || (edge.delay && state.mode === "path")) return;
      const key = `${from} ${to} ${edge.delay ? edge.label : ""}`;
      if (found.has(key)) found.get(key).count += 1;
      else found.set(key, { from, to, delay: edge.delay, label: edge.label, count: 1, named: edge.delay && !named.has(edge.label) && from === edge.source && to === edge.target });
      if (found.get(key).named) named.add(edge.label);
    });
    return [...found.values()];
  }

  function scene(collapsed) {
    const names = visible();
    const nodes = new Map();
    const boxes = new Map();
    const whole = state.mode === "all";
    const end = (name) => (!names.has(name) ? null : whole && collapsed.has(model.layers.get(name).domain) ? `domain:${model.layers.get(name).domain}` : name);
    const edges = drawnEdges(end);
    const shown = data.layers.filter((layer) => end(layer.name) === layer.name);
    const pairs = edges.filter((edge) => !edge.delay).map((edge) => [edge.from, edge.to]);
    let placed = { nodes: new Map(), boxes: new Map(), width: 1, height: 1 };
    if (whole) {
      const groups = populated.map((name) => ({ name, ids: collapsed.has(name) ? [] : members.get(name).map((layer) => layer.name) }));
      placed = sqGraph.layout.byDomain(groups, pairs, view.room());
    } else if (shown.length) {
      placed = sqGraph.layout.asFlow(shown.map((layer) => layer.name), pairs, view.room());
    }
    shown.forEach((layer) => nodes.set(layer.name, { rect: placed.nodes.get(layer.name), layer }));
    placed.boxes.forEach((rect, name) => boxes.set(name, { rect, domain: { name, open: !collapsed.has(name), count: count(members.get(name).length, "layer") } }));
    return { nodes, boxes, edges, width: placed.width, height: placed.height };
  }

  /** Which domains begin collapsed: none where the whole can be read, else all. */
  function firstCollapsed() {
    const whole = scene(new Set());
    const room = view.room();
    const scale = Math.min(room.width / whole.width, room.height / whole.height);
    return new Set(scale < READABLE ? populated : []);
  }

  function render({ refit = true } = {}) {
    const next = scene(state.collapsed);
    view.show(next);
    labels();
    if (refit) view.fit();
    emphasise();
    controls(next);
    writeAddress();
  }

  const emphasise = (centre = null) => view.emphasise({ centre: centre ?? (state.mode === "near" ? null : state.layer), chosen: state.layer ?? (state.mode === "near" ? state.of : null) });
  const labels = () => view.label(values.there ? new Map(data.layers.map((layer) => [layer.name, values.headline(layer)])) : null);

  function controls(next) {
    document.querySelectorAll("[data-mode]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode)));
    document.querySelectorAll("[data-for]").forEach((part) => { part.hidden = part.dataset.for !== state.mode; });
    $("near-of").value = state.of ?? "";
    $("hops").value = state.hops;
    $("hops-out").textContent = count(state.hops, "step");
    $("direction").value = state.direction;
    $("path-from").value = state.from ?? "";
    $("path-to").value = state.to ?? "";
    const total = data.layers.length;
    $("shown").textContent = next.nodes.size === total ? count(total, "layer") : `${next.nodes.size} of ${total} layers`;
    $("empty").hidden = next.nodes.size + next.boxes.size > 0;
    $("empty").textContent = state.from && state.to
      ? `No path leads from ${full(state.from)} to ${full(state.to)} within the bar.`
      : "Choose the two layers between which the paths are shown.";
  }

  // ---- what the reader does

  function choose(name) {
    const before = state.layer;
    state.layer = name === null || !model.layers.has(name) ? null : name;
    const layer = state.layer ? model.layers.get(state.layer) : null;
    const hidden = $("panel").hidden;
    panel.show(layer);
    document.querySelectorAll("#list [aria-current]").forEach((each) => each.removeAttribute("aria-current"));
    if (layer) {
      document.querySelector(`#list [data-goto="${layer.name}"]`)?.setAttribute("aria-current", "true");
      const drawn = scene(state.collapsed).nodes.has(layer.name);
      if (!drawn) {
        if (state.mode === "all") state.collapsed.delete(layer.domain);
        else state.mode = "all";
        render();
      } else if (hidden && !phone.matches) {
        view.fit(); // the panel took its share of the window
      }
      view.focusOn(layer.name, false);
      view.reveal(layer.name, { right: 0, bottom: phone.matches ? $("panel").offsetHeight : 0 });
      say(`${layer.id} ${layer.label}: ${layer.headline}`);
    } else if (before) {
      if (!phone.matches) view.fit();
      view.focusOn(before);
      say("Panel closed");
    }
    emphasise();
    writeAddress();
  }

  function toggle(domain) {
    if (!state.collapsed.delete(domain)) state.collapsed.add(domain);
    render();
    view.focusDomain(domain);
    say(`${domain} ${state.collapsed.has(domain) ? "collapsed" : "expanded"}`);
  }

  function all(collapsed) {
    state.mode = "all";
    state.collapsed = new Set(collapsed ? populated : []);
    render();
    say(collapsed ? "All domains collapsed" : "All domains expanded");
  }

  function near(name) {
    Object.assign(state, { mode: "near", of: name });
    render();
    say(`${$("shown").textContent} within ${count(state.hops, "step")} of ${full(name)}`);
  }

  function path(from, to) {
    Object.assign(state, { mode: "path", from: from ?? (state.from !== to ? state.from : null), to: to ?? (state.to !== from ? state.to : null) });
    render();
    if (state.from && state.to) say(`${$("shown").textContent} on paths from ${full(state.from)} to ${full(state.to)}`);
  }

  function hover(name, event) {
    const tip = $("tip");
    const layer = name ? model.layers.get(name) : null;
    tip.hidden = !layer;
    emphasise(name);
    if (!layer) return;
    const value = values.there ? values.headline(layer) : "";
    tip.replaceChildren(h("b", {}, `${layer.id} ${layer.label}`), layer.headline, h("small", {}, [layer.domain, layer.schedule, value].filter(Boolean).join(" · ")));
    const node = event.target.closest("[data-layer]").getBoundingClientRect();
    const room = $("graph").getBoundingClientRect();
    const x = Math.max(8, Math.min(room.width - tip.offsetWidth - 8, node.left - room.left));
    const below = node.bottom - room.top + 10;
    const y = below + tip.offsetHeight < room.height ? below : node.top - room.top - tip.offsetHeight - 10;
    Object.assign(tip.style, { left: `${x}px`, top: `${Math.max(4, y)}px` });
  }

  // ---- search

  const search = $("search");
  const hits = $("hits");
  let found = [];
  let marked = 0;

  function openHits() {
    found = model.find(search.value).slice(0, 40);
    marked = 0;
    const open = search.value.trim() !== "";
    hits.hidden = !open;
    search.setAttribute("aria-expanded", String(open));
    hits.replaceChildren(...found.map(({ layer, why }, i) => h("li", {
      id: `hit-${i}`, role: "option", "data-hit": layer.name, style: `--d: var(--domain-${layer.domain}, var(--muted))`,
      onpointerdown: (event) => { event.preventDefault(); take(i); },
    }, h("b", {}, layer.id), h("span", {}, layer.label), h("small", {}, why))));
    if (open && !found.length) hits.append(h("li", { class: "none" }, "No layer has this in its id, name, fields or settings."));
    mark(0);
  }

  function mark(i) {
    marked = Math.max(0, Math.min(found.length - 1, i));
    [...hits.querySelectorAll("[role=option]")].forEach((each, j) => each.setAttribute("aria-selected", String(j === marked)));
    const element = $(`hit-${marked}`);
    if (element) search.setAttribute("aria-activedescendant", element.id);
    else search.removeAttribute("aria-activedescendant");
    element?.scrollIntoView({ block: "nearest" });
  }

  function closeHits() {
    search.value = "";
    openHits();
  }

  function take(i) {
    if (!found[i]) return;
    const { name } = found[i].layer;
    closeHits();
    search.blur();
    choose(name);
    $("panel-title")?.focus({ preventScroll: true });
  }

  search.addEventListener("input", openHits);
  search.addEventListener("focus", openHits);
  search.addEventListener("blur", () => { hits.hidden = true; search.setAttribute("aria-expanded", "false"); });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(marked + 1);
    else if (event.key === "ArrowUp") mark(marked - 1);
    else if (event.key === "Enter") take(marked);
    else if (event.key === "Escape") { if (search.value) closeHits(); else search.blur(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- list, legend, controls

  $("list").append(...populated.flatMap((domain) => [
    h("h3", { style: `--d: var(--domain-${domain}, var(--muted))` }, domain),
    h("ul", {}, ...members.get(domain).map((layer) => h("li", {}, h("button", { type: "button", "data-goto": layer.name, onclick: () => { if (phone.matches) list(false); choose(layer.name); $("panel-title").focus({ preventScroll: true }); } }, h("b", {}, layer.id), ` ${layer.label}`)))),
  ]));

  function list(open) {
    $("list").hidden = !open;
    $("list-button").setAttribute("aria-pressed", String(open));
    if (!phone.matches) view.fit();
    if (open) $("list").querySelector("[aria-current], button")?.focus();
  }

  const drawn = (markup) => { const box = document.createElement("span"); box.className = "sign-item"; box.innerHTML = markup; return box; };
  const schedules = { columnar: "columnar: over a whole chunk", step: "step: bar by bar", post: "post: after the steps", epoch: "epoch: at each boundary" };
  [$("legend"), $("signs")].forEach((place) => {
    const used = Object.keys(schedules).filter((name) => data.layers.some((layer) => layer.schedule === name));
    place.append(...used.map((name) => drawn(`<svg viewBox="-5 0 22 12"><path d="${view.icons[name]}" stroke="var(--${name})"/></svg>${schedules[name]}`)));
    if (model.edges.some((edge) => edge.delay)) place.append(drawn('<svg viewBox="0 0 22 12"><path d="M0 6h22" stroke="var(--epoch)" stroke-dasharray="5 3.5"/></svg>delayed edge'));
    if (data.layers.some((layer) => layer.door)) place.append(drawn('<i class="swatch"></i>the risk gate'));
  });

  [...data.layers].forEach((layer) => ["near-of", "path-from", "path-to"].forEach((id) => $(id).append(h("option", { value: layer.name }, `${layer.id} ${layer.label}`))));
  ["near-of", "path-from", "path-to"].forEach((id) => $(id).prepend(h("option", { value: "" }, "choose a layer")));
  $("near-of").addEventListener("change", (event) => { if (event.target.value) near(event.target.value); });
  $("path-from").addEventListener("change", (event) => { state.from = event.target.value || null; path(null, null); });
  $("path-to").addEventListener("change", (event) => { state.to = event.target.value || null; path(null, null); });
  $("hops").addEventListener("input", (event) => { state.hops = Number(event.target.value); near(state.of); });
  $("direction").addEventListener("change", (event) => { state.direction = event.target.value; near(state.of); });
  document.querySelectorAll("[data-mode]").forEach((button) => button.addEventListener("click", () => mode(button.dataset.mode)));
  $("collapse").addEventListener("click", () => all(true));
  $("expand").addEventListener("click", () => all(false));
  $("zoom-in").addEventListener("click", () => view.zoom(1.3));
  $("zoom-out").addEventListener("click", () => view.zoom(1 / 1.3));
  $("zoom-fit").addEventListener("click", () => view.fit());
  $("list-button").addEventListener("click", () => list($("list").hidden));
  $("help-button").addEventListener("click", () => $("help").showModal());

  function mode(next) {
    if (next === "near") near(state.layer ?? state.of ?? (data.layers.find((layer) => layer.door) ?? data.layers[0]).name);
    else if (next === "path") path(null, null);
    else { state.mode = "all"; render(); }
  }

  function bar(next) {
    values.state.bar = Math.max(0, Math.min(data.run.times.length - 1, next));
    moment();
  }

  function moment() {
    $("bar-at").value = values.state.bar;
    $("bar-at").setAttribute("aria-valuetext", `${values.time()} UTC`);
    $("symbol").value = values.state.symbol;
    $("bar-time").textContent = `${values.time()} UTC`;
    labels();
    panel.refresh();
    writeAddress();
  }

  if (values.there) {
    $("bar-at").addEventListener("input", (event) => bar(Number(event.target.value)));
    $("bar-back").addEventListener("click", () => bar(values.state.bar - 1));
    $("bar-on").addEventListener("click", () => bar(values.state.bar + 1));
    $("symbol").addEventListener("change", (event) => { values.state.symbol = Number(event.target.value); moment(); });
  }

  const keys = {
    "/": () => { search.focus(); search.select(); },
    "?": () => $("help").showModal(),
    "+": () => view.zoom(1.3),
    "=": () => view.zoom(1.3),
    "-": () => view.zoom(1 / 1.3),
    0: () => view.fit(),
    n: () => mode("near"),
    c: () => all(true),
    e: () => all(false),
    l: () => list($("list").hidden),
    ",": () => values.there && bar(values.state.bar - 1),
    ".": () => values.there && bar(values.state.bar + 1),
    Escape: () => {
      if (!$("list").hidden) list(false);
      else if (state.layer) choose(null);
      else if (state.mode !== "all") mode("all");
    },
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  // ---- begin

  function begin() {
    readAddress();
    panel.show(state.layer ? model.layers.get(state.layer) : null); // it takes its share of the window first
    state.collapsed ??= firstCollapsed();
    if (state.layer) state.collapsed.delete(model.layers.get(state.layer).domain);
    render();
    if (state.layer) view.reveal(state.layer, { right: 0, bottom: phone.matches ? $("panel").offsetHeight : 0 });
    if (values.there) moment();
  }
  begin();
  window.addEventListener("hashchange", () => { if (location.hash !== written) begin(); });
  let resized = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => render(), 120);
  });
  window.addEventListener("beforeprint", () => view.fit());
})();
