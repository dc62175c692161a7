"""The external inputs: what the engine can hand to layers beside the outputs of other layers.

`external` of the wiring file lists those that the layers take.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dataflows.data.types import Clock, ExternalAlpha, Instruments, Observations
from dataflows.execution.types import Executions, VenueSnapshot
from dataflows.rl.types import ShadowAccount


class External(NamedTuple):
    """One external input. type: the record that it is."""

    type: Any
    about: str


EXTERNAL: Final[dict[str, External]] = {
    "observations": External(Observations, "the market data of each bar"),
    "external_alpha": External(ExternalAlpha, "what was stated from outside; unknown where nothing was"),
    "instruments": External(Instruments, "facts of the instruments, which hold for the whole run"),
    "clock": External(Clock, "time, whether it is the close of a bar, and the operator's word"),
    "venue_events": External(Executions, "the reports of a live venue since the instant before"),
    "venue_snapshot": External(VenueSnapshot, "the account as a live venue states it; unknown where it was not asked"),
    "shadow_account": External(ShadowAccount, "the account that no policy touches; unknown where the policy is off"),
}
"""By name."""

STATIC: Final = frozenset({"instruments"})
"""Those without a time axis."""

UNKNOWN_UNLESS_GIVEN: Final = ("external_alpha", "venue_snapshot", "shadow_account")
"""Those that are unknown where nobody hands them in."""
