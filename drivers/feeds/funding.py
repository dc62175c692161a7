"""Reads a funding file: the rate that longs pay shorts, in the bar of each payment.

A row is a payment. Where `dataset.yml` names a `funding_interval`, a row is a quote of the rate instead, and the last quote at
or before each UTC multiple of the interval is paid there, once; a quote older than one interval is not.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.feeds.aligned import UnknownFunding
from drivers.feeds.bounds import FUNDING
from drivers.feeds.description import SECOND, parse_clock
from drivers.feeds.errors import DataError
from drivers.feeds.reading import Axis, Reading, codes_of
from drivers.feeds.tables import Table
from drivers.text.times import duration

SHORTEST: Final = 3_600 * SECOND
"""Between two payments of a venue. Rows that are mostly closer together are quotes of a rate."""
JITTER: Final = SECOND
"""A payment at 08:00:00.003 or 07:59:59.998 is the one of 08:00:00: venues stamp them some milliseconds off."""
_CURE: Final = "correct or remove the row"


def read_funding(reading: Reading, table: Table, axis: Axis) -> None:
    """Fills the funding panel: the rate in the bar that covers its payment, 0 elsewhere. Rates of one bar add up.

    Refuses rates that are not finite or above 1, and rows of a symbol that mostly lie less than an hour apart without a
    `funding_interval` in dataset.yml.
    """
    panel = axis.panel(0.0)
    times: list[Ints] = []
    codes: list[Ints] = []
    rates: list[Floats] = []
    for start, batch in table.batches(["timestamp", "symbol", "funding_rate"]):
        time = table.times(batch.column("timestamp"), start)
        code = codes_of(table, batch, start, axis.column)
        rate = table.floats(batch, "funding_rate")
        wrong = (code >= 0) & (~np.isfinite(rate) | FUNDING.beyond(rate))

        def what(i: int, rate: Floats = rate) -> str:
            if np.isfinite(rate[i]):
                return f": {FUNDING.sentence('funding_rate', rate[i])}; write it as a fraction, 0.0001 for 0.01 %: {_CURE}"
            return f": funding_rate is {rate[i]:g}; it must be finite: {_CURE}"

        reading.fault("bad funding_rate", table, wrong, start, axis.symbols, code, time, what)
        use = (code >= 0) & ~wrong
        times.append(time[use])
        codes.append(code[use])
        rates.append(rate[use])
    time, code, rate = np.concatenate(times), np.concatenate(codes), np.concatenate(rates)
    interval = reading.about.funding_interval
    for n, symbol in enumerate(axis.symbols):
        mine = np.flatnonzero(code == n)
        mine = mine[np.argsort(time[mine], kind="stable")]
        at, paid = time[mine], rate[mine]
        if interval is not None:
            at, paid = _payments(at, paid, parse_clock(interval))
        elif len(at) > 2 and (between := int(np.median(np.diff(at)))) < SHORTEST:
            raise DataError(
                f"{table.name}: rows of {symbol} lie {duration(between)} apart: these are quotes of a rate, and each row would "
                "be charged; write `funding_interval: 8h` (the venue's) in dataset.yml, import with --funding-interval 8h, or "
                "keep only the rows at which funding is paid"
            )
        at = snapped(at)
        reading.payments[symbol] = at
        row = axis.rows(at)
        inside = (row >= 0) & (row < axis.bars)
        np.add.at(panel, (row[inside], np.full(int(inside.sum()), n)), paid[inside])
    reading.panels["funding_rate"] = panel


def snapped(at: Ints) -> Ints:
    """Instants of payment, those within JITTER of a full minute moved to it."""
    beyond = (at + JITTER) % (60 * SECOND)
    return np.where(beyond <= 2 * JITTER, at + JITTER - beyond, at)


def unknown_funding(reading: Reading, axis: Axis, listed: Ints) -> tuple[UnknownFunding, ...]:
    """The symbols of which payments are not in the data, taken as perpetuals. listed: (2, N) first and last row.

    The time between two payments is `funding_interval`, else the median of a symbol's rows; a gap of two and more of them lacks
    payments, and so do the first and the last bars where none is that near.
    """
    found = []
    given = reading.about.funding_interval
    for n, symbol in enumerate(axis.symbols):
        if listed[1, n] < listed[0, n]:
            continue
        begin, end = (int(axis.trading.closes[row]) for row in listed[:, n])
        at = np.unique(reading.payments.get(symbol, np.zeros(0, np.int64)))
        at = at[(at > begin - axis.step) & (at <= end)]
        if not len(at):
            found.append(UnknownFunding(symbol, 0, 0))
        elif given is not None or len(at) > 1:
            interval = parse_clock(given) if given is not None else int(np.median(np.diff(at)))
            between = (np.diff(at) + interval // 2) // interval - 1
            missing = int(between.clip(0).sum()) + (int(at[0]) - begin) // interval + (end - int(at[-1])) // interval
            if missing:
                found.append(UnknownFunding(symbol, missing, missing + len(at)))
    return tuple(found)


def _payments(time: Ints, rate: Floats, interval: int) -> tuple[Ints, Floats]:
    """The instants of payment that the quotes cover, and the rate that stood at each."""
    if not len(time):
        return time, rate
    at = np.arange(-(-time[0] // interval), time[-1] // interval + 1, dtype=np.int64) * interval
    last = np.searchsorted(time, at + JITTER, side="right") - 1
    fresh = at - time[last] < interval
    return at[fresh], rate[last[fresh]]
