"""What an exchange says of a symbol, as `dataset.yml` has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE

from drivers.exchanges.errors import ExchangeFault


def name_of(symbol: str) -> str:
    """Our name of a symbol: `BTC/USDT` and `BTC/USDT:USDT` are BTCUSDT, as the dumps of exchanges have it."""
    return symbol.partition(":")[0].replace("/", "")


def in_order(symbols: Iterable[str]) -> tuple[str, ...]:
    """Symbols as the exchange writes them, in the order of our names: that of the columns."""
    return tuple(sorted(symbols, key=name_of))


def described(markets: Sequence[Mapping[str, Any]], precision_mode: int) -> dict[str, Any]:
    """The keys of `dataset.yml` that the exchange states, by symbol. Unknown ones are left out.

    markets: as ccxt unifies them. precision_mode: how the exchange counts precision. Raises ExchangeFault for one that counts
    it in significant digits: such steps depend on the price.
    """
    found: dict[str, dict[str, Any]] = {}
    for market in markets:
        name = name_of(market["symbol"])
        inverse = bool(market.get("inverse"))
        values = {
            "tick_size": _step(market["precision"].get("price"), precision_mode, market),
            "lot_size": _step(market["precision"].get("amount"), precision_mode, market),
            "min_notional": _known(market["limits"]["cost"].get("min")),
            "taker_fee_bps": _bps(market.get("taker")),
            "maker_fee_bps": _bps(market.get("maker")),
            "quote_currency": market["quote"],
            "settle_currency": market.get("settle"),
            "multiplier": _known(market.get("contractSize")),
            "contract": "inverse" if inverse else None,
        }
        for key, value in values.items():
            if value is not None:
                found.setdefault(key, {})[name] = value
    return {key: _one(values, len(markets)) for key, values in found.items()}


def steps_of(market: Mapping[str, Any], precision_mode: int) -> tuple[float, float]:
    """Steps of price and size; 0: unknown."""
    price, size = (_step(market["precision"].get(key), precision_mode, market) or 0.0 for key in ("price", "amount"))
    return price, size


def _one(values: dict[str, Any], symbols: int) -> Any:
    """One value where all symbols have the same."""
    return next(iter(values.values())) if len(values) == symbols and len(set(values.values())) == 1 else values


def _step(precision: float | None, mode: int, market: Mapping[str, Any]) -> float | None:
    if precision is None:
        return None
    if mode == TICK_SIZE:
        return _known(precision)
    if mode == DECIMAL_PLACES:
        return float(10.0 ** -int(precision))
    assert mode == SIGNIFICANT_DIGITS
    raise ExchangeFault(f"{market['symbol']}: the exchange rounds to significant digits, which this program does not")


def _known(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) and float(value) > 0.0 else None


def _bps(rate: float | None) -> float | None:
    return None if rate is None else round(float(rate) * 1e4, 6)
