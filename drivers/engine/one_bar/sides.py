"""The columnar layers, and the post layers, over single bars: native segments, and layers in Python between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numba
import numpy as np

from dataflows.panel import Floats, Ints, fields_of, is_log, kind_of, leaves, rebuild
from dataflows.runtime.made import NotNativeError
from drivers.engine.loop.layer_types import read_of
from drivers.engine.one_bar.flat import Layout
from drivers.engine.one_bar.generate import Given, Native, Segment, compiled
from drivers.engine.one_bar.places import Frame, log_type, panel_type, state_type
from drivers.engine.plan import Plan
from drivers.graph.field_reads import Path
from drivers.graph.layers import LayerNode

nb: Any = numba  # its own annotations leave out what a compiler's user needs


class Side:
    """Layers of a plan for single bars, in graph order.

    values: of everything that they take and return, by name: the same objects at every bar, which look into the inputs, the
    carries and the flat outputs. flat: those, float64 and int64. Logs are handed in at each bar; room: entries that one may
    have. on_layer: is told of each layer that is compiled or loaded.
    """

    def __init__(
        self,
        plan: Plan,
        nodes: Sequence[LayerNode],
        values: Mapping[str, Any],
        layout: Layout,
        flat: tuple[Floats, Ints],
        room: int,
        on_layer: Callable[[str], None],
    ) -> None:
        self.plan, self.values, self.layout, self.flat, self.room = plan, values, layout, flat, room
        self.apart: dict[str, str] = {}
        """Layers that run in Python, and why."""
        self.logs: dict[str, tuple[Any, int]] = {}
        """Where the entries of a log lie, and the word of the frame that says how many there are."""
        self.parts: list[Segment | LayerNode] = []
        self._frame, self._placed = Frame(), dict[Any, Given]()
        run: list[Native] = []
        returned: dict[str, Any] = {}
        for node in nodes:
            on_layer(node.name)
            try:
                sources = [p if p in returned else self._place(node, p) for p in node.params]
                native = compiled(node, sources, returned)
            except NotNativeError as error:
                self.apart[node.name] = str(error)
                self._end(run)
                run, returned = [], {}
                self.parts.append(node)
                continue
            run.append(native)
            returned[node.name] = native.returns
        self._end(run)
        self.frame = self._frame.block

    def _end(self, run: Sequence[Native]) -> None:
        if run:
            self.parts.append(Segment(run, self.layout))

    def _place(self, node: LayerNode, p: str) -> Given:
        """Where a layer finds what it takes; it is put there once for all layers that read the same of it."""
        try:
            kind = self._type_of(node, p)
            if (p, kind) not in self._placed:
                value = self._log(p) if is_log(self.plan.hints[p]) else self.values[p]
                self._placed[p, kind] = Given(kind, self._frame.put(kind, value))
                if p in self.logs:
                    entries, _ = self.logs[p]
                    self.logs[p] = entries, self._placed[p, kind].first + entries._fields.index("n")
        except NotNativeError as error:
            raise NotNativeError(f"{p} {error}") from None
        return self._placed[p, kind]

    def _type_of(self, node: LayerNode, p: str) -> Any:
        return type_in_frame(self.plan, node, p, {x.path for x in self.layout.of(p)} if p in self.layout.paths else None)

    def _log(self, p: str) -> Any:
        """Room for the entries of a log. All columns are of one word, so that the place of `n` is its number."""
        kind = self.plan.hints[p]
        if next(iter(fields_of(kind))) != "n":
            raise NotNativeError("is a log whose first field is not n")
        made = kind(*[0 if f == "n" else np.zeros(self.room, kind_of(t).numpy) for f, t in fields_of(kind).items()])
        self.logs[p] = made, 0
        return made

    def run(self, logs: Mapping[str, Any]) -> None:
        """Runs every layer over the bar whose values are in place. logs: what lies elsewhere, by name."""
        for name, (room, word) in self.logs.items():
            n = self.frame[word] = logs[name].n
            if n:
                for column, entries in zip(room[1:], logs[name][1:], strict=True):
                    column[:n] = entries[:n]
        for part in self.parts:
            if isinstance(part, Segment):
                part.run(self.frame, *self.flat)
            else:
                self.put(part.name, part.fn(*[logs[p] if p in logs else self.values[p] for p in part.params]))

    def put(self, name: str, value: Any) -> None:
        """Copies what a layer in Python returned to its place."""
        for view, leaf in zip(leaves(self.values[name]), leaves(value), strict=True):
            if view is not None:
                if view.shape != np.shape(leaf):
                    raise ValueError(f"{name} returned an array of {np.shape(leaf)}, and of {view.shape} at the first bar")
                view[...] = leaf


def type_in_frame(plan: Plan, node: LayerNode, p: str, has: Collection[Path] | None) -> Any:
    """The type of what a layer takes, as the frame has it. has: the leaves that are there, of what a layer gave."""
    annotation = plan.hints[p]
    if p in plan.configs:
        return read_of(node, p, nb.typeof(plan.configs[p]))
    if p in plan.states:
        return state_type(annotation)
    if is_log(annotation):
        return log_type(annotation)
    return panel_type(annotation, p, has)


def like(value: Any, annotation: Any) -> Any:
    """A value of the same shapes in memory of its own, to be written anew at every bar."""
    return rebuild(annotation, (x if x is None else np.array(x, order="C") for x in leaves(value)))
