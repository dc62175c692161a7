"""The compact profile of the mirror: JSON of a fixed order of keys and integers only, which Pine reads by splitting it.

    {"sq":1,"m":MODEL,"n":ROWS,"t0":SECONDS,"t1":SECONDS,"dt":SECONDS,"e":DIGITS,"tk":TICK,"st":[LABEL],"sd":SIDE,"crc":C,
     "s":[[…],…],"p":[[…],…],"f":[[…],…]}

Times are opens of bars, as charts count them. `st` and `sd` are the chart regime and side before the first bar: hysteresis may
be older than a chart's history. `s` has a row where something that is held changes, at the first and the last bar, and at least
every `EVERY` bars; `p` a row for each position, `f` one for each side of a bar's fills. The first number of a row counts bars
of the clock since the row before; all columns are listed in `STATES`, `TRIPS` and `FILLS`. Prices are in units of 10^-e.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

CRC_FACTOR: Final = 257
CRC_MODULUS: Final = 2_147_483_647
UNKNOWN: Final = -2_000_000
"""A number that is not known, where 0 would say something."""
MOST: Final = 40_000
"""Characters of a payload: a string of Pine holds 40,960."""
LITERAL: Final = 20_000
"""Characters that go into the script itself, of which TradingView compiles so many."""
USUAL: Final = 4_000
"""Characters of a payload whose length was not asked for."""
EVERY: Final = 15

STATES: Final = (
    "bars", "side", "regime", "chart_side", "chart_regime", "risk_state", "reasons", "kill_reasons", "return_1e9",
    "trend_z_1e6", "atr", "sigma_1e9", "stop", "target", "weight_1e4", "equity_1e2", "drawdown_1e6", "day_pnl_1e6",
)  # fmt: skip
TRIPS: Final = ("bars", "decided_bars_before", "side", "stop_distance_1e15", "bars_held", "at_level", "weight_1e4")
FILLS: Final = ("bars", "side", "price")

Row = list[int]


class PayloadError(ValueError):
    """A payload is damaged, or cannot be made. One sentence."""


def checksum(numbers: Iterable[int]) -> int:
    """A polynomial of all numbers, their signs too, modulo a prime: what Pine, which has no bits, can compute in floats."""
    crc = 1
    for x in numbers:
        crc = (crc * CRC_FACTOR + abs(x) % CRC_MODULUS + (x < 0)) % CRC_MODULUS
    return crc


def pack(head: dict[str, int], states: Sequence[Row], trips: Sequence[Row], fills: Sequence[Row]) -> str:
    """The payload as text. head: m, t0, t1, dt, e, tk, st, sd."""
    found = {**head, "n": len(states)}
    return _text(found, checksum(_numbers(found, states, trips, fills)), states, trips, fills)


def unpack(text: str) -> dict[str, Any]:
    """A payload as JSON reads it. Raises PayloadError where a number, a row or the checksum is wrong."""
    try:
        found: dict[str, Any] = json.loads(text)
        head = {key: int(found[key]) for key in ("m", "n", "t0", "t1", "dt", "e", "tk", "sd")} | {"st": int(found["st"][0])}
        rows = [[[int(x) for x in row] for row in found[key]] for key in "spf"]
        whole = all(len(row) == width for part, width in zip(rows, _WIDTHS, strict=True) for row in part)
        whole &= head["n"] == len(rows[0]) > 0 and found["crc"] == checksum(_numbers(head, *rows))
        whole &= text == _text(head, found["crc"], *rows)
    except (ValueError, KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise PayloadError("the payload is damaged: export it again")
    return found


def scaled(x: float, digits: int) -> int:
    """x * 10^digits, rounded; UNKNOWN where x is not finite."""
    return round(x * 10.0**digits) if math.isfinite(x) else UNKNOWN


def price_digits(price: float, tick: float) -> int:
    """Digits behind the point that a price is given with: nine that count, and the tick's own where they are more."""
    most = max(0, 8 - math.floor(math.log10(price))) if price > 0.0 else 8
    if 0.0 < tick < math.inf:
        while most < 15 and abs(round(tick * 10.0**most) / 10.0**most - tick) > 1e-12 * tick:
            most += 1
    return min(most, 15)


_WIDTHS: Final = (len(STATES), len(TRIPS), len(FILLS))


def _numbers(head: dict[str, int], *parts: Sequence[Row]) -> Iterable[int]:
    yield from (head[key] for key in ("m", "n", "t0", "t1", "dt", "e", "tk", "st", "sd"))
    for part in parts:
        for row in part:
            yield from row


def _text(head: dict[str, int], crc: int, *parts: Sequence[Row]) -> str:
    rows = ",".join(f'"{key}":{json.dumps(list(part), separators=(",", ":"))}' for key, part in zip("spf", parts, strict=True))
    first = ",".join(f'"{key}":{head[key]}' for key in ("m", "n", "t0", "t1", "dt", "e", "tk"))
    return f'{{"sq":1,{first},"sd":{head["sd"]},"crc":{crc},"st":[{head["st"]}],{rows}}}'
