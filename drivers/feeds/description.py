"""`dataset.yml`: what a market-data folder says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from dataflows.panel import Floats, Ints
from drivers.feeds.errors import DataError
from drivers.project.yaml_files import PlainLoader, load_plain
from drivers.text.suggestions import did_you_mean
from drivers.text.times import parse_duration, utc
from drivers.venues.facts import LARGEST, InstrumentFacts, PerSymbol, beyond_margin, within

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
UNNAMED: Final = int(np.iinfo(np.int64).min)
"""In place of a time that is not named."""
_NAMES: Final = frozenset(
    {"symbols", "leader", "venue", "calendar", "source", "licence", "quote_currency", "settle_currency", "account_currency"}
)


class Description(InstrumentFacts):
    """The keys of `dataset.yml`, all optional. A fact of the instruments is one number, or a mapping of symbol to number."""

    clock: str | None = Field(default=None, description="step of the bars: 1s, 1m, 5m, 1h, 1d; else the most common spacing")
    calendar: str = Field(
        default="", description="24/7, or an exchange calendar's name, e.g. XNYS; else the weekly rhythm that the bars show"
    )
    symbols: list[str] | None = Field(
        default=None, min_length=1, description="the universe: symbols that a run takes, unless it names others; else all"
    )
    stamp: Literal["open", "close"] = Field(default="open", description="which end of the bar its timestamp names")
    timezone: Literal["UTC"] | None = Field(default=None, description="what a timestamp written without a zone means")
    source: str = Field(default="", description="where the data come from")
    licence: str = Field(default="", description="under which licence")
    venue: str | None = Field(default=None, description="a file of config/venues, whose rules hold where this file is silent")
    kind: Literal["perpetual", "future", "spot"] | None = Field(
        default=None, description="perpetual: pays funding. spot: takes no short positions. Else as the venue says"
    )
    shorting: bool | None = Field(default=None, description="positions may go below 0; else by kind: all but spot")
    leverage: float | None = Field(
        default=None, ge=1.0, le=1_000.0, description="most notional over equity; without it the venue asks nothing"
    )
    account_currency: str = Field(default="", description="of cash and equity; else the one in which all symbols settle")
    conversion: dict[str, Annotated[float, Field(ge=1e-12, le=1e12)]] = Field(
        default={}, description="by currency: what one of it is worth in the account's, the same throughout: {EUR: 1.08}"
    )
    start_position: Annotated[PerSymbol, within(-LARGEST, LARGEST)] = Field(
        default=0.0, description="units held before the first bar, signed; they are worth what they are worth beside start_cash"
    )
    start_price: Annotated[PerSymbol, within(-LARGEST, LARGEST)] = Field(
        default=0.0, description="quote currency, average price of start_position; 0: the first price"
    )
    listing_time: datetime | dict[str, datetime] | None = Field(
        default=None,
        description="UTC, from which a symbol trades: what comes before is neither expected nor used; else its first bar",
    )
    delivery_time: datetime | dict[str, datetime] | None = Field(
        default=None,
        description="UTC, when a symbol ceases to trade and is settled; else after its last bar",
    )
    delivery_price: Annotated[PerSymbol, within(-LARGEST, LARGEST)] = Field(
        default=0.0, description="quote currency, at which a position is settled then; 0: the last known close"
    )
    price_shift: Annotated[PerSymbol, within(0.0, LARGEST)] = Field(
        default=0.0,
        description="of futures and spreads that may cost nothing or less: added to every price, so that all are positive",
    )
    funding_interval: str | None = Field(
        default=None, description="time between two payments, e.g. 8h: the funding file then holds quotes of the rate"
    )
    leader: str = Field(
        default="", description="symbol whose moves the others may follow; else that of the largest turnover in the first week"
    )

    @field_validator("clock", mode="before")
    @classmethod
    def _clock_is_text(cls, value: Any) -> Any:
        return f"{value}s" if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("clock")
    @classmethod
    def _clock_is_a_step(cls, value: str | None) -> str | None:
        if value is not None:
            parse_clock(value)
        return value

    @field_validator("funding_interval")
    @classmethod
    def _interval_divides_a_day(cls, value: str | None) -> str | None:
        if value is not None:
            parse_clock(value)
        return value

    @field_validator("listing_time", "delivery_time", mode="before")
    @classmethod
    def _times_are_written(cls, value: Any) -> Any:
        for x in value.values() if isinstance(value, dict) else (value,):
            if isinstance(x, (int, float)):
                raise ValueError(f"{x} is a number; write a time such as 2026-06-26T08:00Z")
        return value

    @model_validator(mode="after")
    def _margins_fit(self) -> Description:
        if wrong := beyond_margin(self.leverage or 1.0, self.maintenance_margin):
            raise ValueError(wrong)
        return self

    @property
    def step(self) -> int | None:
        """Nanoseconds of the clock; None where the file names none."""
        return None if self.clock is None else parse_clock(self.clock)

    @property
    def takes_shorts(self) -> bool:
        """Whether positions may go below 0."""
        return self.kind != "spot" if self.shorting is None else self.shorting

    def per_symbol(self, key: str, symbols: Sequence[str]) -> Floats:
        """A number for each symbol, the key's default where a mapping leaves it out."""
        value, missing = getattr(self, key), type(self).model_fields[key].default
        return np.array([float(value.get(s, missing) if isinstance(value, dict) else value) for s in symbols], np.float64)

    def named(self, key: str, symbols: Sequence[str]) -> list[Any]:
        """What is said of each symbol, the key's default where a mapping leaves it out."""
        value, missing = getattr(self, key), type(self).model_fields[key].default
        return [value.get(s, missing) if isinstance(value, dict) else value for s in symbols]

    def times(self, key: str, symbols: Sequence[str]) -> Ints:
        """UTC ns of each symbol's `listing_time` or `delivery_time`, UNNAMED where none is named."""
        return np.array([UNNAMED if at is None else _nanoseconds(at) for at in self.named(key, symbols)], np.int64)

    def check_symbols(self, known: Sequence[str], where: str) -> None:
        """Refuses a mapping with a symbol that the data do not have: a misspelt name would go unnoticed."""
        for key in set(type(self).model_fields) - {"conversion"}:
            value = getattr(self, key)
            for name in value if isinstance(value, dict) else ():
                if name not in known:
                    raise DataError(f"{where}: {key} names {name}, which the data do not have; {did_you_mean(name, known)}")
        for key, name in (*(("symbols", name) for name in self.symbols or ()), ("leader", self.leader)):
            if name and name not in known:
                raise DataError(f"{where}: {key} names {name}, which the data do not have; {did_you_mean(name, known)}")
        for name, start, end in zip(known, *(self.times(key, known) for key in ("listing_time", "delivery_time")), strict=True):
            if start != UNNAMED and end != UNNAMED and start >= end:
                raise DataError(f"{where}: {name} is listed from {utc(start)} and delivered {utc(end)}; correct one of them")

    def leads(self, symbols: Sequence[str], turnover: Floats) -> Ints:
        """1 for the leader among `symbols`, all 0 where it is not among them.

        turnover: (N,) quote currency, 0 where unknown: where none is named, the largest leads, the first by name of equals.
        """
        leader = self.leader or symbols[int(np.argmax(turnover))]
        return np.array([int(s == leader) for s in symbols], np.int64)


