"""`python -m benchmarks.patterns FOLDER...`: how often each pattern occurs, and what a change of its parameters does to that.

The columnar graph runs once over each folder. Then every pattern of the graph (every layer that returns a PatternSignal) runs
again by itself on what it takes, with one of its own parameters a tenth lower and a tenth higher. Prints Markdown tables;
`--into PAGE` puts them between the page's two markers.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.carry import start_state
from dataflows.config import ConfigError, model_of, resolve
from dataflows.data.types import Instruments
from dataflows.panel import Ints, leaves
from dataflows.pattern.types import PatternSignal
from drivers.engine.building import make_plan
from drivers.engine.chunk import Chunk, joined
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.dataset import open_dataset
from drivers.files.atomic import write_atomic
from drivers.graph.config_reads import reads_of
from drivers.graph.layers import SUFFIX, LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import Wiring, load
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import defaults
from drivers.validation.compare import first_unequal

SHARE: Final = 0.1
"""By how much of its value a parameter is changed; an integer by 1 at least."""
WITHIN: Final = 5
"""Bars by which an occurrence may begin sooner or later and still be the same."""
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


class Recorded(NamedTuple):
    """What the patterns take and gave over one folder."""

    name: str
    symbols: tuple[str, ...]
    depth: int
    values: dict[str, Any]  # by node, whole
    static: dict[str, Instruments]

    @property
    def valid(self) -> Ints:
        """(T, N): 1 where the bar was observed."""
        found: Ints = self.values["l0_market_feed"].quality.valid
        return found


class Change(NamedTuple):
    """One parameter of a pattern, lower or higher."""

    key: str
    default: float
    value: float
    configs: Configs


class Effect(NamedTuple):
    """What a change did: occurrences at default parameters, those of them that still begin, and occurrences after it."""

    before: int
    kept: int
    after: int

    def and_(self, other: Effect) -> Effect:
        """Of two folders together."""
        return Effect(*[a + b for a, b in zip(self, other, strict=True)])


def patterns_of(plan: Plan) -> list[LayerNode]:
    """Every layer that returns a PatternSignal, by id."""
    found = [node for node in plan.nodes.values() if node.returns is PatternSignal]
    return sorted(found, key=lambda node: int(node.layer_id[1:]))


def record(folder: Path, wiring: Wiring, configs: Configs) -> Recorded:
    """Runs the patterns and all that they take over a folder, day by day, and keeps what the patterns took and gave."""
    whole = make_plan(wiring, configs)
    patterns = patterns_of(whole)
    needed, todo = set[str](), [node.name for node in patterns]
    while todo:
        name = todo.pop()
        if name in whole.nodes and name not in needed:
            needed.add(name)
            todo += whole.nodes[name].params
    disabled = [name for name, entry in wiring.layers.items() if not entry.enabled]
    plan = Plan(layer_modules(without=disabled), configs, wiring.delayed_edges(), variant=wiring.variants, only=needed)
    data = open_dataset(folder)
    static = {"instruments": data.instruments}
    engine = Engine(plan, data.symbols, static, depth=data.depth, epoch_ns=wiring.epoch_ns)
    kept = {node.name for node in patterns} | {p for node in patterns for p in node.params if p in plan.nodes}
    parts: dict[str, list[Any]] = {name: [] for name in sorted(kept | {"l0_market_feed"})}
    for observations in data.chunks(1440):
        out = engine.advance(Chunk(observations.time, {"observations": observations}))
        for name, part in parts.items():
            part.append(out.values[name])
    values = {name: joined(part, plan.annotations[name]) for name, part in parts.items()}
    return Recorded(folder.name, tuple(data.symbols), data.depth, values, static)


def again(node: LayerNode, seen: Recorded, configs: Configs) -> PatternSignal:
    """One pattern by itself over what it took, from its start state, under these configurations."""
    taken: dict[str, Any] = {**seen.values, **configs, **seen.static}
    own = {name: value for name, value in configs.items() if name in node.params}
    dims = {"N": len(seen.symbols), "D": seen.depth}
    given = [start_state(node.hints[p], dims, own, where=p) if p == node.name + SUFFIX else taken[p] for p in node.params]
    made: PatternSignal = node.fn(*given)
    return made


def changes_of(node: LayerNode, configs: Configs, share: float = SHARE) -> Iterator[Change]:
    """Each parameter of its own domain that a pattern reads, lower and then higher; what is out of bounds is left out.

    A number that cannot be a share higher, since it lies close below its bound (a factor of 0.9995), changes by that share of
    its distance from the bound.
    """
    settings, domain = configs[node.domain], node.domain
    read = {r.key for r in reads_of(node.fn, configs) if r.domain == domain}
    for key in [k for k in settings._fields if k in read]:
        default, most = getattr(settings, key), _upper_bound(type(settings), key)
        elements = default if isinstance(default, tuple) else (default,)
        for i, x in enumerate(elements):
            step = max(1, round(share * x)) if isinstance(x, int) else share * x
            if not isinstance(x, int) and x + step > most:
                step = share * (most - x)
            for value in (x - step, x + step) if step else ():
                new = (*elements[:i], value, *elements[i + 1 :]) if isinstance(default, tuple) else value
                try:
                    changed = resolve(type(settings), {**settings._asdict(), key: new}, source=key)
                except ConfigError:
                    continue
                name = f"{key}[{i}]" if isinstance(default, tuple) else key
                yield Change(name, x, value, {**configs, domain: changed})


def _upper_bound(settings: Any, key: str) -> float:
    """The bound that a key's value must not be above; infinity where there is none."""
    bounds = [getattr(m, "le", getattr(m, "lt", None)) for m in model_of(settings).model_fields[key].metadata]
    return min((float(b) for b in bounds if b is not None), default=math.inf)


