"""The figures of a run. One that would mislead is not shown, and says why; what each is, definitions.py says in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats
from drivers.report.account import Account
from drivers.report.benchmark import hold_daily
from drivers.report.definitions import DEFINITIONS, Unit
from drivers.report.scan import DAY
from drivers.report.trips import TradeHistory, Trip
from drivers.statistics.sharpe import expected_maximum, minimum_track_record, moments, probabilistic_sharpe
from drivers.store.trials import Trials
from drivers.text.counts import plural
from drivers.text.times import rounded_duration

LEAST_SPAN: Final = 30 * DAY
"""Less than this is not made a yearly rate of growth."""
LEAST_DAYS: Final = 10
"""Fewer daily returns give no volatility and no ratio."""
Z95: Final = 1.959963984540054
_UNKNOWN: Final = (None, None)
_OF_TRIPS: Final = (
    "hit_rate", "profit_factor", "trip_bps", "trip_bps_median", "payoff", "adverse", "favourable", "holding_bars",
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One number. value: None where it is not shown; `note` says why then. low, high: its 95 % interval."""

    key: str
    label: str
    group: str
    unit: Unit
    value: float | None
    definition: str
    low: float | None = None
    high: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def all_figures(
    account: Account | None, book: TradeHistory, hold: Floats | None = None, trials: Trials | None = None
) -> list[Figure]:
    """Every figure that this run has, in the order of their definitions. hold: wealth (T,) of buy and hold. trials: on the same
    data."""
    if account is None:
        return []
    facts: dict[str, Any] = {"days": len(account.daily.returns), "days_a_year": account.daily.a_year}
    values: dict[str, tuple[Any, ...]] = {}
    parts = [growth(account), risk(account), exposure(account), trading(account, book), round_trips(account, book.trips)]
    if hold is not None:
        parts.append(against_hold(account, hold))
    if trials is not None:
        facts |= {"trials": trials.different, "runs": trials.runs}
        parts.append(luck(account, trials))
    for part in parts:
        values.update({key: rest for key, *rest in part})
    return [
        _figure(key, definition.words.format(**facts), *values[key]) for key, definition in DEFINITIONS.items() if key in values
    ]


def _figure(
    key: str, words: str, value: float | None, note: str = "", interval: tuple[float | None, float | None] = _UNKNOWN
) -> Figure:
    group, label, unit, _ = DEFINITIONS[key]
    shown = None if value is None or not math.isfinite(value) else float(value)
    low, high = interval if shown is not None else _UNKNOWN
    return Figure(key, label, group, unit, shown, words, low, high, note)


Part = Iterator[tuple[Any, ...]]
"""(key, value or None, why it is not shown, 95 % interval) of figures; what is left out from the right is nothing."""


def growth(account: Account) -> Part:
    """What the account became."""
    clock = account.clock
    total = float(np.prod(1.0 + account.returns[np.isfinite(account.returns)])) - 1.0
    short = "" if clock.span >= LEAST_SPAN else f"the run spans {rounded_duration(clock.span)}, less than 30 days"
    yearly = None if short else max(0.0, 1.0 + total) ** (clock.bars_a_year / clock.bars) - 1.0
    worst = float(account.drawdown.max())
    yield "total_return", total
    yield "profit", account.change
    yield "end_equity", float(account.equity[-1])
    yield "cagr", yearly, short
    yield "calmar", yearly / worst if yearly is not None and worst else None, short or ("" if worst else "equity never fell")


def risk(account: Account) -> Part:
    """How rough the way was."""
    returns, days_a_year = account.daily.returns, account.daily.a_year
    few = "" if len(returns) >= LEAST_DAYS else f"the run has {plural(len(returns), 'day')}, fewer than {LEAST_DAYS}"
    scale = math.sqrt(days_a_year)
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    yield "volatility", None if few else deviation * scale, few
    for key, (ratio, error) in (("sharpe", sharpe(returns)), ("sortino", sortino(returns))):
        if few or ratio is None or error is None:
            yield key, None, few or ("no day lost anything" if deviation else "the account did not move")
        else:
            yield key, ratio * scale, "", ((ratio - Z95 * error) * scale, (ratio + Z95 * error) * scale)
    first, length = account.longest_under_water
    yield "max_drawdown", float(account.drawdown.max())
    lasting = "it lasts until the end of the run" if length and first + length == account.clock.bars else ""
    yield "drawdown_duration", float(length * account.clock.step), lasting
    bars = account.returns[np.isfinite(account.returns)]
    yield "worst_bar", float(bars.min()) if len(bars) else None


