"""Times and lengths of time as people read and write them. Everything is UTC; a time is nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dataflows.spans import SECONDS

SECOND_NS: Final = 1_000_000_000
_UNITS: Final = {"d": 86_400} | dict(reversed(SECONDS.items()))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc(ns: int) -> str:
    """`2026-03-01T12:00:00Z`, with as many digits of a fraction as are needed. `… ns` for a time that no calendar holds."""
    seconds, rest = divmod(int(ns), SECOND_NS)
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return f"{ns} ns"
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


def stamp(ns: int) -> str:
    """`2026-03-01T12:00:00Z`: the second in which a time lies. All have the same length, so that text sorts as time does."""
    return utc(int(ns) // SECOND_NS * SECOND_NS)


def parse_utc(text: str) -> int:
    """Nanoseconds of `2026-03-01`, `2026-03-01T12:00` or `2026-03-01T13:00+01:00`; a time without a zone is UTC.

    Raises ValueError with a sentence for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write 2026-03-01 or 2026-03-01T12:00 (UTC)") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def duration(ns: int) -> str:
    """A length of time as `parse_duration` reads it: `1m`, `90s` as `1m30s`, `4h45m`. `… ns` below a second."""
    parts = []
    rest = int(ns) // SECOND_NS
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or f"{ns} ns"


def rounded_duration(ns: float) -> str:
    """A length of time in its two largest units: `13 d 4 h`."""
    left = round(ns / SECOND_NS)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        n, left = divmod(left, size)
        if n or parts:
            parts.append(f"{n} {name}" if n else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0 s"


def parse_duration(text: str) -> int:
    """Nanoseconds of `1m`, `30s`, `4h`, `1d` or `1h30m`. Raises ValueError for anything else, and for no time at all."""
    parts = re.findall(r"(\d+)([smhd])", text)
    total = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not total or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h or d, as 1m")
    return total * SECOND_NS