def begins(signal: PatternSignal, valid: Ints) -> list[tuple[int, int, Ints]]:
    """(symbol, side, bars on which an occurrence begins); a bar that was not observed begins none, though its age stands."""
    begun = (signal.active != 0) & (signal.age == 0.0) & (valid != 0)
    return [
        (n, side, np.flatnonzero(begun[:, n] & (signal.side[:, n] == side)))
        for n in range(begun.shape[1])
        for side in (1, -1, 0)
    ]


def kept(before: Ints, after: Ints, within: int = WITHIN) -> int:
    """How many of the sorted bars `before` have one of the sorted bars `after` at most `within` away."""
    if not len(after):
        return 0
    at = np.searchsorted(after, before)
    right = np.abs(after[np.minimum(at, len(after) - 1)] - before)
    left = np.abs(after[np.maximum(at - 1, 0)] - before)
    return int((np.minimum(left, right) <= within).sum())


def effect(before: PatternSignal, after: PatternSignal, valid: Ints, within: int = WITHIN) -> Effect:
    """Over all symbols and sides."""
    found = Effect(0, 0, 0)
    for (_, _, a), (_, _, b) in zip(begins(before, valid), begins(after, valid), strict=True):
        found = found.and_(Effect(len(a), kept(a, b, within), len(b)))
    return found


class Measured(NamedTuple):
    """One pattern over one folder."""

    counts: list[tuple[int, int, int]]  # by symbol: up, down, without a side
    active: float  # share of the observed bars
    effects: dict[tuple[str, int], tuple[Change, Effect]]  # by parameter, and -1 lower or 1 higher


def measure(node: LayerNode, seen: Recorded, configs: Configs, share: float = SHARE, within: int = WITHIN) -> Measured:
    """Occurrences at default parameters, and what each change does to them.

    Raises RuntimeError where the pattern by itself does not give what it gave in the graph: then nothing here would hold.
    """
    default = again(node, seen, configs)
    for a, b in zip(leaves(default), leaves(seen.values[node.name]), strict=True):
        if first_unequal(a, b) is not None:
            raise RuntimeError(f"{node.name} by itself differs from {node.name} in the graph over {seen.name}")
    counts = [(0, 0, 0)] * len(seen.symbols)
    for n, side, at in begins(default, seen.valid):
        up, down, none = counts[n]
        counts[n] = (up + len(at) * (side == 1), down + len(at) * (side == -1), none + len(at) * (side == 0))
    active = float(default.active[seen.valid != 0].mean())
    effects = {
        (c.key, 1 if c.value > c.default else -1): (c, effect(default, again(node, seen, c.configs), seen.valid, within))
        for c in changes_of(node, configs, share)
    }
    return Measured(counts, active, effects)


