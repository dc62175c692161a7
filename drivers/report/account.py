"""The account of a run, bar by bar, and what was held."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.report.scan import DAY, YEAR, BarTimes, clock_of, holds, panels
from drivers.store.reader import RecordedRun

_SERIES: Final = ("equity", "peak", "drawdown", "gross", "net", "cash_flows")
_MONEY: Final = ("equity", "cash_flows")
_HELD: Final = ("position", "average_price", "mark", "unrealised")


class Daily(NamedTuple):
    """Returns by UTC day. Midnight belongs to the day that it ends."""

    day: Ints  # days since 1970-01-01
    returns: Floats
    a_year: float  # how many such days a year has


def daily_returns(clock: BarTimes, returns: Floats) -> Daily:
    """The returns of bars (T,), NaN where unknown, put together by UTC day; days without a known bar are left out."""
    known = np.isfinite(returns)
    day = (clock.closes(np.flatnonzero(known)) - 1) // DAY
    begins = np.flatnonzero(np.diff(day, prepend=-1))
    if not len(begins):
        return Daily(np.empty(0, np.int64), np.empty(0), 365.0)
    grown: Floats = np.multiply.reduceat(1.0 + returns[known], begins) - 1.0
    return Daily(day[begins], grown, len(grown) * YEAR / clock.span if clock.jumps else 365.0)


@dataclass(frozen=True)
class Account:
    """Money in quote currency. Series (T,), one value a bar, at its close; of symbols (N,)."""

    clock: BarTimes
    start: float  # equity before the first bar
    equity: Floats
    drawdown: Floats  # 1 - equity / its highest so far; above 1 where the account owes money
    gross: Floats
    net: Floats
    flows: Floats  # cash in less out since the first bar
    returns: Floats  # of each bar, cash flows taken out
    funding: float  # paid in this run
    time_held: Floats  # (N,) share of the bars that close with a position
    first_position: Floats  # (N,) after the first bar
    first_average: Floats
    position: Floats  # (N,) after the last bar
    unrealised: Floats

    @property
    def change(self) -> float:
        """What the account gained, cash flows aside."""
        return float(self.equity[-1] - self.flows[-1]) - self.start

    @cached_property
    def daily(self) -> Daily:
        """Returns of the UTC days that have a bar, cash flows taken out."""
        return daily_returns(self.clock, self.returns)

    @property
    def longest_under_water(self) -> tuple[int, int]:
        """(first bar, bars) of the longest time without a new high; (0, 0) when equity never fell."""
        under = np.concatenate([[0], (self.drawdown > 0.0).astype(np.int8), [0]])
        edges = np.diff(under)
        begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        if not len(begins):
            return 0, 0
        longest = int(np.argmax(ends - begins))
        return int(begins[longest]), int(ends[longest] - begins[longest])


def read_account(run: RecordedRun, clock: BarTimes) -> Account | None:
    """The account of a run; None when it kept no ledger."""
    if not holds(run, "ledger", (*_SERIES, *_HELD)):
        return None
    series: dict[str, Floats] = {name: np.empty(clock.bars) for name in _SERIES}
    held = np.zeros(len(run.symbols))
    edge: dict[str, list[Floats]] = {name: [] for name in _HELD}
    for first, part in panels(run, "ledger", (*_SERIES, *_HELD)):
        for name in _SERIES:
            series[name][first : first + len(part[name])] = part[name][:, 0]
        held += np.count_nonzero(part["position"], axis=0)
        for name in _HELD:
            edge[name] = [edge[name][0] if edge[name] else part[name][0].copy(), part[name][-1].copy()]
    told = _told(run)
    equity, flows = series["equity"], series["cash_flows"] - series["cash_flows"][0]
    start = float(told.get("start_equity") or equity[0])
    returns = _returns(equity, flows, start)
    return Account(
        clock,
        start,
        equity,
        np.where(equity > 0.0, series["drawdown"], owing(equity, series["peak"], flows, start)),
        series["gross"],
        series["net"],
        flows,
        returns,
        float(told.get("funding_paid") or 0.0),  # the ledger's sum goes back to before a stream that was gone on with
        held / clock.bars,
        edge["position"][0],
        edge["average_price"][0],
        edge["position"][1],
        edge["unrealised"][1],
    )


def _told(run: RecordedRun) -> dict[str, Any]:
    """What the run's summary says of its account."""
    found: dict[str, Any] = run.about.get("summary", {}).get("account", {})
    return found


def _returns(equity: Floats, flows: Floats, start: float) -> Floats:
    """Of each bar (T,), cash flows taken out; NaN after equity that was not positive."""
    previous = np.concatenate([[start], equity[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns: Floats = np.where(previous > 0.0, (equity - np.diff(flows, prepend=0.0)) / previous - 1.0, np.nan)
    return returns


def read_daily(run: RecordedRun) -> Daily | None:
    """The daily returns of a run alone; None when it kept no ledger."""
    if not holds(run, "ledger", _MONEY):
        return None
    clock = clock_of(run)
    equity, flows = np.empty(clock.bars), np.empty(clock.bars)
    for first, part in panels(run, "ledger", _MONEY):
        for series, name in ((equity, "equity"), (flows, "cash_flows")):
            series[first : first + len(part[name])] = part[name][:, 0]
    start = float(_told(run).get("start_equity") or equity[0])
    return daily_returns(clock, _returns(equity, flows - flows[0], start))


def owing(equity: Floats, peak: Floats, flows: Floats, start: float) -> Floats:
    """The loss where equity is below 0, as a fraction: of the peak or of the start, whichever is the larger.

    A debt is a smaller fraction of a higher equity: of the peak alone it could be less than the loss since the start.
    """
    return np.maximum(1.0 - equity / peak, 1.0 - (equity - flows) / start)


def per_period(account: Account) -> dict[str, Floats]:
    """By period of the clock: equity at its end, return, largest drawdown, gross and net over equity (mean and largest)."""
    period = account.clock.period_of(np.arange(account.clock.bars))
    begins = np.flatnonzero(np.diff(period, prepend=-1))
    numbers = period[begins]
    count = int(period[-1]) + 1
    size = np.diff(np.append(begins, account.clock.bars))
    equity = np.where(account.equity > 0.0, account.equity, np.nan)
    gross, net = account.gross / equity, account.net / equity

    def spread(values: Floats) -> Floats:
        made = np.full(count, np.nan)
        made[numbers] = values
        return made

    growth = np.multiply.reduceat(1.0 + np.nan_to_num(account.returns), begins) - 1.0
    return {
        "equity": spread(account.equity[np.append(begins[1:], account.clock.bars) - 1]),
        "return": spread(growth),
        "drawdown": spread(np.maximum.reduceat(account.drawdown, begins)),
        "gross": spread(np.add.reduceat(np.nan_to_num(gross), begins) / size),
        "gross_max": spread(np.maximum.reduceat(np.nan_to_num(gross), begins)),
        "net": spread(np.add.reduceat(np.nan_to_num(net), begins) / size),
    }


def runs_of(mask: Any) -> list[tuple[int, int]]:
    """(first, length) of each stretch of true values."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask, bool).astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(b), int(e - b)) for b, e in zip(begins, ends, strict=True)]
