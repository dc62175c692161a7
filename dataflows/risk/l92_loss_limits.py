"""L92: what may be lost in a day and in a week."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes
from dataflows.data.types import Clock, Market
from dataflows.execution.types import Ledger
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import LossLimits
from dataflows.runtime.compile import kernel

DAY, WEEK = 0, 1
NS_A_DAY = 86_400 * 1_000_000_000


class LossLimitsCarry(NamedTuple):
    """What the running day and week began with, and what they have led to. Index 0: the day, 1: the week."""

    period: Annotated[Ints, Axes(2, start=-1)]  # number of the day and of the week (from Monday) since 1970
    start: Annotated[Floats, Axes(2, start=NAN)]  # equity less cash flows that the period began with
    base: Annotated[Floats, Axes(2, start=NAN)]  # equity that the period began with
    pnl: Annotated[Floats, Axes(2, start=NAN)]
    halted: Annotated[Ints, Axes(2)]
    flattened: Annotated[Ints, Axes(2)]
    last: Annotated[Floats, Axes(2, start=NAN)]  # at the last close: equity, and equity less cash flows


@kernel
def measure_loss(
    k: int, number: int, equity: float, own: float, limit: float, flatten_at: float, carry: LossLimitsCarry
) -> None:
    """Goes on with period k (its running `number`) at a close, `own` being equity less all cash flows so far."""
    if number > carry.period[k]:
        carry.period[k] = number
        carry.base[k], carry.start[k] = carry.last[0], carry.last[1]
        carry.halted[k] = carry.flattened[k] = 0
    if math.isnan(carry.base[k]):  # nothing before: the period begins with what is first known
        carry.base[k], carry.start[k] = equity, own
    carry.pnl[k] = math.nan
    if carry.base[k] > 0.0 and own == own:
        pnl = (own - carry.start[k]) / carry.base[k]
        if math.isfinite(pnl):
            carry.pnl[k] = pnl
        if pnl <= -limit:
            carry.halted[k] = 1
        if pnl <= -limit * flatten_at:
            carry.flattened[k] = 1


@layer("L92", schedule="step", cross_sectional=True)
def l92_loss_limits(
    l0_market_feed: Market, l97_ledger: Ledger, clock: Clock, risk: RiskConfig, carry: LossLimitsCarry
) -> LossLimits:
    """Profit and loss of the UTC day and of the week from Monday, and the halts that they call for.

    Measured at closes only: equity at this close less the cash flows since, against equity at the last close of the period
    before, which is the bar stamped 00:00 (that bar belongs to the period that ends); in the first period, against the first
    known equity. Returns day_pnl and week_pnl as fractions of that equity, NaN where unknown. halt_entries is 1 from a loss of
    the limit, flatten from flatten_at times the limit, each until its period ends; an unknown pnl halts entries while it lasts.
    """
    if clock.is_bar != 0:
        day = (int(l0_market_feed.time) - 1) // NS_A_DAY
        week = (day + 3) // 7  # 1970-01-01 was a Thursday
        equity = l97_ledger.equity if math.isfinite(l97_ledger.equity) else math.nan
        own = equity - l97_ledger.cash_flows
        if not math.isfinite(own):
            own = math.nan
        measure_loss(DAY, day, equity, own, risk.loss_daily, risk.loss_flatten_at, carry)
        measure_loss(WEEK, week, equity, own, risk.loss_weekly, risk.loss_flatten_at, carry)
        if own == own:
            carry.last[0], carry.last[1] = equity, own
    unknown = not (carry.pnl[DAY] == carry.pnl[DAY] and carry.pnl[WEEK] == carry.pnl[WEEK])
    halt = unknown or carry.halted[DAY] != 0 or carry.halted[WEEK] != 0
    flatten = carry.flattened[DAY] != 0 or carry.flattened[WEEK] != 0
    return LossLimits(1 if halt else 0, 1 if flatten else 0, float(carry.pnl[DAY]), float(carry.pnl[WEEK]))
