"""What a domain takes from the rest of the graph, and the same out of a finished run, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandera.errors

from dataflows.boundary import Boundary, Promise, part_of, promise_of
from dataflows.panel import Ints, is_log, walk
from drivers.engine.chunk import Chunk, empty_log
from drivers.engine.guards import Column, frame_of, place_of, report
from drivers.engine.limits import Bounded, Ruled, all_hold
from drivers.engine.promises import BoundaryError, bounds_of
from drivers.feeds.dataset import Dataset
from drivers.graph.columns import wide_columns
from drivers.graph.field_reads import Path, reads
from drivers.graph.layers import Delayed, LayerNode
from drivers.graph.wiring import Wiring
from drivers.store.learned import FILE as LEARNED
from drivers.store.learned import Relearned
from drivers.store.reader import RecordedRun

Nodes = Mapping[str, LayerNode]


_Promised = tuple[list[Column], Promise, Callable[[Mapping[str, Any]], bool]]


class Cut(NamedTuple):
    """A domain cut out of the graph, and where each of its inputs comes from.

    own: the domain's layers. beside: layers that have to run beside it, since a run does not record these of their fields.
    panels: recorded layers and which of their leaves are read. logs: input name to the layer that wrote the log; of those in
    `late` the entries of the instant before are taken. epochs: delayed values whose source learns them once an epoch.
    """

    domain: str
    own: tuple[str, ...]
    beside: dict[str, tuple[str, ...]]
    panels: dict[str, frozenset[Path]]
    logs: dict[str, str]
    late: frozenset[str]
    epochs: dict[str, str]

    @property
    def runs(self) -> tuple[str, ...]:
        """Every layer that runs."""
        return (*self.own, *self.beside)

    def account_inputs(self, nodes: Nodes) -> list[str]:
        """What it takes of the account side of the run: layers that are not run again."""
        sources = {*self.panels, *self.logs.values(), *self.epochs.values()}
        return sorted(name for name in sources if nodes[name].schedule != "columnar")


def cut_out(domain: str, nodes: Nodes, delayed: Mapping[str, Delayed]) -> Cut:
    """The cut of a domain: layers that nothing recorded can stand for run beside it."""
    own = tuple(n.name for n in nodes.values() if n.domain == domain)
    beside: dict[str, set[str]] = {}
    while True:
        running = {*own, *beside}
        found = {
            (p, ".".join(path))
            for name in running
            for p in nodes[name].params
            if p in nodes and p not in own and not is_log(nodes[p].returns)
            for path in _hidden(nodes[name], p)
        }
        for p, field in found:
            beside.setdefault(p, set()).add(field)
        if running == {*own, *beside}:
            break
    panels: dict[str, set[Path]] = {}
    logs: dict[str, str] = {}
    epochs: dict[str, str] = {}
    for name in running:
        for p in nodes[name].params:
            edge = delayed.get(p)
            if p in nodes and p not in running:
                if is_log(nodes[p].returns):
                    logs[p] = p
                else:
                    panels.setdefault(p, set()).update(reads(nodes[name], p))
            elif edge is not None and edge.source in nodes and edge.source not in running:
                (epochs if edge.delay == "epoch" else logs)[p] = edge.source
    return Cut(
        domain,
        own,
        {n.name: tuple(sorted(beside[n.name])) for n in nodes.values() if n.name in beside},
        {n.name: frozenset(panels[n.name]) for n in nodes.values() if n.name in panels},
        logs,
        frozenset(p for p in logs if p in delayed),
        epochs,
    )


def _hidden(node: LayerNode, parameter: str) -> list[Path]:
    """The leaves that a layer reads and a run does not record."""
    kinds = dict(walk(node.hints[parameter]))
    return [path for path in reads(node, parameter) if not kinds[path].recorded or "log" in kinds[path].axes]


def upstream(domain: str, nodes: Nodes, delayed: Mapping[str, Delayed]) -> set[str]:
    """The domain's layers and all that they depend on, by way of delayed edges too."""
    found: set[str] = set()
    waiting = [n.name for n in nodes.values() if n.domain == domain]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            sources = (delayed[p].source if p in delayed else p for p in nodes[name].params)
            waiting += [p for p in sources if p in nodes]
    return found


def missing(run: RecordedRun, cut: Cut, nodes: Nodes, then: Wiring) -> list[str]:
    """What the run lacks of the domain's inputs: layer, fields and why, a sentence each.

    then: the wiring that the run was made with.
    """
    found = []
    there = {domain: set(run.columns(f"features/{domain}")) for domain in run.domains()}
    for name, paths in cut.panels.items():
        columns = there.get(nodes[name].domain, set())
        lacking = sorted(".".join(path) for path in paths if not _recorded(name, path, nodes[name], columns))
        if lacking:
            fields = "" if len(lacking) == len(paths) else f" ({', '.join(lacking)})"
            found.append(f"{nodes[name].layer_id} {name}{fields}, {_why_lacking(name, nodes[name], then, columns)}")
    for p, source in cut.logs.items():
        if not (run.folder / "logs" / f"{source}.parquet").exists():
            late = f" by way of {p}" if p != source else ""
            why = "the run was made before logs were kept" if source in then.layers else "the run's wiring does not have it"
            found.append(f"{nodes[source].layer_id} {source}{late}, {why}")
    learned = set(Relearned(run.folder).names) if cut.epochs and (run.folder / LEARNED).is_file() else set()
    for p, source in cut.epochs.items():
        if p not in learned:
            found.append(
                f"{p} of {nodes[source].layer_id} {source}, the run has not kept what it learned at the end of each epoch"
            )
    return found


