"""The way back from a decision: which layers it came from, and what each said at that bar.

1. The root is L5 for an order, L4 for a bar. The layers are those from which a way leads to the root within the bar.
2. Each is shown once, below the layer nearest the root that takes it, in the order in which that one names its inputs.
3. Its values are read from the run, for that symbol and bar. What a run does not record is named: book levels and order
   tables, values of an epoch, layers whose results are not in this folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from drivers.diagrams.meaning import Leaf, Meaning, meanings
from drivers.diagrams.model import Layer, Model, read_model
from drivers.diagrams.selection import Selection
from drivers.diagrams.values import columns_at
from drivers.explain.target import ExplainError, Target
from drivers.project.locate import Project, with_layers
from drivers.store.kept import instead
from drivers.store.reader import RecordedRun
from drivers.text.times import stamp


@dataclass(frozen=True)
class Value:
    """One value of a layer. text: as people read it; known: False for NaN."""

    field: str
    value: Any  # a number; of codes, the name or the list of names
    text: str
    about: str = ""
    known: bool = True


@dataclass
class Step:
    """One layer on the way back. entries: of a log, one list of values for each of its entries at that bar."""

    layer: Layer
    depth: int
    values: list[Value] = field(default_factory=list)
    entries: list[list[Value]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # what is not recorded, in words
    below: list[str] = field(default_factory=list)  # layers that are shown below this one
    elsewhere: list[str] = field(default_factory=list)  # layers it takes that are shown at another place


@dataclass(frozen=True)
class Explanation:
    """A target and its way back; steps by node name, the root first."""

    target: Target
    model: Model
    steps: dict[str, Step]

    @property
    def root(self) -> str:
        """The layer at which the way begins."""
        return next(iter(self.steps))

    def to(self, up: int | None) -> Explanation:
        """The same, at most `up` steps back; None: all."""
        if up is None:
            return self
        near = {name: step for name, step in self.steps.items() if step.depth <= up}
        last = {n: replace(s, below=[], elsewhere=[]) if s.depth == up else s for n, s in near.items()}
        return replace(self, steps=last)

    def on_the_way(self, layer: str) -> bool:
        """Whether a layer is on the way, and the run recorded values of it."""
        return layer in self.steps and bool(self.steps[layer].values)

    def named(self, layer: str, field: str) -> list[str]:
        """The names in a mask that a layer gave; none where it is not recorded."""
        value = found(self, layer).get(field)
        return list(value.value) if value is not None and isinstance(value.value, list) else []

    def selection(self) -> Selection:
        """The same layers for a picture."""
        shown = frozenset(self.steps)
        edges = tuple(e for e in self.model.edges if e.kind == "now" and e.source in shown and e.target in shown)
        return Selection(f"{self.target.name}, and what it came from", shown, frozenset(), frozenset({self.root}), edges)


def explain(run: RecordedRun, target: Target, *, project: Project | None = None) -> Explanation:
    """The way back from a target to the market data.

    Raises ExplainError where the run recorded no layer at all.
    """
    if not run.domains() and not run.decided():
        raise ExplainError(f"{run.folder.name} records no layer's values; make the run again with --features decisions or all")
    used = run.project if project is None else with_layers(run.project, project)
    model = read_model(used)
    root = target.root
    if root not in model.layers:
        raise ExplainError(f"{root} is not among the layers that {run.folder.name} ran")
    said = meanings(used)
    steps = {root: Step(model.layers[root], 0)}
    queue = [root]
    if run.kept != "all" and not _kept_at(run, target):
        steps[root].missing.append(f"{target.symbol} at {stamp(target.time)}: {instead(run.kept)}")
        return Explanation(target, model, steps)
    while queue:
        name = queue.pop(0)
        step = steps[name]
        for taken in model.layers[name].inputs:
            if taken.kind == "layer" and taken.name in steps:
                step.elsewhere.append(taken.name)
            elif taken.kind == "layer":
                steps[taken.name] = Step(model.layers[taken.name], step.depth + 1)
                step.below.append(taken.name)
                queue.append(taken.name)
            elif taken.kind == "delayed":
                step.missing.append(_delayed(model, name, taken.name))
            elif taken.kind == "missing":
                step.missing.append(f"{taken.name}: not among the layers of this run")
    for name, step in steps.items():
        _fill(run, target, step, said.get(name))
    return Explanation(target, model, steps)


def _kept_at(run: RecordedRun, target: Target) -> bool:
    """Whether a run that keeps the bars of decisions has kept this one."""
    return any(run.row(domain, [], target.symbol, target.time) is not None for domain in run.decided()[:1])


def _delayed(model: Model, target: str, name: str) -> str:
    edge = next((e for e in model.edges if e.kind == "delayed" and e.target == target and e.name == name), None)
    if edge is None:
        return f"{name}: not recorded"
    if edge.awaits:
        return f"{name}: its start value, since no {edge.source} runs yet"
    if edge.delay == "bar":
        return (
            f"{name}: what {model.layers[edge.source].id if edge.source in model.layers else edge.source} said one bar before"
        )
    return f"{name}: learned when the {edge.delay} before ended; see `stratoquant adapt show`"


def _fill(run: RecordedRun, target: Target, step: Step, meaning: Meaning | None) -> None:
    """Reads a layer's values of that symbol and bar."""
    name, domain = step.layer.name, step.layer.domain
    if meaning is None:
        step.missing.append("what its fields mean is not known to this version")
        return
    if meaning.log:
        _entries(run, target, step, meaning)
        return
    folder = "features" if run.kept == "all" else "decided"
    if f"{folder}/{domain}" not in run.tables():
        step.missing.append(f"{folder}/{domain}.parquet is not in {run.folder.name}: that domain was not run, or not recorded")
        return
    there = run.columns(f"{folder}/{domain}")
    found: dict[str, tuple[Leaf, list[str]]] = {}
    for path, leaf in meaning.leaves.items():
        if not leaf.kind.recorded:
            step.missing.append(f"{path}: shown within the bar only")
            continue
        columns = columns_at(f"{name}.{path}".rstrip("."), leaf.kind, there)
        if columns:
            found[path] = (leaf, columns)
        else:
            step.missing.append(f"{path or name}: another version made this run, without it")
    wanted = [column for _, columns in found.values() for column in columns]
    if not wanted:
        return
    row = run.row(domain, wanted, target.symbol, target.time) or {}
    for path, (leaf, columns) in found.items():
        for k, column in enumerate(columns):
            field_ = path or name
            shown = f"{field_}.{leaf.kind.part(k)}" if len(columns) > 1 else field_
            step.values.append(value_of(shown, row.get(column), leaf))


