"""An explanation as text (a tree), as a picture, and as data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from drivers.explain.contributions import contributions, table
from drivers.explain.story import paragraph
from drivers.explain.trace import Explanation, Step, Value
from drivers.files.json_values import json_values
from drivers.text.times import stamp

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

WHOLE: Final = ("execution", "risk", "fusion")
"""Domains that decide: all their values are shown; of the others the first few."""
FEW: Final = 8
IN_PICTURE: Final = 4


def headline(explanation: Explanation) -> list[str]:
    """Why it was sent or not, in a paragraph, and what else a reader must know."""
    return [paragraph(explanation), *explanation.target.notes]


def short(explanation: Explanation) -> Group:
    """What a reader needs first: the paragraph, and what spoke for it and against it by name."""
    from rich.console import Group
    from rich.text import Text

    rows = contributions(explanation)
    parts: list[Any] = [Text("\n".join(headline(explanation)))]
    if rows:
        parts += [Text(""), table(rows)]
    missing = explanation.steps[explanation.root].missing
    if not explanation.on_the_way("l4_risk_gate") and missing:
        parts.append(Text(f"not recorded: {'; '.join(missing)}", style="dim"))
    return Group(*parts)


def tree(explanation: Explanation, *, full: bool = False) -> Tree:
    """The way back as a tree. full: every value of every layer, and what is unknown by name."""
    from rich.text import Text
    from rich.tree import Tree

    lines = explanation.target.trip.lines() if explanation.target.trip is not None else []
    top = Tree(Text("\n".join([*lines, "The way back, layer by layer:"]), style="bold"), guide_style="dim")

    def grow(into: Tree, name: str) -> None:
        step = explanation.steps[name]
        branch = into.add(_label(explanation, step, full))
        for below in step.below:
            grow(branch, below)

    grow(top, explanation.root)
    return top


def _label(explanation: Explanation, step: Step, full: bool) -> Text:
    from rich.text import Text

    layer = step.layer
    parts: list[Any] = [(f"{layer.id} {layer.label}", "bold cyan"), (f"  {layer.domain}", "dim")]
    shown = step.values if full else [v for v in step.values if v.known]
    unknown = 0 if full else len(step.values) - len(shown)
    if not full and layer.domain not in WHOLE and len(shown) > FEW:
        cut = len(shown) - FEW
        shown = shown[:FEW]
        tail = f"  and {cut} more"
    else:
        tail = ""
    if shown:
        parts += ["\n", _line(shown), (tail, "dim")]
    for entry in step.entries:
        parts += ["\n", "- ", _line([v for v in entry if v.known or full])]
    if not step.values and not step.entries and not step.missing:
        parts += [("\nnothing at this bar", "dim")]
    if unknown:
        parts += [(f"\nunknown: {unknown} of {len(step.values)}", "yellow")]
    missing = step.missing if full else [m for m in step.missing if "shown within the bar only" not in m]
    if missing:
        parts += [(f"\nnot recorded: {'; '.join(missing)}", "dim")]
    if step.elsewhere:
        ids = [explanation.steps[name].layer.id for name in step.elsewhere]
        parts += [(f"\nalso takes {', '.join(ids)}", "dim")]
    return Text.assemble(*parts)


def _line(values: list[Value]) -> str:
    return "  ".join(f"{v.field} {v.text}" for v in values)


def lines_of(explanation: Explanation) -> dict[str, list[str]]:
    """A few values of each layer, for a picture."""
    made = {}
    for name, step in explanation.steps.items():
        known = [v for v in step.values if v.known and v.value not in (0, 0.0, [])] or [v for v in step.values if v.known]
        first = [v for v in step.entries[0] if v.known] if step.entries else known
        chosen = sorted(first, key=lambda v: not isinstance(v.value, (str, list)))[:IN_PICTURE]  # words before numbers
        made[name] = [f"{v.field} {v.text}" for v in chosen]
    return made


def as_data(explanation: Explanation) -> dict[str, Any]:
    """Everything as plain values."""
    target = explanation.target
    return {
        "what": target.name,
        "symbol": target.symbol,
        "bar": stamp(target.time),
        "summary": headline(explanation),
        "contributions": [asdict(row) for row in contributions(explanation)],
        "order": _json_row(target.order),
        "entry": _json_row(target.entry),
        "fills": [_json_row(fill) for fill in target.fills],
        "layers": [
            {
                "id": step.layer.id,
                "name": name,
                "domain": step.layer.domain,
                "schedule": step.layer.schedule,
                "title": step.layer.title,
                "depth": step.depth,
                "takes": [i.name for i in step.layer.inputs if i.name in explanation.steps],
                "values": {v.field: v.value for v in step.values},
                "entries": [{v.field: v.value for v in entry} for entry in step.entries],
                "not_recorded": step.missing,
            }
            for name, step in explanation.steps.items()
        ],
    }


def _json_row(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {k: stamp(v.value) if isinstance(v, pd.Timestamp) else json_values(v) for k, v in row.items()}
