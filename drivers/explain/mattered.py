"""The ten layers that mattered for a decision, for a picture: those that decided, and those that spoke loudest."""

from __future__ import annotations

from typing import Final

import networkx as nx

from drivers.diagrams.model import Edge
from drivers.diagrams.selection import Selection
from drivers.explain.contributions import FROM, contributions, votes
from drivers.explain.ladder import ladder
from drivers.explain.trace import Explanation

MOST: Final = 10
DECIDING: Final = ("l4_risk_gate", "l3_action_proposal", "l67_expectancy", "l66_signal_matrix")
CAUSES: Final = {
    "STOP": "l94_position_exits",
    "TARGET": "l94_position_exits",
    "TRAIL": "l94_position_exits",
    "TIME": "l94_position_exits",
    "LATE": "l94_position_exits",
    "LOCKOUT": "l94_position_exits",
    "HALTED": "l81_kill_switch",
    "FLATTENED": "l81_kill_switch",
    "LOSS_LIMIT": "l92_loss_limits",
    "DRAWDOWN_THROTTLE": "l91_drawdown_throttle",
    "NO_STOP": "l84_stop_levels",
}
"""The layer behind a reason of the gate, where it is not one of the ladder's."""
REFUSED_BY: Final = {
    "AVOID": "l63_tradeability",
    "NOT_LEARNED": "l67_expectancy",
    "EDGE_BELOW_COST": "l71_trading_cost",
    "EDGE_UNCERTAIN": "l67_expectancy",
    "NO_SIZE": "l75_size_suggestion",
}
"""The layer behind a refusal of the proposal."""


def mattered(explanation: Explanation) -> Selection:
    """At most ten layers of the way back: what decided, what lowered the size, and the sources that spoke loudest.

    An edge of the picture stands for every way between two of them through layers that are not shown.
    """
    chosen: list[str] = []
    for name in [explanation.root, *DECIDING, *_causes(explanation), *_sources(explanation), *explanation.steps]:
        if name in explanation.steps and name not in chosen:
            chosen.append(name)
    shown = frozenset(chosen[:MOST])
    title = f"{explanation.target.name}: the {len(shown)} layers that mattered; edges may lead through others"
    return Selection(title, shown, frozenset(), frozenset({explanation.root}), _edges(explanation, shown))


def _causes(explanation: Explanation) -> list[str]:
    """The layers that lowered or refused, the deciding ones first; three at most."""
    by_id = {layer.id: name for name, layer in explanation.model.layers.items()}
    caps = [by_id[rung.who] for rung in reversed(ladder(explanation)) if rung.who in by_id]
    reasons = explanation.named("l4_risk_gate", "reasons")
    refusals = explanation.named("l3_action_proposal", "refusal")
    behind = [CAUSES[name] for name in reasons if name in CAUSES] + [REFUSED_BY[n] for n in refusals if n in REFUSED_BY]
    return list(dict.fromkeys([*behind, *caps]))[:3]


def _sources(explanation: Explanation) -> list[str]:
    """The layers of the loudest sources; of the patterns' source the loudest pattern, too."""
    found: list[str] = []
    for row in contributions(explanation):
        found += FROM.get(row.source, ())
        if row.source == "pattern":
            found += [name for name, _ in votes(explanation)[:1]]
    return list(dict.fromkeys(found))


def _edges(explanation: Explanation, shown: frozenset[str]) -> tuple[Edge, ...]:
    """The graph's own edges, and one where a way leads through layers that are not shown, unless others already imply it."""
    now = explanation.model.now
    between: nx.DiGraph[str] = nx.DiGraph()
    between.add_nodes_from(shown)
    for name in shown:
        inner = now.subgraph([n for n in now if n not in shown or n == name])
        reached = {name, *nx.descendants(inner, name)}
        between.add_edges_from((name, to) for via in reached for to in now.successors(via) if to in shown and to != name)
    reduced = nx.transitive_reduction(between)
    return tuple(Edge(a, b, "now", a) for a, b in between.edges if reduced.has_edge(a, b) or now.has_edge(a, b))