def _nanoseconds(at: datetime) -> int:
    """UTC ns of a time; one without a zone is UTC."""
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return int(at.timestamp()) * SECOND + at.microsecond * 1_000


def parse_clock(text: str) -> int:
    """`1m` to nanoseconds. Raises ValueError unless it is at least a second and divides a day, so that days end on a bar."""
    try:
        step = parse_duration(text.replace(" ", ""))
    except ValueError:
        step = 0
    if step < SECOND or DAY % step:
        raise ValueError(f"{text!r} is not a clock: write a step of 1s or more that divides a day, e.g. 1s, 1m, 5m, 1h, 1d")
    return step


class _NamesAsWritten(PlainLoader):  # type: ignore[misc]  # one of two, as PyYAML was built
    """Takes keys, and values of keys that are names, as they are written: ON and 000001 are symbols, not True and 1."""


def _as_written(loader: _NamesAsWritten, node: yaml.Node) -> Any:
    """A name, or names, as they stand there; anything else as YAML has it."""
    if isinstance(node, yaml.SequenceNode):
        return [_as_written(loader, each) for each in node.value]
    named = isinstance(node, yaml.ScalarNode) and not node.tag.endswith(":null")
    return node.value if named else loader.construct_object(node, deep=True)


def _mapping(loader: _NamesAsWritten, node: yaml.MappingNode) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else str(loader.construct_object(key, deep=True))
        made[name] = _as_written(loader, value) if name in _NAMES else loader.construct_object(value, deep=True)
    return made


_NamesAsWritten.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_description(folder: Path) -> Description:
    """The folder's `dataset.yml`, or the defaults where there is none. Raises DataError naming the key at fault."""
    path = folder / "dataset.yml"
    if not path.exists():
        return Description()
    try:
        values = load_plain(path.read_text(encoding="utf-8"), _NamesAsWritten)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise DataError(f"dataset.yml{line}: not readable as YAML ({reason}); write one `key: value` a line") from None
    except RecursionError:
        raise DataError("dataset.yml: is nested too deep; write one `key: value` a line") from None
    if values is None:
        return Description()
    if not isinstance(values, dict):
        raise DataError(f"dataset.yml: holds a {type(values).__name__}; write one `key: value` a line, e.g. `clock: 1m`")
    return describe(values)


IMPORTED: Final = frozenset({"clock", "calendar", "stamp", "timezone", "source", "licence", "venue", "funding_interval"})
"""Keys that `data import` has options of their own for, or writes by itself."""


def read_fact(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` as a key of `dataset.yml` and its value, read as that file is: multiplier=50, or multiplier={ES: 50, NQ: 20}.

    Raises DataError, a sentence that names the option.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    known = sorted(set(Description.model_fields) - IMPORTED)
    if not equals or not key or not value:
        raise DataError(f"--fact {text!r} is not KEY=VALUE, e.g. settle_currency=BTC")
    if key not in known:
        raise DataError(f"--fact {key} is no fact of instruments; {did_you_mean(key, known)}")
    try:
        read = load_plain(f"{key}: {value}", _NamesAsWritten)
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict) or list(read) != [key] or read[key] is None:
        raise DataError(f"--fact {key}: {value!r} is no value; write a number, a name, or one for each symbol, {{A: 1, B: 2}}")
    return key, read[key]


def describe(values: Mapping[str, Any]) -> Description:
    """The description that these values make. Raises DataError naming the key at fault."""
    try:
        return Description(**values)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise DataError(f"dataset.yml: {reason}") from None
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(key, list(Description.model_fields))
            raise DataError(f"dataset.yml: {key} is not a key of this file; {hint}") from None
        about = Description.model_fields[key].description
        raise DataError(f"dataset.yml: {key} is {first['input']!r}; {reason} ({about})") from None
