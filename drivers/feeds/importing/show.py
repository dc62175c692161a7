"""An import on the terminal: what is taken for what before it begins, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from drivers.feeds.importing.names import Matching
from drivers.feeds.importing.plan import FilePlan, ImportPlan
from drivers.feeds.importing.run import ImportResult


def plan_table(plan: ImportPlan) -> Group:
    """One table for each layout among the files: their column, ours."""
    parts: list[RenderableType] = []
    for kind, files in plan.files.items():
        layouts: dict[tuple[tuple[tuple[str, str | None], ...], tuple[str, ...]], list[FilePlan]] = {}
        for file in files:
            layouts.setdefault((tuple(file.matching.columns.items()), file.matching.dropped), []).append(file)
        for group in layouts.values():
            names = ", ".join(f.source.name for f in group[:4]) + (f" and {len(group) - 4} more" if len(group) > 4 else "")
            known = f" ({group[0].preset.name})" if group[0].preset is not None else ""
            parts += [Text(f"{kind}: {names}{known}", style="bold"), _layout(group)]
            dropped = group[0].matching.dropped
            if dropped:
                parts.append(Text(f"dropped: {', '.join(dropped)}", style="dim"))
    parts.append(Text(f"to {plan.request.out}, stamp: {plan.description['stamp']}", style="dim"))
    return Group(*parts)


def _layout(files: Sequence[FilePlan]) -> Grid:
    first = files[0]
    grid = Grid()
    grid.add_column("their column")
    grid.add_column("ours")
    for ours, theirs in _rows(first.matching):
        grid.add_row(theirs, ours)
    if first.symbol is not None:
        symbols = list(dict.fromkeys(str(f.symbol) for f in files))
        grid.add_row("(file name)" if first.symbol in first.source.name else "(--symbol)", f"symbol {', '.join(symbols)}")
    return grid


def _rows(matching: Matching) -> list[tuple[str, str]]:
    """(ours, theirs); of a book's levels the first and the last."""
    rows = []
    for ours, theirs in matching.columns.items():
        level = ours.rpartition("_")[2]
        if ours == "timestamp" and matching.clock_time is not None:
            rows.append((ours, f"{theirs} and {matching.clock_time}"))
        elif not level.isdigit() or int(level) in (0, matching.depth - 1):
            shown = "side, the other way round" if ours == "buyer_is_maker" else ours
            rows.append((shown, theirs if theirs is not None else "(not known)"))
    return rows


def result_table(result: ImportResult) -> Group:
    """Rows by kind, what was dropped, and the notes."""
    grid = Grid()
    grid.add_column("kind")
    for name in ("files", "rows read", "rows written", "repeated, dropped"):
        grid.add_column(name, justify="right")
    grid.add_column("symbols")
    for kind in result.kinds:
        symbols = ", ".join(kind.symbols[:6]) + (f" and {len(kind.symbols) - 6} more" if len(kind.symbols) > 6 else "")
        grid.add_row(kind.kind, str(kind.files), f"{kind.read:,}", f"{kind.written:,}", f"{kind.repeated:,}", symbols)
    off = sum(kind.off_clock for kind in result.kinds)
    moved = [f"{off:,} bars were not on the clock"] if off else []
    moved += [f"{k.headers:,} headers came again within files of {k.kind} and were left out" for k in result.kinds if k.headers]
    moved += [f"{k.empty:,} rows of {k.kind} name no rate and were left out" for k in result.kinds if k.empty]
    return Group(grid, *(Text(note, style="yellow") for note in (*moved, *result.notes)))
