// The panel beside the graph: what a layer does, takes, gives and reads, its code, and its values at the chosen bar.
"use strict";

sqGraph.html = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  Object.entries(attributes).forEach(([key, value]) => {
    if (value === null || value === false) return;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  });
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

sqGraph.panel = (place, model, values, hooks) => {
  const h = sqGraph.html;

  const goto = (layer, text = layer.id) => h("button", { type: "button", class: "go", style: `--d: var(--domain-${layer.domain}, var(--muted))`, "data-goto": layer.name, title: text === layer.id ? layer.label : null, onclick: () => hooks.onLayer(layer.name) }, text);

  // ---- prose and code

  /** A line of a docstring: `code` set as code, and ids of layers as links. */
  function prose(text, self) {
    return text.split(/(`[^`]+`|\bL\d{1,3}\b)/).map((part) => {
      if (part.length > 1 && part.startsWith("`")) return h("code", {}, part.slice(1, -1));
      const layer = model.byId.get(part);
      return layer && layer.name !== self ? goto(layer) : part;
    });
  }

  /** A docstring as paragraphs; what is indented or listed keeps its lines; sources stand apart. */
  function docstring(text, self) {
    const blocks = text.trim().split(/\n\s*\n/).flatMap((block) => block.split(/\n(?=(?:Sources?|Returns?|Raises):? )/));
    return blocks.flatMap((block) => {
      if (/\n(\s{2,}|[-*] )/.test(block) || /^[-*] /.test(block)) return [h("p", { class: "kept" }, ...prose(block, self))];
      const flat = block.replace(/\s*\n\s*/g, " ");
      const [, before, source] = flat.match(/^(.*?)\s*(\bSources?: .*)$/) ?? [null, flat, null];
      return [
        before ? h("p", {}, ...prose(before, self)) : null,
        source ? h("p", { class: "source" }, ...prose(source, self)) : null,
      ].filter(Boolean);
    });
  }

  const PYTHON = /(#[^\n]*)|("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(@[\w.]+)|\b(and|as|assert|break|class|continue|def|elif|else|for|from|if|import|in|is|lambda|not|or|pass|raise|return|try|except|while|with|yield|None|True|False)\b|\b(\d[\w.]*)\b/g;

  function code(text) {
    const parts = [];
    let end = 0;
    for (const found of text.matchAll(PYTHON)) {
      parts.push(text.slice(end, found.index));
      const kind = ["comment", "string", "decorator", "keyword", "digits"][found.slice(1).findIndex((group) => group !== undefined)];
      parts.push(h("span", { class: kind }, found[0]));
      end = found.index + found[0].length;
    }
    return h("pre", { class: "code", tabindex: 0 }, h("code", {}, ...parts, text.slice(end)));
  }

  // ---- sections

  const section = (title, ...children) => h("section", {}, h("h3", {}, title), ...children);

  function input(each) {
    const source = each.there ? model.layers.get(each.source) : null;
    const about = {
      layer: source?.domain,
      delayed: source ? `${each.name} of the last ${each.delay}` : `from ${each.source}, which is not in the graph: the start value holds`,
      external: "handed in by the engine",
      missing: "switched off or not there",
    }[each.kind];
    return h("li", {}, source ? goto(source, `${source.id} ${source.label}`) : h("code", {}, each.name), " ", h("small", {}, about));
  }

  function feeds(layer) {
    const given = model.edges.filter((edge) => edge.source === layer.name).map((edge) => ({ edge, to: model.layers.get(edge.target) }));
    return given.map(({ edge, to }) => h("li", {}, goto(to, `${to.id} ${to.label}`), " ", h("small", {}, edge.delay ? `${edge.label}, one ${edge.delay} later` : to.domain)));
  }

  function outputs(layer) {
    const rows = layer.outputs.map((field) => h("tr", {},
      h("th", { scope: "row" }, h("code", {}, field.name || layer.name)),
      h("td", {}, h("code", { class: "kind" }, field.kind), field.about ? " " : null, field.about || null)));
    return h("table", { class: "fields" }, h("tbody", {}, ...rows));
  }

  function config(layer) {
    const rows = layer.config.map((setting) => h("tr", {},
      h("th", { scope: "row" }, h("code", {}, setting.key)),
      h("td", {}, h("strong", {}, String(setting.value)), setting.unit ? ` ${setting.unit}` : "", h("div", { class: "muted" }, setting.about))));
    return h("table", { class: "fields" }, h("tbody", {}, ...rows));
  }

  function valueRows(layer) {
    const rows = values.of(layer);
    if (!rows.length) return h("p", { class: "muted" }, values.whyNone(layer));
    return h("table", { class: "values" }, h("tbody", {}, ...rows.map((row) => h("tr", { "data-field": row.column },
      h("th", { scope: "row" }, h("code", { title: row.about || null }, row.name)),
      h("td", { class: `number${row.known ? "" : " unknown"}`, title: row.exact }, row.text),
      h("td", { class: "spark" }, values.sparkline(row.column))))));
  }

  let current = null;

  /** Shows a layer; null closes the panel. */
  function show(layer) {
    current = layer;
    place.hidden = !layer;
    if (!layer) { place.replaceChildren(); return; }
    const given = feeds(layer);
    const tags = [layer.schedule, layer.cross_sectional ? "cross-sectional" : null, layer.memory ? "has a memory" : null, layer.sink ? "its readers are people" : null];
    place.replaceChildren(
      h("header", { style: `--d: var(--domain-${layer.domain}, var(--muted))` },
        h("div", {},
          h("h2", { id: "panel-title", tabindex: -1 }, h("span", { class: "lid" }, layer.id), ` ${layer.label}`),
          h("p", { class: "tags" }, h("span", { class: "tag domain" }, layer.domain), ...tags.filter(Boolean).map((tag) => h("span", { class: `tag ${tag}` }, tag)))),
        h("button", { type: "button", class: "quiet close", "aria-label": "Close the panel", onclick: () => hooks.onLayer(null) }, "✕")),
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => hooks.onNear(layer.name) }, "Neighbours"),
        h("button", { type: "button", onclick: () => hooks.onPath(layer.name, null) }, "Paths from here"),
        h("button", { type: "button", onclick: () => hooks.onPath(null, layer.name) }, "Paths to here")),
      layer.door ? h("p", { class: "note" }, `The risk gate: no path leads ${layer.door} but through this layer.`) : "",
      values.there ? section("Values", h("p", { class: "muted at", id: "values-at" }, values.where()), h("div", { id: "values" }, valueRows(layer))) : "",
      section("Method", ...docstring(layer.doc, layer.name)),
      section(`Takes ${layer.inputs.length}`, h("ul", { class: "ports", id: "takes" }, ...layer.inputs.map(input))),
      section(`Feeds ${given.length}`, given.length ? h("ul", { class: "ports", id: "feeds" }, ...given) : h("p", { class: "muted" }, layer.sink ? "Nothing: its readers are people." : "Nothing.")),
      section(`Gives ${layer.outputs.length}`, h("p", { class: "muted" }, layer.returns), outputs(layer)),
      layer.config.length ? section(`Reads ${layer.config.length}`, config(layer)) : "",
      section("Code", h("p", { class: "muted mono" }, `${layer.path}:${layer.line}`), h("details", { id: "source" }, h("summary", {}, `${layer.source.trimEnd().split("\n").length} lines`), code(layer.source))),
    );
    place.scrollTop = 0;
  }

  /** The values again, after another bar or symbol was chosen. */
  function refresh() {
    if (!current || !values.there) return;
    place.querySelector("#values-at").textContent = values.where();
    place.querySelector("#values").replaceChildren(valueRows(current));
  }

  return { show, refresh };
};
