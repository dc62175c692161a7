"""A pipeline gives what one chunk after the other gives, in order and to the bit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pandera.pandas as pa
import pytest
from pandera.typing import Series

from dataflows.kinematics.l15_rsi_short import l15_rsi_short
from dataflows.risk.l86_exposure_cap import l86_exposure_cap
from dataflows.runtime import scratch
from dataflows.runtime.scratch import takes_rows
from drivers.engine import parallel
from drivers.engine import pipeline as module
from drivers.engine.chunk import Chunk, Outputs
from drivers.engine.engine import Engine, EngineError
from drivers.engine.guards import Guards
from drivers.engine.pipeline import pipeline
from drivers.engine.promises import BoundaryError
from tests.drivers.engine.conftest import piece, run, same_bits, toy_data, toy_engine, toy_plan, whole
from tests.drivers.engine.test_guards import ToyBoundary

PLAN, DATA = toy_plan(), toy_data()
EDGES = (0, 33, 64, 120, 121, 200, 300)  # the epoch ends after bar 120


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STRATOQUANT_THREADS", "2")
    monkeypatch.setattr(module, "LEAST", 1)
    parallel.cores.cache_clear()
    yield
    parallel.cores.cache_clear()


def pieces() -> list[Chunk]:
    return [piece(DATA, a, b) for a, b in zip(EDGES, EDGES[1:], strict=False)]


def piped(engine: Engine, chunks: Sequence[Chunk]) -> list[Outputs]:
    made: list[Outputs] = []
    with pipeline(engine) as line:
        for chunk in chunks:
            made += line.put(chunk)
        made += line.drain()
    return made


def test_outputs_are_those_of_one_chunk_after_the_other_also_over_the_end_of_an_epoch() -> None:
    alone, beside = toy_engine(PLAN), toy_engine(PLAN)
    expected, made = run(alone, DATA, EDGES), piped(beside, pieces())
    assert [o.time[0] for o in made] == [o.time[0] for o in expected]
    same_bits(whole(PLAN, made), whole(PLAN, expected))
    assert [bool(o.epoch) for o in made] == [bool(o.epoch) for o in expected] and any(o.epoch for o in made)
    same_bits(dict(beside.arena.values), dict(alone.arena.values))


def test_bars_of_several_epochs_at_once_give_the_outputs_of_each() -> None:
    alone, beside = toy_engine(PLAN), toy_engine(PLAN)
    expected = run(alone, DATA, (0, 50, 200, 300))  # cut at the ends of epochs too
    made = piped(beside, [piece(DATA, 0, 50), piece(DATA, 50, 200), piece(DATA, 200, 300)])
    assert [(o.time[0], len(o.time)) for o in made] == [(o.time[0], len(o.time)) for o in expected]
    same_bits(whole(PLAN, made), whole(PLAN, expected))
    assert [bool(o.epoch) for o in made] == [bool(o.epoch) for o in expected]
    same_bits(dict(beside.arena.values), dict(alone.arena.values))


def test_one_core_takes_bars_of_several_epochs_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_THREADS", "1")
    parallel.cores.cache_clear()
    alone, beside, seen = toy_engine(PLAN), toy_engine(PLAN), []
    market = beside.run_market
    monkeypatch.setattr(beside, "run_market", lambda begun: (seen.append(len(begun.time)), market(begun))[1])
    expected, made = run(alone, DATA, (200,)), piped(beside, [piece(DATA, 0, 200), piece(DATA, 200, 300)])
    assert seen == [200, 100]
    assert [(o.time[0], len(o.time)) for o in made] == [(o.time[0], len(o.time)) for o in expected]
    same_bits(whole(PLAN, made), whole(PLAN, expected))
    same_bits(dict(beside.arena.values), dict(alone.arena.values))


def test_of_two_cores_each_side_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, given, inner = toy_engine(PLAN), [], parallel.run_layers
    monkeypatch.setattr("drivers.engine.engine.run_layers", lambda *args: (given.append(args[-1]), inner(*args)))
    with pipeline(engine) as line:
        list(line.put(pieces()[0]))
        list(line.drain())
    assert given and set(given) == {1}
    assert engine.threads is None  # whoever goes on without the pipeline has all cores


def test_the_market_side_is_one_chunk_ahead_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seen = toy_engine(PLAN), []
    market, steps = engine.run_market, engine._run_steps
    monkeypatch.setattr(engine, "run_market", lambda begun: (seen.append(threading.current_thread()), market(begun))[1])
    monkeypatch.setattr(engine, "_run_steps", lambda values, n: (seen.append(len(seen)), steps(values, n))[1])
    with pipeline(engine) as line:
        chunks = pieces()
        assert list(line.put(chunks[0])) == []
        (first,) = line.put(chunks[1])
        assert first.time[0] == chunks[0].time[0]
        assert len(list(line.drain())) == 1
        assert list(line.drain()) == []
    assert sum(isinstance(x, threading.Thread) and x is not threading.main_thread() for x in seen) == 2


def test_an_error_in_a_layer_ahead_comes_after_the_outputs_before_it_and_poisons_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, market, chunks = toy_engine(PLAN), Engine.run_market, pieces()

    def fails(self: Engine, begun: object) -> None:
        market(self, begun)  # type: ignore[arg-type]
        if begun.time[0] == chunks[1].time[0]:  # type: ignore[attr-defined]
            with self._poisoning(1):
                raise ValueError("planted")

    monkeypatch.setattr(Engine, "run_market", fails)
    with pipeline(engine) as line:
        assert list(line.put(chunks[0])) == []
        assert len(list(line.put(chunks[1]))) == 1
        with pytest.raises(ValueError, match="planted"):
            list(line.drain())
    with pytest.raises(EngineError, match="restore it from a checkpoint"):
        engine.advance(chunks[2])


def test_a_bound_that_a_layer_ahead_breaks_is_told_after_the_outputs_before_it() -> None:
    prices = whole(PLAN, run(toy_engine(PLAN), DATA, EDGES))["l1_feed"].close
    most = float(np.nanmax(prices[:200]))

    class Narrow(ToyBoundary):
        """Refuses a price that the first 200 bars have not."""

        close: Series[float] = pa.Field(alias="l1_feed.close", gt=0, le=most, nullable=True)

    engine, came = toy_engine(PLAN, guard=Guards(PLAN, {"engine": Narrow}, ("A", "B", "C"))), list[Outputs]()
    with pipeline(engine) as line, pytest.raises(BoundaryError, match=r"l1_feed\.close"):
        for chunk in (*pieces()[:-1], *(piece(DATA, a, a + 1) for a in range(200, 300))):
            came += line.put(chunk)
        came += line.drain()
    assert sum(len(outputs.time) for outputs in came) == np.flatnonzero((prices > most).any(axis=1))[0]


def test_a_chunk_that_is_not_later_than_the_one_ahead_is_refused() -> None:
    with pipeline(toy_engine(PLAN)) as line:
        assert list(line.put(pieces()[1])) == []
        with pytest.raises(EngineError, match="is not later than"):
            list(line.put(pieces()[0]))


def test_layers_that_take_rows_off_the_block_of_the_loop_are_told_apart() -> None:
    assert takes_rows(l86_exposure_cap)
    assert not takes_rows(l15_rsi_short)
    assert takes_rows(lambda n: scratch.full(n, 0.0))
