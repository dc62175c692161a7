"""Trading time: the bars in which a market is open, so that a closed market is no gap.

1. With an exchange calendar: the bars that overlap its sessions, with early closes, holidays, summer time and lunch
   breaks. A bar of a day is the session of its date.
2. Without one, the rhythm of the data: places of the week that are empty for an hour or more, week after week, are closed, and
   in such a market so is a day without any bar. It takes three weeks of data, and looks at whether bars exist, never at prices.
3. Else, and with the calendar `24/7`, every multiple of the clock.
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.data.sessions import utc_days
from dataflows.panel import Ints
from dataflows.spans import BarClock
from drivers.feeds.description import DAY, SECOND
from drivers.feeds.errors import DataError
from drivers.text.suggestions import did_you_mean
from drivers.text.times import duration

ALWAYS: Final = "24/7"
RHYTHM: Final = "the rhythm of the data"
_WEEK: Final = 7 * DAY
_MONDAY: Final = 4 * DAY  # 1970-01-05
_FEWEST_WEEKS: Final = 3
_WEEKS_A_YEAR: Final = 365.2425 / 7
_LOOK_BACK: Final = 730 * DAY
_RARE: Final = 0.05
_SHORTEST_CLOSE: Final = 3_600 * SECOND


class TradingTime(NamedTuple):
    """The bars of an axis, (T,) each: what L0 takes for its sessions and higher timeframes."""

    closes: Ints  # UTC ns, rising
    session: Ints  # days since 1970-01-01 of the session
    bar_of_session: Ints  # 0 on its first bar
    is_last: Ints  # 1 on its last bar
    ordinal: Ints  # bars of trading time before this one, from a fixed instant

    def between(self, first: int, last: int) -> TradingTime:
        """Those that close from `first` to `last`."""
        a, b = np.searchsorted(self.closes, first), np.searchsorted(self.closes, last, side="right")
        return TradingTime(*(np.ascontiguousarray(x[a:b]) for x in self))


def _every(first: int, last: int, step: int) -> Ints:
    """`first` to `last`, both included. np.arange over ns counts in floats and may lose the last."""
    return first + step * np.arange((last - first) // step + 1, dtype=np.int64)


def always(first: int, last: int, step: int) -> TradingTime:
    """Every bar of the clock from the close `first` to the close `last`; sessions are UTC days."""
    closes = _every(first, last, step)
    return TradingTime(closes, **utc_days(closes, step))


def trading_time(calendar: str, closes: Ints, step: int) -> tuple[TradingTime, str]:
    """The bars of a market, and what they go by: a calendar's name, RHYTHM or ALWAYS.

    calendar: its name, ALWAYS, or "" for the rhythm of the data. closes: UTC ns of the bars that the data have, in any order.
    Raises DataError for a calendar that does not exist.
    """
    offset = int(closes[0]) % step
    first, last = int(closes.min()), int(closes.max())
    if calendar not in ("", ALWAYS):
        opens, ends, label = sessions(calendar, first - step, last)
        return _of_sessions(opens, ends, label, step, offset, calendar, first, last), calendar
    found = _rhythm(np.unique(closes), step) if calendar == "" else None
    return (always(first, last, step), ALWAYS) if found is None else (found, RHYTHM)


def bar_clock(calendar: str, time: TradingTime, step: int) -> BarClock:
    """How many bars a usual session and a usual week have, and sessions a usual year.

    calendar: what `time` goes by, as `trading_time` gives it. Of an exchange they are those of 2016 to 2019, whatever the
    data: so that the same market has the same numbers in any stretch of it. Of a rhythm, the medians of `time`.
    """
    if calendar == ALWAYS:
        return BarClock(step // SECOND, DAY // step, _WEEK // step, 365.0)
    if calendar != RHYTHM:
        return _usual(calendar, step, int(time.closes[0]) % step)
    day, week = _median(time.session), _median((time.closes - 1 - _MONDAY) // _WEEK)
    return BarClock(step // SECOND, day, max(day, week), round(week / day * _WEEKS_A_YEAR, 1))


@functools.cache
def _usual(calendar: str, step: int, offset: int) -> BarClock:
    first, last = (int(np.datetime64(day, "ns").astype(np.int64)) for day in ("2016-01-01", "2020-01-01"))
    opens, ends, label = sessions(calendar, first, last)
    time = _of_sessions(opens, ends, label, step, offset, calendar, first, last).between(first, last)
    week = _median((time.closes - 1 - _MONDAY) // _WEEK)
    days = len(np.unique(label[(label >= first // DAY) & (label < last // DAY)]))
    return BarClock(step // SECOND, _median(time.session), week, days / 4)


def _median(group: Ints) -> int:
    """The middle of the numbers of members of the groups; the first and the last group may be cut, and count where alone."""
    counts = np.unique(group, return_counts=True)[1]
    inner = np.sort(counts[1:-1] if len(counts) > 2 else counts)
    return int(inner[len(inner) // 2])


def check_calendar(name: str) -> None:
    """Raises DataError for a calendar that does not exist."""
    if name in ("", ALWAYS):
        return
    from exchange_calendars import get_calendar_names

    known = get_calendar_names()
    if name not in known:
        others = "the calendars are those of exchange_calendars, e.g. 24/7, XNYS, XLON, XTKS"
        raise DataError(f"there is no exchange calendar {name}; {did_you_mean(name, known, others)}")


def sessions(name: str, first: int, last: int) -> tuple[Ints, Ints, Ints]:
    """Opens and closes of the stretches in which an exchange trades, UTC ns, and the session (days since 1970) of each.

    A lunch break parts a session in two stretches. They cover the days of `first` to `last` and a week around them.
    """
    import exchange_calendars
    import pandas as pd

    check_calendar(name)
    start, end = (pd.Timestamp(t, unit="ns").normalize() for t in (first - 7 * DAY, last + 7 * DAY))
    schedule: Any = exchange_calendars.get_calendar(name, start=start, end=end).schedule

    def ns(column: str) -> Ints:
        return np.array(pd.DatetimeIndex(schedule[column]).as_unit("ns").asi8, np.int64)

    label = np.array(pd.DatetimeIndex(schedule.index).as_unit("ns").asi8, np.int64) // DAY
    opens, ends, lunch, after = ns("open"), ns("close"), ns("break_start"), ns("break_end")
    rests = lunch > np.iinfo(np.int64).min  # NaT
    stretches = np.concatenate(
        [
            np.stack([opens, np.where(rests, lunch, ends), label], axis=1),
            np.stack([after, ends, label], axis=1)[rests],
        ]
    )
    stretches = stretches[np.argsort(stretches[:, 0], kind="stable")]
    return stretches[:, 0], stretches[:, 1], stretches[:, 2]


def _of_sessions(
    opens: Ints, ends: Ints, label: Ints, step: int, offset: int, calendar: str, first: int, last: int
) -> TradingTime:
    if step == DAY:
        days = np.unique(label)
        closes, session = days * DAY + (DAY if offset == 0 else offset), days
    else:
        begin = (opens - offset) // step
        count = -(-(ends - offset) // step) - begin  # bars that overlap the stretch
        index = np.repeat(begin, count) + np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        bars, where = np.unique(index, return_index=True)
        closes, session = (bars + 1) * step + offset, np.repeat(label, count)[where]
    if not ((closes >= first) & (closes <= last)).any():
        raise DataError(
            f"no bar of {duration(step)} lies within the sessions of {calendar}; name another calendar, or correct the times"
        )
    return _numbered(closes, session, int(closes[np.searchsorted(closes, first)]))


def _numbered(closes: Ints, session: Ints, first: int) -> TradingTime:
    """Bars counted within their sessions, and from the session of the close `first` on."""
    new = np.concatenate([[True], session[1:] != session[:-1]])
    begins = np.flatnonzero(new)
    bar = np.arange(len(closes)) - np.repeat(begins, np.diff(np.append(begins, len(closes))))
    last = np.append(new[1:], closes[-1] % DAY == 0).astype(np.int64)
    origin = int(np.argmax(session == session[np.searchsorted(closes, first)]))
    return TradingTime(closes, session, bar, last, np.arange(len(closes)) - origin)


def _rhythm(closes: Ints, step: int) -> TradingTime | None:
    """The bars of a market that closes each week, as far as the data show it; None where they do not."""
    first, last = int(closes[0]), int(closes[-1])
    weeks = (last - first) // _WEEK
    if weeks < _FEWEST_WEEKS:
        return None
    slots = _WEEK // step
    slot = ((closes - step - _MONDAY) // step) % slots
    seen = np.bincount(slot, minlength=slots) / weeks
    shut = _long_enough(seen <= _RARE, max(1, _SHORTEST_CLOSE // step))
    if not shut.any():
        return None
    every = _every(first, last, step)
    days = np.unique((closes - 1) // DAY)
    open_ = ~shut[((every - step - _MONDAY) // step) % slots] & np.isin((every - 1) // DAY, days)
    made = np.union1d(every[open_], closes)
    return _numbered(made, (made - 1) // DAY, first)


def _long_enough(shut: Any, fewest: int) -> Any:
    """The closed places of the week that come in runs of at least `fewest`, the week being a circle."""
    if shut.all() or not shut.any():
        return np.zeros(len(shut), bool)
    turn = int(np.argmin(shut))  # an open place
    circle = np.concatenate([np.roll(shut, -turn), [False]])
    edges = np.flatnonzero(np.diff(circle.astype(np.int8)))
    for a, b in zip(edges[0::2], edges[1::2], strict=True):
        if b - a < fewest:
            circle[a + 1 : b + 1] = False
    return np.roll(circle[:-1], turn)


def proposed(closes: Ints, step: int) -> str:
    """The exchange calendar whose sessions the bars keep to best, "" where none fits: of the large exchanges of each zone."""
    best, score = "", 0.9
    closes = closes[closes > closes.max() - _LOOK_BACK]
    for name in ("XNYS", "XLON", "XETR", "XTKS", "XHKG", "XASX"):
        try:
            time, _ = trading_time(name, closes, step)
        except DataError:
            continue
        inside = np.isin(closes, time.closes).mean()
        wanted = time.between(int(closes.min()), int(closes.max())).closes
        kept = np.isin(wanted, closes).mean() if len(wanted) else 0.0
        if min(inside, kept) > score:
            best, score = name, float(min(inside, kept))
    return best
