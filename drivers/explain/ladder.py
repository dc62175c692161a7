"""Why a target is as large as it is: the ladder of caps from what L3 asks for down to what L4 approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.explain.trace import Explanation, Value, found
from drivers.store.deciding_caps import CAPS, LEAST


@dataclass(frozen=True)
class Rung:
    """One step down: who lowered the weight, to what, and the reasons that this step added."""

    who: str
    weight: float
    reasons: tuple[str, ...]


def ladder(explanation: Explanation) -> list[Rung]:
    """From what L3 asks for to what L4 approves, only the steps that changed the weight. Empty where they are not recorded."""
    proposal, gate = found(explanation, "l3_action_proposal"), found(explanation, "l4_risk_gate")
    size, target = number_in(proposal, "size_fraction"), number_in(gate, "target_weight")
    side = {"LONG": 1.0, "SHORT": -1.0}.get(str(proposal["side"].value)) if "side" in proposal else None
    if size is None or target is None or side is None:
        return []
    rungs = [Rung("L3 asks for", side * size, ())]
    seen: set[str] = set()
    for name in CAPS:
        values = found(explanation, name)
        weight, reasons = number_in(values, "weight"), explanation.named(name, "reasons")
        if weight is not None and _differs(weight, rungs[-1].weight):
            rungs.append(Rung(name.partition("_")[0].upper(), weight, tuple(r for r in reasons if r not in seen)))
        seen |= set(reasons)
    if _differs(target, rungs[-1].weight):
        rungs.append(Rung("L4", target, tuple(r for r in explanation.named("l4_risk_gate", "reasons") if r not in seen)))
    return rungs


def number_in(values: Mapping[str, Value], field: str) -> Any:
    """A number of a layer; None where it is unknown or not recorded."""
    value = values.get(field)
    return value.value if value is not None and isinstance(value.value, (int, float)) else None


def _differs(a: float, b: float) -> bool:
    return abs(a - b) > LEAST * max(abs(a), abs(b))
