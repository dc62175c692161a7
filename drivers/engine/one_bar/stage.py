"""Bars one at a time: the engine's `advance` for a stream, over values that never move.

1. The bar's inputs are copied to their places.
2. The columnar layers: one native call (`sides.py`).
3. The step stage's loop, which records into the flat outputs; then the post layers, one more call.
4. Guards over the flat outputs.
5. What the epoch layers will read is kept (`kept.py`), and a copy of the flat outputs is handed on: records of it are made when
   asked for.

The bits are those of a chunk of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dataflows.data.types import OPERATOR_NONE
from dataflows.panel import is_log
from drivers.engine.chunk import Begun, Chunk, Outputs
from drivers.engine.loop.generate import BLOCKS
from drivers.engine.one_bar.flat import FlatValues, Layout, copier
from drivers.engine.one_bar.kept import KeptRows
from drivers.engine.one_bar.sides import Side, like
from drivers.engine.one_bar.steps import OneStep
from drivers.engine.shadow import SHADOW
from drivers.graph.external import EXTERNAL, STATIC

if TYPE_CHECKING:
    from drivers.engine.engine import Engine


class OneBar:
    """An engine's single bars. sample: outputs and inputs of one bar, by name: their shapes are those of every bar."""

    def __init__(self, engine: Engine, sample: Mapping[str, Any], on_layer: Callable[[str], None]) -> None:
        plan = engine.plan
        self.engine = engine
        self.nodes = [n for s in ("columnar", "step", "post") for n in (plan.steps.nodes if s == "step" else plan.stage[s])]
        self.layout = Layout({n.name: n.returns for n in self.nodes if not is_log(n.returns)}, sample)
        self.inputs = {p: like(sample[p], plan.hints[p]) for p in EXTERNAL.keys() - STATIC if _is_row(plan.hints.get(p))}
        self.unknown = {p: like(value, plan.hints[p]) for p, value in self.inputs.items() if p not in ("clock", "observations")}
        self.f8, self.i8 = self.layout.empty()
        made = {name: self.layout.record(name, self.f8, self.i8) for name in self.layout.paths}
        self.values = {**engine._fixed, **self.inputs, **made}
        room = engine.room + engine.slack * engine.dims["N"]
        self.market, self.post = (
            Side(plan, plan.stage[s], self.values, self.layout, (self.f8, self.i8), room, on_layer)
            for s in ("columnar", "post")
        )
        self.steps = OneStep(engine, tuple(self._block(block, engine.dims["N"]) for block in BLOCKS))
        self.held = {p: self.values[p] for p in plan.market if p in self.values}
        self.kept_rows = KeptRows(engine, self.layout, self.values)
        self.order = [name for name in plan.nodes if plan.nodes[name].schedule != "epoch"]
        self._copy_f8, self._copy_i8 = copier("f8"), copier("i8")
        self._given: set[str] = set()
        self._hold: Callable[[Any, Any], bool] | None = None

    def _block(self, block: str, symbols: int) -> Any:
        """Where the step stage records leaves of one kind: a part of the flat outputs, since they are neighbours there."""
        own = [self.layout.leaves[r.node, r.path] for r in self.engine.plan.steps.recorded if r.block == block]
        flat: Any = self.f8 if block.endswith("f8") else self.i8
        shape = (len(own), 1, symbols) if block.startswith("panel") else (len(own), 1)
        if not own:
            return np.empty(shape, flat.dtype)
        made = flat[own[0].start : own[-1].stop].reshape(shape)
        if [leaf.start for leaf in own] != [own[0].start + i * made[0].size for i in range(len(own))]:
            raise RuntimeError(f"the leaves of {block} are no neighbours")
        return made

    def fits(self, chunk: Chunk) -> bool:
        """Whether a chunk is a single bar with inputs of the known shapes."""
        seen = chunk.inputs.get("observations")
        return len(chunk.time) == 1 and seen is not None and seen.bid_price.shape == self.inputs["observations"].bid_price.shape

    def advance(self, chunk: Chunk) -> Outputs:
        """`Engine.advance` over one bar, with the same outputs to the bit."""
        engine, time = self.engine, chunk.time
        engine.begin_bar(chunk)
        with engine._poisoning(int(time[0])):
            closed = engine.close_before(int(time[0]))
            if closed:
                self.kept_rows.begin()
            self._take(chunk)
            events = engine.venue_events(chunk, 1)
            self.market.run(events)
            values = {**self.values, **events}
            if engine.shadow is not None:
                for view, leaf in zip(self.inputs[SHADOW], engine.shadow.bars(Begun(time, values)), strict=True):
                    view[...] = leaf
            others, offsets = self.steps.run(values)
            values |= others
            self.post.run({**events, **others})
            self._check(time, others)
            self.kept_rows.add(self.f8, self.i8, values)
            engine.early.saw(1)
            f8, i8 = self._copy_f8(self.f8), self._copy_i8(self.i8)
            engine.last_time = int(time[0])
        engine.held = self.held
        return Outputs(time, FlatValues(self.layout, f8, i8, others, self.order), offsets, closed)

    def kept(self) -> dict[str, Any]:
        """What the market side gave at the last bar, apart from the places that the next one overwrites: for `react`, whose
        outputs and records may look into it."""
        flat = FlatValues(self.layout, self.f8.copy(), self.i8.copy(), {}, self.order)
        annotation = self.engine.plan.type_of
        return {p: flat[p] if p in flat else like(value, annotation(p)) for p, value in self.held.items()}

    def _take(self, chunk: Chunk) -> None:
        for name, own in self.inputs.items():
            if name == "clock":
                continue
            given = chunk.inputs.get(name)
            if given is not None:
                self._given.add(name)
            elif name in self._given:  # it was known at another bar
                self._given.discard(name)
                given = self.unknown[name]
            else:
                continue
            for view, leaf in zip(own, given, strict=True):
                view[...] = leaf
        clock = self.inputs.get("clock")
        if clock is None:
            return
        clock.ts[0], clock.is_bar[0] = chunk.time[0], 1
        clock.operator[0] = OPERATOR_NONE if chunk.operator is None else chunk.operator[0]
        clock.amount[0] = 0.0 if chunk.amount is None else chunk.amount[0]
        clock.symbol[0] = -1 if chunk.symbol is None else chunk.symbol[0]
        clock.subject[0] = 0 if chunk.subject is None else chunk.subject[0]

    def _check(self, time: Any, others: Mapping[str, Any]) -> None:
        guard = self.engine.guard
        if guard is None:
            return
        if self._hold is None:
            self._hold = guard.of_flat(self.layout, {**self.values, **others})
        if not self._hold(self.f8, self.i8):
            guard.check(time, {name: others.get(name, self.values.get(name)) for name in self.order})


def _is_row(annotation: Any) -> bool:
    return annotation is not None and not is_log(annotation)
