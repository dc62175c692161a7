"""Which cap decides the size of increases: the last one that lowered what L3 asked for, as `explain` shows it for one bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dataflows.risk import types as risk

AS_ASKED: Final = "AS_ASKED"
IN_L86: Final = (
    ("DRAWDOWN_THROTTLE", risk.WHY_DRAWDOWN_THROTTLE),
    ("VOLATILITY_TARGET", risk.WHY_VOLATILITY_TARGET),
    ("INSTRUMENT_CAP", risk.WHY_INSTRUMENT_CAP),
    ("GROSS_CAP", risk.WHY_GROSS_CAP),
    ("NET_CAP", risk.WHY_NET_CAP),
)
"""L86's caps in the order in which it applies them."""
AFTER: Final = (
    ("CONCENTRATION", "l87_concentration_cap"),
    ("OPEN_RISK", "l93_open_risk_budget"),
    ("TAIL_BUDGET", "l95_tail_budget"),
)
CAP_REASONS: Final = frozenset(name for name, _ in (*IN_L86, *AFTER))
"""The reasons that are caps: they make a position smaller, and never are why one is opened."""
CAPS: Final = ("l86_exposure_cap", *(node for _, node in AFTER))
"""The layers that lower a weight one after the other, before L4 applies the smallest once more."""
NEEDED: Final = ("l3_action_proposal", "l4_risk_gate", *CAPS)
LEAST: Final = 1e-9
"""Relative: a smaller difference is rounding."""


def deciding_caps(values: Mapping[str, Any]) -> Counter[str]:
    """How many approved increases, by bar and symbol, each cap decided; AS_ASKED: none did. values: outputs by node."""
    gate = values["l4_risk_gate"]
    grows = gate.reduce_only == 0
    if not grows.any():
        return Counter()
    size = values["l3_action_proposal"].size_fraction[grows]
    decided = np.full(len(size), AS_ASKED, dtype=object)
    first = values["l86_exposure_cap"]
    size, lowered = _lower(size, first.weight[grows])
    for name, bit in IN_L86:
        decided[lowered & (first.reasons[grows] & bit != 0)] = name
    for name, node in AFTER:
        size, lowered = _lower(size, values[node].weight[grows])
        decided[lowered] = name
    _, lowered = _lower(size, gate.target_weight[grows])
    for name, bit in IN_L86[2:]:  # L4 applies L85 and the net cap once more
        decided[lowered & (gate.reasons[grows] & bit != 0)] = name
    return Counter(decided.tolist())


def _lower(size: Any, weight: Any) -> tuple[Any, Any]:
    """|weight|, and where it is below `size`."""
    now = np.abs(weight)
    return now, now < size * (1.0 - LEAST)
