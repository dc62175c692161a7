"""Why a target is as large as it is: the ladder of caps from what L3 asks for down to what L4 approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dataflows.fusion.types import EDGE_PARTS, SOURCES
from drivers.explain.trace import Explanation, Value, found
from drivers.store.deciding_caps import CAPS, LEAST

WHY: Final = frozenset({"STOP", "TARGET", "TRAIL", "TIME", "FLAT_PROPOSAL", "FLATTENED", "CLOSE_FIRST"})
"""Reasons for which something is done at all; the others are why it is smaller, or not done."""
SHOWN: Final = 4
"""Parts of an edge or a score that are named; the others are shown as one."""


@dataclass(frozen=True)
class Rung:
    """One step down: who lowered the weight, to what, and the reasons that this step added."""

    who: str
    weight: float
    reasons: tuple[str, ...]


def ladder(explanation: Explanation) -> list[Rung]:
    """From what L3 asks for to what L4 approves, only the steps that changed the weight. Empty where they are not recorded."""
    proposal, gate = found(explanation, "l3_action_proposal"), found(explanation, "l4_risk_gate")
    size, target = _number(proposal, "size_fraction"), _number(gate, "target_weight")
    side = {"LONG": 1.0, "SHORT": -1.0}.get(str(proposal["side"].value)) if "side" in proposal else None
    if size is None or target is None or side is None:
        return []
    rungs = [Rung("L3 asks for", side * size, ())]
    seen: set[str] = set()
    for name in CAPS:
        values = found(explanation, name)
        weight, reasons = _number(values, "weight"), _names(values)
        if weight is not None and _differs(weight, rungs[-1].weight):
            rungs.append(Rung(name.partition("_")[0].upper(), weight, tuple(r for r in reasons if r not in seen)))
        seen |= set(reasons)
    if _differs(target, rungs[-1].weight):
        rungs.append(Rung("L4", target, tuple(r for r in _names(gate) if r not in seen)))
    return rungs


def ladder_lines(explanation: Explanation) -> list[str]:
    """The ladder in a line, and which of the reasons decided."""
    gate, rungs = found(explanation, "l4_risk_gate"), ladder(explanation)
    if not rungs:
        return []
    lines = [
        "Size: " + " -> ".join(f"{r.weight:.4g} ({r.who}{': ' + ', '.join(r.reasons) if r.reasons else ''})" for r in rungs)
    ]
    names = _names(gate)
    decided = next((r.reasons for r in reversed(rungs) if r.reasons), ())
    smaller = [n for n in names if n not in WHY]
    on_the_way = [n for n in smaller if n not in decided]
    if decided and smaller and gate["verdict"].value in ("REDUCED", "REJECTED"):
        lines.append(
            f"What decided: {', '.join(decided)}" + (f"; lowered on the way by {', '.join(on_the_way)}" if on_the_way else "")
        )
    return lines


def sizing_lines(explanation: Explanation) -> list[str]:
    """L75's equation with its numbers, and the sources of the edge, which acts, and of the score."""
    lines = []
    success, horizon = found(explanation, "l68_success_probability"), found(explanation, "l70_horizon")
    returns, proposal = found(explanation, "l2_returns_volatility"), found(explanation, "l3_action_proposal")
    edge, error, risk = (_number(proposal, k) for k in ("edge_bps", "edge_std_bps", "risk_bps"))
    asked, net = _number(proposal, "size_fraction"), _number(horizon, "net_edge_bps")
    bars, sigma, p = _number(horizon, "bars"), _number(returns, "sigma"), _number(success, "p_success")
    if None not in (edge, error, risk, asked, net, bars, sigma, p):
        lines.append(
            f"Asked for: {asked:.4g} of equity, from Kelly's bet: (edge {edge:.4g} - cost {edge - net:.4g}) bps +- {error:.3g} "
            f"over the variance of {bars:.4g} bars ({risk:.4g} bps squared), or less by the odds at a chance of {p:.3g}"
        )
    made_of = [(name, _number(proposal, f"parts_bps.{name}")) for name in EDGE_PARTS]
    parts = sorted(((name, x) for name, x in made_of if x), key=lambda s: -abs(s[1]))
    if parts:
        rest = sum(x for _, x in parts[SHOWN:])
        others = [f"{len(parts) - SHOWN} others {rest:+.3g} bps"] if len(parts) > SHOWN else []
        lines.append("Edge made of: " + ", ".join([*(f"{name} {x:+.3g} bps" for name, x in parts[:SHOWN]), *others]))
    shares = [(name, _number(found(explanation, "l7_ensemble"), f"contributions.{name}")) for name in SOURCES]
    known = sorted(((name, x) for name, x in shares if x), key=lambda s: -abs(s[1]))
    if known:
        lines.append("Score from: " + ", ".join(f"{name} {x:+.3f}" for name, x in known[:SHOWN]))
    return lines


def _number(values: Mapping[str, Value], field: str) -> Any:
    value = values.get(field)
    return value.value if value is not None and isinstance(value.value, (int, float)) else None


def _names(values: Mapping[str, Value]) -> list[str]:
    value = values.get("reasons")
    return list(value.value) if value is not None and isinstance(value.value, list) else []


def _differs(a: float, b: float) -> bool:
    return abs(a - b) > LEAST * max(abs(a), abs(b))
