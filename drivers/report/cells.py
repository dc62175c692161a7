"""The tables of a page: rows of text with what they sort by. Each chart has one that says the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from drivers.report.text import fixed, signed


@dataclass(frozen=True)
class Cell:
    """sort: what the column is sorted by; None: last. share: of 1, drawn as a bar behind the text. tone: good, bad, muted."""

    text: str
    sort: float | str | None = None
    tone: str = ""
    number: bool = False
    share: float | None = None


@dataclass(frozen=True)
class Table:
    """columns: names, a number's with True. A table with `sorts` lets the reader sort it. marks: what each row carries for the
    page's scripts, as `data-` attributes."""

    name: str
    caption: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    sorts: bool = False
    marks: Sequence[Mapping[str, str]] = ()


def word(text: str, sort: str | None = None) -> Cell:
    """A cell of text."""
    return Cell(text, text if sort is None else sort)


def number(text: str, value: float | None, *, toned: bool = False, share: float | None = None) -> Cell:
    """A cell of a number; toned: good above 0, bad below."""
    known = value is not None and math.isfinite(value)
    tone = ("good" if value > 0 else "bad" if value < 0 else "") if toned and known and value is not None else ""
    return Cell(text, value if known else None, tone if known else "muted", True, share)


def money(value: float, *, toned: bool = False) -> Cell:
    """A cell of money; toned: with its sign."""
    return number(signed(value) if toned else fixed(value), value, toned=toned)


def present(tables: Iterable[Table | None]) -> list[Table]:
    """Those that there are."""
    return [t for t in tables if t is not None]