def report(folders: Sequence[Path], share: float = SHARE, within: int = WITHIN) -> str:
    """All tables, as Markdown."""
    project = defaults()
    wiring, configs = load(project.wiring), load_configs(project)
    patterns = patterns_of(make_plan(wiring, configs))
    pooled: dict[tuple[str, str, int], tuple[Change, Effect]] = {}
    text: list[str] = []
    for folder in folders:
        seen = record(folder, wiring, configs)
        found = {node.name: measure(node, seen, configs, share, within) for node in patterns}
        text += [*_occurrences(seen, patterns, found), ""]
        for name, measured in found.items():
            for (key, sign), (change, e) in measured.effects.items():
                known = pooled.get((name, key, sign))
                pooled[name, key, sign] = (change, e if known is None else known[1].and_(e))
    return "\n".join([*text, *_parameters(patterns, pooled, len(folders))])


def _title(node: LayerNode) -> str:
    """`L29 flag continuation`."""
    return f"{node.layer_id} {node.name.partition('_')[2].replace('_', ' ')}"


def _count(up: int, down: int, none: int) -> str:
    return str(none) if none and not (up or down) else f"{up} / {down}" + (f" / {none}" if none else "")


def _percent(part: float, whole: float) -> str:
    return f"{100.0 * part / whole:.0f} %" if whole else ""


def _occurrences(seen: Recorded, patterns: Iterable[LayerNode], found: Mapping[str, Measured]) -> Iterator[str]:
    observed = int(seen.valid.sum(axis=0).max())
    yield f"### `{seen.name}`: {observed:,} observed bars a symbol"
    yield ""
    yield f"| pattern | {' | '.join(seen.symbols)} | active | fewest survive | when |"
    yield "|---|" + "--:|" * (len(seen.symbols) + 2) + "---|"
    for node in patterns:
        m = found[node.name]
        worst, when = "", ""
        total = sum(map(sum, m.counts))
        if m.effects and total:
            change, e = min(m.effects.values(), key=lambda x: x[1].kept)
            worst, when = _percent(e.kept, e.before), f"`{change.key}` {change.value:g}" if e.kept < e.before else ""
        cells = " | ".join(_count(*c) for c in m.counts)
        yield f"| {_title(node)} | {cells} | {100.0 * m.active:.1f} % | {worst} | {when} |"


def _parameters(
    patterns: Iterable[LayerNode], pooled: Mapping[tuple[str, str, int], tuple[Change, Effect]], folders: int
) -> Iterator[str]:
    yield f"### Parameter by parameter, {'the folders' if folders > 1 else 'the folder'} together"
    yield ""
    yield "| pattern | parameter | default | lower | survive | occurrences | higher | survive | occurrences |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for node in patterns:
        for key in dict.fromkeys(key for name, key, _ in pooled if name == node.name):
            both = [pooled.get((node.name, key, sign)) for sign in (-1, 1)]
            default = next(x[0].default for x in both if x is not None)
            cells = [_cell(x) for x in both]
            yield f"| {_title(node)} | `{key}` | {default:g} | {cells[0]} | {cells[1]} |"


def _cell(found: tuple[Change, Effect] | None) -> str:
    if found is None:
        return " |  | "
    change, e = found
    more = _percent(e.after, e.before)
    return f"{change.value:g} | {_percent(e.kept, e.before)} | {more}"


def put_into(page: Path, tables: str) -> None:
    """Puts the tables between the page's markers. Raises ValueError naming the page where they are not there."""
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}; put them where the tables go.")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    write_atomic(page, f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patterns", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="market-data folders")
    parser.add_argument("--into", type=Path, help="the page whose tables are to be replaced; without it they are printed")
    parser.add_argument("--share", type=float, default=SHARE, help="change of a parameter as a share of it")
    parser.add_argument("--within", type=int, default=WITHIN, help="bars by which a begin may move")
    asked = parser.parse_args(arguments)
    tables = report(asked.folders, asked.share, asked.within)
    if asked.into is None:
        print(tables)
    else:
        put_into(asked.into, tables)
        print(f"{asked.into} has the new tables.", file=sys.stderr)


if __name__ == "__main__":
    main()
