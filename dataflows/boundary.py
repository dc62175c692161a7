"""Boundary models: what one domain promises the next.

A domain's `schema.py` holds one `Boundary`, a pandera DataFrameModel with a column for every recorded field of its layers,
named `<layer>.<field>`. Bounds are pandera's own `Field` arguments; what ties several columns together is a `Rule`. Whole
runs are validated by pandera; the engine compiles the same model into checks that a stream pays microseconds for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa


@dataclass(frozen=True)
class Rule:
    """A condition across columns, checked on rows where all of them are known.

    kind: "sum" (the columns add up to `value`), "total" (all but the last add up to the last) or "ordered" (each is at most the
    next), within `tolerance`.
    """

    kind: str
    columns: tuple[str, ...]
    value: float = 0.0
    tolerance: float = 1e-9

    @property
    def name(self) -> str:
        """As pandera's report shows it."""
        if self.kind == "total":
            return f"{' + '.join(self.columns[:-1])} = {self.columns[-1]}"
        return f"{' + '.join(self.columns)} = {self.value}" if self.kind == "sum" else " <= ".join(self.columns)

    def holds(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """For each row, whether the rule holds or a column is unknown."""
        x = frame[list(self.columns)].to_numpy(np.float64)
        unknown = np.isnan(x).any(axis=1)
        if self.kind == "sum":
            ok = np.abs(x.sum(axis=1) - self.value) <= self.tolerance
        elif self.kind == "total":
            ok = np.abs(x[:, :-1].sum(axis=1) - x[:, -1]) <= self.tolerance
        else:
            ok = (np.diff(x, axis=1) >= -self.tolerance).all(axis=1)
        return pd.Series(ok | unknown, index=frame.index)


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
    schema: pa.DataFrameSchema = model.to_schema()
    for rule in model.__rules__:
        schema.checks.append(pa.Check(rule.holds, name=rule.name, error=rule.name))
    return schema
