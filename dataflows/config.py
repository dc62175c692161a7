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
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from dataflows.panel import fields_of

C = TypeVar("C", bound=tuple[Any, ...])


class ConfigError(ValueError):
    """A configuration value is missing, unknown, or out of range. The message names file, key, value and bound."""


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

    The bounds of a tuple hold for each of its elements.
    """
    info: FieldInfo = Field(description=about, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra={"unit": unit})
    return info


@functools.cache
def model_of(record: type[tuple[Any, ...]]) -> type[BaseModel]:
    """The pydantic model of a configuration record: same keys, bounds and defaults; unknown keys are refused."""
    defaults: dict[str, Any] = record._field_defaults  # type: ignore[attr-defined]
    keys: dict[str, Any] = {k: (_elementwise(t), defaults.get(k, ...)) for k, t in fields_of(record).items()}
    return create_model(record.__name__, __config__=ConfigDict(extra="forbid", allow_inf_nan=True), **keys)


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
