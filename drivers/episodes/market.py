"""A market recorded once: all that no policy touches, and the untouched account, which is every episode's shadow.

The whole graph runs once over the data with the policy off. Kept of each epoch are the values that the layers behind the policy
and the step stage read, what the other epoch layers had put into effect, and the state of the account as the epoch begins. An
episode computes the rest (`drivers/episodes/episode.py`). Per day of minutes and symbol that is about a megabyte.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from io import StringIO
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dataflows.panel import Floats, Ints, is_log, is_record, leaves, rebuild, walk
from dataflows.rl.config import OFF
from dataflows.rl.types import PolicyChoice, ShadowAccount
from drivers.engine.acting import act
from drivers.engine.chunk import Chunk, Outputs, narrowed
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.engine.shadow import LAYER, LEDGER, POLICY, SHADOW
from drivers.graph.external import EXTERNAL, STATIC
from drivers.graph.field_reads import Path, used_paths
from drivers.run.assembly import PreparedRun, prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest
from drivers.text.terminal import Terminal

Observed: TypeAlias = NDArray[np.float32]


class EpisodeError(ValueError):
    """No episode can run on this market. One sentence: why, and what helps."""


class State(NamedTuple):
    """An engine between two epochs, and what the policy observes there."""

    f8: Floats
    i8: Ints
    last_time: int
    observed: Observed  # (2 F,): observation, then which of it is known

    @classmethod
    def of(cls, engine: Engine, observed: Observed) -> State:
        """That of an engine whose epoch has been ended."""
        return cls(engine.arena.f8.copy(), engine.arena.i8.copy(), engine.last_time, observed)

    def put_into(self, engine: Engine) -> None:
        """Makes an engine of the same plan go on from here."""
        engine.arena.f8[:], engine.arena.i8[:] = self.f8, self.i8
        engine.last_time, engine.epoch = self.last_time, -1
        engine.begin_records({name: [] for name in engine.plan.epoch_needs})


class Epoch(NamedTuple):
    """One epoch of the market. delayed: what the other epoch layers had put into effect. start: of the untouched account."""

    chunks: tuple[Chunk, ...]
    delayed: dict[str, Any]
    start: State


class Market(NamedTuple):
    """A recorded market: whole epochs, oldest first, and what makes an engine of an account on it."""

    plan: Plan
    symbols: tuple[str, ...]
    static: Mapping[str, Any]
    depth: int
    epoch_ns: int
    compiled: bool
    epochs: tuple[Epoch, ...]

    def engine(self) -> Engine:
        """An account at its start."""
        return Engine(self.plan, self.symbols, self.static, depth=self.depth, epoch_ns=self.epoch_ns, compiled=self.compiled)


def record_market(request: RunRequest, *, compiled: bool = True) -> Market:
    """Runs the whole graph over the data of a request, and keeps what episodes need. Nothing is written.

    compiled: False runs the step loop as plain Python. An epoch that the end of the data cuts short is left out.
    Raises EpisodeError where the policy is on by the configuration, where the wiring lacks L82, and for fewer than two epochs.
    """
    with progress_bar(Terminal(file=StringIO())) as progress:
        session = prepare_run(request, progress, compiled=compiled)
    plan = session.plan
    if LAYER not in plan.nodes:
        raise EpisodeError("the wiring has no L82, so there is no policy to choose; switch l82_policy on")
    if plan.configs["rl"].policy != OFF:
        raise EpisodeError("rl.policy is on, but an episode's policy is chosen from outside; leave it at 0")
    part = plan.part([*plan.behind(POLICY), *(node.name for node in plan.stage["step"]), LAYER])
    static = {"instruments": session.data.instruments}
    market = Market(part, session.data.symbols, static, session.data.depth, session.engine.epoch_ns, compiled, ())
    epochs = _Recording(session, market).epochs()
    if len(epochs) < 2:
        days = market.epoch_ns // 86_400_000_000_000
        raise EpisodeError(f"the data hold {len(epochs)} whole epochs of {days} days; an episode needs two at least")
    return market._replace(epochs=epochs)


class _Recording:
    """One pass over the data: the whole graph, and beside it the untouched account as an episode would run it."""

    def __init__(self, session: PreparedRun, market: Market) -> None:
        self.session, self.market = session, market
        self.account = market.engine()
        self.wanted = {p: _read(market.plan, p) for p in market.plan.recorded_inputs}
        asked = {p for node in market.plan.nodes.values() for p in node.params}
        self.external = sorted(asked & (EXTERNAL.keys() - STATIC - {"clock", SHADOW}))
        self.learned = [name for name, edge in market.plan.delayed.items() if edge.delay == "epoch" and name != POLICY]
        width = len(observed_of(self.account.epoch_start(market.plan.nodes[LAYER])))
        self.observed: Observed = np.zeros(width, np.float32)

    def epochs(self) -> tuple[Epoch, ...]:
        """Every whole epoch."""
        found: list[Epoch] = []
        last = 0
        for item in self.session.data.deliver(most=self.session.chunk_bars, epoch_ns=self.market.epoch_ns):
            if not isinstance(item, Chunk):
                raise EpisodeError("the data are a journal with more than bars in it; an episode needs a folder of market data")
            begins = not found or (int(item.time[0]) - 1) // self.market.epoch_ns != (last - 1) // self.market.epoch_ns
            outputs = self.session.engine.advance(item)
            if begins:
                found.append(self._begun(found))
            chunk = self._kept(item, outputs)
            self.account.advance(chunk)
            found[-1] = found[-1]._replace(chunks=(*found[-1].chunks, chunk))
            last = int(item.time[-1])
        return tuple(found if last % self.market.epoch_ns == 0 else found[:-1])

    def _begun(self, before: list[Epoch]) -> Epoch:
        """The state in which an epoch begins; the one before it is ended."""
        if before:
            self.observed = observed_of(self.account.end_epoch()[LAYER])
        values = self.session.engine.arena.values
        delayed = {name: _copied(values[name], self.market.plan.hints[name]) for name in self.learned}
        start = State.of(self.account, self.observed)
        begin_epoch(self.account, delayed, 1.0)
        return Epoch((), delayed, start)

    def _kept(self, chunk: Chunk, outputs: Outputs) -> Chunk:
        """A chunk as an episode takes it."""
        plan, values = self.market.plan, outputs.values
        inputs = {p: narrowed(values[p], plan.type_of(p), paths) for p, paths in self.wanted.items()}
        inputs |= {p: chunk.inputs[p] for p in self.external if p in chunk.inputs}
        ledger = values[LEDGER]
        inputs[SHADOW] = ShadowAccount(np.asarray(ledger.equity), np.asarray(ledger.cash_flows))
        return chunk._replace(inputs=inputs)


def begin_epoch(engine: Engine, delayed: Mapping[str, Any], multiplier: float) -> None:
    """What holds from the next bar on: what the other epoch layers had learned, and this multiplier."""
    for name, value in delayed.items():
        engine.take_delayed(name, value)
    act(engine, multiplier)


def observed_of(choice: PolicyChoice) -> Observed:
    """What L82 observed, (2 F,) float32: the numbers, then 1 where each is known. All are finite."""
    return np.concatenate([choice.observation, choice.known]).astype(np.float32)


def _copied(value: Any, annotation: Any) -> Any:
    return rebuild(annotation, iter([np.array(leaf) for leaf in leaves(value)]))


def _read(plan: Plan, name: str) -> frozenset[Path]:
    """The leaves of a recorded input that the layers of a plan read."""
    annotation = plan.type_of(name)
    if is_log(annotation) or not is_record(annotation):
        return frozenset(path for path, _ in walk(annotation))
    found: set[Path] = set()
    for node in plan.nodes.values():
        if name in node.params:
            own = dict(zip(node.params, inspect.signature(node.fn).parameters, strict=True))[name]
            found |= used_paths(node.fn, own, annotation)
    return frozenset(found)
