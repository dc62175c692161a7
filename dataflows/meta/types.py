"""What the meta domain hands on: how every part of the system has done, and what follows from it."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Axes
from dataflows.fusion.types import PARTS, SOURCES, K, SourceWeights
from dataflows.panel import Floats, Within
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS, PatternWeights
from dataflows.regime.types import REGIMES, RegimeThresholds

TIMEFRAMES: Final = ("score at timeframe 1", "score at timeframe 2", "score at timeframe 3")
"""The score as it was at the last close of a bar of each higher timeframe."""
DOMAINS: Final = ("regime", "kinematics", "microstructure", "pattern", "outside")
DOMAIN_OF: Final = (0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4)
"""The domain, a DOMAINS index, that each of SOURCES comes from."""

FIRST_VOTE: Final = K
SCORE: Final = FIRST_VOTE + PATTERNS
FIRST_TIMEFRAME: Final = SCORE + 1
FIRST_DOMAIN: Final = FIRST_TIMEFRAME + len(TIMEFRAMES)
FIRST_REGIME: Final = FIRST_DOMAIN + len(DOMAINS)
TRACKED: Final = (
    *SOURCES,
    *(f"L{FIRST_PATTERN + p}" for p in range(PATTERNS)),
    "score",
    *TIMEFRAMES,
    *(f"domain {name}" for name in DOMAINS),
    *(f"score in {name}" for name in REGIMES),
)
"""What has a paper account: sources, patterns, the score, the score at each timeframe, domains, the score in each regime."""
ROWS: Final = len(TRACKED)


class PaperTracks(NamedTuple):
    """One paper account for each of TRACKED, gross, in units of its notional. NaN: it has taken no position yet."""

    epoch_return_bps: Annotated[Floats, Axes(ROWS), Within()]  # of the epoch that ended; 0 without a position
    mean_return_bps: Annotated[Floats, Axes(ROWS), Within()]  # an epoch, over those in which it had a position
    sharpe: Annotated[Floats, Axes(ROWS), Within()]  # a year; NaN before two such epochs
    hit_rate: Annotated[Floats, Axes(ROWS), Within(0.0, 1.0)]  # share of them that gained
    drawdown_bps: Annotated[Floats, Axes(ROWS), Within(0.0)]  # deepest fall of the summed return below its peak
    turnover: Annotated[Floats, Axes(ROWS), Within(0.0)]  # notional traded an epoch
    cost_bps: Annotated[Floats, Axes(ROWS), Within(0.0)]  # what that would have cost an epoch by L71
    stability: Annotated[Floats, Axes(ROWS), Within(0.0, 1.0)]  # R^2 of the summed return on time


class SymbolTracks(NamedTuple):
    """The same figures, one track record a symbol: the score's paper account on it, or the account's part in it, (N,) each."""

    epoch_return_bps: Annotated[Floats, Axes("N"), Within()]
    mean_return_bps: Annotated[Floats, Axes("N"), Within()]
    sharpe: Annotated[Floats, Axes("N"), Within()]
    hit_rate: Annotated[Floats, Axes("N"), Within(0.0, 1.0)]
    drawdown_bps: Annotated[Floats, Axes("N"), Within(0.0)]
    turnover: Annotated[Floats, Axes("N"), Within(0.0)]
    cost_bps: Annotated[Floats, Axes("N"), Within(0.0)]
    stability: Annotated[Floats, Axes("N"), Within(0.0, 1.0)]


class RegimeTracks(NamedTuple):
    """The same figures of the account's part in each regime, (R,) each: what was made while the market was in it, by L1."""

    epoch_return_bps: Annotated[Floats, Axes(len(REGIMES)), Within()]
    mean_return_bps: Annotated[Floats, Axes(len(REGIMES)), Within()]
    sharpe: Annotated[Floats, Axes(len(REGIMES)), Within()]
    hit_rate: Annotated[Floats, Axes(len(REGIMES)), Within(0.0, 1.0)]
    drawdown_bps: Annotated[Floats, Axes(len(REGIMES)), Within(0.0)]
    turnover: Annotated[Floats, Axes(len(REGIMES)), Within(0.0)]
    cost_bps: Annotated[Floats, Axes(len(REGIMES)), Within(0.0)]
    stability: Annotated[Floats, Axes(len(REGIMES)), Within(0.0, 1.0)]


