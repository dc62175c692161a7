// The graph as data: who takes whom, who lies within k steps, what lies between two layers, what a search finds.
"use strict";
window.sqGraph = {};

sqGraph.model = (data) => {
  const layers = new Map(data.layers.map((layer) => [layer.name, layer]));
  const byId = new Map(data.layers.map((layer) => [layer.id, layer]));
  const edges = data.edges.filter((edge) => layers.has(edge.source) && layers.has(edge.target));
  const now = edges.filter((edge) => !edge.delay);

  function index(among, from, to) {
    const found = new Map(data.layers.map((layer) => [layer.name, []]));
    among.forEach((edge) => found.get(edge[from]).push(edge[to]));
    return found;
  }
  const takes = index(now, "target", "source");
  const feeds = index(now, "source", "target");
  const before = index(edges, "target", "source"); // by a delayed edge too
  const after = index(edges, "source", "target");
  const beside = new Map([...before].map(([name, sources]) => [name, [...sources, ...after.get(name)]]));

  /** Names reached from `start` in at most `steps` steps, itself among them. */
  function reach(start, next, steps = Infinity) {
    const seen = new Set([start]);
    let front = [start];
    for (let step = 0; step < steps && front.length; step += 1) {
      front = [...new Set(front.flatMap((name) => next.get(name)))].filter((name) => !seen.has(name));
      front.forEach((name) => seen.add(name));
    }
    return seen;
  }

  /** A layer and all that are at most `steps` edges away: those before it ("up"), after it ("down"), or whichever way. */
  const near = (name, steps, direction) => reach(name, { up: before, down: after }[direction] ?? beside, steps);

  /** Layers on any path from one layer to another within the bar; empty where there is none. */
  function between(from, to) {
    const fed = reach(from, feeds);
    return fed.has(to) ? new Set([...reach(to, takes)].filter((name) => fed.has(name))) : new Set();
  }

  const texts = data.layers.map((layer) => ({
    layer,
    name: layer.name.toLowerCase(),
    label: layer.label.toLowerCase(),
    fields: layer.outputs.map((field) => field.name),
    keys: layer.config.map((setting) => setting.key),
    doc: layer.doc.toLowerCase(),
  }));
  const holds = (words, text) => words.every((word) => text.includes(word));

  /** The best match of a layer with a search: [rank, what matched], the lower the better; null for none. */
  function match(text, words, whole) {
    const id = text.layer.id.toLowerCase();
    if (id === whole || text.name === whole) return [0, ""];
    if (id.startsWith(whole)) return [1, ""];
    if (text.label.startsWith(whole)) return [2, ""];
    if (holds(words, `${text.name} ${text.label}`)) return [3, ""];
    const field = text.fields.find((name) => holds(words, name.toLowerCase()));
    if (field) return [4, `gives ${field}`];
    const key = text.keys.find((name) => holds(words, name.toLowerCase()));
    if (key) return [5, `reads ${key}`];
    if (holds(words, text.layer.domain)) return [6, text.layer.domain];
    if (holds(words, text.doc)) return [7, "in its description"];
    return null;
  }

  /** Layers that a text finds, best first: by id, name, field, configuration key, domain, description. */
  function find(wanted) {
    const whole = wanted.trim().toLowerCase();
    if (!whole) return [];
    const words = whole.split(/[\s.]+/).filter(Boolean);
    return texts
      .map((text) => ({ layer: text.layer, found: match(text, words, whole) }))
      .filter((hit) => hit.found)
      .sort((a, b) => a.found[0] - b.found[0] || a.layer.number - b.layer.number)
      .map((hit) => ({ layer: hit.layer, why: hit.found[1] }));
  }

  return { layers, byId, edges, near, between, find };
};
