"""Boundary models: what one domain promises the next.

A domain's `schema.py` holds one `Boundary`, a pandera DataFrameModel with a column for every recorded field of its layers,
named `<layer>.<field>`. Bounds are pandera's own `Field` arguments; what ties several columns together is a `Rule`. A layer
whose annotation brings a range (`Annotated[Panel, Within(0.0, 1.0)]`) needs no line in the model: that is its column.

Whole runs are validated by pandera; the engine compiles the same model into checks that a stream pays microseconds for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import pandera.pandas as pa

from dataflows.panel import Kind
from dataflows.rules import Rule

__all__ = ["Boundary", "Promise", "Rule", "part_of", "promise_of", "schema_of"]


class Boundary(pa.DataFrameModel):
    """Base of the domains' boundary models."""

    __rules__: ClassVar[tuple[Rule, ...]] = ()

    class Config:
        """Every column must be there, with its dtype as it is; others are refused."""

        strict = True
        coerce = False


@functools.cache  # pandera keeps one schema a model: the rules are added to it once
def schema_of(model: type[Boundary]) -> pa.DataFrameSchema:
    """The pandera schema of a boundary model, its rules included as checks of the whole frame."""
    return _with_rules(model.to_schema(), model.__rules__)


class Promise(NamedTuple):
    """What a domain promises of the columns that its layers give: the pandera schema, and the rules across columns in it."""

    model: type[Boundary]
    schema: pa.DataFrameSchema
    rules: tuple[Rule, ...]


def promise_of(model: type[Boundary], columns: Mapping[str, Kind]) -> Promise:
    """The boundary model cut to the layers that run, with a column more for each value that brings its own range (`Within`).

    columns: what the layers give, `<layer>.<field>` to its kind. Columns of layers that give none here are left out, and rules
    over them. What a layer gives and nobody promises is not in the schema: who compares the two names it.
    """
    listed = schema_of(model)
    layers = {name.partition(".")[0] for name in columns}
    gone = [str(name) for name in listed.columns if str(name).partition(".")[0] not in layers]
    own = {name: _column(kind) for name, kind in columns.items() if kind.within is not None and name not in listed.columns}
    rules = tuple(rule for rule in model.__rules__ if layers.issuperset(c.partition(".")[0] for c in rule.columns))
    if not gone and not own and rules == tuple(model.__rules__):
        return Promise(model, listed, model.__rules__)
    kept = {name: column for name, column in model.to_schema().columns.items() if name not in gone}
    schema = pa.DataFrameSchema({**kept, **own}, name=model.__name__, strict=True, coerce=False)
    return Promise(model, _with_rules(schema, rules), rules)


def part_of(promise: Promise, columns: Iterable[str]) -> Promise:
    """The promise of these columns alone, and of the rules that are over them alone."""
    wanted = set(columns)
    rules = tuple(rule for rule in promise.rules if wanted.issuperset(rule.columns))
    kept = {name: column for name, column in promise.schema.columns.items() if name in wanted}
    schema = pa.DataFrameSchema(kept, name=promise.schema.name, strict=True, coerce=False)
    return Promise(promise.model, _with_rules(schema, rules), rules)


def _column(kind: Kind) -> pa.Column:
    """A column of a value's own range; a float may be unknown, a code may not."""
    assert kind.within is not None
    dtype = np.float64 if kind.dtype == "f8" else np.int64
    checks = [pa.Check.ge(kind.within.low), pa.Check.le(kind.within.high)]
    return pa.Column(dtype, checks, nullable=kind.dtype == "f8")


def _with_rules(schema: pa.DataFrameSchema, rules: Iterable[Rule]) -> pa.DataFrameSchema:
    for rule in rules:
        schema.checks.append(pa.Check(rule.holds, name=rule.name, error=rule.name))
    return schema
