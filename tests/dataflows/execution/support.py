"""Builders of rows and logs, the plain form of a layer, and a small closed loop of the execution layers."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from dataflows.data.types import Bars, Book, Clock, Flow, HigherBars, Instruments, Market, Quality, Session, unknown_instruments
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.types import Executions, OrderIntents
from dataflows.panel import fields_of, kind_of
from tests.support import carry_of, filled

MINUTE = 60_000_000_000
NAN = float("nan")
CONFIG = ExecutionConfig(stop_gap_share=0.0, stop_step_bps=0.0)
"""The defaults without two of their charges, which have tests of their own: a stop fills where it stands, and moves at will."""


def log(record: Any, entries: Sequence[Mapping[str, Any]]) -> Any:
    """A flat log of entries given by column; what is not given is 0, and NaN in columns of prices."""
    columns = []
    for name, t in fields_of(record).items():
        if name == "n":
            continue
        kind = kind_of(t)
        default = NAN if name.endswith("price") or name.startswith(("bracket", "venue")) else 0
        columns.append(np.array([e.get(name, default) for e in entries], dtype=kind.numpy))
    return record(len(entries), *columns)


def intents(*entries: Mapping[str, Any]) -> OrderIntents:
    return log(OrderIntents, entries)


def executions(*entries: Mapping[str, Any]) -> Executions:
    return log(Executions, entries)


def entries_of(record: Any) -> list[dict[str, Any]]:
    """A log as dicts."""
    names = [f for f in record._fields if f != "n"]
    return [{f: getattr(record, f)[i].item() for f in names} for i in range(record.n)]


def clock(t: int, *, is_bar: int = 1, operator: int = 0, amount: float = 0.0, symbol: int = -1, subject: int = 0) -> Clock:
    return Clock(t * MINUTE if is_bar else t * MINUTE + MINUTE // 2, is_bar, operator, amount, symbol, subject)


def market(
    t: int,
    bars: Sequence[tuple[float, float, float, float, float]],
    *,
    valid: Sequence[int] | None = None,
    listed: Sequence[int] | None = None,
    funding: Sequence[float] | None = None,
    depth: int = 2,
) -> Market:
    """The row of one bar: (open, high, low, close, volume) of each symbol."""
    n = len(bars)
    o, h, low, c, v = (np.array(x, dtype=float) for x in zip(*bars, strict=True))
    ok = np.array(valid if valid is not None else [1] * n, dtype=np.int64)
    nothing, none = np.full(n, NAN), np.zeros(n, np.int64)
    higher = HigherBars(nothing, nothing, nothing, nothing, nothing, none)
    level = np.full((n, depth), NAN)
    quality = filled(Quality, (n,), 0.0, valid=ok, missing=1 - ok, listed=np.array(listed or [1] * n, dtype=np.int64))
    return Market(
        t * MINUTE,
        filled(Session, (n,), 1.0),
        Bars(o, h, low, c, v, (h + low + c) / 3.0, nothing),
        higher,
        higher,
        higher,
        Book(level, level, level, level, nothing, none, level),
        filled(Flow, (n,), NAN),
        np.array(funding or [0.0] * n, dtype=float),
        quality,
    )


def instruments(n: int, **over: Any) -> Instruments:
    facts: dict[str, Any] = {
        "uid": np.arange(1, n + 1, dtype=np.int64) * 7,
        "tick_size": np.zeros(n),
        "lot_size": np.zeros(n),
        "min_notional": np.zeros(n),
        "taker_fee_bps": np.full(n, 5.0),
        "maker_fee_bps": np.full(n, 2.0),
        "reduce_only_exempt": np.ones(n, np.int64),
    }
    facts = unknown_instruments(n)._asdict() | facts
    return Instruments(**{k: np.asarray(over.get(k, v)).astype(v.dtype) for k, v in facts.items()})


def carry(fn: Callable[..., Any], n: int, config: ExecutionConfig = CONFIG, depth: int = 2) -> Any:
    return carry_of(fn, n, {"execution": config}, depth=depth, slots=config.slots)


def plainly(fn: Any, made: dict[int, Any] | None = None) -> Any:
    """The same function with every kernel below it as plain Python."""
    made = {} if made is None else made
    fn = fn.py_func if isinstance(fn, Dispatcher) else fn
    if id(fn) in made:
        return made[id(fn)]
    scope = dict(fn.__globals__)
    copy = types.FunctionType(fn.__code__, scope, fn.__name__, fn.__defaults__, fn.__closure__)
    made[id(fn)] = copy
    for name in fn.__code__.co_names:
        if isinstance(scope.get(name), Dispatcher):
            scope[name] = plainly(scope[name], made)
    return copy


def same_bits(a: Any, b: Any) -> bool:
    """Equal to the bit, NaN included, records leaf by leaf."""
    if isinstance(a, tuple):
        return all(same_bits(x, y) for x, y in zip(a, b, strict=True))
    x, y = np.asarray(a), np.asarray(b)
    return x.dtype == y.dtype and x.tobytes() == y.tobytes()


def trimmed(record: Any) -> Any:
    """A log without its unused room."""
    return record._replace(**{f: getattr(record, f)[: record.n] for f in record._fields if f != "n"})
