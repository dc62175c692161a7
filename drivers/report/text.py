"""How a report writes numbers, times and sentences. One way for every page, in English and UTC."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from drivers.report.figures import Figure
from drivers.report.words import in_words
from drivers.text.times import rounded_duration, stamp

UNKNOWN: Final = "not known"
THIN: Final = "\u202f"  # a narrow space that does not break


def fixed(x: float | None, digits: int = 2) -> str:
    """`1,927.52`."""
    return signed(x, digits).removeprefix("+")


def signed(x: float | None, digits: int = 2) -> str:
    """`+1,927.52`; what rounds to 0 has no sign."""
    if x is None or not math.isfinite(x):
        return UNKNOWN
    text = f"{x:+,.{digits}f}"
    return text if any(digit in text for digit in "123456789") else text[1:]


def percent(x: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """`1.93 %` of 0.0193."""
    if x is None or not math.isfinite(x):
        return UNKNOWN
    return f"{(signed if sign else fixed)(100.0 * x, digits)}{THIN}%"


def significant(x: float | None, digits: int = 6) -> str:
    """So many digits that matter, without an exponent where one is not needed: `0.0001234`, `61,204.1`."""
    if x is None or not math.isfinite(x):
        return UNKNOWN
    if x == 0.0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    text = f"{x:,.{min(places, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(n: float) -> str:
    """`62,123`."""
    return f"{int(n):,}"


def moment(ns: int, *, seconds: bool = False) -> str:
    """`2026-01-05 17:25`, UTC."""
    return stamp(ns).replace("T", " ")[: 19 if seconds else 16]


def value_of(figure: Figure) -> str:
    """A figure with its unit; `not shown` where it has no value."""
    return in_unit(figure.value, figure.unit, missing="not shown")


def in_unit(x: float | None, unit: str, *, missing: str = UNKNOWN, sign: bool = False) -> str:
    """A value with its unit."""
    if x is None or not math.isfinite(x):
        return missing
    plus, write = ("+", signed) if sign else ("", fixed)
    match unit:
        case "share":
            return percent(x, sign=sign)
        case "count" | "bars":
            return f"{x:{plus},.0f}" if float(x).is_integer() else f"{x:{plus},.1f}"
        case "duration":
            return f"{'-' if x < 0 else plus}{rounded_duration(abs(x))}"
        case "bps":
            return f"{write(x)}{THIN}bps"
        case "times":
            return f"{write(x)}{THIN}×"
        case _:
            return write(x)


def interval_of(figure: Figure) -> str:
    """The 95 % interval of a figure, or nothing."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{in_unit(figure.low, figure.unit)} to {in_unit(figure.high, figure.unit)}"


def listed(counts: Mapping[str, int] | Counter[str], words: dict[str, str], most: int = 3) -> str:
    """The most frequent codes in words with their counts: `the volatility target (4,465), …`."""
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{in_words(code, words)} ({count(n)})" for code, n in top[:most]]
    return ", ".join(named) + (f" and {len(top) - most} more" if len(top) > most else "")
