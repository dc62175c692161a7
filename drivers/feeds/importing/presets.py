"""The column layouts of common dumps: `presets.yml`, and how a file is known to have one of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from drivers.feeds.errors import DataError
from drivers.text.suggestions import did_you_mean

Kind = Literal["bars", "book", "trades", "funding", "splits", "dividends", "alpha"]


@dataclass(frozen=True)
class Preset:
    """One layout; its fields are told in `presets.yml`. A book's levels are found by their names.

    columns: our field -> their column, None where it is not known; empty where common names do.
    """

    name: str
    kind: Kind
    about: str
    source: str
    columns: Mapping[str, str | None] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    fewest: int = 0
    marks: frozenset[str] = frozenset()
    files: str = ""
    zone: str | None = None
    clock_time: str | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, str] | None = None
    contracts: str = ""
    best_quotes: bool = False

    def header(self, width: int) -> tuple[str, ...] | None:
        """Names of a headerless file's `width` columns, or None where that is not this layout."""
        return self.order[:width] if self.order and max(self.fewest, 1) <= width <= len(self.order) else None

    def named(self, names: Sequence[str]) -> re.Match[str] | None:
        """The match of the first of a file's names that this layout's files have."""
        return next((m for name in names if self.files and (m := re.fullmatch(self.files, name))), None)


def _pairs(text: str) -> dict[str, str]:
    """`ours=theirs name` as a mapping."""
    split = (word.partition("=") for word in shlex.split(text))
    return {ours: theirs if equals else ours for ours, equals, theirs in split}


def _preset(name: str, told: Mapping[str, Any]) -> Preset:
    pairs = {key: _pairs(told.get(key, "")) for key in ("columns", "scale", "keep")}
    return Preset(
        **{
            **told,
            "name": name,
            "columns": {ours: None if theirs == "none" else theirs for ours, theirs in pairs["columns"].items()},
            "scale": {ours: float(factor) for ours, factor in pairs["scale"].items()},
            "keep": next(iter(pairs["keep"].items()), None),
            "order": tuple(told.get("order", "").split()),
            "marks": frozenset(shlex.split(told.get("marks", ""))),
        }
    )


def _presets() -> dict[str, Preset]:
    text = Path(__file__).with_name("presets.yml").read_text(encoding="utf-8")
    return {name: _preset(name, told) for name, told in yaml.safe_load(text).items()}


PRESETS: Final = _presets()


def find_preset(name: str) -> Preset:
    """The layout of that name. Raises DataError with the nearest one."""
    if name not in PRESETS:
        raise DataError(
            f"there is no preset {name}; {did_you_mean(name, sorted(PRESETS))} `stratoquant data presets` lists them all"
        )
    return PRESETS[name]


def recognised(names: Sequence[str], columns: Sequence[str]) -> Preset | None:
    """The layout that a header tells beyond doubt; None where none has these columns.

    names: the file's, and its archive's. Raises DataError where a header is that of several layouts and no name tells which.
    """
    fits = [p for p in PRESETS.values() if p.marks and p.marks <= set(columns)]
    most = max((len(p.marks) for p in fits), default=0)
    fits = [p for p in fits if len(p.marks) == most]
    return _only(names, fits, "its header is")


def recognised_rows(names: Sequence[str], width: int) -> Preset | None:
    """The layout that the name and the number of columns of a file without a header tell; None where no name does.

    Raises DataError where several layouts' files are called so.
    """
    return _only(names, [p for p in PRESETS.values() if p.header(width) is not None and p.named(names)], "its name is")


def _only(names: Sequence[str], fits: Sequence[Preset], what: str) -> Preset | None:
    if len(fits) > 1:
        fits = [p for p in fits if p.named(names)] or fits
    if len(fits) > 1:
        raise DataError(
            f"{names[0]}: {what} that of {' and '.join(p.name for p in fits)}; say which with --preset, e.g. --preset "
            f"{fits[0].name}"
        )
    return fits[0] if fits else None


def of_width(width: int) -> list[str]:
    """Names of the layouts of files without a header that may have so many columns."""
    return [p.name for p in PRESETS.values() if p.header(width) is not None]


def described() -> Sequence[tuple[str, str, str]]:
    """(name, kind, what it is) of every preset, in order."""
    return [(p.name, p.kind, p.about) for p in PRESETS.values()]
