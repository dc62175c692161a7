"""The facts of a data set's instruments, out of `dataset.yml` and the venue that it names."""

from __future__ import annotations

import numpy as np

from dataflows.data.types import Instruments, unknown_instruments
from dataflows.panel import Ints
from drivers.feeds.description import SECOND, Description
from drivers.feeds.reading import Axis, Reading, symbol_uid


def instruments_of(reading: Reading, axis: Axis, rules: Description) -> Instruments:
    """The facts of each column. rules: the description with what its venue adds."""
    names = axis.symbols
    no = np.zeros(len(names), np.int64)
    messages = rules.orders_per_minute * axis.step // (60 * SECOND)
    sides = reading.panels.get("buy_volume")
    same = ("tick_size", "lot_size", "min_notional", "taker_fee_bps", "maker_fee_bps", "borrow_rate", "maintenance_margin")
    return unknown_instruments(len(names))._replace(
        **{key: rules.per_symbol(key, names) for key in (*same, "liquidation_fee_bps", "delivery_price")},
        uid=np.array([symbol_uid(name) for name in names], np.int64),
        reduce_only_exempt=rules.per_symbol("reduce_only_exempt", names).astype(np.int64),
        base_fee=np.array([int(currency == "base") for currency in rules.named("fee_currency", names)], np.int64),
        book_feed=no + reading.has_book,
        price_band_bps=np.full(len(names), rules.price_band_bps),
        long_only=no + (not rules.takes_shorts),
        margin=np.full(len(names), 0.0 if rules.leverage is None else 1.0 / rules.leverage),
        most_orders=no + rules.most_orders,
        orders_per_bar=no + (max(1, messages) if rules.orders_per_minute else 0),
        trade_side_feed=no if sides is None else np.asarray((~np.isnan(sides)).any(axis=0), np.int64),
        leader=reading.about.leads(names),
    )


def deliver(reading: Reading, axis: Axis, rules: Description, listed: Ints) -> None:
    """Ends the listing of each symbol with the bar of its delivery, in place; what is observed later is left out.

    listed: (2, N) first and last row. A symbol whose delivery lies beyond its last bar stays listed until then.
    """
    at = rules.deliveries(axis.symbols)
    last = np.clip(axis.rows(at), -1, axis.bars - 1)
    for n in np.flatnonzero(at):
        listed[1, n] = last[n]
        for name, panel in reading.panels.items():
            panel[last[n] + 1 :, n] = 0.0 if name == "funding_rate" else np.nan
