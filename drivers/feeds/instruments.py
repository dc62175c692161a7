"""The facts of a data set's instruments, out of `dataset.yml` and the venue that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.data.types import Instruments, unknown_instruments
from dataflows.panel import Floats, Ints
from drivers.feeds.bars import must_be_positive
from drivers.feeds.description import SECOND, UNNAMED, Description
from drivers.feeds.errors import DataError
from drivers.feeds.reading import Axis, Reading, symbol_uid

_TIMES: Final = ("listing_time", "delivery_time")
_PRICES: Final = ("delivery_price", "start_price")
STATED: Final = frozenset({"alpha", "alpha_age"})
"""What was said of a symbol, perhaps before its first bar: left out only beyond a listing or delivery that is named."""
_AS_STATED: Final = ("liquidation_fee_bps", "delivery_price", "start_position", "start_price")


def instruments_of(reading: Reading, axis: Axis, rules: Description) -> Instruments:
    """The facts of each column. rules: the description with what its venue adds."""
    names = axis.symbols
    no = np.zeros(len(names), np.int64)
    messages = rules.orders_per_minute * axis.step // (60 * SECOND)
    sides = reading.panels.get("buy_volume")
    contracts = rules.named("contract", names)
    for name, contract, fee in zip(names, contracts, rules.named("fee_currency", names), strict=True):
        if contract == "inverse" and fee == "base":
            raise DataError(
                f"dataset.yml: fee_currency is base, and {name} is an inverse contract, whose fees are paid in the currency "
                "that it settles in; leave fee_currency out there"
            )
    rate = conversion_rates(rules, names)
    shift = rules.per_symbol("price_shift", names)
    same = ("tick_size", "lot_size", "taker_fee_bps", "maker_fee_bps", "borrow_rate", "maintenance_margin")
    facts: dict[str, Any] = {key: rules.per_symbol(key, names) for key in (*same, *_AS_STATED)}
    for key in _PRICES:
        price = facts[key]
        for n, name in enumerate(names):
            if price[n] != 0.0 and price[n] + shift[n] <= 0.0:
                raise DataError(f"dataset.yml: {key} of {name} is {price[n]:g}; {must_be_positive(shift[n])}")
        facts[key] = np.where(price != 0.0, price + shift, 0.0)
    return unknown_instruments(len(names))._replace(
        **facts,
        price_shift=shift,
        min_notional=rules.per_symbol("min_notional", names) * rate,
        multiplier=rules.per_symbol("multiplier", names) * rate,
        inverse=np.array([int(contract == "inverse") for contract in contracts], np.int64),
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
        leader=reading.about.leads(names, _turnover(reading, axis)),
    )


def check_shifts(rules: Description, names: Sequence[str], held: Sequence[str]) -> None:
    """Refuses a `price_shift` of what cannot cost nothing or less, or beside a share of a price, which has no meaning there.

    held: files and columns of the folder that are shares of a price.
    """
    shift, tick = rules.per_symbol("price_shift", names), rules.per_symbol("tick_size", names)
    contracts, currencies = rules.named("contract", names), rules.named("fee_currency", names)
    for n, name in enumerate(names):
        if shift[n] == 0.0:
            continue
        said = f"dataset.yml: price_shift of {name} is {shift[n]:g}"
        if rules.kind != "future" or contracts[n] != "linear" or currencies[n] != "quote":
            raise DataError(f"{said}, and only linear futures can cost nothing or less; write `kind: future`, or leave it out")
        for what in (*held, *(key for key in ("min_notional", "borrow_rate") if rules.per_symbol(key, [name])[0] > 0.0)):
            raise DataError(f"{said}, and {what} is a share of a price, which has no meaning at zero and below; leave it out")
        if not on_grid(shift[n], tick[n]):
            raise DataError(f"{said}, which is not a whole number of ticks of {tick[n]:g}; write one that is")


def on_grid(x: float, step: float) -> bool:
    """True where x is a whole number of steps, to rounding, or no step is known (0)."""
    return step == 0.0 or abs(x / step - round(x / step)) <= 1e-9 * max(1.0, x / step)


def conversion_rates(rules: Description, names: Sequence[str]) -> Floats:
    """What one of each symbol's settlement currency is worth in the account's, (N,); 1 where currencies are not named.

    Raises DataError, by name, where symbols settle in different currencies, or in another than the account's, and no conversion
    is given.
    """
    settles = [_settles_in(rules, name) for name in names]
    if not any(settles) and not rules.account_currency:
        return np.ones(len(names))
    account = rules.account_currency or next(currency for currency in settles if currency)
    rates = []
    for name, currency in zip(names, settles, strict=True):
        if not currency:
            raise DataError(
                f"dataset.yml: the currency in which {name} settles is not named, and the account is in {account}; name it "
                "under `quote_currency` or `settle_currency`"
            )
        if currency != account and currency not in rules.conversion:
            raise DataError(
                f"dataset.yml: {name} settles in {currency}, and the account is in {account}: leave it out, or say what one "
                f"{currency} is worth, e.g. `conversion: {{{currency}: 1.08}}`"
            )
        rates.append(1.0 if currency == account else rules.conversion[currency])
    return np.array(rates, np.float64)


def _settles_in(rules: Description, name: str) -> str:
    """The currency in which a symbol's fees and profits are paid; empty: not named."""
    (settle,), (quote,), (contract,) = (rules.named(key, [name]) for key in ("settle_currency", "quote_currency", "contract"))
    if contract == "inverse" and quote and (settle or quote) == quote:
        raise DataError(
            f"dataset.yml: {name} is an inverse contract quoted in {quote}, which settles in its base; name that under "
            f"`settle_currency`, e.g. `settle_currency: {{{name}: BTC}}`"
        )
    return str(settle or (quote if contract == "linear" else ""))


