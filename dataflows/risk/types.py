"""What the risk domain hands on."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

from dataflows.panel import Finite, Flag, IntPanel, Matrix, Members, Panel, Passed, Size, Stack, Unit, Within
from dataflows.risk.config import RiskConfig as RiskConfig  # other domains read its settings

RUN: Final = 0
HALT: Final = 1
FLATTEN: Final = 2
LEVELS: Final = ("RUN", "HALT", "FLATTEN")

HOLD: Final = 0
APPROVED: Final = 1
REDUCED: Final = 2
REJECTED: Final = 3
EXIT: Final = 4
VERDICTS: Final = ("HOLD", "APPROVED", "REDUCED", "REJECTED", "EXIT")

NO_EXIT: Final = 0
STOP: Final = 1
TARGET: Final = 2
TRAIL: Final = 3
TIME: Final = 4
EXITS: Final = ("NONE", "STOP", "TARGET", "TRAIL", "TIME")


class VolForecast(NamedTuple):
    """L76: forecast volatility of log price."""

    sigma_1: Panel  # of the next bar
    sigma_bar: Panel  # of a bar, in the mean of the next `forecast_bars`: what sizes, stops and chances go by
    sigma_day: Panel  # of the next day's bars together


class Tail(NamedTuple):
    """L74: how fat the tail of the standardised returns is."""

    tail_index: Size  # Hill's tail index; the smaller the fatter
    threshold: Size  # |z| beyond which the tail is counted
    extreme: Flag  # 1: index below the configured level


class TailRisk(NamedTuple):
    """L77: losses that are exceeded rarely, as log returns, > 0."""

    var_99_bar: Size  # of the next bar
    es_99_bar: Size
    var_99_day: Size  # of the next day's bars together
    es_99_day: Size


class Correlation(NamedTuple):
    """L78: how the symbols move together. The covariance of a day is correlation times both symbols' sigma_day."""

    correlation: Matrix  # in [-1, 1], 1 on the diagonal; NaN: not known, to be counted as 1
    sigma_day: Passed  # L76's forecast
    mean_correlation: Annotated[float, Within(-1.0, 1.0)]  # over the pairs that are known; NaN: none is
    effective_bets: Annotated[float, Within(1.0)]  # how many independent symbols have as much variety; NaN: none is known


class LiquidityStress(NamedTuple):
    """L79: how long and how dear to get out of the reference notional when liquidity dries up."""

    bars_to_liquidate: Annotated[Panel, Within(0.0, math.inf)]  # infinite at no or unknown liquidity, never NaN
    stressed_cost_bps: Annotated[Panel, Within(0.0, math.inf)]


SCENARIOS: Final = ("volatility", "gap", "dry_up")


class Stress(NamedTuple):
    """L80: the share of a position that each scenario would cost; never NaN where a forecast is known."""

    loss_fraction: Annotated[Stack, Within(0.0, 1.0), Members(SCENARIOS)]  # (T, N, 3), by SCENARIOS
    worst: Unit


class Stops(NamedTuple):
    """L84: exits that a new position would get. All positive and finite, or all NaN."""

    stop_distance: Panel  # fraction of price
    take_profit_distance: Panel
    trail_distance: Panel
    time_stop: Panel  # bars


class SizeCap(NamedTuple):
    """The most that |weight| may be."""

    fraction: Panel  # of equity, >= 0


class LossLimits(NamedTuple):
    """L92."""

    halt_entries: int  # 1: no increase until the period ends
    flatten: int  # 1: close everything until the period ends
    day_pnl: float  # fraction of equity at the day's start, less cash flows
    week_pnl: float


class Exit(NamedTuple):
    """L94: which positions must be closed, and where their stops now are."""

    exit: IntPanel  # 1 until the position is 0
    reason: IntPanel  # an EXITS index
    active_stop: Panel  # quote currency; NaN without a position
    active_target: Panel
    bars_held: Panel
    lockout: IntPanel  # side (-1, 1) that may not be entered again yet; 0 none; 2 both
    locked_now: IntPanel  # side (-1, 1, 2 both) whose lockout began at this instant; 0 none
    late: Flag  # 1: nothing is added to the position: it is in the last part of its life, or was at its stop


REASONS: Final = (
    "NOT_PERMITTED",  # L3's may_enter is 0
    "UNKNOWN_INPUT",
    "NO_STOP",
    "EQUITY",
    "INSTRUMENT_CAP",
    "VOLATILITY_TARGET",
    "GROSS_CAP",
    "NET_CAP",
    "CONCENTRATION",
    "OPEN_RISK",
    "TAIL_BUDGET",
    "DRAWDOWN_THROTTLE",
    "LOSS_LIMIT",
    "LOCKOUT",
    "HALTED",
    "FLATTENED",
    "STOP",
    "TARGET",
    "TRAIL",
    "TIME",
    "CLOSE_FIRST",  # a change of sign becomes a close
    "FLAT_PROPOSAL",  # no side
    "LATE",  # an increase in the last part of a position's life
    "NO_SHORT",  # the venue takes no position below 0
)


