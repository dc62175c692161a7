"""What the rl domain takes from outside and hands on."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Axes
from dataflows.fusion.types import Policy
from dataflows.meta.types import DOMAINS
from dataflows.panel import Floats, Series, Within
from dataflows.rl.observed import OBSERVED

TILTS_TRIED: Final = ("none", *DOMAINS)
"""The tilts that LinUCB chooses among: none, or one domain whose sources count more."""


class ShadowAccount(NamedTuple):
    """The account as it would be had no policy ever said anything; NaN where none is kept beside the real one."""

    equity: Series
    cash_flows: Series  # in less out since the start


class PolicyChoice(NamedTuple):
    """L82: what holds in the epoch that begins, what it was chosen by, and what it has cost so far."""

    policy: Policy
    arm_weights: Annotated[Floats, Axes("len(multipliers)"), Within(0.0, 1.0)]  # of the wealth on each multiplier; sum to 1
    tilt_value: Annotated[Floats, Axes(len(TILTS_TRIED)), Within()]  # LinUCB's upper bound of each of TILTS_TRIED
    tilt_chosen: Annotated[int, Within(0, len(TILTS_TRIED) - 1)]  # a TILTS_TRIED index
    within_budget: Annotated[int, Within(0, 1)]  # 0: the account is too far behind the shadow, or that is not known
    wealth: Annotated[Floats, Axes(1), Within(0.0)]  # of a unit of the account, since the start; cash flows taken out
    shadow_wealth: Annotated[Floats, Axes(1), Within(0.0)]  # the same of the shadow account; NaN: there is none
    reward: Annotated[Floats, Axes(1), Within()]  # of the epoch that ended; NaN: nothing was held
    observation: Annotated[Floats, Axes(len(OBSERVED)), Within()]  # by OBSERVED; 0 where it is not known
    known: Annotated[Floats, Axes(len(OBSERVED)), Within(0.0, 1.0)]  # 1 where it is
