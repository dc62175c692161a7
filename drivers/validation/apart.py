"""A symbol's own features do not depend on which other symbols are in the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dataflows.data.types import ExternalAlpha, Observations
from dataflows.panel import fields_of, is_record, kind_of
from drivers.engine.plan import Plan
from drivers.validation.compare import Record
from drivers.validation.registry import NothingToTest, Tested, on_stretches
from drivers.validation.replays import same
from drivers.validation.trial import Stretch, Trial


def single_symbol_layers(plan: Plan) -> list[str]:
    """The market layers that see one symbol at a time, and take nothing of a layer that sees several."""
    found: list[str] = []
    for node in plan.stage["columnar"]:
        if not node.cross_sectional and all(p in found for p in node.params if p in plan.nodes):
            found.append(node.name)
    return found


def column(value: Any, annotation: Any, n: int) -> Any:
    """Symbol n of a value, as if it were the only one."""
    if is_record(annotation):
        return annotation(*[column(v, t, n) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
    axes = kind_of(annotation).axes
    if "N" not in axes:
        return value
    at = 0 if axes[0] == "static" else 1
    return np.ascontiguousarray(np.take(value, [n], axis=at))


class _Alone:
    """A market's symbol n by itself."""

    def __init__(self, trial: Trial, n: int) -> None:
        self.symbols: tuple[str, ...] = (trial.market.symbols[n],)
        self.time, self.depth = trial.market.time, trial.market.depth
        self._market, self._n = trial.market, n
        self.cuts = trial.market.cuts

    def __len__(self) -> int:
        return len(self._market)

    def rows(self, a: int, b: int) -> Observations:
        made: Observations = column(self._market.rows(a, b), Observations, self._n)
        return made

    def inputs(self, observations: Observations) -> dict[str, Any]:
        given = self._market.inputs(observations)
        if "external_alpha" in given:
            given["external_alpha"] = column(given["external_alpha"], ExternalAlpha, self._n)
        return given


def _static(trial: Trial, n: int) -> Mapping[str, Any]:
    return {name: column(value, trial.plan.hints[name], n) for name, value in trial.static.items()}


@on_stretches("symbols apart", "A symbol's own features stay the same when symbols are added to the data or taken out.")
def symbols_apart(stretch: Stretch) -> Tested:
    """Each symbol alone, from the beginning of the data: the layers that see one symbol at a time give what they gave."""
    trial, names = stretch.trial, single_symbol_layers(stretch.trial.plan)
    symbols = trial.market.symbols
    if len(symbols) == 1 or not names:
        raise NothingToTest("the data have one symbol only.")
    if stretch.state is not None:
        raise NothingToTest("what an engine remembers of several symbols cannot be given to one.")
    own, tested = Record(trial.plan, stretch.record.time, {name: stretch.record.fields[name] for name in names}, {}), Tested()
    for n, symbol in enumerate(symbols):
        alone = Trial(trial.plan, _Alone(trial, n), _static(trial, n), epoch_ns=trial.epoch_ns)
        other = Stretch(alone, stretch.edges, None, ()).again()
        one = same(alone, own.of_column(n), other, f"with {symbol} alone", names)
        tested = Tested(one.bars, tested.values + one.values, one.columns)
    return tested
