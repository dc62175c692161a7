"""The toy graph's plan, data and the comparison to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Observations
from dataflows.panel import fields_of
from drivers.engine.chunk import Chunk, Outputs, cut, joined
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.graph.layers import Delayed
from tests.drivers.engine import toy
from tests.support import filled

MINUTE = 60_000_000_000
START = 20_454 * 86_400_000_000_000  # a midnight, UTC
DELAYED = {"orders": Delayed("l5_orders", None, "bar"), "weights": Delayed("l6_learn", "weights", "epoch")}


def toy_plan(config: toy.ToyConfig = toy.ToyConfig()) -> Plan:  # noqa: B008 (immutable)
    return Plan([toy], {"toy": config}, DELAYED)


def toy_engine(plan: Plan, symbols: Sequence[str] = ("A", "B", "C"), **more: Any) -> Engine:
    return Engine(plan, symbols, {}, **more)


def toy_data(bars: int = 300, symbols: int = 3, *, before_midnight: int = 120, seed: int = 3) -> Chunk:
    """Random closes with a gap, around a midnight."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, (bars, symbols)), axis=0))
    close[40:46, symbols - 1] = np.nan
    time = START + MINUTE * (np.arange(1, bars + 1) - before_midnight)
    return Chunk(time, {"observations": filled(Observations, (bars, symbols), np.nan, time=time, close=close)})


def piece(chunk: Chunk, a: int, b: int) -> Chunk:
    inputs = {k: cut(v, Observations, a, b) for k, v in chunk.inputs.items()}
    return Chunk(chunk.time[a:b], inputs, *(None if x is None else x[a:b] for x in (chunk.operator, chunk.amount)))


def run(engine: Engine, data: Chunk, cuts: Sequence[int] = ()) -> list[Outputs]:
    """Advances over the data, cut at `cuts` and at midnights."""
    midnights = np.flatnonzero(np.diff((data.time - 1) // engine.epoch_ns)) + 1
    edges = sorted({0, len(data.time), *(c for c in cuts if 0 < c < len(data.time)), *midnights.tolist()})
    return [engine.advance(piece(data, a, b)) for a, b in pairwise(edges)]


def whole(plan: Plan, outputs: Sequence[Outputs]) -> dict[str, Any]:
    made = {n: joined([o.values[n] for o in outputs], t) for n, t in plan.annotations.items() if n in outputs[0].values}
    for log in outputs[0].offsets:
        made[f"{log} per instant"] = np.concatenate([np.diff(o.offsets[log]) for o in outputs])
    return made


def same_bits(a: Any, b: Any, where: str = "") -> None:
    """Equal to the bit, NaN for NaN."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for k in a:
            same_bits(a[k], b[k], f"{where}{k}")
    elif isinstance(a, tuple):
        for name, x, y in zip(fields_of(type(a)), a, b, strict=True):
            same_bits(x, y, f"{where}.{name}")
    elif a is None:
        assert b is None, where
    else:
        x, y = np.asarray(a), np.asarray(b)
        assert x.shape == y.shape, f"{where}: {x.shape} and {y.shape}"
        differs = ~((x == y) | ((x != x) & (y != y)))
        assert not differs.any(), f"{where} differs first at {np.argwhere(differs)[0]}: {x[differs][0]!r}, {y[differs][0]!r}"


@pytest.fixture(scope="session")
def plan() -> Plan:
    return toy_plan()


@pytest.fixture
def engine(plan: Plan) -> Callable[..., Engine]:
    return lambda **more: toy_engine(plan, **more)