class SourceProfits(NamedTuple):
    """The same, without turnover and cost, which belong to no source, of the account's profit by EDGE_PARTS."""

    epoch_return_bps: Annotated[Floats, Axes(PARTS), Within()]
    mean_return_bps: Annotated[Floats, Axes(PARTS), Within()]
    sharpe: Annotated[Floats, Axes(PARTS), Within()]
    hit_rate: Annotated[Floats, Axes(PARTS), Within(0.0, 1.0)]
    drawdown_bps: Annotated[Floats, Axes(PARTS), Within(0.0)]
    stability: Annotated[Floats, Axes(PARTS), Within(0.0, 1.0)]


class DomainProfits(NamedTuple):
    """The same by DOMAINS: the sum of its sources."""

    epoch_return_bps: Annotated[Floats, Axes(len(DOMAINS)), Within()]
    mean_return_bps: Annotated[Floats, Axes(len(DOMAINS)), Within()]
    sharpe: Annotated[Floats, Axes(len(DOMAINS)), Within()]
    hit_rate: Annotated[Floats, Axes(len(DOMAINS)), Within(0.0, 1.0)]
    drawdown_bps: Annotated[Floats, Axes(len(DOMAINS)), Within(0.0)]
    stability: Annotated[Floats, Axes(len(DOMAINS)), Within(0.0, 1.0)]


class Realised(NamedTuple):
    """What the account made, net, in units of its equity at the epoch's start; and by whom, in its currency."""

    epoch_return_bps: Annotated[Floats, Axes(1), Within()]
    mean_return_bps: Annotated[Floats, Axes(1), Within()]
    sharpe: Annotated[Floats, Axes(1), Within()]
    hit_rate: Annotated[Floats, Axes(1), Within(0.0, 1.0)]
    drawdown_bps: Annotated[Floats, Axes(1), Within(0.0)]
    turnover: Annotated[Floats, Axes(1), Within(0.0)]
    cost_bps: Annotated[Floats, Axes(1), Within(0.0)]  # fees and funding
    stability: Annotated[Floats, Axes(1), Within(0.0, 1.0)]
    profit_by_source: Annotated[Floats, Axes(PARTS), Within()]  # of the epoch, by EDGE_PARTS
    profit_by_symbol: Annotated[Floats, Axes("N"), Within()]
    by_symbol: SymbolTracks
    by_regime: RegimeTracks
    by_source: SourceProfits
    by_domain: DomainProfits


class Evidence(NamedTuple):
    """What speaks for each source."""

    pooled_weight: Annotated[Floats, Axes(K), Within(0.0, 1.0)]  # over all regimes; they sum to 1
    log_wealth: Annotated[Floats, Axes(K), Within()]  # of a unit put on the source alone, at the volatility of the mixture
    peak_log_wealth: Annotated[Floats, Axes(K), Within(0.0)]  # its highest: exp(-peak) bounds the chance that it is luck


class Performance(NamedTuple):
    """L6: paper and realised results apart, and the weights that follow from the former."""

    paper: PaperTracks
    by_symbol: SymbolTracks
    realised: Realised
    evidence: Evidence
    source_weights: SourceWeights


class Advice(NamedTuple):
    """What the record says should be in force, whether or not it may be by itself."""

    pattern_sharpe_chance: Annotated[Floats, Axes(PATTERNS), Within(0.0, 1.0)]  # that the Sharpe ratio is above 0; NaN: unknown
    pattern_weights: Annotated[Floats, Axes(PATTERNS), Within(0.0, 1.0)]
    calm_volatility: Annotated[Floats, Axes(1), Within()]  # score: mean of the calm state's volatility
    high_volatility: Annotated[Floats, Axes(1), Within()]  # the same of the state of high volatility
    trend: Annotated[Floats, Axes(1), Within()]  # score: size of the mean of both trend states
    crash_sigma: Annotated[Floats, Axes(1), Within(0.0)]  # sigma: move that is a crash


class Adaptation(NamedTuple):
    """L65: what is in force in the epoch that begins, what is advised, and how much of it has just changed."""

    pattern_weights: PatternWeights
    regime_thresholds: RegimeThresholds
    advice: Advice
    changed: Annotated[int, Within(0)]  # numbers in force that are others than in the epoch before
