"""The engine: runs a plan over chunks of bars, holds all state, closes epochs. No I/O.

`advance(chunk)` runs bars:

1. Refuse a chunk that goes back in time or straddles an epoch boundary. Where it opens a new epoch, close the last: run the
   epoch layers on what the epoch recorded and put their results into the delayed values.
2. Columnar layers, over the whole chunk: in graph order, or side by side (see `together`).
3. The step stage: one compiled loop over the chunk's instants. It returns early where a log is full and is called again.
4. Post layers, over the whole chunk, with what the steps produced.
5. Guards: every output within its boundary model.

`react(instant)` runs what comes between two bars (a fill, an operator command): 3 to 5 over one instant, beside what the market
side gave at the last bar. The records of the epoch hold both.

An error between 1 and 5 poisons the engine: carries have moved, and a retry would run a step twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numba
import numpy as np

from dataflows.carry import Axes, start_state
from dataflows.data.types import Clock
from dataflows.panel import Floats, Ints, fields_of, is_log, is_record, kind_of, leaves
from dataflows.runtime.scratch import open_block
from drivers.engine.arena import Arena
from drivers.engine.chunk import Begun, Chunk, Instant, Outputs, blank_value, empty_log, joined, last_row, narrowed
from drivers.engine.early import EarlyBars
from drivers.engine.loop.address import WHERE_COLUMNS
from drivers.engine.loop.generate import FIRST, STEP_LOOP
from drivers.engine.one_bar.flat import Layout
from drivers.engine.one_bar.stage import OneBar
from drivers.engine.parallel import run_layers
from drivers.engine.plan import Plan
from drivers.engine.shadow import SHADOW, Shadow
from drivers.graph.external import UNKNOWN_UNLESS_GIVEN
from drivers.graph.layers import LayerNode
from drivers.text.times import stamp

nb: Any = numba  # its own annotations leave out what a compiler's user needs

DAY_NS: Final = 86_400_000_000_000


class EngineError(RuntimeError):
    """The engine cannot take this chunk, or any more."""


class Guard(Protocol):
    """Checks outputs against the boundary models."""

    def within(self, values: Mapping[str, Any]) -> bool:
        """Whether the layers of `Engine.free` keep what their domains promise; False also where that is not known yet."""

    def check(self, time: Ints, values: Mapping[str, Any], *, within: bool = False) -> None:
        """Raises when a value is outside what its domain promises. within: what `within` has said of these bars."""

    def of_flat(self, layout: Layout, values: Mapping[str, Any]) -> Callable[[Floats, Ints], bool]:
        """A function of the flat outputs of a bar that says whether `check` would accept it. values: those of one bar."""

    def prepare_epoch(self, values: Mapping[str, Any]) -> None:
        """Does beforehand what `check_epoch` does once."""

    def check_epoch(self, time: int, values: Mapping[str, Any]) -> None:
        """The same of what the epoch layers returned. time: UTC ns of the epoch's last bar."""


