"""L74: how fat the tail is."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.tails import HillTail, hill
from dataflows.risk.types import Tail


class TailIndexCarry(NamedTuple):
    """The last `tail_window` standardised returns."""

    tail: Annotated[HillTail, Bind(W="tail_window")]


@layer("L74")
def l74_tail_index(l2_returns_volatility: Returns, risk: RiskConfig, carry: TailIndexCarry) -> Tail:
    """Hill's estimator over the `tail_top` largest of the last `tail_window` |z|, z the return over the volatility before it.

    Returns panels (T, N): tail_index > 0, the smaller the fatter: a moment of that order and beyond does not exist; threshold,
    the |z| from which the tail is counted; extreme, 1 where the index is below `tail_extreme`. Unknown returns hold them; NaN
    (and not extreme) until the window is full. Of Student-t(4) it says 3.56 on average: the law is exact for Pareto tails only.
    Source: Hill (1975).
    """
    return Tail(*hill(l2_returns_volatility.z, risk.tail_extreme, risk.tail_top, carry.tail))
