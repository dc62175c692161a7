"""The step stage at a single instant: the loop over one bar, with arguments that never move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dataflows.panel import Ints
from drivers.engine.chunk import empty_log

if TYPE_CHECKING:
    from drivers.engine.engine import Engine


class OneStep:
    """An engine's step stage for single bars. blocks: where it records, one for each of BLOCKS."""

    def __init__(self, engine: Engine, blocks: tuple[Any, ...]) -> None:
        self.engine, stage = engine, engine.plan.steps
        self._logs = engine.empty_logs(1)
        self._tail = (*blocks, *(x for log in self._logs for x in log))
        self._columns = [(node, stage.log_columns[node.name]) for node in stage.logs]
        self._nothing = {node.name: empty_log(node.returns) for node in stage.logs}

    def run(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Ints]]:
        """Runs the loop over the bar in `values`; returns its logs by name, and the offsets of their entries."""
        if not self.engine.plan.stage["step"]:
            return {}, {}
        self.engine.run_loop(0, 1, (*self.engine.flatten(values), *self._tail))
        found: dict[str, Any] = {}
        offsets: dict[str, Ints] = {}
        for (node, columns), (at, f8, i8) in zip(self._columns, self._logs, strict=True):
            n = int(at[1])
            offsets[node.name] = np.array([0, n])
            if n == 0:
                found[node.name] = self._nothing[node.name]
                continue
            floats, ints = f8[:, :n].copy(), i8[:, :n].copy()
            entries = dict(zip(columns["f8"], floats, strict=True)) | dict(zip(columns["i8"], ints, strict=True))
            found[node.name] = node.returns(n=n, **entries)
        return found, offsets
