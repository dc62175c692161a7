"""Rows that the step layers of the risk domain read, and both ways to run a layer on them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dataflows.data.types import Bars, Clock, Market, Quality, unknown_instruments
from dataflows.execution.types import Executions, Ledger, Orders, Reconciliation
from dataflows.fusion.types import Proposal
from dataflows.microstructure.types import Tradeability
from dataflows.panel import leaves
from dataflows.regime.types import Regime
from dataflows.risk.types import Exit, KillSwitch, LossLimits, SizeCap, Stops, Tail, TargetWeights
from dataflows.runtime.compile import kernel
from tests.support import filled

MINUTE = 60 * 1_000_000_000
DAY = 1440 * MINUTE
MONDAY = 4 * DAY  # 1970-01-05 00:00 UTC
MODES = ("plain", "compiled")
HOSTILE = (math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-308, 0.0, -0.0, -1.0)


@functools.cache
def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    return kernel(fn)


def run(fn: Callable[..., Any], mode: str, **inputs: Any) -> Any:
    """Calls a step layer on rows; plain NumPy scalars warn where compiled code does not, and hostile rows are meant here."""
    with np.errstate(all="ignore"):
        return (compiled(fn) if mode == "compiled" else fn)(**inputs)


@functools.cache
def _template(kind: Any, n: int) -> Any:
    return filled(kind, (n,), 0.0)


def _copy(value: Any) -> Any:
    return (
        type(value)(*map(_copy, value))
        if isinstance(value, tuple)
        else value.copy()
        if isinstance(value, np.ndarray)
        else value
    )


def row(kind: Any, n: int, **over: Any) -> Any:
    made = _copy(_template(kind, n))
    given = {k: np.asarray(v, old.dtype) if isinstance(old := getattr(made, k), np.ndarray) else v for k, v in over.items()}
    return made._replace(**given)


def clock(
    ts: int = MONDAY + MINUTE, is_bar: int = 1, operator: int = 0, amount: float = 0.0, symbol: int = -1, subject: int = 0
) -> Clock:
    return Clock(ts, is_bar, operator, amount, symbol, subject)


def market(
    n: int = 1, time: int = MONDAY + MINUTE, close: Any = 100.0, volume: Any = 1.0, valid: Any = 1, stale: Any = 0.0
) -> Market:
    def full(x: Any, dtype: Any = np.float64) -> Any:
        return np.array(np.broadcast_to(np.asarray(x, dtype), (n,)))

    made = row(Market, n)
    bars = row(Bars, n, close=full(close), vwap=full(close), volume=full(volume))
    quality = row(Quality, n, valid=full(valid, np.int64), stale=full(stale), listed=np.ones(n, np.int64))
    return made._replace(time=time, bars=bars, quality=quality)


def ledger(n: int = 1, position: Any = 0.0, mark: Any = 100.0, equity: float = 1000.0, drawdown: float = 0.0, cash_flows: float = 0.0,
           average: Any = math.nan, age: Any = 0.0) -> Ledger:  # fmt: skip
    def full(x: Any) -> Any:
        return np.array(np.broadcast_to(np.asarray(x, float), (n,)))

    return row(Ledger, n, position=full(position), held=full(position), mark=full(mark), unit_value=full(mark), mark_age=full(age), average_price=full(average), equity=float(equity),
               drawdown=float(drawdown), cash_flows=float(cash_flows))  # fmt: skip


def liquid(n: int = 1, liquidity_class: Any = 1, safe: Any = 1e6) -> Tradeability:
    made = row(Tradeability, n)
    return made._replace(
        liquidity_class=np.array(np.broadcast_to(np.asarray(liquidity_class, np.int64), (n,))),
        max_safe_notional=np.array(np.broadcast_to(np.asarray(safe, float), (n,))),
    )


def same(a: Any, b: Any) -> None:
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
        assert np.asarray(x).dtype == np.asarray(y).dtype


def quiet(n: int = 1) -> dict[str, Any]:
    """Everything the kill switch reads, at rest."""
    return {
        "l0_market_feed": market(n),
        "l1_regime": row(Regime, n, label=np.zeros(n)),
        "l63_tradeability": liquid(n),
        "l74_tail_index": row(Tail, n, tail_index=np.full(n, 3.0)),
        "l92_loss_limits": LossLimits(0, 0, 0.0, 0.0),
        "l96_order_lifecycle": row(Orders, n),
        "l97_ledger": ledger(n),
        "l98_reconciliation": row(Reconciliation, n, matched=1),
        "clock": clock(),
    }


def no_executions() -> Executions:
    return filled(Executions, (0,), 0.0)._replace(n=0)


def allowed(n: int = 1, side: Any = 1, size: float = 0.1) -> dict[str, Any]:
    """Everything L86 and L4 read, with nothing in the way of a position of `size`."""
    ones = np.ones(n, np.int64)
    proposal = row(Proposal, n, side=np.broadcast_to(np.asarray(side), (n,)).copy(), may_enter=ones, size_fraction=np.full(n, size), rank=np.arange(n, dtype=float),
                   edge_bps=np.full(n, 20.0), freshness=np.ones(n), horizon=np.full(n, 60.0), confidence=np.full(n, 0.7))  # fmt: skip
    return {
        "l3_action_proposal": proposal,
        "l81_kill_switch": row(KillSwitch, n),
        "l83_volatility_target": SizeCap(np.full(n, 0.5)),
        "l84_stop_levels": Stops(np.full(n, 0.02), np.full(n, 0.03), np.full(n, 0.02), np.full(n, 60.0)),
        "l85_instrument_cap": SizeCap(np.full(n, 0.2)),
        "l86_exposure_cap": row(TargetWeights, n),
        "l91_drawdown_throttle": 1.0,
        "l92_loss_limits": LossLimits(0, 0, 0.0, 0.0),
        "l94_position_exits": row(Exit, n),
        "l97_ledger": ledger(n),
        "instruments": unknown_instruments(n),
        "clock": clock(),
    }
