"""Configuration: one NamedTuple a domain, which is at once the record that layers take and the source of its pydantic model.

    class KinematicsConfig(NamedTuple):
        '''Windows and scales of the kinematics domain.'''

        slope_short_bars: Annotated[int, setting("bars", "window of L12's regression", ge=3, least=10)] = 30
        volatility_atr: Annotated[int, setting("bars", "period of L2's average true ranges", ge=2)] = 14

The first stands for time (`least`): its file says `30m`, and it is the bars of 30 minutes at the data set's clock, but never
fewer than 10; its default is the bars at a clock of a minute. The second is a number of bars at every clock.

Values are numbers and tuples of numbers only: they travel into compiled code, where a `1` for a `1.0` or a string would mean a
recompile in the middle of a stream. pydantic coerces them, refuses unknown keys and checks the bounds; a classmethod-free
method `problems(self)` may yield sentences about keys that contradict each other.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from dataflows.panel import fields_of
from dataflows.spans import MINUTES, BarClock, Span

C = TypeVar("C", bound=tuple[Any, ...])


class ConfigError(ValueError):
    """A configuration value is missing, unknown, or out of range. The message names file, key, value and bound."""


RANGES: Final[Mapping[str, tuple[float, float]]] = {
    # spans: each holds at most so many rows of 8 bytes a symbol, 8 MB for each window of a symbol: a week of seconds fits
    "bars": (0, 1_000_000),
    "5-bars": (0, 100_000),
    "15-bars": (0, 100_000),
    "60-bars": (0, 10_000),
    "returns": (0, 100_000),
    "days": (1, 366),
    # counts
    "buckets": (0, 10_000),
    "fills": (0, 10_000),
    "levels": (0, 1_000),
    "observations": (0, 1_000_000),
    "orders": (0, 10_000),
    "orders per bar": (0, 1_000_000),
    "symbols": (0, 10_000),
    # distances and sizes
    "ATR": (0, 1_000),
    "ATR a bar": (0, 1_000),
    "bps": (0, 5_000),
    "bps per unit of score": (0, 10_000),
    "deviations": (0, 1_000),
    "factor": (0, 1_000),
    "fraction": (0, 100),
    "fraction a year": (0, 100),
    "fraction of equity": (0, 100),
    "heights": (0, 1_000),
    "log ratio": (0, 100),
    "multiple": (0, 1_000),
    "points": (0, 100),
    "quote currency": (0, 1_000_000_000_000),
    "ratio": (0, 1_000_000),
    "sigma": (0, 1_000),
    "sigmas": (0, 1_000),
    "squared log price per bar": (0, 1),
    "standard deviations": (0, 1_000),
    "standard errors": (0, 1_000),
    "t": (0, 1_000),
    "t, ATR, ATR a bar, z": (0, 1_000),
    "t-statistic": (0, 1_000),
    "ticks": (0, 1_000_000),
    # scores, and what learns them
    "evidence": (0, 1_000_000),
    "exponent": (0, 100),
    "gradient": (0, 1_000_000),
    "gradient per log odds": (0, 1_000_000),
    "index": (0, 100),
    "log odds": (0, 100),
    "logit": (0, 1_000),
    "penalty": (0, 1_000_000),
    "rate": (0, 1_000_000),
    "root of squared gradients": (0, 1_000_000),
    "score": (-100, 100),
    "shape": (0, 1_000_000),
    "units of the source": (0, 1_000_000_000),
    "units of the value": (0, 1_000_000_000),
    "weight": (0, 1_000_000),
}
"""Unit to the least and the greatest value of a key that names no bound of its own on that side."""

ACCOUNT: Final = 100_000.0
"""The account of which defaults that are shares of an account are the amounts."""

ANY_UNIT: Final = (-1_000_000, 1_000_000)
"""The same for a unit that is not in `RANGES`."""

LEAST_POSITIVE: Final = 1e-9
"""The least value of a key that must be above 0: a reciprocal of it is far from overflowing."""


def setting(
    unit: str,
    about: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    least: float | None = None,
    ladder: tuple[str, ...] = (),
    from_data: bool = False,
    of_account: bool = False,
) -> FieldInfo:
    """The unit, meaning and bounds of one key; written beside its type, and from there into the file's comments.

    The bounds of a tuple hold for each of its elements. A side without a bound takes that of the unit (`RANGES`), so that no
    value that is accepted overflows or asks for more memory than there is. least: the key stands for time, and a time is never
    fewer bars than this (see `Span`). ladder: the times that its file gives, where the first that make enough bars count.
    from_data: the data set says the value, and no file has it. of_account: an amount of money that files give as a share of the
    account's first cash, `10%`, so that it holds in any currency; its default is that of an account of ACCOUNT. Bounds hold for
    the number that a time or a share becomes.
    """
    lowest, highest = RANGES.get(unit, ANY_UNIT)
    if gt == 0.0:
        ge, gt = LEAST_POSITIVE, None
    if ge is gt is None:
        ge = lowest
    if le is lt is None:
        le = highest
    extra: dict[str, Any] = {"unit": unit}
    if least is not None:
        extra["time"] = {"least": least, "ladder": list(ladder)}
    if of_account:
        extra["of_account"] = True
    if from_data:
        extra["from_data"] = True
    info: FieldInfo = Field(description=about, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=extra)
    return info


@functools.cache
def model_of(record: type[tuple[Any, ...]]) -> type[BaseModel]:
    """The pydantic model of a configuration record: same keys, bounds and defaults; unknown keys are refused."""
    defaults: dict[str, Any] = record._field_defaults  # type: ignore[attr-defined]
    keys: dict[str, Any] = {k: (_elementwise(t), defaults.get(k, ...)) for k, t in fields_of(record).items()}
    return create_model(record.__name__, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **keys)


def _elementwise(annotation: Any) -> Any:
    """Bounds of a tuple are bounds of its elements."""
    bare = typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation
    info = next((m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, FieldInfo)), None)
    if typing.get_origin(bare) is not tuple or info is None or not info.metadata:
        return annotation
    elements = tuple(t if t is Ellipsis else Annotated[(t, *info.metadata)] for t in typing.get_args(bare))
    bounded: Any = types.GenericAlias(tuple, elements)
    about: FieldInfo = Field(description=info.description, json_schema_extra=info.json_schema_extra)
    return Annotated[(bounded, about)]


@functools.cache
def spans_of(record: type[tuple[Any, ...]]) -> Mapping[str, Span]:
    """The keys that stand for time."""
    found: dict[str, Span] = {}
    for key, field in model_of(record).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and isinstance(time := extra.get("time"), dict):
            found[key] = Span(str(extra["unit"]), float(time["least"]), tuple(time["ladder"]))  # type: ignore[arg-type]
    return found


@functools.cache
def shares_of_account(record: type[tuple[Any, ...]]) -> frozenset[str]:
    """The keys whose files give a share of the account."""
    fields = model_of(record).model_fields.items()
    return frozenset(k for k, f in fields if isinstance(f.json_schema_extra, dict) and f.json_schema_extra.get("of_account"))


@functools.cache
def file_keys(record: type[tuple[Any, ...]]) -> tuple[str, ...]:
    """The keys that a file gives: all but those that the data set says."""
    fields = model_of(record).model_fields.items()
    return tuple(k for k, f in fields if not (isinstance(f.json_schema_extra, dict) and f.json_schema_extra.get("from_data")))


def default_written(record: type[tuple[Any, ...]], key: str) -> Any:
    """A key's default as its file says it."""
    value = record._field_defaults[key]  # type: ignore[attr-defined]
    span = spans_of(record).get(key)
    if key in shares_of_account(record):
        return tuple(map(_percent, value)) if isinstance(value, tuple) else _percent(value)
    return value if span is None else span.written(value)


