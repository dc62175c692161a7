"""A small closed loop: L90 > L96 > L97 > an approval made by the test > L69 > L88 > L89 > L5, and the orders come round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dataflows.execution.config import ExecutionConfig
from dataflows.execution.l5_execution_bridge import l5_execution_bridge
from dataflows.execution.l69_order_style import l69_order_style
from dataflows.execution.l88_order_slicing import l88_order_slicing
from dataflows.execution.l89_venue_constraints import l89_venue_constraints
from dataflows.execution.l90_fills import l90_fills__sim
from dataflows.execution.l96_order_lifecycle import l96_order_lifecycle
from dataflows.execution.l97_ledger import l97_ledger__sim
from dataflows.execution.types import Constrained, Executions, Ledger, OrderIntents, Orders, Slice, Style
from dataflows.fusion.types import Cost
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import NORMAL, SpreadDepth, Tradeability
from dataflows.risk.types import APPROVED, EXIT, Approval
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.support import CONFIG, NAN, carry, clock, instruments, intents, market, plainly, trimmed
from tests.support import filled

LAYERS = (
    l90_fills__sim,
    l96_order_lifecycle,
    l97_ledger__sim,
    l69_order_style,
    l88_order_slicing,
    l89_venue_constraints,
    l5_execution_bridge,
)


def name_of(layer: Callable[..., Any]) -> str:
    """The name of its file: a graph that is built in the same process takes the variant off the function's own name."""
    return layer.__module__.rpartition(".")[2]


COMPILED = {name_of(f): kernel(f) for f in LAYERS}
AS_WRITTEN = {name_of(f): f for f in LAYERS}


def plain_layers() -> dict[str, Callable[..., Any]]:
    made: dict[int, Any] = {}
    return {name_of(f): plainly(f, made) for f in LAYERS}


def approval(weights: Sequence[float], **over: Any) -> Approval:
    """Everything in order: approved with a stop at 5 percent and a target at 10."""
    n = len(weights)
    w = np.array(weights, dtype=float)
    given: dict[str, Any] = {
        "target_weight": w,
        "stop": 0.05,
        "take_profit": 0.1,
        "trail": NAN,
        "horizon": 60.0,
        "urgency": 0.5,
        "reduce_only": 0,
        "verdict": APPROVED,
        "reasons": 0,
        "edge_bps": 50.0,
        "freshness": 1.0,
        "rank": np.arange(n, dtype=float),
        "active_stop": NAN,
        "halt": 0,
        **over,
    }
    blank = filled(Approval, (n,))
    made = {}
    for name, value in given.items():
        dtype = getattr(blank, name).dtype
        made[name] = np.full(n, value, dtype) if np.ndim(value) == 0 else np.asarray(value, dtype)
    return Approval(**made)


def leaving(n: int = 1, **over: Any) -> Approval:
    return approval([0.0] * n, verdict=EXIT, reduce_only=1, urgency=1.0, **over)


class Step(NamedTuple):
    """Everything of one instant."""

    fills: Executions
    orders: Orders
    ledger: Ledger
    approval: Approval
    style: Style
    slice: Slice
    constrained: Constrained
    intents: OrderIntents


def kept(record: Any) -> Any:
    """A copy: a compiled step layer may give arrays of its carry, which live as long as the carry."""
    if isinstance(record, tuple):
        return type(record)(*map(kept, record)) if hasattr(record, "_fields") else tuple(map(kept, record))
    return record.copy() if isinstance(record, np.ndarray) else record


class Loop:
    def __init__(
        self,
        n: int = 1,
        config: ExecutionConfig = CONFIG,
        *,
        layers: dict[str, Callable[..., Any]] | None = None,
        spread_bps: float = 2.0,
        sigma: float = 0.001,
        safe: float = 1e9,
        **facts: Any,
    ) -> None:
        self.n, self.config, self.layers, self.t = n, config, layers or AS_WRITTEN, 0
        self.carries = {name_of(f): carry(f, n, config) for f in LAYERS}
        self.orders = intents()
        self.instruments = instruments(n, **facts)
        self.spread, self.sigma, self.safe = spread_bps, sigma, safe

    def _run(self, layer: Callable[..., Any], *args: Any) -> Any:
        name = name_of(layer)
        own = self.carries[name]
        return self.layers[name](*args, own) if own is not None else self.layers[name](*args)

    def __call__(
        self,
        bars: Sequence[tuple[float, float, float, float, float]],
        approve: Approval | Callable[[Orders, Ledger], Approval],
        *,
        is_bar: int = 1,
        **about: Any,
    ) -> Step:
        self.t += is_bar
        n, config = self.n, self.config
        operator = about.pop("operator", 0)
        amount = about.pop("amount", 0.0)
        row = market(self.t, bars, **about)
        at = clock(self.t, is_bar=is_bar, operator=operator, amount=amount)
        self.seen = (row, at)
        returns = filled(Returns, (n,), NAN, sigma=np.full(n, self.sigma))
        close = row.bars.close
        spread = filled(SpreadDepth, (n,), NAN, mid=close.copy(), spread_bps=np.full(n, self.spread))
        tradeable = filled(
            Tradeability,
            (n,),
            0.0,
            liquidity_class=np.full(n, NORMAL),
            slippage_bps=np.zeros((n, 3)),
            max_safe_notional=np.full(n, self.safe),
        )
        cost = filled(Cost, (n,), 5.0, spread_bps=np.full(n, self.spread))
        fills = self._run(l90_fills__sim, row, returns, spread, self.instruments, at, self.orders, config)
        orders = self._run(l96_order_lifecycle, fills, self.orders, self.instruments, config)
        ledger = self._run(l97_ledger__sim, row, fills, orders, self.instruments, at, config)
        given = approve(orders, ledger) if callable(approve) else approve
        style = self._run(l69_order_style, given, returns, spread, tradeable, cost, self.instruments, config)
        part = self._run(l88_order_slicing, row, returns, given, tradeable, style, ledger, self.instruments, at, config)
        fit = self._run(l89_venue_constraints, row, given, spread, style, part, ledger, self.instruments, config)
        told = self._run(l5_execution_bridge, row, given, fit, orders, ledger, self.instruments, at, config)
        self.orders = told
        return kept(Step(trimmed(fills), orders, ledger, given, style, part, fit, trimmed(told)))
