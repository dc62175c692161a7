"""L91: the deeper the drawdown, the smaller every position."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes
from dataflows.data.types import OPERATOR_REBASE, Clock
from dataflows.execution.types import Ledger
from dataflows.layer import layer
from dataflows.panel import Floats
from dataflows.risk.config import RiskConfig
from dataflows.risk.weights import TENTHS, tenths_below


class DrawdownThrottleCarry(NamedTuple):
    """The factor as it stands."""

    steps: Annotated[Floats, Axes(1, start=TENTHS)]  # tenths, 0 to 10


@layer("L91", schedule="step", cross_sectional=True)
def l91_drawdown_throttle(l97_ledger: Ledger, clock: Clock, risk: RiskConfig, carry: DrawdownThrottleCarry) -> float:
    """Fraction of normal size allowed at this drawdown: 1 up to drawdown_start, linear down to 0 at drawdown_stop.

    Returns a factor in [0, 1] in steps of 0.1. It falls at once to the step below the line, and rises again only when the line
    is `throttle_hysteresis` above the next step. 0 when equity or drawdown is unknown or equity is not positive; 0, however it
    came about, is left only by the operator's REBASE, which also sets the step anew without hysteresis. It moves at closes and
    at REBASE. Never rises with drawdown.
    Source: linear, in the spirit of Grossman and Zhou (1993), whose own rule is exposure in proportion to equity less a floor.
    """
    rebase = clock.operator == OPERATOR_REBASE
    if clock.is_bar != 0 or rebase:
        equity, drawdown = l97_ledger.equity, l97_ledger.drawdown
        steps = 0.0
        if 0.0 < equity < math.inf and 0.0 <= drawdown < 1.0:
            line = (risk.drawdown_stop - drawdown) / (risk.drawdown_stop - risk.drawdown_start)
            below = tenths_below(line)
            raised = below if rebase else tenths_below(line - risk.throttle_hysteresis)
            steps = carry.steps[0]
            if below < steps:
                steps = below
            elif raised > steps and (steps > 0.0 or rebase):
                steps = raised
        carry.steps[0] = steps
    return float(carry.steps[0] / TENTHS)