class TargetWeights(NamedTuple):
    """L86, L87, L93, L95: the target after one more cap; no later one raises it."""

    weight: Finite  # signed fraction of equity
    reasons: Annotated[IntPanel, Within(0, (1 << len(REASONS)) - 1)]  # bit mask of REASONS: what lowered it
    untradeable: Flag  # 1: counted at its position because it cannot be traded now
    held: Passed  # signed weight of the position, 0 where it cannot be told: what is beyond it is new risk


class KillSwitch(NamedTuple):
    """L81."""

    level: IntPanel  # a LEVELS code per symbol: the worse of its own and the overall
    reason: IntPanel  # bit mask of KILL_REASONS per symbol, own and overall
    overall: int  # a LEVELS code
    overall_reason: int  # bit mask of KILL_REASONS
    since: int  # UTC ns since when the overall level holds; 0: RUN


KILL_REASONS: Final = (
    "DRAWDOWN",
    "EQUITY",
    "OPERATOR_FLATTEN",
    "LOSS_LIMIT",
    "OPERATOR_HALT",
    "RECONCILIATION",
    "REJECTS",
    "STALE",
    "CHAOTIC",
    "TAIL",
    "LIQUIDITY",
    "UNKNOWN",
    "HALF_OF_SYMBOLS",
)


class Approval(NamedTuple):
    """L4: the risk gate. Everything that execution needs of a proposal comes from here."""

    target_weight: Panel  # signed fraction of equity
    stop: Panel  # distances as fractions of price; NaN: no increase was approved
    take_profit: Panel
    trail: Panel
    horizon: Panel  # bars after which the position is closed
    urgency: Panel  # [0, 1]; 1: exits
    reduce_only: IntPanel
    verdict: IntPanel  # a VERDICTS code
    reasons: IntPanel  # bit mask of REASONS
    edge_bps: Panel
    freshness: Panel
    rank: Panel  # 0 is served first when the venue's rate budget is short
    active_stop: Panel  # L94's stop of the position, quote currency; NaN without one: what the resting stop must be
    halt: IntPanel  # 1: L81 is at HALT or FLATTEN for the symbol, so every working entry is cancelled


# the bits of REASONS, by name
WHY_NOT_PERMITTED: Final = 1 << 0
WHY_UNKNOWN_INPUT: Final = 1 << 1
WHY_NO_STOP: Final = 1 << 2
WHY_EQUITY: Final = 1 << 3
WHY_INSTRUMENT_CAP: Final = 1 << 4
WHY_VOLATILITY_TARGET: Final = 1 << 5
WHY_GROSS_CAP: Final = 1 << 6
WHY_NET_CAP: Final = 1 << 7
WHY_CONCENTRATION: Final = 1 << 8
WHY_OPEN_RISK: Final = 1 << 9
WHY_TAIL_BUDGET: Final = 1 << 10
WHY_DRAWDOWN_THROTTLE: Final = 1 << 11
WHY_LOSS_LIMIT: Final = 1 << 12
WHY_LOCKOUT: Final = 1 << 13
WHY_HALTED: Final = 1 << 14
WHY_FLATTENED: Final = 1 << 15
WHY_STOP: Final = 1 << 16  # WHY_STOP << (reason - STOP) for each reason of EXITS
WHY_CLOSE_FIRST: Final = 1 << 20
WHY_FLAT_PROPOSAL: Final = 1 << 21
WHY_LATE: Final = 1 << 22
WHY_NO_SHORT: Final = 1 << 23

# the bits of KILL_REASONS, by name
KILL_DRAWDOWN: Final = 1 << 0
KILL_EQUITY: Final = 1 << 1
KILL_OPERATOR_FLATTEN: Final = 1 << 2
KILL_LOSS_LIMIT: Final = 1 << 3
KILL_OPERATOR_HALT: Final = 1 << 4
KILL_RECONCILIATION: Final = 1 << 5
KILL_REJECTS: Final = 1 << 6
KILL_STALE: Final = 1 << 7
KILL_CHAOTIC: Final = 1 << 8
KILL_TAIL: Final = 1 << 9
KILL_LIQUIDITY: Final = 1 << 10
KILL_UNKNOWN: Final = 1 << 11
KILL_HALF_OF_SYMBOLS: Final = 1 << 12

LATCHES: Final = KILL_DRAWDOWN | KILL_EQUITY | KILL_OPERATOR_FLATTEN | KILL_OPERATOR_HALT | KILL_RECONCILIATION | KILL_REJECTS
"""Those of KILL_REASONS that stay until the operator's RELEASE."""
