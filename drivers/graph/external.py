"""The external inputs: what the engine can hand to layers beside the outputs of other layers.

`external` of the wiring file lists those that the layers take.
"""

from __future__ import annotations

from typing import Final

EXTERNAL: Final[dict[str, str]] = {
    "observations": "the market data of each bar",
    "external_alpha": "what was stated from outside; unknown where nothing was",
    "instruments": "facts of the instruments, which hold for the whole run",
    "clock": "time, whether it is the close of a bar, and the operator's word",
    "venue_events": "the reports of a live venue since the instant before",
    "venue_snapshot": "the account as a live venue states it; unknown where it was not asked",
}
"""Name to meaning."""

STATIC: Final = frozenset({"instruments"})
"""Those without a time axis."""