def _percent(amount: float) -> str:
    return f"{100.0 * amount / ACCOUNT:g}%"


def resolve(
    record: type[C], values: Mapping[str, Any], *, source: str, clock: BarClock | None = MINUTES, account: float = ACCOUNT
) -> C:
    """A configuration record out of a mapping of keys to values; what is not given takes its default.

    source: where the values come from (a file's name), for the message. clock: at which times become bars; None where it is not
    known yet: the form of a time is checked, and the default stands for it. account: first cash, of which amounts are shares.
    Raises ConfigError.
    """
    numbers = _in_money(record, _in_bars(record, values, source, clock), source, account)
    try:
        model = model_of(record)(**numbers)
    except ValidationError as error:
        raise ConfigError(_sentence(error, record, source, values, clock)) from None
    made = record(*[_tupled(getattr(model, key)) for key in record._fields])  # type: ignore[attr-defined]
    for problem in getattr(made, "problems", lambda: ())():
        at = "" if clock in (None, MINUTES) else f" (in bars of {clock})"
        raise ConfigError(f"{source}: {problem}{at}")
    return made


def _in_bars(record: type[tuple[Any, ...]], values: Mapping[str, Any], source: str, clock: BarClock | None) -> dict[str, Any]:
    made = dict(values)
    defaults: dict[str, Any] = record._field_defaults  # type: ignore[attr-defined]
    for key, span in spans_of(record).items():
        default = defaults[key]
        value = made.get(key, span.written(default))
        places = len(default) if isinstance(default, tuple) else None
        whole = isinstance(default[0] if isinstance(default, tuple) else default, int)
        try:
            in_bars = span.bars(value, clock or MINUTES, places=places, whole=whole)
        except ValueError as error:
            raise ConfigError(f"{source}: {key} is {value!r}; {error}. Default: {_shown(span.written(default))}.") from None
        made[key] = default if clock is None and in_bars is not value else in_bars
    return made