def _entries(run: RecordedRun, target: Target, step: Step, meaning: Meaning) -> None:
    """What a log holds of that symbol and bar."""
    path = run.folder / "logs" / f"{step.layer.name}.parquet"
    if not path.exists():
        step.missing.append(f"logs/{path.name} is not in {run.folder.name}")
        return
    table = pq.read_table(path)
    stamps = pc.cast(table["timestamp"], "int64")
    mine = pc.and_(pc.equal(stamps, target.time), pc.equal(table["symbol"], run.symbols.index(target.symbol)))
    for row in table.filter(mine).to_pylist():
        values = [value_of(f, row[f], leaf) for f, leaf in meaning.leaves.items() if f in row and f != "symbol"]
        step.entries.append([v if v.field not in _IDS else _id(v, target.symbol) for v in values])


_IDS = ("id", "parent", "fill_id")


def _id(value: Value, symbol: str) -> Value:
    number = int(value.value or 0)
    text = f"{symbol}-{number & 0xFFFFFFFF}" if number else "none"
    return Value(value.field, text, text, value.about, number != 0)


def value_of(name: str, value: Any, leaf: Leaf) -> Value:
    """A recorded number as people read it: codes by name, masks as lists, times in UTC, NaN as unknown."""
    codes = leaf.codes
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Value(name, None, "unknown", leaf.about, known=False)
    if codes is not None and codes.time:
        return Value(name, stamp(value) if value else None, stamp(value) if value else "none", leaf.about, bool(value))
    if codes is not None and leaf.kind.dtype == "i8":
        if codes.mask:
            names = [codes.names[bit] for bit in sorted(codes.names) if bit >= 0 and int(value) >> bit & 1]
            return Value(name, names, ", ".join(names) or "none", leaf.about)
        text = codes.names.get(int(value), str(value))
        return Value(name, text, text, leaf.about)
    if isinstance(value, float):
        return Value(name, value, f"{value + 0.0:.6g}", leaf.about)  # -0 is written as 0
    return Value(name, value, str(value), leaf.about)


def found(explanation: Explanation, layer: str) -> Mapping[str, Value]:
    """The values of one layer by field; none where it is not on the way."""
    step = explanation.steps.get(layer)
    return {} if step is None else {value.field: value for value in step.values}