def _recorded(name: str, path: Path, node: LayerNode, columns: Collection[str]) -> bool:
    kind = dict(walk(node.returns))[path]
    column = ".".join((name, *path))
    return bool(wide_columns(column, kind, columns)) if len(kind.axes) == 2 else column in columns


def _why_lacking(name: str, node: LayerNode, then: Wiring, columns: Collection[str]) -> str:
    entry = then.layers.get(name)
    if entry is None:
        return "the run's wiring does not have it: the run is older than the layer"
    if not entry.enabled:
        return "it was disabled in that run"
    if not columns:
        return f"features/{node.domain}.parquet is not there"
    return "the run was made by another version of the layer"


class RecordedInputs:
    """The inputs of a cut as a run has recorded them, checked against the boundary models of the domains they come from.

    data: the market data of the run where the cut needs them, on the same bars.
    """

    def __init__(
        self,
        run: RecordedRun,
        cut: Cut,
        nodes: Nodes,
        boundaries: Mapping[str, type[Boundary]],
        *,
        data: Dataset | None = None,
        end: int | None = None,
    ) -> None:
        self.run, self.cut, self.nodes, self.boundaries, self.data = run, cut, nodes, boundaries, data
        time = run.times()
        self.time: Ints = time if end is None else time[time <= end]
        self._learned = Relearned(run.folder) if cut.epochs else None
        self._promises: dict[str, _Promised] = {}

    def spans(self, epoch_ns: int, most: int) -> Iterator[tuple[int, int]]:
        """First and end row of each chunk: within an epoch, at most so many bars."""
        epochs = (self.time - 1) // epoch_ns
        edges = [0, *(np.flatnonzero(np.diff(epochs)) + 1).tolist(), len(self.time)]
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            for a in range(first, last, most):
                yield a, min(a + most, last)

    def chunk(self, a: int, b: int) -> Chunk:
        """What the cut takes of bars a to b. Raises BoundaryError for a value outside what its domain promises."""
        time = self.time[a:b]
        bounds = {"start": int(time[0]) - 1, "end": int(time[-1])}
        inputs: dict[str, Any] = {
            name: self.run.value(self.nodes[name].domain, name, self.nodes[name].returns, paths=paths, **bounds)
            for name, paths in self.cut.panels.items()
        }
        self._check(inputs, time)
        for p, source in self.cut.logs.items():
            inputs[p], inputs[f"{p}__at"] = self._log(p, source, a, b)
        if self.data is not None:
            inputs |= self.data.inputs(self.data.rows(a, b))
        return Chunk(np.array(time), inputs)

    def teach(self, a: int, delayed: Mapping[str, Any]) -> None:
        """Puts what the run had learned before bar `a` into the delayed values that the cut takes of other domains."""
        if self._learned is not None:
            for name in self.cut.epochs:
                self._learned.apply(name, int(self.time[a]), delayed[name])

    def _log(self, p: str, source: str, a: int, b: int) -> tuple[Any, Ints]:
        annotation = self.nodes[source].returns
        if p not in self.cut.late:
            return self.run.log(source, annotation, self.time[a:b])
        if b == 1:  # before the first bar there was nothing
            return empty_log(annotation), np.zeros(2, np.int64)
        log, at = self.run.log(source, annotation, self.time[max(0, a - 1) : b - 1])
        return log, (np.concatenate([[0], at]) if a == 0 else at)

    def _check(self, inputs: Mapping[str, Any], time: Ints) -> None:
        if not self._promises:
            self._promises = dict(self._promised(inputs))
        for domain, (columns, promise, keeps) in self._promises.items():
            symbols = len(self.run.symbols)
            if keeps(inputs):
                continue
            frame = frame_of(columns, inputs, len(time), symbols)
            try:  # what is not kept, pandera itself says
                promise.schema.validate(frame, lazy=True)
            except pandera.errors.SchemaErrors as error:
                raise BoundaryError(f"{self.run.folder}: {report(error, domain, time, self.run.symbols)}") from None

    def _promised(self, inputs: Mapping[str, Any]) -> Iterator[tuple[str, _Promised]]:
        """By domain, the columns that are taken and what their model says of them."""
        for domain, model in self.boundaries.items():
            taken = {name: paths for name, paths in self.cut.panels.items() if self.nodes[name].domain == domain}
            columns = [c for name, paths in taken.items() for c in _columns(self.nodes[name], paths, inputs)]
            if columns:
                promise = promise_of(model, {c.name: c.kind for c in columns})
                known = [c for c in columns if c.name in promise.schema.columns]
                part = part_of(promise, [c.name for c in known])
                yield domain, (known, part, _checks(part, known))


def _checks(promise: Promise, columns: Sequence[Column]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether values keep the promise: what pandera would say, without the milliseconds it takes a column."""
    bounds, places = bounds_of(promise.schema), {c.name: place_of(c) for c in columns}
    within = [Bounded(places[c.name], *bounds[c.name][:2], bounds[c.name].nullable and c.kind.dtype == "f8") for c in columns]
    return all_hold(within, [Ruled(rule, tuple(places[name] for name in rule.columns)) for rule in promise.rules])


def _columns(node: LayerNode, paths: Collection[Path], inputs: Mapping[str, Any]) -> Iterator[Column]:
    for path, kind in walk(node.returns):
        if path not in paths:
            continue
        name = ".".join((node.name, *path))
        if len(kind.axes) == 2:
            leaf = inputs[node.name]
            for field in path:
                leaf = getattr(leaf, field)
            yield from (Column(f"{name}.{kind.part(k)}", node.name, path, kind, k) for k in range(leaf.shape[2]))
        else:
            yield Column(name, node.name, path, kind, -1)
