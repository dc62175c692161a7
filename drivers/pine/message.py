"""The alert that the indicator sends at each confirmed bar, as JSON."""

from __future__ import annotations

import hmac
import json
import math
from typing import Any, Final, NamedTuple

MOST: Final = 2_048
"""Bytes of a message."""
_RANGES: Final = {
    "t": (0, 2**40), "m": (0, 2**31), "side": (-1, 1), "regime": (-1, 4), "z": (-(10**12), 10**12), "atr": (0, 10**18),
}  # fmt: skip
_KEYS: Final = {"sq", "token", "symbol", "tick", *_RANGES}


class MessageError(ValueError):
    """A message is no alert of the script. One sentence, that holds nothing of the token."""


class Message(NamedTuple):
    """What a chart says of one bar. t: its open, seconds since 1970. z: ATR; atr: quote currency; model: the script's."""

    symbol: str
    t: int
    model: int
    side: int
    regime: int
    z: float
    atr: float
    unit: float  # of the last digit of `atr`


def read_message(body: bytes, token: str) -> Message:
    """The message in the body of a request. Raises MessageError, and PermissionError for another token."""
    if len(body) > MOST:
        raise MessageError(f"the message has more than {MOST} bytes")
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise MessageError("the message is no JSON") from None
    if not isinstance(found, dict) or set(found) != _KEYS or found["sq"] != 1:
        raise MessageError(f"the message does not have the keys {', '.join(sorted(_KEYS))} of profile 1")
    given = found["token"]
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise PermissionError("the token is another")
    for key, (low, high) in _RANGES.items():
        if type(found[key]) is not int or not low <= found[key] <= high:
            raise MessageError(f"{key} is no whole number from {low} to {high}")
    if not isinstance(found["symbol"], str) or not 0 < len(found["symbol"]) <= 64:
        raise MessageError("symbol is no name")
    tick = _tick(found["tick"])
    unit = tick * 1e-6
    return Message(
        found["symbol"], found["t"], found["m"], found["side"], found["regime"], found["z"] * 1e-6, found["atr"] * unit, unit
    )


def _tick(text: Any) -> float:
    try:
        tick = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        tick = math.nan
    if not 0.0 < tick < 1e9:
        raise MessageError("tick is no positive number")
    return tick
