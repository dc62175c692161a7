"""What an exchange says of the order of its book updates, where ccxt does not look, and of candles that have closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

CHECKED_BY_CCXT: Final = frozenset({"binance", "binanceusdm", "okx"})
"""Exchanges whose sequence of book updates ccxt checks: it drops the book when one is missing."""
CONSECUTIVE_TRADES: Final = frozenset({"binance"})
"""Exchanges that number the trades of a spot symbol without gaps."""


class Continuity:
    """Finds updates of a book that were missed, by the exchange's own rule. exchange: as ccxt names it."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self._last: dict[str, int] = {}
        self._rule = _RULES.get(exchange)

    def gaps(self, message: Any) -> list[str]:
        """The exchange's names of symbols whose book has missed an update before this message; `*`: of all."""
        return self._rule(self, message) if self._rule is not None and isinstance(message, Mapping) else []

    def forget(self) -> None:
        """The connection is a new one."""
        self._last.clear()

    def _bybit(self, message: Mapping[str, Any]) -> list[str]:
        """`u` grows by one; 1 is a snapshot after a restart."""
        topic, data = str(message.get("topic", "")), message.get("data")
        if not topic.startswith("orderbook") or not isinstance(data, Mapping) or "u" not in data:
            return []
        name, update = str(data["s"]), int(data["u"])
        before = self._last.get(name)
        self._last[name] = update
        snapshot = message.get("type") == "snapshot" or update == 1
        return [name] if not snapshot and before is not None and update != before + 1 else []

    def _deribit(self, message: Mapping[str, Any]) -> list[str]:
        """`prev_change_id` is the last `change_id`."""
        data = (message.get("params") or {}).get("data")
        if not isinstance(data, Mapping) or "change_id" not in data:
            return []
        name, before = str(data["instrument_name"]), data.get("prev_change_id")
        last = self._last.get(name)
        self._last[name] = int(data["change_id"])
        return [name] if before is not None and last is not None and int(before) != last else []

    def _coinbase(self, message: Mapping[str, Any]) -> list[str]:
        """`sequence_num` counts all messages of a connection."""
        if "sequence_num" not in message:
            return []
        number, last = int(message["sequence_num"]), self._last.get("*")
        self._last["*"] = number
        return ["*"] if last is not None and number != last + 1 else []


_RULES: Final[dict[str, Callable[[Continuity, Mapping[str, Any]], list[str]]]] = {
    "bybit": Continuity._bybit,
    "deribit": Continuity._deribit,
    "coinbase": Continuity._coinbase,
}


def closed_candles(exchange: str, message: Any) -> list[tuple[str, int]] | None:
    """(the exchange's name of the symbol, open in ms) of the candles that the message says have closed. None: this exchange
    never says so."""
    read = _CLOSED.get(exchange)
    return None if read is None else read(message) if isinstance(message, Mapping) else []


def _binance(message: Mapping[str, Any]) -> list[tuple[str, int]]:
    kline = message.get("k")
    return [(str(kline["s"]), int(kline["t"]))] if isinstance(kline, Mapping) and kline.get("x") is True else []


def _bybit(message: Mapping[str, Any]) -> list[tuple[str, int]]:
    topic, rows = str(message.get("topic", "")), message.get("data")
    if not topic.startswith("kline") or not isinstance(rows, list):
        return []
    return [(topic.rpartition(".")[2], int(row["start"])) for row in rows if row.get("confirm") is True]


def _okx(message: Mapping[str, Any]) -> list[tuple[str, int]]:
    about, rows = message.get("arg"), message.get("data")
    if not isinstance(about, Mapping) or not str(about.get("channel", "")).startswith("candle") or not isinstance(rows, list):
        return []
    return [(str(about["instId"]), int(row[0])) for row in rows if row[-1] == "1"]


_CLOSED: Final[dict[str, Callable[[Mapping[str, Any]], list[tuple[str, int]]]]] = {
    "binance": _binance,
    "binanceusdm": _binance,
    "bybit": _bybit,
    "okx": _okx,
}
