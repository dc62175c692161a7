"""Arguments as people have them, into those of the drivers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from drivers.feeds.source import Source, source_of
from drivers.text.times import parse_utc

Time: TypeAlias = str | date | datetime | pd.Timestamp
"""`2025-05-01`, `2025-05-01T12:00`, a date, a datetime or a pandas Timestamp; without a zone it is UTC."""


def path_of(value: str | PathLike[str] | None) -> Path | None:
    """A path, `~` for the user's home."""
    return None if value is None else Path(value).expanduser()


def place_of(value: str | PathLike[str]) -> Source:
    """Where market data lie: a path, `~` for the user's home, or the URL of a partitioned data set."""
    return source_of(value) if isinstance(value, str) and "://" in value else Path(value).expanduser()


def ns_of(name: str, value: Time | None) -> int | None:
    """UTC nanoseconds. Raises ValueError for text that is no time, TypeError for anything else that is none."""
    if value is None:
        return None
    if isinstance(value, str):
        return parse_utc(value)
    if isinstance(value, date):  # datetime and pandas.Timestamp are dates too
        moment = pd.Timestamp(value)
        if pd.isna(moment):
            raise ValueError(f"{name} is not a time (NaT); write 2025-05-01, or leave it out")
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        return int(moment.as_unit("ns").value)
    raise TypeError(f"{name} is {value!r}; give a time as text (2025-05-01T12:00), a datetime or a pandas Timestamp")


def names_of(name: str, value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names of symbols; a text is one name."""
    if value is None:
        return None
    found = (value,) if isinstance(value, str) else tuple(value)
    wrong = [x for x in found if not isinstance(x, str)]
    if wrong or not found:
        raise TypeError(f"{name} is {value!r}; give a list of names, e.g. {name}=['BTCUSDT']")
    return found


def overrides_of(settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    """`{"risk.gross": 0.5}` as the command line's --set takes it."""
    if settings is None:
        return ()
    if not isinstance(settings, Mapping):
        raise TypeError(f"set is {settings!r}; give a dict of keys and values, e.g. set={{'risk.gross': 0.5}}")
    return tuple(f"{key}={as_yaml(key, value)}" for key, value in settings.items())


def as_yaml(key: str, value: Any) -> str:
    """A value as --set takes it. Raises TypeError naming the key for what cannot be written."""
    if isinstance(value, str):
        return value
    plain = value.tolist() if hasattr(value, "tolist") else value  # NumPy's numbers and arrays
    try:
        return json.dumps(plain)
    except TypeError:
        raise TypeError(f"set: {key} is {value!r}; give a number, a text, a bool or a list of these") from None
