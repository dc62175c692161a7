"""What spoke for a decision, by source: its part of the expected move, what it said, and the layers that said it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dataflows.fusion.types import EDGE_PARTS
from drivers.explain.ladder import number_in
from drivers.explain.trace import Explanation, found

if TYPE_CHECKING:
    from rich.table import Table

FROM: Final[dict[str, tuple[str, ...]]] = {
    "regime": ("l1_regime",),
    "trend": ("l25_timeframe_alignment", "l60_kinematic_state"),
    "momentum": ("l1_regime",),
    "reversion": ("l60_kinematic_state",),
    "book": ("l9_book_imbalance",),
    "flow": ("l10_trade_pressure",),
    "order_flow": ("l62_order_flow_imbalance",),
    "pattern": ("l50_pattern_consensus",),
    "lead_lag": ("l48_lead_lag",),
    "relative_strength": ("l49_relative_strength",),
}
"""The layers whose values L66 takes for each source. `external` is a signal of the user's, `stated_belief` a setting."""
ELSEWHERE: Final = {"external": "alpha of the data", "stated_belief": "fusion.prior_slope_bps"}
VOTES: Final = 3
"""Patterns that are named."""


@dataclass(frozen=True)
class Contribution:
    """One source. part_bps: of the expected move of a position on L3's side. signal: what it said, -1 (down) to 1 (up), of
    L66. score: its part of L7's score. None: unknown. layers: where it comes from, in words."""

    source: str
    part_bps: float | None
    signal: float | None
    score: float | None
    layers: str


def contributions(explanation: Explanation) -> list[Contribution]:
    """Every source with a part, the largest part of the expected move first, then the largest part of the score."""
    proposal, signals = found(explanation, "l3_action_proposal"), found(explanation, "l66_signal_matrix")
    ensemble = found(explanation, "l7_ensemble")
    rows = [
        Contribution(
            name,
            number_in(proposal, f"parts_bps.{name}"),
            number_in(signals, f"values.{name}"),
            number_in(ensemble, f"contributions.{name}"),
            _layers(explanation, name),
        )
        for name in EDGE_PARTS
    ]
    spoke = [row for row in rows if row.part_bps or row.score]
    return sorted(spoke, key=lambda row: (-abs(row.part_bps or 0.0), -abs(row.score or 0.0)))


def _layers(explanation: Explanation, source: str) -> str:
    if source in ELSEWHERE:
        return ELSEWHERE[source]
    layers = explanation.model.layers
    named = [f"{layers[name].id} {layers[name].label}" for name in FROM[source] if name in layers]
    if source == "pattern":
        named += [f"{_label(explanation, k)} {vote:+.2f}" for k, vote in votes(explanation)[:VOTES]]
    return ", ".join(named)


def votes(explanation: Explanation) -> list[tuple[str, float]]:
    """The layers of the patterns that voted, and their votes in [-1, 1], the loudest first."""
    consensus = explanation.steps.get("l50_pattern_consensus")
    if consensus is None:
        return []
    said = {v.field.rpartition(".")[2]: v.value for v in consensus.values if v.field.startswith("votes.") and v.value}
    ids = {layer.id.lower(): name for name, layer in explanation.model.layers.items()}
    known = [(ids[id_], float(vote)) for id_, vote in said.items() if id_ in ids]
    return sorted(known, key=lambda each: -abs(each[1]))


def _label(explanation: Explanation, name: str) -> str:
    layer = explanation.model.layers[name]
    return f"{layer.id} {layer.label}"


def table(rows: list[Contribution]) -> Table:
    """The contributions for a terminal."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, title="What spoke for it and against it, by size", title_justify="left", pad_edge=False)
    shown.add_column("source")
    for name in ("part of the expected move", "signal, -1 to 1", "part of the score"):
        shown.add_column(name, justify="right")
    shown.add_column("from", overflow="fold")
    for row in rows:
        part = "" if row.part_bps is None else f"{row.part_bps + 0.0:+.1f} bps"
        numbers = ("" if x is None else f"{x + 0.0:+.2f}" for x in (row.signal, row.score))
        shown.add_row(row.source.replace("_", " "), part, *numbers, row.layers)
    return shown