class Engine:
    """One run of a plan over a fixed list of symbols.

    plan: what to run. symbols: names of the columns, sorted. depth: book levels of the observations. static: values without
    a time axis by name (`instruments`). compiled: False runs the step loop as plain Python, its reference. guard: checks
    every chunk.
    """

    def __init__(
        self,
        plan: Plan,
        symbols: Sequence[str],
        static: Mapping[str, Any],
        *,
        depth: int = 1,
        compiled: bool = True,
        guard: Guard | None = None,
        epoch_ns: int = DAY_NS,
    ) -> None:
        self.plan, self.symbols, self.static, self.guard = plan, tuple(symbols), dict(static), guard
        self.compiled, self.epoch_ns = compiled, epoch_ns
        slots = int(getattr(plan.configs.get("execution"), "slots", 8))
        self.dims = {"N": len(self.symbols), "D": depth, "table": slots}
        self.room = 8 * (slots + 1) * len(self.symbols)
        self.slack = 1  # entries a bar and symbol that a log is first given room for
        self.arena = Arena({name: self._start(name) for name in plan.states})
        self._loop, self._addresses = plan.steps.interpreted()
        self._where = self._layout()
        self.flatten, self._box = plan.steps.flattener(), plan.steps.boxer()
        self._layers_checked = not compiled
        self._held_names = plan.market
        self._fixed: dict[str, Any] = {**plan.configs, **self.static, **self.arena.values}
        self.epoch = -1
        self.last_time = self._begun_time = 0  # of the chunk that was completed, and begun, last
        self.records: dict[str, list[Any]] = {p: [] for p in plan.epoch_needs}
        self.early = EarlyBars(self)
        self._held: dict[str, Any] = {}
        self._last: tuple[dict[str, Any], int] | None = None  # what `held` is made of when somebody asks, and its bars
        self._poisoned_at: int | None = None
        self.shadow: Shadow | None = None  # the account that no policy touches, where one is kept beside this
        self.one_bar: OneBar | None = None  # the native form of single bars, where one was made
        self.on_layer: Callable[[str], None] = lambda name: None
        self.threads: int | None = None  # that columnar layers may take; None: one a core

    # ---- state

    @property
    def held(self) -> dict[str, Any]:
        """The market side at the last bar, one row each: what `react` runs beside. It is cut when somebody asks for it."""
        if self._last is not None:
            values, bars = self._last
            self.held = {p: last_row(value, self.plan.type_of(p), bars) for p, value in values.items()}
        return self._held

    @held.setter
    def held(self, rows: dict[str, Any]) -> None:
        self._held, self._last = rows, None

    def _start(self, name: str) -> Any:
        annotation = self.plan.hints[name]
        if is_log(annotation):
            parts = [np.zeros(1 if f == "n" else self.room, kind_of(t).numpy) for f, t in fields_of(annotation).items()]
            return annotation(*parts)
        owner = self.plan.owner(name)
        configs = {k: v for k, v in self.plan.configs.items() if owner is None or k in owner.params}
        return start_state(annotation, self.dims, configs, where=name)

    def _layout(self) -> Ints:
        slots = [slot for name in self.plan.steps.states for slot in self.arena.slots[name]]
        where = np.zeros((max(1, len(slots)), WHERE_COLUMNS), np.int64)
        for i, slot in enumerate(slots):
            where[i, :2] = slot.start, slot.stop
            where[i, 2 : 2 + len(slot.shape)] = slot.shape
            where[i, -1] = len(slot.shape)
        return where

    # ---- running

    def advance(self, chunk: Chunk) -> Outputs:
        """Runs the whole plan over a chunk of bars that lies within one epoch and later than all before.

        Raises EngineError for a chunk that does not, and for any chunk after an error in the middle of one.
        """
        if self.one_bar is not None and self.one_bar.fits(chunk):
            return self.one_bar.advance(chunk)
        begun = self.begin(chunk)
        return self.complete(begun, within=self.run_market(begun))

    # A chunk in three parts, for who runs the second beside the third of the chunk before (drivers/engine/pipeline.py)

    def begin(self, chunk: Chunk) -> Begun:
        """Refuses a chunk that may not come next."""
        self.begin_bar(chunk)
        return Begun(chunk.time, self._inputs(chunk, np.ones(len(chunk.time), np.int64)))

    def begun_as_one(self, chunk: Chunk, parts: Sequence[Begun]) -> Begun:
        """Bars of several epochs, for `run_market` alone. parts: those of each epoch, begun."""
        return parts[0] if len(parts) == 1 else Begun(chunk.time, self._inputs(chunk, np.ones(len(chunk.time), np.int64)))

    def begin_bar(self, chunk: Chunk) -> None:
        """The same for a chunk whose values lie elsewhere (drivers/engine/one_bar)."""
        self._refuse(chunk)
        self._begun_time = int(chunk.time[-1])

    def own(self, begun: Begun) -> Begun:
        """A chunk that another engine has begun, with the memory of this one."""
        return begun._replace(values={**begun.values, **self._fixed})

    def run_market(self, begun: Begun) -> bool:
        """The columnar layers of a chunk that need nothing of what the epoch before it has learned. Returns whether the guard
        has found them within their bounds."""
        self._columnar(self.free, begun)
        return self.guard is not None and self.guard.within(begun.values)

    def complete(self, begun: Begun, *, within: bool = False) -> Outputs:
        """Closes the epoch before the chunk, where that is due; then the other columnar layers, steps, post layers, guards.
        within: what `run_market` has returned for these bars."""
        time, values = begun
        with self._poisoning(int(time[-1])):
            closed = self.close_before(int(time[0]))
        if self._learning:
            self._columnar(self._learning, begun)
        if self.shadow is not None:
            with self._poisoning(int(time[-1])):
                values[SHADOW] = self.shadow.bars(begun)
        produced, offsets = self._account_side(time, values, within=within)
        self._last = {p: values[p] for p in self._held_names if p in values}, len(time)
        return Outputs(time, produced, offsets, closed)

    def close_before(self, time: int) -> dict[str, Any]:
        """Closes the epoch before a bar where that begins another; returns what its layers gave."""
        epoch = (time - 1) // self.epoch_ns
        if epoch == self.epoch:
            return {}
        closed = self._close_epoch()
        self.epoch = epoch
        return closed

    def _columnar(self, nodes: Sequence[LayerNode], begun: Begun) -> None:
        with self._poisoning(int(begun.time[-1])):
            run_layers(nodes, begun.values, len(begun.time) * self.dims["N"], self.on_layer, self.threads)

    @property
    def free(self) -> list[LayerNode]:
        """The columnar layers that are not behind what an epoch has learned."""
        behind = self.plan.behind_epochs
        return [node for node in self.plan.stage["columnar"] if node.name not in behind]

    @property
    def _learning(self) -> list[LayerNode]:
        behind = self.plan.behind_epochs
        return [node for node in self.plan.stage["columnar"] if node.name in behind]

    def react(self, instant: Instant) -> Outputs:
        """Runs the step and post layers at an instant between two bars, beside the market side of the last bar.

        `clock.is_bar` is 0: the operator's word and the venue's reports act at once, what is measured per bar does not move.
        An instant after the last bar of an epoch is in the records of that epoch until the first bar of the next closes it.
        Raises EngineError before the first bar and for an instant before the last.
        """
        self._refuse_poisoned()
        if not self.held:
            raise EngineError("react: no bar has been seen yet; advance over at least one first")
        if instant.ts < self.last_time:
            raise EngineError(f"react: {stamp(instant.ts)} is before the last instant {stamp(self.last_time)}")
        if self.one_bar is not None and self.held is self.one_bar.held:
            self.held = self.one_bar.kept()
        taken = instant._replace(inputs={**self.held, **instant.inputs}).chunk()
        at = taken.time
        values = self._inputs(taken, np.zeros(1, np.int64))
        if self.shadow is not None:
            with self._poisoning(instant.ts):
                values[SHADOW] = self.shadow.between(instant)
        produced, offsets = self._account_side(at, values)
        own = {node.name for node in (*self.plan.stage["step"], *self.plan.stage["post"])}
        return Outputs(at, {name: value for name, value in produced.items() if name in own}, offsets, {})

    def _account_side(
        self, time: Ints, values: dict[str, Any], *, within: bool = False
    ) -> tuple[dict[str, Any], dict[str, Ints]]:
        """Steps, post layers, guards and the epoch's records: the second half of `advance`, and all of `react`."""
        with self._poisoning(int(time[-1])):
            offsets = self._run_steps(values, len(time)) if self.plan.stage["step"] else {}
            for node in self.plan.stage["post"]:
                self.on_layer(node.name)
                values[node.name] = node.fn(*[values[p] for p in node.params])
            produced = {name: values[name] for name in self.plan.nodes if name in values}
            if self.guard is not None:
                self.guard.check(time, produced, within=within)
            self.settle()
            for p, paths in self.plan.epoch_needs.items():
                self.records[p].append(narrowed(values[p], self.plan.type_of(p), paths))
            self.early.saw(int(np.count_nonzero(values["clock"].is_bar)))
            self.last_time = int(time[-1])
        return produced, offsets

    @contextmanager
    def _poisoning(self, time: int) -> Iterator[None]:
        """Whatever is raised in here leaves the engine's memory half moved."""
        try:
            yield
        except BaseException:
            self._poisoned_at = time
            raise

    def _refuse_poisoned(self) -> None:
        if self._poisoned_at is not None:
            raise EngineError(
                f"the engine stopped at an error in the chunk that ends {stamp(self._poisoned_at)}, with part of it run; "
                "restore it from a checkpoint"
            )

    def _refuse(self, chunk: Chunk) -> None:
        time = chunk.time
        self._refuse_poisoned()
        if len(time) == 0:
            raise EngineError("the chunk is empty; a chunk has at least one bar")
        last_time = max(self.last_time, self._begun_time)
        if time[0] <= last_time or (time[1:] <= time[:-1]).any():
            earlier = np.concatenate([[last_time], time[:-1]])
            at = int(np.flatnonzero(time <= earlier)[0])
            raise EngineError(f"bar {stamp(time[at])} is not later than {stamp(earlier[at])}; time must move on")
        first, last = int((time[0] - 1) // self.epoch_ns), int((time[-1] - 1) // self.epoch_ns)
        if first != last:
            raise EngineError(f"the chunk {stamp(time[0])} to {stamp(time[-1])} straddles an epoch boundary; cut it there")

    def _inputs(self, chunk: Chunk, is_bar: Ints) -> dict[str, Any]:
        bars = len(chunk.time)
        operator = np.zeros(bars, np.int64) if chunk.operator is None else chunk.operator
        amount = np.zeros(bars) if chunk.amount is None else chunk.amount
        symbol = np.full(bars, -1, np.int64) if chunk.symbol is None else chunk.symbol
        subject = np.zeros(bars, np.int64) if chunk.subject is None else chunk.subject
        clock = Clock(chunk.time, is_bar, operator, amount, symbol, subject)
        values = {**self._fixed, **chunk.inputs, "clock": clock}
        for name in UNKNOWN_UNLESS_GIVEN:
            if name in self.plan.hints and name not in values:
                values[name] = blank_value(self.plan.hints[name], bars, self.dims, chunk.time)
        return values | self.venue_events(chunk, bars)

    def venue_events(self, chunk: Chunk, bars: int) -> dict[str, Any]:
        """The venue's reports in a chunk, and where those of each bar begin, by the names under which the loop takes them."""
        if "venue_events" not in self.plan.hints:
            return {}
        events = chunk.events if chunk.events is not None else self._no_events()
        return {"venue_events": events, "venue_events__at": self._events_at(chunk, bars, events.n)}

    @staticmethod
    def _events_at(chunk: Chunk, bars: int, n: int) -> Ints:
        if chunk.events_at is not None:
            return chunk.events_at
        at = np.zeros(bars + 1, np.int64)
        at[1:] = n  # all at the first instant
        return at

    def _no_events(self) -> Any:
        return empty_log(self.plan.hints["venue_events"])

    # ---- the step stage

    def _run_steps(self, values: dict[str, Any], bars: int) -> dict[str, Ints]:
        stage, n = self.plan.steps, self.dims["N"]
        rows = stage.block_rows
        blocks = (
            np.empty((rows["panel_f8"], bars, n)),
            np.empty((rows["panel_i8"], bars, n), np.int64),
            np.empty((rows["series_f8"], bars)),
            np.empty((rows["series_i8"], bars), np.int64),
        )
        panels = self.flatten(values)
        for i in stage.panel_positions:  # the loop reads rows unchecked
            if len(panels[i]) != bars:
                raise EngineError(f"{stage.arguments[FIRST + i]} has {len(panels[i])} bars, the chunk {bars}")
        given = (*panels, *blocks)
        t, parts = 0, []
        while t < bars:
            logs = self.empty_logs(bars, t)
            flat = [x for log in logs for x in log]
            done = self.run_loop(t, bars, (*given, *flat))
            parts.append((t, done, logs))
            t = done
        values.update(self._box(*blocks))
        return self._collect(values, parts, bars)

    def run_loop(self, t: int, end: int, arguments: tuple[Any, ...]) -> int:
        """Calls the loop over instants t to `end`; returns the instant at which it stopped. arguments: those that depend on the
        graph."""
        if not self._layers_checked:
            self._loop, self._addresses = self.plan.steps.compiled(arguments, self.on_layer)
            self._layers_checked = True
        first = (t, end, self.room, self._addresses, self.arena.f8, self.arena.i8, self._where)
        with open_block():
            return int(self._loop(*first, *arguments))

    def empty_logs(self, bars: int, t: int = 0) -> list[tuple[Ints, Floats, Ints]]:
        """Room for what the instants from t on log: offsets, float64 and int64 columns of each log."""
        capacity = self.room + self.slack * (bars - t) * self.dims["N"]
        return [
            (np.zeros(bars + 1, np.int64), np.empty((len(c["f8"]), capacity)), np.empty((len(c["i8"]), capacity), np.int64))
            for c in self.plan.steps.log_columns.values()
        ]

    def _collect(self, values: dict[str, Any], parts: list[tuple[int, int, Any]], bars: int) -> dict[str, Ints]:
        """The logs of all calls of the loop as one, with one row of offsets each."""
        offsets: dict[str, Ints] = {}
        for i, node in enumerate(self.plan.steps.logs):
            columns = self.plan.steps.log_columns[node.name]
            at = np.zeros(bars + 1, np.int64)
            for a, b, logs in parts:
                at[a + 1 : b + 1] = at[a] + logs[i][0][a + 1 : b + 1]
            found = {"n": int(at[-1])}
            for block, dtype in ((1, "f8"), (2, "i8")):
                whole = [logs[i][block][:, : logs[i][0][b]] for _, b, logs in parts]
                found |= dict(zip(columns[dtype], np.concatenate(whole, axis=1), strict=True))
            values[node.name] = node.returns(**found)
            offsets[node.name] = at
        return offsets

    # ---- epochs

    def end_epoch(self) -> dict[str, Any]:
        """Closes the epoch now, as the first bar of the next would: what its layers gave, nothing where it has no instant.

        For who decides between two epochs. Instants that follow count to the next.
        """
        self._refuse_poisoned()
        with self._poisoning(self.last_time):
            return self._close_epoch()

    def take_delayed(self, name: str, value: Any) -> None:
        """What comes round under `name` from the next bar on, in place of what its layer said.

        Raises EngineError where it moves and the plan relies on it to hold (`Plan.held`).
        """
        for view, leaf in zip(leaves(self.arena.values[name]), leaves(value), strict=True):
            if name in self.plan.held and view.tobytes() != np.asarray(leaf, view.dtype).tobytes():
                raise EngineError(
                    f"{name} moved, but {'.'.join(self.plan.delayed[name].when or ())} is 0, and so it has to hold"
                )
            view[...] = leaf

    def settle(self) -> None:
        """Puts what single bars have kept of this epoch among `records`."""
        if self.one_bar is not None:
            self.one_bar.kept_rows.settle()

    def _close_epoch(self) -> dict[str, Any]:
        self.settle()
        if not self.plan.stage["epoch"] or not any(self.records.values()):
            return {}
        values = dict(self._fixed)
        for p, parts in self.records.items():
            values[p] = joined(parts, self.plan.type_of(p))
        made: dict[str, Any] = {}
        for node in self.plan.stage["epoch"]:
            made[node.name] = values[node.name] = node.fn(*[values[p] for p in node.params])
        if self.guard is not None:
            self.guard.check_epoch(self.last_time, made)
        for name, edge in self.plan.delayed.items():
            if edge.delay == "epoch" and edge.source in made:
                self.take_delayed(name, getattr(made[edge.source], edge.field) if edge.field else made[edge.source])
        if self.shadow is not None:
            self.shadow.learn(self.arena.values)
        self.begin_records({p: [] for p in self.plan.epoch_needs})
        return made

    def begin_records(self, records: dict[str, list[Any]]) -> None:
        """Goes on with these records of an epoch, of which the memory knows: none, or those of a checkpoint."""
        self.records = records
        self.early.begin()

    def epoch_start(self, node: LayerNode) -> Any:
        """A value of the shape of what an epoch layer returns."""
        configs = {name: config for name, config in self.plan.configs.items() if name in node.params}
        return _epoch_start(node.returns, self.dims, configs, node.name)

    def blank(self, bars: int = 2) -> Chunk:
        """A chunk in which nothing is known: compiles every layer without any market data (see `warm_up`)."""
        time = -(-20_000 * DAY_NS // self.epoch_ns) * self.epoch_ns + np.arange(1, bars + 1, dtype=np.int64)
        inputs: dict[str, Any] = {}
        for p, annotation in self.plan.hints.items():
            if p in self.plan.nodes or p in self._fixed or p in ("clock", "venue_events"):
                continue
            inputs[p] = blank_value(annotation, bars, self.dims, time)
        return Chunk(time, inputs)

    def warm_up(self, on_layer: Callable[[str], None] = lambda name: None, *, loading: bool = False) -> None:
        """Compiles, or loads from the cache, all that `advance` calls, by running a scratch engine over two unknown bars.

        loading: all has been compiled before, so that nobody else is compiling.
        """
        scratch = self._scratch(on_layer)
        scratch.guard = self.guard
        if self.compiled and self.plan.stage["step"] and not loading:
            # the account side first: another process may be compiling the market side meanwhile
            scratch.warm_up_steps()
            told = {*self.plan.steps.own, STEP_LOOP}
            scratch = self._scratch(lambda name: None if name in told else on_layer(name))
            scratch.guard = self.guard
        scratch.refuse_views(scratch.advance(scratch.blank()))
        for node in self.plan.stage["epoch"]:
            on_layer(node.name)
        with np.errstate(all="ignore"):  # a blank is NaN where a layer promises a number
            scratch.guard = None
            scratch._close_epoch()

    def warm_up_single_bars(self, on_layer: Callable[[str], None] = lambda name: None) -> None:
        """Compiles, or loads, the native form of single bars (drivers/engine/one_bar); from here on `advance` uses it for them.

        Call `warm_up` first.
        """
        if not self.compiled or nb.config.DISABLE_JIT:
            return
        scratch, blank = self._scratch(lambda name: None), self.blank(1)
        sample = {**scratch._inputs(blank, np.ones(1, np.int64)), **scratch.advance(blank).values}
        self.one_bar = OneBar(self, sample, on_layer)
        if self.guard is not None:
            self.guard.prepare_epoch({node.name: self.epoch_start(node) for node in self.plan.stage["epoch"]})

    def refuse_views(self, outputs: Outputs) -> None:
        """Raises EngineError for a columnar or post layer that gives arrays of its carry: the next chunk would change them, and
        compiled code counts no references to what it is lent."""
        for node in (*self.plan.stage["columnar"], *self.plan.stage["post"]):
            for leaf in leaves(outputs.values[node.name]):
                if any(np.may_share_memory(leaf, block) for block in (self.arena.f8, self.arena.i8)):
                    raise EngineError(f"{node.layer_id} {node.name} gives an array of its carry; give a copy of it (`.copy()`)")

    def bars_within(self, size: int) -> int:
        """How many bars' inputs and outputs fit into so many bytes, about; at least 1."""
        return max(1, size // (8 * self.plan.width(self.dims)))

    def warm_up_steps(self) -> None:
        """Compiles the step stage, and nothing else, by running it over two blank bars: not for an engine that is to run."""
        chunk = self.blank()
        values = self._inputs(chunk, np.ones(2, np.int64))
        for node in self.plan.stage["columnar"]:
            values[node.name] = blank_value(node.returns, 2, {**self.dims, "K": 1}, chunk.time)
        self._run_steps(values, 2)

    def warm_up_columnar(self, on_layer: Callable[[str], None]) -> None:
        """Compiles what the columnar layers call, and nothing else."""
        chunk = self.blank()
        values = self._inputs(chunk, np.ones(2, np.int64))
        for node in self.plan.stage["columnar"]:
            on_layer(node.name)
            values[node.name] = node.fn(*[values[p] for p in node.params])

    def parts(self, on_layer: Callable[[str], None] = lambda name: None) -> dict[str, Callable[[], object]]:
        """What can be compiled apart and in any order, by name: every layer and the step loop, of a scratch engine.

        on_layer: is told the layer that a call is at, where it needs others first.
        """
        calls: dict[str, Callable[[], object]] = {node.name: load for node, load in self._scratch(on_layer).load_each()}
        if self.plan.stage["step"]:
            calls[STEP_LOOP] = self._scratch(lambda name: None).warm_up_steps
        return calls

    def load_each(self) -> Iterator[tuple[LayerNode, Callable[[], object]]]:
        """Every layer, with a call that loads or compiles what it consists of, and of the layers before it only those that say
        how wide its stacks are. The calls may be made in any order.

        They move the layers' memory over two unknown bars: not for an engine that is to run.
        """
        chunk = self.blank()
        values = self._inputs(chunk, np.ones(2, np.int64))
        for node in self.plan.nodes.values():
            kept = node.schedule == "step"  # of what a step says, only what is recorded outlives its instant
            values[node.name] = (
                self.epoch_start(node)
                if node.schedule == "epoch"
                else empty_log(node.returns)
                if is_log(node.returns)
                else blank_value(node.returns, 2, {**self.dims, "K": 1}, chunk.time, recorded_only=kept)
            )
        done: set[str] = set()

        def load(node: LayerNode) -> None:
            """Runs a layer over blank inputs. Those after it get what it returns: a blank does not know how wide stacks are."""
            for p in node.params:
                if p in wide and p not in done:
                    self.on_layer(p)
                    load(self.plan.nodes[p])
                    self.on_layer(node.name)
            with np.errstate(all="ignore"):  # a blank is NaN where a layer promises a number
                values[node.name] = node.fn(*[values[p] for p in node.params])
            done.add(node.name)

        wide = self.plan.stacked
        for node in self.plan.nodes.values():
            if node.schedule == "step":
                yield node, functools.partial(self.plan.steps.load, node, values)
            else:
                yield node, functools.partial(load, node)

    def _scratch(self, on_layer: Callable[[str], None]) -> Engine:
        made = Engine(
            self.plan, self.symbols, self.static, depth=self.dims["D"], compiled=self.compiled, epoch_ns=self.epoch_ns
        )
        made.on_layer = on_layer
        return made


def _epoch_start(annotation: Any, dims: Mapping[str, int], configs: Mapping[str, Any], where: str) -> Any:
    if is_record(annotation):
        return annotation(*[_epoch_start(t, dims, configs, f"{where}.{f}") for f, t in fields_of(annotation).items()])
    if any(isinstance(meta, Axes) for meta in getattr(annotation, "__metadata__", ())):
        return start_state(annotation, dims, configs, where=where)
    kind = kind_of(annotation)
    return np.zeros([dims[axis] for axis in kind.axes], kind.numpy)
