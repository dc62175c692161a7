"""Configuration: one NamedTuple a domain, which is at once the record that layers take and the source of its pydantic model.

    class KinematicsConfig(NamedTuple):
        '''Windows and scales of the kinematics domain.'''

        slope_short_bars: Annotated[int, setting("bars", "window of L12's regression", ge=3)] = 30

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

C = TypeVar("C", bound=tuple[Any, ...])


class ConfigError(ValueError):
    """A configuration value is missing, unknown, or out of range. The message names file, key, value and bound."""


RANGES: Final[Mapping[str, tuple[float, float]]] = {
    # spans: each holds at most so many rows of 8 bytes a symbol, 0.8 MB for each window of a symbol
    "bars": (0, 100_000),
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
) -> FieldInfo:
    """The unit, meaning and bounds of one key; written beside its type, and from there into the file's comments.

    The bounds of a tuple hold for each of its elements. A side without a bound takes that of the unit (`RANGES`), so that no
    value that is accepted overflows or asks for more memory than there is.
    """
    least, most = RANGES.get(unit, ANY_UNIT)
    if gt == 0.0:
        ge, gt = LEAST_POSITIVE, None
    if ge is gt is None:
        ge = least
    if le is lt is None:
        le = most
    info: FieldInfo = Field(description=about, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra={"unit": unit})
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


def resolve(record: type[C], values: Mapping[str, Any], *, source: str) -> C:
    """A configuration record out of a mapping of keys to values; what is not given takes its default.

    source: where the values come from (a file's name), for the message. Raises ConfigError.
    """
    try:
        model = model_of(record)(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, record, source)) from None
    made = record(*[_tupled(getattr(model, key)) for key in record._fields])  # type: ignore[attr-defined]
    for problem in getattr(made, "problems", lambda: ())():
        raise ConfigError(f"{source}: {problem}")
    return made


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sentence(error: ValidationError, record: type[tuple[Any, ...]], source: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        import difflib

        near = difflib.get_close_matches(key, list(record._fields), n=1)  # type: ignore[attr-defined]
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(record._fields)}."  # type: ignore[attr-defined]
        return f"{source}: {key} is not a key of this file; {hint}"
    field = model_of(record).model_fields.get(str(first["loc"][0])) if first["loc"] else None
    extra = field.json_schema_extra if field is not None else None
    unit = f" {extra['unit']}" if isinstance(extra, dict) and extra.get("unit") else ""
    default = f" Default: {field.default}{unit}." if field is not None else ""
    reason = first["msg"][0].lower() + first["msg"][1:].replace("Input", "input")
    return f"{source}: {key} is {first['input']!r}; {reason}.{default}"