def list_symbols(reading: Reading, axis: Axis, rules: Description, listed: Ints) -> None:
    """Begins and ends the listing of each symbol with the bars of its listing and delivery, in place.

    listed: (2, N) first and last observed row. A symbol that is listed before its first bar, or delivered after its last, is
    expected in between; what is observed outside is left out, and counted.
    Raises DataError for a position from before the start that has no price, or that may not be held.
    """
    for n, (at, end) in enumerate(zip(*(rules.times(key, axis.symbols) for key in _TIMES), strict=True)):
        if at != UNNAMED:
            listed[0, n] = np.clip(axis.rows(at + 1), 0, axis.bars)  # a bar that opens then is the first
        if end != UNNAMED:
            listed[1, n] = np.clip(axis.rows(end), -1, axis.bars - 1)
        outside = np.ones(axis.bars, bool)
        outside[listed[0, n] : listed[1, n] + 1] = False
        reading.counts["unlisted"] += int(np.count_nonzero(~np.isnan(reading.panels["close"][outside, n])))
        beyond = outside.copy()
        beyond[: listed[0, n]] &= at != UNNAMED
        beyond[listed[1, n] + 1 :] &= end != UNNAMED
        for name, panel in reading.panels.items():
            left_out = beyond if name in STATED else outside
            panel[left_out[: len(panel)], n] = 0.0 if name == "funding_rate" else np.nan
    for column, start in enumerate(rules.per_symbol("start_position", axis.symbols)):
        name = axis.symbols[column]
        if start < 0.0 and not rules.takes_shorts:
            raise DataError(f"dataset.yml: start_position of {name} is {start:g}, and no short positions are taken there")
        if start != 0.0 and np.isnan(reading.panels["close"][0, column]):
            raise DataError(
                f"dataset.yml: start_position names {name}, which has no price in the first bar; begin the run later"
            )


def _turnover(reading: Reading, axis: Axis) -> Floats:
    """(N,) traded in the first week of the data, quote currency: a later week would tell the past what came of it."""
    week = slice(0, axis.clock.week)
    traded: Floats = np.nansum(reading.panels["close"][week] * reading.panels["volume"][week], axis=0)
    return traded
