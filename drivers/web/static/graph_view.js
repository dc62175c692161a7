// The drawing: layers, domains and edges as SVG, which pans and zooms, follows the theme, prints sharp and can be tabbed through.
"use strict";

sqGraph.view = (svg, hooks) => {
  const { curve } = sqGraph.layout;
  const STILL = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const FAR = 0.62; // below this scale small print cannot be read: the id and the name are drawn larger, and alone
  const DURATION = 260;
  const ICONS = { // 12 x 12: a panel of columns, a stair, a mark set afterwards, a round
    columnar: "M2 2v8M6 2v8M10 2v8",
    step: "M1 10h3.5V6.5h3.5V3h3",
    post: "M2 6.5l3 3L10.5 3",
    epoch: "M10 4A4.5 4.5 0 1 0 10.5 7M10.5 1.5V4.5H7.5",
  };

  function make(tag, attributes = {}, text = null) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text !== null) element.textContent = text;
    return element;
  }

  const scene = make("g", { class: "scene" });
  const groups = Object.fromEntries(["boxes", "edges", "nodes"].map((name) => [name, make("g", { class: name })]));
  const marks = make("defs");
  ["plain", "in", "out", "late"].forEach((kind) => {
    const mark = make("marker", { id: `arrow-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" });
    mark.append(make("path", { d: "M0 .8L7.5 4L0 7.2z", class: `arrow ${kind}` }));
    marks.append(mark);
  });
  scene.append(groups.boxes, groups.edges, groups.nodes);
  svg.append(marks, scene);

  const shown = { nodes: new Map(), boxes: new Map(), edges: [], width: 1, height: 1 };
  const elements = new Map(); // name of a layer, or "domain:" and a name, to its element
  const at = { x: 0, y: 0, k: 1 };
  let focusName = null; // the one node that Tab reaches

  // ---- elements

  const domainStyle = (domain) => `--d: var(--domain-${domain}, var(--muted))`;

  function fitted(text, width, size) {
    const most = Math.floor(width / (size * 0.53));
    return text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text;
  }

  function layerElement(layer, rect) {
    const node = make("g", {
      class: `node ${layer.schedule}${layer.door ? " door" : ""}`,
      "data-layer": layer.name, role: "button", tabindex: -1, style: domainStyle(layer.domain),
      "aria-label": `${layer.id} ${layer.label}, ${layer.domain}, ${layer.schedule}${layer.door ? ", the risk gate" : ""}`,
    });
    const { width, height } = rect;
    if (layer.door) node.append(make("rect", { class: "ring", x: -5, y: -5, width: width + 10, height: height + 10, rx: 11 }));
    node.append(
      make("rect", { class: "body", width, height, rx: 7 }),
      make("path", { class: "bar", d: `M7 0H5V${height}H7A7 7 0 0 1 0 ${height - 7}V7A7 7 0 0 1 7 0z` }),
      make("text", { class: "id", x: 14, y: 18 }, layer.id),
      make("text", { class: "far", x: 12, y: 19 }, layer.id),
      make("text", { class: "far far-name", x: 12, y: 37 }, fitted(layer.label, width - 16, 16.5)),
      make("text", { class: "value", x: width - 26, y: 18, "text-anchor": "end" }),
      make("text", { class: "name", x: 14, y: 35 }, fitted(layer.label, width - 22, 12)),
      make("path", { class: "icon", d: ICONS[layer.schedule] ?? "", transform: `translate(${width - 20} 7)` }),
    );
    return node;
  }

  function boxElement(domain, rect) {
    const box = make("g", { class: `box${domain.open ? "" : " card"}`, "data-domain": domain.name, style: domainStyle(domain.name) });
    box.append(make("rect", { class: "ground", width: rect.width, height: rect.height, rx: 10 }));
    const head = make("g", {
      class: "head", role: "button", tabindex: 0, "aria-expanded": String(domain.open),
      "aria-label": `${domain.name}, ${domain.count}: ${domain.open ? "collapse" : "expand"}`,
    });
    head.append(make("rect", { class: "hit", width: rect.width, height: domain.open ? 30 : rect.height, rx: 10 }));
    head.append(make("text", { class: "title", x: 14, y: domain.open ? 21 : 27 }, domain.name));
    head.append(domain.open
      ? make("text", { class: "count", x: rect.width - 34, y: 21, "text-anchor": "end" }, rect.width > 150 ? domain.count : "")
      : make("text", { class: "count", x: 14, y: 46 }, domain.count));
    const sign = domain.open ? "M0 5h10" : "M0 5h10M5 0v10";
    head.append(make("path", { class: "sign", d: sign, transform: `translate(${rect.width - 24} ${domain.open ? 11 : 17})` }));
    box.append(head);
    return box;
  }

  // ---- a new scene

  /**
   * next: {nodes: Map(name -> {rect, layer}), boxes: Map(name -> {rect, domain}), edges: [{from, to, ...}], width, height}. An edge's
   * ends are names of layers, or "domain:" and the name of a card.
   */
  function show(next) {
    const before = new Map([...shown.nodes].map(([name, each]) => [name, each.rect]));
    Object.assign(shown, next);
    elements.clear();
    groups.nodes.replaceChildren(); // cards too: edges pass below them
    groups.boxes.replaceChildren();
    next.boxes.forEach(({ rect, domain }, name) => {
      const box = boxElement(domain, rect);
      box.setAttribute("transform", `translate(${rect.x} ${rect.y})`);
      elements.set(`domain:${name}`, box);
      (domain.open ? groups.boxes : groups.nodes).append(box);
    });
    next.nodes.forEach(({ rect, layer }, name) => {
      const node = layerElement(layer, rect);
      elements.set(name, node);
      groups.nodes.append(node);
    });
    svg.classList.toggle("crowded", next.edges.filter((edge) => edge.named).length > 2); // their names are shown when lit alone
    groups.edges.replaceChildren(...next.edges.map(edgeElement));
    if (!next.nodes.has(focusName)) focusName = next.nodes.keys().next().value ?? null;
    elements.get(focusName)?.setAttribute("tabindex", 0);
    glide(before);
  }

  function edgeElement(edge) {
    const group = make("g", { class: `edge${edge.delay ? " late" : ""}${edge.count > 1 ? " many" : ""}`, "data-from": edge.from, "data-to": edge.to });
    const line = make("path", { class: "line", style: `--w: ${Math.min(6, 1 + Math.sqrt((edge.count ?? 1) - 1))}`, "marker-end": `url(#arrow-${edge.delay ? "late" : "plain"})` });
    group.append(line);
    if (edge.named) group.append(make("text", { class: "late-label", "text-anchor": "middle" }, `${edge.label}, one ${edge.delay} later`));
    edge.element = group;
    return group;
  }

  const rectOf = (end) => end.startsWith("domain:") ? shown.boxes.get(end.slice(7))?.rect : shown.nodes.get(end)?.rect;

  function draw(moved) {
    shown.nodes.forEach((_, name) => {
      const rect = moved.get(name);
      elements.get(name).setAttribute("transform", `translate(${rect.x} ${rect.y})`);
    });
    shown.edges.forEach((edge) => {
      const a = moved.get(edge.from) ?? rectOf(edge.from);
      const b = moved.get(edge.to) ?? rectOf(edge.to);
      const line = edge.element.firstChild;
      line.setAttribute("d", curve(a, b, { round: Boolean(edge.delay) }));
      if (!edge.named) return;
      const middle = line.getPointAtLength(line.getTotalLength() * 0.4);
      edge.element.lastChild.setAttribute("x", middle.x);
      edge.element.lastChild.setAttribute("y", middle.y + 4);
    });
  }

  let frame = 0;

  /** Moves the nodes from where they stood to where they stand now. */
  function glide(before) {
    cancelAnimationFrame(frame);
    const end = new Map([...shown.nodes].map(([name, each]) => [name, each.rect]));
    if (STILL || !before.size) { draw(end); return; }
    const begun = performance.now();
    const tick = (time) => {
      const part = Math.min(1, Math.max(0, (time - begun) / DURATION));
      const eased = 1 - (1 - part) ** 3;
      draw(new Map([...end].map(([name, to]) => {
        const from = before.get(name) ?? to;
        return [name, { ...to, x: from.x + (to.x - from.x) * eased, y: from.y + (to.y - from.y) * eased }];
      })));
      if (part < 1) frame = requestAnimationFrame(tick);
    };
    draw(new Map([...end].map(([name, to]) => [name, { ...to, ...(before.has(name) ? { x: before.get(name).x, y: before.get(name).y } : {}) }])));
    frame = requestAnimationFrame(tick);
  }

  // ---- emphasis

  /** Lights up layers and the edges at `centre`; without a centre nothing is dimmed. */
  function emphasise({ centre = null, chosen = null } = {}) {
    svg.classList.toggle("lit", centre !== null);
    const near = new Set([centre]);
    shown.edges.forEach((edge) => {
      const into = edge.to === centre;
      const out = edge.from === centre;
      edge.element.classList.toggle("in", into);
      edge.element.classList.toggle("out", out);
      if (into) near.add(edge.from);
      if (out) near.add(edge.to);
      const kind = edge.delay ? "late" : into ? "in" : out ? "out" : "plain";
      edge.element.firstChild.setAttribute("marker-end", `url(#arrow-${kind})`);
      if (into || out) groups.edges.append(edge.element); // above the others
    });
    elements.forEach((element, name) => {
      element.classList.toggle("near", near.has(name));
      element.classList.toggle("chosen", name === chosen);
    });
  }

  /** What stands on each node beside its id: a map from layer to a short text. */
  function label(texts) {
    shown.nodes.forEach((_, name) => {
      const place = elements.get(name).querySelector(".value");
      place.textContent = fitted(texts?.get(name) ?? "", 84, 11);
    });
  }

  // ---- pan and zoom

  function apply() {
    scene.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
    svg.classList.toggle("afar", at.k < FAR);
    hooks.onZoom?.(at.k);
  }

  const size = () => ({ width: svg.clientWidth, height: svg.clientHeight });

  /** What a drawing may fill: all but a margin, and the strip below where the legend lies. */
  function room() {
    const { width, height } = size();
    const margin = Math.min(20, width * 0.03);
    return { margin, width: width - 2 * margin, height: height - 2 * margin - 36 };
  }

  /** Shows all of it. */
  function fit({ most = 1.25 } = {}) {
    const { width, height, margin } = room();
    at.k = Math.min(most, width / shown.width, height / shown.height);
    at.x = margin + (width - shown.width * at.k) / 2;
    at.y = margin + (height - shown.height * at.k) / 2;
    apply();
  }

  function zoom(factor, cx = size().width / 2, cy = size().height / 2) {
    const k = Math.max(0.08, Math.min(4, at.k * factor));
    at.x = cx - ((cx - at.x) * k) / at.k;
    at.y = cy - ((cy - at.y) * k) / at.k;
    at.k = k;
    apply();
  }

  function pan(dx, dy) {
    at.x += dx;
    at.y += dy;
    apply();
  }

  /** Brings a layer into sight, `covered` pixels at the right and the bottom being under the panel. */
  function reveal(name, covered = { right: 0, bottom: 0 }) {
    const rect = shown.nodes.get(name)?.rect;
    if (!rect) return;
    const free = { width: size().width - covered.right, height: size().height - covered.bottom };
    const x = at.x + (rect.x + rect.width / 2) * at.k;
    const y = at.y + (rect.y + rect.height / 2) * at.k;
    const edge = 90;
    const inside = x > edge && x < free.width - edge && y > edge / 2 && y < free.height - edge / 2;
    if (!inside) pan(free.width / 2 - x, free.height / 2 - y);
  }

  const pointers = new Map();
  let moved = false;
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const bounds = svg.getBoundingClientRect();
    const unit = event.deltaMode === 1 ? 30 : 1;
    zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX - bounds.left, event.clientY - bounds.top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 1) moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const here = { x: event.clientX, y: event.clientY };
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
      const bounds = svg.getBoundingClientRect();
      const span = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
      zoom(span(here) / span(last), (here.x + other.x) / 2 - bounds.left, (here.y + other.y) / 2 - bounds.top);
      moved = true;
    } else if (moved || Math.hypot(here.x - last.x, here.y - last.y) > 4) {
      moved = true;
      svg.classList.add("held");
      pan(here.x - last.x, here.y - last.y);
    } else {
      return; // a trembling click is no drag
    }
    pointers.set(event.pointerId, here);
  });
  ["pointerup", "pointercancel"].forEach((kind) => window.addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) svg.classList.remove("held");
  }));

  // ---- clicks, hover, keys

  const layerOf = (target) => target.closest?.("[data-layer]")?.dataset.layer ?? null;
  const headOf = (target) => target.closest?.(".head")?.parentNode.dataset.domain ?? null;

  svg.addEventListener("click", (event) => {
    if (moved) return;
    const domain = headOf(event.target);
    if (domain) hooks.onDomain(domain);
    else hooks.onLayer(layerOf(event.target));
  });
  svg.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const card = event.target.closest?.(".card");
    hooks.onHover(layerOf(event.target) ?? (card ? `domain:${card.dataset.domain}` : null), event);
  });
  svg.addEventListener("pointerleave", (event) => hooks.onHover(null, event));
  svg.addEventListener("focusin", (event) => {
    const name = layerOf(event.target);
    if (name) focusOn(name, false);
  });

  function focusOn(name, take = true) {
    elements.get(focusName)?.setAttribute("tabindex", -1);
    focusName = name;
    elements.get(name)?.setAttribute("tabindex", 0);
    if (take) elements.get(name)?.focus({ preventScroll: true });
  }

  /** The nearest node in the direction of an arrow key. */
  function neighbour(name, key) {
    const here = shown.nodes.get(name).rect;
    const along = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
    let found = null;
    shown.nodes.forEach(({ rect }, other) => {
      const dx = rect.x - here.x;
      const dy = rect.y - here.y;
      const ahead = dx * along[0] + dy * along[1];
      const aside = Math.abs(dx * along[1]) + Math.abs(dy * along[0]);
      if (ahead <= 1 || aside > 3 * ahead) return;
      const cost = ahead + 2 * aside;
      if (!found || cost < found.cost) found = { other, cost };
    });
    return found?.other ?? null;
  }

  svg.addEventListener("keydown", (event) => {
    const name = layerOf(event.target);
    const domain = headOf(event.target);
    if (event.key === "Enter" || event.key === " ") {
      if (domain) hooks.onDomain(domain);
      else if (name) hooks.onLayer(name);
      else return;
    } else if (event.key.startsWith("Arrow")) {
      const next = name && neighbour(name, event.key);
      if (next) {
        focusOn(next);
        reveal(next);
      } else if (!name) {
        const [dx, dy] = { ArrowRight: [-80, 0], ArrowLeft: [80, 0], ArrowDown: [0, -80], ArrowUp: [0, 80] }[event.key];
        pan(dx, dy);
      }
    } else {
      return;
    }
    event.preventDefault();
  });

  const focusDomain = (name) => elements.get(`domain:${name}`)?.querySelector(".head").focus({ preventScroll: true });
  return { show, emphasise, label, fit, zoom, pan, reveal, focusOn, focusDomain, room, icons: ICONS };
};
