"""What is wrong with market data, as one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TypeAlias


class DataError(ValueError):
    """Market data cannot be used. The message is one sentence: the file, row, symbol and column at fault, and the cure."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with some rows of a file: what kind, the sentence about the first of them, and how many there are."""

    kind: str
    sentence: str
    count: int = 1


Sink: TypeAlias = Callable[[Fault], None]
"""Takes a fault. A run's sink raises; the one of `data check` notes it, and the rows at fault count as missing."""


def refuse(fault: Fault) -> None:
    """The sink of a run: raises DataError with the fault's sentence."""
    more = f" ({fault.count} rows in all)" if fault.count > 1 else ""
    raise DataError(fault.sentence + more)


def utc(ns: int) -> str:
    """UTC nanoseconds as `2026-03-01T12:00:00Z`, with milliseconds or finer only where there are any."""
    seconds, rest = divmod(int(ns), 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OSError, OverflowError):
        return f"{ns} ns"
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


def near(name: str, known: Sequence[str]) -> str:
    """`did you mean BTCUSDT?`, or the names that there are."""
    folded = {k.lower(): k for k in known}
    matches = get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)
    if matches:
        return f"did you mean {' or '.join(folded[m] for m in matches)}?"
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return f"there are {shown}." if known else "there are none."


def span(ns: int) -> str:
    """A length of time as `1m`, `90s`, `4h45m`."""
    parts = []
    rest = int(ns) // 1_000_000_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or f"{ns} ns"