def sharpe(returns: Floats) -> tuple[float | None, float | None]:
    """(ratio, standard error) per return; the error is sqrt((1 + ratio^2 / 2) / n) (Lo 2002). None where nothing moved."""
    if len(returns) < 2 or not (deviation := float(returns.std(ddof=1))) > 0.0:
        return _UNKNOWN
    ratio = float(returns.mean()) / deviation
    return ratio, math.sqrt((1.0 + 0.5 * ratio**2) / len(returns))


def sortino(returns: Floats) -> tuple[float | None, float | None]:
    """(ratio, standard error) per return against 0. The error is that of the ratio's linear part (delta method)."""
    loss = np.minimum(returns, 0.0) ** 2
    if len(returns) < 2 or not (below := math.sqrt(float(loss.mean()))) > 0.0:
        return _UNKNOWN
    mean = float(returns.mean())
    influence = (returns - mean) / below - mean * (loss - below**2) / (2.0 * below**3)
    return mean / below, float(influence.std()) / math.sqrt(len(returns))


def against_hold(account: Account, hold: Floats) -> Part:
    """The account beside buy and hold. hold: wealth (T,), 1 at the start."""
    clock = account.clock
    yield "hold_return", float(hold[-1]) - 1.0
    yield "hold_drawdown", float((1.0 - hold / np.maximum.accumulate(np.maximum(hold, 1.0))).max())
    held = hold_daily(clock, hold)
    _, ours, theirs = np.intersect1d(account.daily.day, held.day, return_indices=True)
    own, other = account.daily.returns[ours], held.returns[theirs]
    if len(own) < LEAST_DAYS or not float(other.std()) > 0.0 or not float(own.std()) > 0.0:
        why = f"the run has {plural(len(own), 'day')}, fewer than {LEAST_DAYS}" if len(own) < LEAST_DAYS else "nothing moved"
        for key in ("alpha", "beta", "information_ratio"):
            yield key, None, why
        return
    (alpha, alpha_error), (beta, beta_error) = regression(own, other)
    year = held.a_year
    yield "alpha", alpha * year, "", ((alpha - Z95 * alpha_error) * year, (alpha + Z95 * alpha_error) * year)
    yield "beta", beta, "", (beta - Z95 * beta_error, beta + Z95 * beta_error)
    ratio, error = sharpe(own - other)
    if ratio is None or error is None:
        yield "information_ratio", None, "the account moved as buy and hold did"
    else:
        scale = math.sqrt(year)
        yield "information_ratio", ratio * scale, "", ((ratio - Z95 * error) * scale, (ratio + Z95 * error) * scale)


