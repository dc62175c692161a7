"""The symbol that a file's name gives."""

from __future__ import annotations

import re
from typing import Final

from drivers.feeds.errors import DataError

_SUFFIXES: Final = re.compile(r"(\.(parquet|feather|csv|txt|tsv|json|jsonl|zip|gz|zst|bz2))+$", re.IGNORECASE)
_DATE: Final = re.compile(r"[-_.]?\d{4}-\d{2}(-\d{2})?")
_PART: Final = re.compile(r"(?:[A-Z0-9]*[A-Z][A-Z0-9]*)(?:[-_][A-Z0-9]*[A-Z][A-Z0-9]*)*(?![a-z])")

_PERIOD: Final = re.compile(r"(.+)[-_](?:M|MN|H|D|W)\d{1,3}")


def symbol_of(name: str, pattern: str | None) -> str:
    """The symbol of a file without a column of symbols.

    pattern: a name, or a pattern of the file's name with {symbol} where the symbol stands and * for what varies; None takes
    the one part of the name in capitals. Raises DataError naming the option where that does not say it.
    """
    stem = _SUFFIXES.sub("", name)
    if pattern is None:
        found = list(dict.fromkeys(m[0] for m in _PART.finditer(_DATE.sub(" ", stem)) if _apart(m)))
        if len(found) == 1 and (period := _PERIOD.fullmatch(found[0])) is not None:
            found = [period[1], found[0]]  # EURUSD_M1: a minute, or a contract of June
        if len(found) == 1:
            return found[0]
        what = f"could be of {' or '.join(found)}" if found else "does not name its symbol in capitals"
        raise DataError(f"{name}: the file's name {what}; give --symbol NAME, or a pattern like --symbol '{{symbol}}_*'")
    if "{symbol}" not in pattern:
        if not pattern.strip():
            raise DataError("--symbol is empty; give a name, or a pattern like '{symbol}_*'")
        return pattern.strip()
    parts = (re.escape(part).replace(r"\*", ".*") for part in pattern.split("{symbol}"))
    match = re.fullmatch("(?P<symbol>.+?)".join(parts), stem) if pattern.count("{symbol}") == 1 else None
    if match is None:
        raise DataError(f"{name}: the name {stem} does not fit --symbol '{pattern}'; * stands for any part of a name")
    return match["symbol"]


def _apart(match: re.Match[str]) -> bool:
    """Whether a run of capitals is a word of its own, not the beginning or end of another."""
    before = match.string[match.start() - 1 : match.start()]
    return not before.isalnum()
