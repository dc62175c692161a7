// Where everything stands. Layers of a domain stand in columns, each to the right of all that it takes; domains stand beside and
// below each other like words on a page, in lines whose length makes the whole as large as the window lets it be.
"use strict";

sqGraph.layout = (() => {
  const NODE = { width: 164, height: 44 };
  const CARD = { width: 184, height: 62 };
  const GAP = { x: 34, y: 12, box: 30 };
  const PAD = { side: 14, top: 34, bottom: 14 };
  const SWEEPS = 8;

  /** Each item's column: one to the right of the last that it takes; one that takes nothing stands beside its first reader. */
  function ranks(ids, edges) {
    const takes = new Map(ids.map((id) => [id, []]));
    const feeds = new Map(ids.map((id) => [id, []]));
    edges.forEach(([a, b]) => {
      if (!takes.has(a) || !takes.has(b)) return;
      takes.get(b).push(a);
      feeds.get(a).push(b);
    });
    const rank = new Map();
    const under = new Set(); // an edge that closes a circle is not followed
    const visit = (id) => {
      if (rank.has(id)) return rank.get(id);
      under.add(id);
      const before = takes.get(id).filter((other) => !under.has(other)).map(visit);
      under.delete(id);
      rank.set(id, before.length ? 1 + Math.max(...before) : 0);
      return rank.get(id);
    };
    ids.forEach(visit);
    ids.filter((id) => !takes.get(id).length && feeds.get(id).length)
      .forEach((id) => rank.set(id, Math.max(0, Math.min(...feeds.get(id).map((other) => rank.get(other))) - 1)));
    return { rank, takes, feeds };
  }

  /** Columns of items, ordered so that neighbours stand side by side. */
  function columns(ids, edges) {
    const { rank, takes, feeds } = ranks(ids, edges);
    const made = [];
    ids.forEach((id) => { (made[rank.get(id)] ??= []).push(id); });
    const filled = made.filter(Boolean);
    const place = new Map();
    const number = (column) => column.forEach((id, i) => place.set(id, (i + 0.5) / column.length));
    filled.forEach(number);
    const mean = (id, of) => {
      const near = of.get(id);
      return near.length ? near.reduce((sum, other) => sum + place.get(other), 0) / near.length : place.get(id);
    };
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      const forward = sweep % 2 === 0;
      (forward ? filled : [...filled].reverse()).forEach((column) => {
        const key = new Map(column.map((id) => [id, mean(id, forward ? takes : feeds)]));
        column.sort((a, b) => key.get(a) - key.get(b));
        number(column);
      });
    }
    return filled;
  }

  /** A box whose columns hold at most `rows` items: wider where it may not be higher. */
  function boxed(group, rows) {
    if (!group.columns.length) return { group, columns: [], rows: 0, width: CARD.width, height: CARD.height };
    const cut = group.columns.flatMap((column) => {
      const parts = Math.ceil(column.length / rows);
      const each = Math.ceil(column.length / parts);
      return Array.from({ length: parts }, (_, i) => column.slice(i * each, (i + 1) * each));
    });
    const high = Math.max(...cut.map((column) => column.length));
    return {
      group,
      columns: cut,
      rows: high,
      width: 2 * PAD.side + cut.length * (NODE.width + GAP.x) - GAP.x,
      height: PAD.top + PAD.bottom + high * (NODE.height + GAP.y) - GAP.y,
    };
  }

  /** Boxes set in lines no longer than `limit`, one below another within a line where there is room. */
  function lines(boxes, limit) {
    const found = [];
    let line = null;
    boxes.forEach((box) => {
      const stack = line?.stacks.at(-1);
      if (stack && stack.height + GAP.box + box.height <= line.height && box.width <= Math.max(stack.width, limit - line.width + stack.width)) {
        stack.boxes.push(box);
        stack.height += GAP.box + box.height;
        line.width += Math.max(0, box.width - stack.width);
        stack.width = Math.max(stack.width, box.width);
        return;
      }
      if (!line || line.width + GAP.box + box.width > limit) {
        line = { stacks: [], width: -GAP.box, height: 0 };
        found.push(line);
      }
      line.stacks.push({ boxes: [box], width: box.width, height: box.height });
      line.width += GAP.box + box.width;
      line.height = Math.max(line.height, box.height);
    });
    const width = Math.max(0, ...found.map((each) => each.width));
    const height = found.reduce((sum, each) => sum + each.height + GAP.box, -GAP.box);
    return { lines: found, width, height };
  }

  /** The setting of the boxes that shows them largest in a window of this shape. */
  function best(groups, window) {
    let chosen = null;
    const most = Math.max(1, ...groups.flatMap((group) => group.columns.map((column) => column.length)));
    for (let rows = 1; rows <= most; rows += 1) {
      const boxes = groups.map((group) => boxed(group, rows));
      const total = boxes.reduce((sum, box) => sum + box.width + GAP.box, -GAP.box);
      const least = Math.max(...boxes.map((box) => box.width));
      for (let parts = 1; parts <= groups.length; parts += 1) {
        for (const slack of [1, 1.15, 1.3]) {
          const made = lines(boxes, Math.max(least, (slack * total) / parts));
          const scale = Math.min(window.width / made.width, window.height / made.height);
          if (!chosen || scale > chosen.scale * 1.001) chosen = { scale, ...made };
        }
      }
    }
    return chosen;
  }

  function put(made) {
    const nodes = new Map();
    const boxes = new Map();
    let top = 0;
    made.lines.forEach((line) => {
      const spare = line.stacks.length > 1 ? (made.width - line.width) / (line.stacks.length - 1) : 0;
      const between = GAP.box + Math.min(spare, 3 * GAP.box); // a short line is spread, as far as it stays one line
      let left = (made.width - line.width - (between - GAP.box) * (line.stacks.length - 1)) / 2;
      line.stacks.forEach((stack) => {
        const loose = stack.boxes.length > 1 ? (line.height - stack.height) / (stack.boxes.length - 1) : 0;
        let y = top + (stack.boxes.length > 1 ? 0 : (line.height - stack.height) / 2);
        stack.boxes.forEach((box) => {
          const x = left + (stack.width - box.width) / 2;
          boxes.set(box.group.name, { x, y, width: box.width, height: box.height });
          box.columns.forEach((column, i) => column.forEach((id, j) => nodes.set(id, {
            x: x + PAD.side + i * (NODE.width + GAP.x),
            y: y + PAD.top + (j + (box.rows - column.length) / 2) * (NODE.height + GAP.y),
            width: NODE.width,
            height: NODE.height,
          })));
          y += box.height + GAP.box + loose;
        });
        left += stack.width + between;
      });
      top += line.height + GAP.box;
    });
    return { nodes, boxes, width: made.width, height: made.height };
  }

  /**
   * groups: [{name, ids}], without ids a card. edges: [from, to] pairs within the bar. window: {width, height}.
   * Returns the rectangles of the nodes and of the groups' boxes, and the size of the whole.
   */
  function byDomain(groups, edges, window) {
    return put(best(groups.map((group) => ({ ...group, columns: columns(group.ids, edges) })), window));
  }

  /** A few layers as one flow without boxes, from left to right or downwards, whichever shows it larger. */
  function asFlow(ids, edges, window) {
    const made = columns(ids, edges);
    const most = Math.max(...made.map((column) => column.length));
    const flows = [true, false].map((right) => {
      const along = right ? NODE.width + 2 * GAP.x : NODE.height + 1.6 * GAP.x;
      const across = right ? NODE.height + 2 * GAP.y : NODE.width + GAP.x;
      const [length, breadth] = [made.length * along - (right ? 2 : 1.6) * GAP.x, most * across - (right ? 2 * GAP.y : GAP.x)];
      const [width, height] = right ? [length, breadth] : [breadth, length];
      return { right, along, across, width, height, scale: Math.min(window.width / width, window.height / height) };
    });
    const { right, along, across, width, height } = flows[0].scale >= flows[1].scale ? flows[0] : flows[1];
    const nodes = new Map();
    made.forEach((column, i) => column.forEach((id, j) => {
      const [far, aside] = [i * along, (j + (most - column.length) / 2) * across];
      nodes.set(id, { x: right ? far : aside, y: right ? aside : far, width: NODE.width, height: NODE.height });
    }));
    return { nodes, boxes: new Map(), width, height };
  }

  /** The path of an edge from one rectangle to another: a curve that leaves and enters at the sides that face each other. */
  function curve(a, b, { round = false } = {}) {
    const from = { x: a.x + a.width / 2, y: a.y + a.height / 2 };
    const to = { x: b.x + b.width / 2, y: b.y + b.height / 2 };
    if (round && Math.abs(to.y - from.y) < 160) { // back to what came before: below both, so that it is not taken for a step on
      const low = Math.max(a.y + a.height, b.y + b.height) + 22;
      return `M${from.x} ${a.y + a.height}C${from.x} ${low} ${to.x} ${low} ${to.x} ${b.y + b.height}`;
    }
    const right = b.x - a.x - a.width;
    const rise = Math.abs(to.y - from.y);
    if (right >= 0 && (rise < 100 || rise < right)) {
      const bend = Math.max(24, Math.min(120, right / 2));
      return `M${a.x + a.width} ${from.y}C${a.x + a.width + bend} ${from.y} ${b.x - bend} ${to.y} ${b.x} ${to.y}`;
    }
    const down = to.y >= from.y;
    const y1 = down ? a.y + a.height : a.y;
    const y2 = down ? b.y : b.y + b.height;
    const bend = Math.max(24, Math.min(160, Math.abs(y2 - y1) / 2)) * (down ? 1 : -1);
    return `M${from.x} ${y1}C${from.x} ${y1 + bend} ${to.x} ${y2 - bend} ${to.x} ${y2}`;
  }

  return { byDomain, asFlow, curve, NODE };
})();