def regression(y: Floats, x: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """((intercept, its standard error), (slope, its standard error)) of ordinary least squares of y on x, both (n > 2,)."""
    n, centred = len(x), x - x.mean()
    square = float(centred @ centred)
    slope = float(centred @ y) / square
    intercept = float(y.mean()) - slope * float(x.mean())
    residual = y - intercept - slope * x
    variance = float(residual @ residual) / (n - 2)
    return (intercept, math.sqrt(variance * (1.0 / n + float(x.mean()) ** 2 / square))), (slope, math.sqrt(variance / square))


def luck(account: Account, trials: Trials) -> Part:
    """How much of the Sharpe ratio may be the luck of the best of many trials."""
    returns = account.daily.returns
    few = "" if len(returns) >= LEAST_DAYS else f"the run has {plural(len(returns), 'day')}, fewer than {LEAST_DAYS}"
    found = moments(returns)
    yield "trials", trials.different
    if few or found is None:
        for key in ("probabilistic_sharpe", "deflated_sharpe", "luck_sharpe", "track_record"):
            yield key, None, few or "the account did not move"
        return
    bar = expected_maximum(trials.different, trials.variance_for(found.n))
    needed = minimum_track_record(found)
    yield "probabilistic_sharpe", probabilistic_sharpe(found)
    yield "luck_sharpe", bar * math.sqrt(account.daily.a_year)
    yield "deflated_sharpe", probabilistic_sharpe(found, bar), f"after {plural(trials.different, 'trial')} on these data"
    yield "track_record", needed, "" if math.isfinite(needed) else "the ratio is not above 0"


def exposure(account: Account) -> Part:
    """How much was at stake. Bars without positive equity do not count."""
    solvent = account.equity > 0.0
    equity = account.equity[solvent]
    yield "time_in_market", float(np.mean(account.gross > 0.0))
    if len(equity):
        gross, net = account.gross[solvent] / equity, account.net[solvent] / equity
        yield "gross_mean", float(gross.mean())
        yield "gross_max", float(gross.max())
        yield "net_mean", float(net.mean())
        yield "net_max", float(np.abs(net).max())


def trading(account: Account, book: TradeHistory) -> Part:
    """How much was traded, and what that cost."""
    mean = float(account.equity.mean())
    traded, before = book.notional, account.change + book.fees
    turnover = traded / mean if mean > 0.0 else None
    nothing = "" if book.fills else "nothing was traded"
    yield "orders", sum(book.orders.values())
    yield "fills", len(book.fills)
    yield "turnover", turnover
    yield "turnover_day", turnover / (account.clock.span / DAY) if turnover is not None else None
    yield "fees", book.fees
    gained = bool(book.fills) and before > 0.0
    yield "fees_share", book.fees / before if gained else None, nothing or ("" if gained else "there was no profit before fees")
    yield "slippage", book.slippage
    yield "funding", account.funding
    yield "cost_bps", (book.fees + book.slippage) / traded * 1e4 if traded > 0.0 else None, nothing


def round_trips(account: Account, trips: Sequence[Trip]) -> Part:
    """What became of the positions that were closed."""
    n = len(trips)
    yield "trips", n
    if not n:
        for key in (
            "hit_rate",
            "profit_factor",
            "trip_bps",
            "trip_bps_median",
            "payoff",
            "adverse",
            "favourable",
            "holding_bars",
        ):
            yield key, None, "no round trip was closed"
        return
    profit = np.array([t.profit for t in trips], np.float64)
    won, lost = profit[profit > 0.0], -profit[profit <= 0.0]
    bps = np.array([t.bps for t in trips], np.float64)
    bps = bps[np.isfinite(bps)]
    yield "hit_rate", len(won) / n, "", wilson(len(won), n)
    losing = float(lost.sum()) > 0.0
    yield "profit_factor", float(won.sum() / lost.sum()) if losing else None, "" if losing else "no round trip lost"
    mean = float(bps.mean()) if len(bps) else None
    half = Z95 * float(bps.std(ddof=1)) / math.sqrt(len(bps)) if len(bps) > 1 else None
    yield "trip_bps", mean, "", _UNKNOWN if mean is None or half is None else (mean - half, mean + half)
    yield "trip_bps_median", float(np.median(bps)) if len(bps) else None
    both = losing and len(won) > 0
    yield "payoff", float(won.mean() / lost.mean()) if both else None, "" if both else "needs a gain and a loss"
    for key, reach in (("adverse", [t.adverse_bps for t in trips]), ("favourable", [t.favourable_bps for t in trips])):
        known = np.array(reach, np.float64)
        known = known[np.isfinite(known)]
        yield key, float(np.median(known)) if len(known) else None, "" if len(known) else "highs and lows were not recorded"
    yield "holding_bars", float(np.median([(t.exit_time - t.entry_time) / account.clock.step for t in trips]))


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 % interval of the share k / n (Wilson 1927). Raises ZeroDivisionError for n = 0."""
    p, z2 = k / n, Z95**2
    middle, half = (p + z2 / (2 * n)) / (1 + z2 / n), Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return middle - half, middle + half
