"""Conditions across the columns of a domain's boundary model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dataflows.panel import Bools, Floats

if TYPE_CHECKING:
    import pandas as pd


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
        import pandas as pd  # only pandera asks

        return pd.Series(self.holds_of(frame[list(self.columns)].to_numpy(np.float64)), index=frame.index)

    def holds_of(self, x: Floats) -> Bools:
        """The same of the rule's columns as an array (rows, columns)."""
        unknown = np.isnan(x).any(axis=1)
        if self.kind == "sum":
            ok = np.abs(x.sum(axis=1) - self.value) <= self.tolerance
        elif self.kind == "total":
            ok = np.abs(x[:, :-1].sum(axis=1) - x[:, -1]) <= self.tolerance
        else:
            ok = (np.diff(x, axis=1) >= -self.tolerance).all(axis=1)
        found: Bools = ok | unknown
        return found
