"""The rows in a JSON value: a list of them, or the answer of a web interface with such a list somewhere in it.

`{"result": {"symbol": "BTCUSDT", "list": [[...], ...]}}`, `{"bars": {"AAPL": [{...}, ...], "MSFT": [...]}}` and the like: the
only list of rows is taken. Lists under several names are rows of symbols of these names.
"""

from __future__ import annotations

import re
from typing import Any, Final

from drivers.feeds.errors import DataError

_SYMBOLS: Final = ("symbol", "ticker", "pair", "instId", "product_id")
_DEEPEST: Final = 5


def rows_of(file: str, told: Any) -> tuple[list[Any], str | None]:
    """Rows, all lists or all objects, and the symbol that is named beside them. Raises DataError where they are not found."""
    found = {(): (told, None)} if isinstance(told, list) else _lists(told, None, _DEEPEST)
    found = {path: rows for path, rows in found.items() if _are_rows(rows[0])}
    if len(found) == 1:
        return next(iter(found.values()))
    if found and all(isinstance(rows[0], dict) for rows, _ in found.values()):
        return [{"symbol": path[-1], **row} for path, (rows, _) in found.items() for row in rows], None
    if found:
        places = ", ".join(".".join(path) for path in list(found)[:4])
        raise DataError(f"{file}: holds lists of rows under {places}; save each of them by itself")
    raise DataError(f"{file}: must be a list of rows, each a list of values or an object with names")


def _lists(told: Any, symbol: str | None, deepest: int) -> dict[tuple[str, ...], tuple[list[Any], str | None]]:
    """The lists that are not empty in nested objects, by their path, with the symbol named beside or above them."""
    if not isinstance(told, dict) or not deepest:
        return {}
    symbol = next((told[key] for key in _SYMBOLS if isinstance(told.get(key), str)), symbol)
    found: dict[tuple[str, ...], tuple[list[Any], str | None]] = {}
    for name, value in told.items():
        if isinstance(value, list) and value:
            own = name if re.fullmatch(r"[A-Z0-9]+(?:[-_/.:][A-Z0-9]+)*", name) else None
            found[(name,)] = (value, own or symbol)
        else:
            found |= {(name, *below): rows for below, rows in _lists(value, symbol, deepest - 1).items()}
    return found


def _are_rows(value: list[Any]) -> bool:
    return all(isinstance(row, (list, dict)) and type(row) is type(value[0]) for row in value)
