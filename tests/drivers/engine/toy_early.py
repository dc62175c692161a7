"""An epoch layer with an early form, beside the toy graph."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.data.types import Clock, Observations
from dataflows.layer import layer
from dataflows.panel import Floats, Ints, Within


class Closes(NamedTuple):
    """Of the epoch."""

    total: Annotated[Floats, Axes("N"), Within()]  # of the known closes at bars, from the first to the last
    bars: Annotated[Ints, Axes(2), Within(0)]  # and how many of them were taken early


class ClosesCarry(NamedTuple):
    """The epoch so far."""

    total: Annotated[Floats, Axes("N")]
    bars: Annotated[Ints, Axes(1)]


def _take(observations: Observations, clock: Clock, carry: ClosesCarry) -> None:
    """Some bars, one after the other."""
    for row in observations.close[clock.bars_from(0)]:
        carry.total[:] += np.nan_to_num(row)
        carry.bars[0] += 1


@layer("L83", schedule="epoch", early=_take)
def l83_closes(observations: Observations, clock: Clock, carry: ClosesCarry) -> Closes:
    """The sum of all closes."""
    early = int(carry.bars[0])
    for row in observations.close[clock.bars_from(early)]:
        carry.total[:] += np.nan_to_num(row)
        carry.bars[0] += 1
    found = Closes(carry.total.copy(), np.array([carry.bars[0], early]))
    carry.total[:], carry.bars[0] = 0.0, 0
    return found
