"""The model of the simulated market: its parameters with their units, and what a simulation returns.

How it works, per symbol and bar:

1. Two common streams (regime and factor) are drawn once from the seed: a sticky chain of three regimes, slow and fast log
   volatility, a return factor, a common part of the drift, jumps, one crash, one outage.
2. Each symbol adds its own volatility, drift, jumps and returns from streams that follow from the seed and the symbol's NAME,
   so that adding a symbol changes no other.
3. The bar's return reaches the efficient price in as many pieces as the bar has trades. Signs of trades come from hidden
   orders of Pareto length (Lillo, Mike and Farmer 2005), so that their autocorrelation decays as a power law; each trade moves
   the mid by size**0.5, and that impact decays as a power law (the propagator of Bouchaud et al. 2004), which keeps returns
   uncorrelated although signs are not.
4. Trades print at the bid or the ask; bars are the open, high, low, close and sums of those trades; books stand around the mid.

THE PLANTED EDGE: each symbol has a latent drift, an Ornstein-Uhlenbeck process with a relaxation time of `drift_minutes` and
a standard deviation of `edge * drift_strength` of the symbol's volatility per minute, larger in the trending regime. At
`edge = 1` it explains about 0.3 % of the variance of one-minute returns, so that their own autocorrelation does not show it;
but it persists for hours, so that the return of the past hours carries some of it. `facts.planted_edge` measures how much.
The mean over 16 seeds of three symbols and 14 days, in bps of the horizon's return per unit of tanh(past return / its sd), with
the standard deviation from one such data set to another:

    past / future, minutes   30/60    60/60    60/120   120/120   240/120   240/240
    edge = 1                 13 +-4   17 +-5   30 +-7   33 +-6    31 +-5    51 +-10
    edge = 0                 -2 +-3   -1 +-4   -1 +-5   -1 +-6    -2 +-6    -6 +-10

(the small minus is the bias of any such regression on a sample of two weeks). The correlation of the score with the return is
0.1 to 0.25, that of the true drift with it 0.3 to 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from dataflows.panel import Floats, Ints
from drivers.text.inert import MOST_CHARACTERS, name_fault

CALM, TRENDING, VOLATILE = 0, 1, 2
BAD_NONE, BAD_WICK, BAD_CLOSE = 0, 1, 2
LEVELS: Final = 10


class Model(NamedTuple):
    """Parameters of the simulated market. Volatilities are in basis points of price per square root of a minute."""

    volatility_bps: float = 8.5  # bps per sqrt(minute), of a middling symbol in a middling hour
    volatility_spread: float = 0.25  # log units: symbols differ by about exp(+-this)
    swing: float = 1.7  # the path inside a bar, so that a handful of trades spans what hundreds would
    factor_share: float = 0.72  # share of a symbol's variance that all symbols have in common
    slow_sd: float = 0.30  # log units: volatility that lasts about `slow_minutes`
    slow_minutes: float = 1_400.0
    fast_sd: float = 0.30  # log units: volatility that lasts about `fast_minutes`
    fast_minutes: float = 45.0
    flicker_sd: float = 0.30  # log units: volatility of the bar itself
    regime_minutes: tuple[float, float, float] = (480.0, 300.0, 120.0)  # mean stay: calm, trending, volatile
    regime_log_volatility: tuple[float, float, float] = (-0.25, 0.0, 0.55)
    volatility_ceiling: float = 1.6  # log units above the symbol's own level
    jumps_per_day: float = 1.0  # per symbol; half as many again hit all symbols
    jump_sd: float = 5.0  # in minutes' volatilities
    drift_strength: float = 0.053  # sd of the drift per minute, over the volatility per sqrt(minute), at edge 1
    drift_minutes: float = 300.0  # relaxation time of the drift
    drift_common: float = 0.3  # share of the drift's variance that all symbols have in common
    drift_by_regime: tuple[float, float, float] = (0.85, 1.4, 0.6)
    crash_depth: float = 0.205  # log units at a crash beta of 1
    crash_minutes: float = 40.0  # from top to bottom
    crash_recovery: float = 0.55  # share of the fall that is won back
    outage_minutes: tuple[float, float] = (100.0, 220.0)  # shortest and longest
    trades_per_bar: float = 5.0  # mean; never under 3, for a bar's wick needs a trade of its own
    trades_ceiling: int = 12
    order_pool: int = 4  # hidden orders that are worked at a time
    order_tail: float = 1.5  # Pareto exponent of an order's length in trades: signs decay as lag**-(tail - 1)
    order_ceiling: int = 20_000  # trades
    size_sd: float = 1.1  # log units of a trade's size
    impact: float = 0.33  # of a middling trade, in volatilities per trade
    impact_exponent: float = 0.5  # of the trade's size
    spread_bps: float = 1.6  # middling full spread
    spread_to_volatility: float = 0.8  # exponent
    depth_to_volatility: float = -0.7  # exponent
    bad_ticks_per_day: float = 0.4  # per symbol


class Trades(NamedTuple):
    """Aggressor-side trades in order of time, then symbol. One row a trade."""

    time: Ints  # UTC ns
    symbol: Ints  # index into `symbols`
    bar: Ints  # index of the bar
    price: Floats  # quote currency
    size: Floats  # base units
    buy: Ints  # 1: the aggressor bought
    mid_before: Floats  # the mid that the trade met, quote currency (not written to disk)
    mid_after: Floats  # the mid that it left


class Books(NamedTuple):
    """Snapshots: (S, N, 10) with S = bars times snapshots a bar; best level first."""

    time: Ints  # (S, N) UTC ns
    bid_price: Floats
    bid_size: Floats
    ask_price: Floats
    ask_size: Floats


class Truth(NamedTuple):
    """What no data set shows: the state behind the prices. Panels (T, N) unless said otherwise."""

    regime: Ints  # (T,): CALM, TRENDING, VOLATILE
    crash: Ints  # (T,): 1 from the top of the crash until it is recovered
    volatility: Floats  # sd of the bar's return, log units
    drift: Floats  # planted expected return of the bar, log units
    mid: Floats  # at the close, quote currency
    bad_tick: Ints  # BAD_NONE, BAD_WICK (the high or the low is wrong), BAD_CLOSE


class SimulatedMarket(NamedTuple):
    """A simulated market. Panels (T, N) of bars; NaN in an outage."""

    symbols: tuple[str, ...]
    clock_seconds: int
    time: Ints  # (T,) close of the bar, UTC ns
    observed: Ints  # (T,): 0 while the exchange is out
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats  # base units
    vwap: Floats
    trade_count: Floats
    buy_volume: Floats
    tick_size: Floats  # (N,) quote currency
    lot_size: Floats  # (N,) base units
    min_notional: Floats  # (N,) quote currency
    trades: Trades | None
    books: Books | None
    truth: Truth | None


def default_symbols(n: int) -> tuple[str, ...]:
    """SIMA, SIMB, ... SIMZ, SIMAA, ...: names that nobody takes for a listing."""
    names = []
    for i in range(n):
        name, rest = "", i
        while True:
            name = chr(ord("A") + rest % 26) + name
            rest = rest // 26 - 1
            if rest < 0:
                break
        names.append("SIM" + name)
    return tuple(names)


def checked_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols sorted by name, as columns are. Raises ValueError for none, a name that is refused or repeated."""
    names = tuple(sorted(symbols))
    if not names:
        raise ValueError("simulate: no symbols; give at least one, e.g. SIMA")
    for name, following in zip(names, (*names[1:], "")):
        if (fault := name_fault(name)) is not None:
            raise ValueError(f"simulate: symbol {name[:MOST_CHARACTERS]!r} {fault}")
        if name == following:
            raise ValueError(f"simulate: symbol {name} is given twice; give each once")
    return names
