"""The tables of the account: figures, periods, symbols, round trips, orders and what trading cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from drivers.report.account import Account, per_period
from drivers.report.cells import Cell, Table, money, number, word
from drivers.report.contents import RunReport
from drivers.report.openings import Opening, read_openings
from drivers.report.openings import in_words as in_words_of_opening
from drivers.report.text import count, fixed, interval_of, moment, percent, signed, significant, value_of
from drivers.report.trips import Trip
from drivers.report.words import REASONS, REJECTIONS, TYPES, in_words, in_words_all
from drivers.text.counts import plural
from drivers.text.times import rounded_duration

MOST_TRIPS: Final = 200
_HOUR: Final = 3_600_000_000_000
"""ns."""
SIDES: Final = {1: "long", -1: "short"}


def figures(report: RunReport) -> Table:
    """Every figure with its definition."""
    rows: list[list[Cell]] = []
    group = ""
    for f in report.figures:
        if f.group != group:
            group = f.group
            rows.append([word(group)])
        note = f" ({'not shown: ' if f.value is None else ''}{f.note})" if f.note else ""
        rows.append([word(f.label), number(value_of(f), f.value), word(interval_of(f)), word(f.definition + note)])
    columns = (("Figure", False), ("Value", True), ("95 % interval", False), ("Definition", False))
    return Table("figures", "Every figure of this run and how it is computed. Money is in quote currency.", columns, rows)


def periods(report: RunReport, account: Account) -> Table:
    """The account by period."""
    found = per_period(account)
    starts = report.clock.period_starts
    by = rounded_duration(report.clock.period)
    traded, fees = np.zeros(len(starts)), np.zeros(len(starts))
    if report.book.fills:
        at = report.clock.period_of(report.clock.bar_of_fill(np.array([f.time for f in report.book.fills], np.int64)))
        np.add.at(traded, at, [f.notional for f in report.book.fills])
        np.add.at(fees, at, [f.fee for f in report.book.fills])
    rows = [
        [
            word(moment(int(starts[p]), seconds=False)[: 10 if report.clock.period >= 86_400_000_000_000 else 16]),
            money(float(found["equity"][p])),
            number(percent(float(found["return"][p]), 3, sign=True), float(found["return"][p]), toned=True),
            number(percent(float(found["drawdown"][p])), float(found["drawdown"][p])),
            number(percent(float(found["gross"][p]), 1), float(found["gross"][p])),
            number(percent(float(found["gross_max"][p]), 1), float(found["gross_max"][p])),
            number(percent(float(found["net"][p]), 1), float(found["net"][p])),
            money(float(traded[p])),
            money(float(fees[p])),
        ]
        for p in range(len(starts))
    ]
    names = ("From (UTC)", "Equity", "Return", "Drawdown", "Gross, mean", "Gross, highest", "Net, mean", "Traded", "Fees")
    caption = f"The account in periods of {by}: the largest drawdown of each; exposure over equity."
    return Table("periods", caption, [(n, i > 0) for i, n in enumerate(names)], rows, True)


def symbols(report: RunReport) -> Table:
    """What was traded of each symbol, and what its price did."""
    rows = []
    for n, name in enumerate(report.symbols):
        fills = report.book.by_symbol.get(n, [])
        trips = [t for t in report.book.trips if t.symbol == n]
        won = sum(t.profit > 0.0 for t in trips)
        profit = sum((t.profit for t in trips), 0.0)
        change = float(report.prices.last[n] / report.prices.first[n] - 1.0) if report.prices is not None else math.nan
        held = float(report.account.time_held[n]) if report.account is not None else math.nan
        rows.append(
            [
                word(name),
                number(percent(change, 1, sign=True), change, toned=True),
                number(count(len(trips)), len(trips)),
                number(percent(won / len(trips), 0) if trips else "", won / len(trips) if trips else None),
                money(profit, toned=True),
                money(sum((f.notional for f in fills), 0.0)),
                money(sum((f.fee for f in fills), 0.0)),
                money(sum((f.slippage for f in fills), 0.0)),
                number(percent(held, 1), held),
            ]
        )
    names = ("Symbol", "Price, change", "Round trips", "With a profit", "Profit", "Traded", "Fees", "Slippage", "Time held")
    caption = "By symbol. Profit: of closed round trips, after fees."
    return Table("symbols", caption, [(n, i > 0) for i, n in enumerate(names)], rows, True)


def round_trips(report: RunReport) -> tuple[Table, str]:
    """The round trips with the largest profit or loss, and a sentence on the rest and on what is open."""
    trips = sorted(report.book.trips, key=lambda t: (-abs(t.profit), t.entry_time))
    shown = sorted(trips[:MOST_TRIPS], key=lambda t: t.exit_time)
    names = (
        "Symbol", "Side", "Opened", "Closed", "Bars", "Entry", "Exit", "Paid", "Fees", "Slippage", "Funding", "Profit", "bps",
        "MAE", "MFE", "Closed because",
    )  # fmt: skip
    openings = read_openings(report.run, shown)
    table = Table(
        "trips",
        "Round trips. Times are closes of bars, month and day, UTC; entry and exit are mean prices; profit is after fees, "
        "before the funding that the position paid; bps: of what was paid to open; MAE and MFE: how far the price went against "
        "it and with it, bps.",
        [(n, n not in ("Symbol", "Side", "Opened", "Closed", "Closed because")) for n in names],
        [_trip(report, t) for t in shown],
        True,
        [_marks(report, t, openings) for t in shown],
    )
    return table, _rest(report, trips[MOST_TRIPS:])


def _marks(report: RunReport, trip: Trip, openings: Mapping[tuple[int, int], Opening]) -> dict[str, str]:
    """What a click on a round trip shows: where it is on the chart, its orders, and why it was opened."""
    opening = openings.get((trip.decided, trip.symbol))
    return {
        "symbol": report.symbols[trip.symbol],
        "from": str(trip.entry_time // 1_000_000),
        "to": str(trip.exit_time // 1_000_000),
        "orders": " ".join(filter(None, (trip.entry_order, trip.exit_order))),
        "why": in_words_of_opening(trip.decided, opening, seconds=report.seconds) if opening is not None else "",
    }


def by_side(report: RunReport) -> Table | None:
    """Long round trips against short ones."""
    if not report.book.trips:
        return None
    rows = [_group(name, [t for t in report.book.trips if t.side == side]) for side, name in SIDES.items()]
    rows.append(_group("both", report.book.trips))
    return Table("sides", "Round trips by side; profit is after fees.", _group_columns("Side"), rows)


def by_hour(report: RunReport) -> Table | None:
    """Round trips by the hour of the day in which they were opened."""
    trips = report.book.trips
    if not trips or report.clock.step >= _HOUR * 24:
        return None
    hours = sorted({t.entry_time // _HOUR % 24 for t in trips})
    rows = [_group(f"{hour:02d}:00", [t for t in trips if t.entry_time // _HOUR % 24 == hour]) for hour in hours]
    return Table(
        "hours",
        "Round trips by the hour (UTC) in which they were opened; profit is after fees.",
        _group_columns("Hour"),
        rows,
        True,
    )


def _group_columns(first: str) -> list[tuple[str, bool]]:
    names = (first, "Round trips", "With a profit", "Profit", "Mean, bps", "Median, bps", "MAE, median", "MFE, median")
    return [(n, i > 0) for i, n in enumerate(names)]


def _group(name: str, trips: Sequence[Trip]) -> list[Cell]:
    if not trips:
        return [word(name), number("0", 0), *(number("", None) for _ in range(6))]
    bps, adverse, favourable = (
        np.array([getattr(t, key) for t in trips], np.float64) for key in ("bps", "adverse_bps", "favourable_bps")
    )
    won = sum(t.profit > 0.0 for t in trips) / len(trips)
    middle = [float(np.nanmedian(x)) if np.isfinite(x).any() else math.nan for x in (bps, adverse, favourable)]
    mean = float(np.nanmean(bps)) if np.isfinite(bps).any() else math.nan
    return [
        word(name),
        number(count(len(trips)), len(trips)),
        number(percent(won, 1), won),
        money(sum(t.profit for t in trips), toned=True),
        number(signed(mean, 1), mean, toned=True),
        *(number(signed(x, 1), x, toned=i == 0) for i, x in enumerate(middle)),
    ]


def _trip(report: RunReport, trip: Trip) -> list[Cell]:
    bars = (trip.exit_time - trip.entry_time) / report.clock.step
    opened = moment(trip.entry_time, seconds=report.seconds)
    reason = in_words_all(trip.exit_reason, REASONS, "the proposal") + (
        "" if trip.exit_type == "MARKET" else f" ({in_words(trip.exit_type, TYPES)})"
    )
    return [
        word(report.symbols[trip.symbol]),
        word(SIDES[trip.side]),
        word(opened[5:] if trip.decided else "before the run", opened),
        word(moment(trip.exit_time, seconds=report.seconds)[5:], moment(trip.exit_time, seconds=True)),
        number(count(bars), bars),
        number(significant(trip.entry_price), trip.entry_price),
        number(significant(trip.exit_price), trip.exit_price),
        money(trip.entry_notional),
        money(trip.fees),
        money(trip.slippage),
        money(trip.funding),
        money(trip.profit, toned=True),
        number(signed(trip.bps, 1), trip.bps, toned=True),
        number(signed(trip.adverse_bps, 1), trip.adverse_bps),
        number(signed(trip.favourable_bps, 1), trip.favourable_bps),
        word(reason),
    ]


def _rest(report: RunReport, rest: Sequence[Trip]) -> str:
    parts = []
    if rest:
        parts.append(
            f"The {MOST_TRIPS} with the largest profit or loss are listed; the other {count(len(rest))} add up to "
            f"{signed(sum(t.profit for t in rest))}."
        )
    account = report.account
    if account is not None and (report.book.trips or report.book.open):
        closed = sum((t.profit for t in report.book.trips), 0.0)
        still = float(account.unrealised.sum()) + sum((t.gross - t.fees for t in report.book.open), 0.0)
        terms = [f"closed trips made {signed(closed)}"]
        if report.book.open:
            terms.append(f"{plural(len(report.book.open), 'open position')} {signed(still)}")
        if account.funding:
            terms.append(f"funding {signed(-account.funding)}")
        together = f", together {signed(closed + still - account.funding)}" if len(terms) > 1 else ""
        parts.append(f"All {', '.join(terms)}{together}; the account changed by {signed(account.change)}.")
    return " ".join(parts)


def orders(report: RunReport) -> Table | None:
    """What became of the orders."""
    found = report.book.orders
    if not found:
        return None
    statuses = sorted({status for _, status in found})
    kinds = sorted({kind for kind, _ in found}, key=lambda k: list(TYPES).index(k) if k in TYPES else len(TYPES))
    rows = [
        [
            word(in_words(kind, TYPES)),
            *(number(count(found[kind, s]) if found[kind, s] else "", found[kind, s]) for s in statuses),
        ]
        for kind in kinds
    ]
    caption = "Orders by type and last status."
    if report.book.ends:
        said = ", ".join(f"{in_words(code, REJECTIONS)} ({count(n)})" for code, n in report.book.ends.most_common())
        caption += f" What the venue said of those that ended without their fill: {said}."
    return Table("orders", caption, (("Type", False), *((s.lower().replace("_", " "), True) for s in statuses)), rows)


def costs(report: RunReport) -> Table | None:
    """What trading cost, by symbol and in all."""
    book = report.book
    if not book.fills:
        return None
    delay = report.delay
    lines: list[tuple[str, float, float, float, float]] = []
    for n, name in enumerate(report.symbols):
        late = float(delay[n]) if delay is not None else math.nan
        if own := book.by_symbol.get(n):
            lines.append((name, sum(f.notional for f in own), sum(f.fee for f in own), sum(f.slippage for f in own), late))
    sums = [sum(values) for values in zip(*(line[1:] for line in lines), strict=True)]
    lines.append(("all", *sums))  # type: ignore[arg-type]
    rows = []
    for name, traded, fee, slip, late in lines:
        row = [word(name), money(traded)]
        for cost in (fee, slip, late):
            row += [money(cost), number(fixed(cost / traded * 1e4), cost / traded * 1e4)]
        rows.append([*row, number(fixed((fee + slip + late) / traded * 1e4), (fee + slip + late) / traded * 1e4)])
    names = (
        "Symbol", "Traded", "Fees", "bps", "Slippage", "bps", "Delay", "bps", "Shortfall, bps",
    )  # fmt: skip
    maker = sum(f.notional for f in book.fills if f.liquidity == "MAKER") / book.notional
    caption = (
        "Money, and basis points of what was traded. Fees: as the venue charged them. Slippage: fill against its reference "
        "price (the open for a market order, else the order's own price); half the spread and the market impact are in it. "
        "Delay: that reference against the price at the decision; negative: the price came towards us. Shortfall: the three "
        f"together (Perold 1988). {percent(maker, 1)} of the traded notional was filled as maker."
    )
    return Table("costs", caption, [(n, i > 0) for i, n in enumerate(names)], rows)
