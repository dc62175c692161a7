"""What the fusion domain hands on."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Axes
from dataflows.panel import Bools, Floats, IntPanel, Members, Panel, PassedStack, Size, Stack, Unit, Within
from dataflows.regime.types import REGIMES

SOURCES: Final = (
    "regime",
    "trend",
    "momentum",
    "reversion",
    "book",
    "flow",
    "order_flow",
    "pattern",
    "lead_lag",
    "relative_strength",
    "external",
)
K: Final = len(SOURCES)
(REGIME, TREND, MOMENTUM, REVERSION, BOOK, FLOW, ORDER_FLOW, PATTERN, LEAD_LAG, RELATIVE_STRENGTH, EXTERNAL) = range(K)
"""Place of each source along the axis K."""

EDGE_PARTS: Final = (*SOURCES, "stated_belief")
PARTS: Final = len(EDGE_PARTS)
"""What an edge is made of: a part for each source, and what `prior_slope_bps` states beside them."""

SHORT: Final = -1
FLAT: Final = 0
LONG: Final = 1
UNKNOWN_SIDE: Final = 2
"""Side where an input is unknown: hold what there is."""


class SourceWeights(NamedTuple):
    """Delayed from L6: one weight for each regime and source; every row sums to 1. Starts as configured."""

    weights: Annotated[Floats, Axes(len(REGIMES), K, start="meta.source_rows"), Within(0.0, 1.0)]  # (REGIMES, K)


class Policy(NamedTuple):
    """Delayed from L82: how much of the size to use, and a tilt of each source. Starts at (1, no tilt)."""

    risk_multiplier: Annotated[Floats, Axes(1, start=1.0), Within(0.0, 1.0)]  # how much of the size is used
    tilt: Annotated[Floats, Axes(K, start=1.0), Within(0.0)]  # factor on each source's weight, then made to sum to 1 again


class Signals(NamedTuple):
    """L66: what each source says."""

    values: Annotated[
        Stack, Within(-1.0, 1.0), Members(SOURCES)
    ]  # (T, N, K), in the order of SOURCES; NaN: the source says nothing


class Ensemble(NamedTuple):
    """L7: the weighted score of all sources."""

    score: Panel  # [-1, 1]
    contributions: Annotated[
        Stack, Within(-1.0, 1.0), Members(SOURCES)
    ]  # (T, N, K), in the order of SOURCES; they add up to the score


class Expectancy(NamedTuple):
    """L67: what the sources have been worth so far, at each of H horizons."""

    edge_bps: Annotated[Stack, Within()]  # (T, N, H), signed: of a long position
    edge_std_bps: Annotated[Stack, Within(0.0)]  # (T, N, H)
    effective_observations: Annotated[Stack, Within(0.0)]  # (T, N, H)
    slope_by_source: Annotated[
        Stack, Within(), Members(SOURCES)
    ]  # (T, N, K), by SOURCES: bps per unit, at success_horizon_bars
    parts_bps: PassedStack  # (T, N, H * PARTS), horizon by horizon: EDGE_PARTS, which add up to the edge


class Success(NamedTuple):
    """L68: what a position on the side of the edge pays between its stop and its target, as the chance of the target."""

    p_success: Unit  # p * target - (1 - p) * stop is the mean payoff
    brier: Unit  # mean squared error of past out-of-sample chances, against payoffs from 0 (stop) to 1 (target)


class Decay(NamedTuple):
    """L73: how old the news is."""

    freshness: Unit  # 1 on renewal


class Cost(NamedTuple):
    """L71: what a round trip of `reference_notional` costs."""

    round_trip_bps: Panel  # at the market, in and out
    entry_saving_bps: Size  # what an entry saves of it that waits at the touch, before the edge that goes by meanwhile
    spread_bps: Panel
    impact_bps: Panel
    fee_bps: Panel
    carry_bps_per_bar: Panel  # funding paid by a long, per bar; negative: received


class Horizon(NamedTuple):
    """L70: the holding period with the best cost-adjusted edge."""

    bars: Panel  # NaN: none has an edge
    net_edge_bps: Panel  # of that horizon, of a position on the side of the edge; may be negative
    chosen: IntPanel  # which of the horizons, -1: none known


class Agreement(NamedTuple):
    """L72: do the sources agree."""

    agreement: Panel  # [0, 1]
    entropy: Panel  # [0, 1], 0: one source says it all
    dominant: IntPanel  # a SOURCES index, -1: none


class SizeSuggestion(NamedTuple):
    """L75: fraction of equity that Kelly would risk, cut."""

    fraction: Panel  # [0, cap]


class Proposal(NamedTuple):
    """L3: the action proposal, the only thing of the market side that L4 turns into a target."""

    side: IntPanel  # SHORT, FLAT (close), LONG, UNKNOWN_SIDE (hold)
    may_enter: IntPanel  # 1: an increase may be asked for
    score: Panel  # [-1, 1]
    edge_bps: Panel  # gross, of a position on `side`; while FLAT, on the better one
    parts_bps: Annotated[Stack, Within(), Members(EDGE_PARTS)]  # (T, N, PARTS), by EDGE_PARTS: what edge_bps is made of
    edge_std_bps: Panel
    risk_bps: Panel  # volatility over the horizon
    p_success: Panel  # [0, 1]
    horizon: Panel  # bars
    size_fraction: Panel  # of equity, [0, cap]
    confidence: Panel  # [0, 1]
    rank: Panel  # 0 first, by net edge over risk, ties by name
    freshness: Panel  # [0, 1]; 1 on renewal
    refusal: IntPanel  # bit mask of REFUSALS: why may_enter is 0


REFUSALS: Final = (
    "AVOID",
    "NOT_LEARNED",
    "EDGE_BELOW_COST",
    "EDGE_UNCERTAIN",
    "UNKNOWN_INPUT",
    "NO_SIGNAL",
    "NO_SIZE",
)
"""Why an entry is refused, by bit: REFUSALS[k] is bit 1 << k. NO_SIGNAL: no edge on either side."""

AVOID: Final = 1
NOT_LEARNED: Final = 2
EDGE_BELOW_COST: Final = 4
EDGE_UNCERTAIN: Final = 8
UNKNOWN_INPUT: Final = 16
NO_SIGNAL: Final = 32
NO_SIZE: Final = 64


def with_an_edge(proposal: Proposal) -> Bools:
    """True where L3 weighed an entry: there is a side, or an edge on one while FLAT. Of `proposal`'s shape."""
    found: Bools = (proposal.side != UNKNOWN_SIDE) & (proposal.refusal & NO_SIGNAL == 0)
    return found