def _in_money(record: type[tuple[Any, ...]], values: dict[str, Any], source: str, account: float) -> dict[str, Any]:
    made = dict(values)
    for key in shares_of_account(record):
        usual = default_written(record, key)
        value = made.get(key, usual)
        try:
            amounts = [
                _share(v) * account if isinstance(v, str) else v
                for v in (value if isinstance(value, (list, tuple)) else [value])
            ]
        except ValueError:
            sentence = "write a share of the account, as 10%, or an amount of money"
            raise ConfigError(f"{source}: {key} is {value!r}; {sentence}. Default: {_shown(usual)}.") from None
        made[key] = tuple(amounts) if isinstance(value, (list, tuple)) else amounts[0]
    return made


def _share(text: str) -> float:
    if not text.endswith("%"):
        raise ValueError(text)
    return float(text.removesuffix("%")) / 100.0


def _shown(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, (list, tuple)) else str(value)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sentence(
    error: ValidationError, record: type[tuple[Any, ...]], source: str, values: Mapping[str, Any], clock: BarClock | None
) -> str:
    first = error.errors()[0]
    key = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        import difflib

        near = difflib.get_close_matches(key, list(record._fields), n=1)  # type: ignore[attr-defined]
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(record._fields)}."  # type: ignore[attr-defined]
        return f"{source}: {key} is not a key of this file; {hint}"
    name = str(first["loc"][0]) if first["loc"] else ""
    field = model_of(record).model_fields.get(name)
    extra = field.json_schema_extra if field is not None else None
    unit = f" {extra['unit']}" if isinstance(extra, dict) and extra.get("unit") else ""
    span = spans_of(record).get(name)
    standard = f"{field.default}{unit}" if field is not None else ""
    if span is not None and field is not None:
        standard = _shown(span.written(field.default))
    default = f" Default: {standard}." if field is not None else ""
    reason = first["msg"][0].lower() + first["msg"][1:].replace("Input", "input")
    given = f"{first['input']!r}"
    if span is not None and field is not None and _is_time(said := values.get(name, span.written(field.default))):
        given = f"{_shown(said)}, which is {_shown(first['input'])} {span.unit} at the data's clock of {clock or MINUTES}"
    return f"{source}: {key} is {given}; {reason}.{default}"


def _is_time(value: Any) -> bool:
    return any(isinstance(v, str) for v in (value if isinstance(value, (list, tuple)) else (value,)))
