"""What a domain run gave, a line a column, and how it differs from the run that it was made from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from dataflows.panel import Floats, Ints
from drivers.store.recorded import RecordedRun


class FieldFigures(NamedTuple):
    """One recorded column. changed: values that are not the recorded ones, bit for bit (unknown equals unknown); None where
    there is nothing to compare with. largest_change: of those that are known in both; NaN where there is none."""

    layer: str
    field: str
    values: int
    valid: float  # share that is known
    minimum: float
    median: float
    maximum: float
    changed: int | None
    largest_change: float


def figures(
    new: RecordedRun,
    domain: str,
    old: RecordedRun | None = None,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
) -> Iterator[FieldFigures]:
    """Every column of a domain's features, beside those of `old` over the same bars; one column is in memory at a time."""
    name = f"features/{domain}"
    end = int(new.times()[-1])
    known = set(old.columns(name)) if old is not None and domain in old.domains() else set()
    for column in new.columns(name)[2:]:
        x = new.table(name, [column], symbols=symbols, start=start, end=end)[column].to_numpy()
        before = None
        if old is not None and column in known:
            before = old.table(name, [column], symbols=symbols, start=start, end=end)[column].to_numpy()
        layer, _, field = column.partition(".")
        yield FieldFigures(layer, field, len(x), *_spread(x), *_change(x, before))


def _spread(x: Floats | Ints) -> tuple[float, float, float, float]:
    known = x[~np.isnan(x)] if x.dtype.kind == "f" else x
    share = len(known) / len(x) if len(x) else math.nan
    if not len(known):
        return share, math.nan, math.nan, math.nan
    return share, float(known.min()), float(np.median(known)), float(known.max())


def _change(x: Floats | Ints, before: Floats | Ints | None) -> tuple[int | None, float]:
    if before is None or before.shape != x.shape:
        return None, math.nan
    if x.dtype.kind != "f" or before.dtype.kind != "f":
        changed = x != before
        differing = x[changed].astype(np.float64) - before[changed]
    else:
        unknown = np.isnan(x) & np.isnan(before)
        changed = (x.view(np.int64) != before.view(np.int64)) & ~unknown
        both = changed & np.isfinite(x) & np.isfinite(before)
        differing = x[both] - before[both]
    return int(np.count_nonzero(changed)), float(np.abs(differing).max()) if len(differing) else math.nan


def table(found: Sequence[FieldFigures], title: str) -> Table:
    """The figures for the terminal, by layer."""
    compared = any(f.changed is not None for f in found)
    shown = Table(title=title, title_justify="left")
    shown.add_column("layer and field", overflow="fold")
    for name in ("known", "min", "median", "max", *(("changed", "by up to") if compared else ())):
        shown.add_column(name, justify="right", no_wrap=True)
    layer = ""
    for f in found:
        if f.layer != layer:
            layer = f.layer
            shown.add_section()
            if f.field:
                shown.add_row(f"[bold]{layer}[/bold]")
        cells = [f"  {f.field}" if f.field else f"[bold]{layer}[/bold]", f"{f.valid:.1%}"]
        cells += [_number(x) for x in (f.minimum, f.median, f.maximum)]
        if compared:
            cells += ["new" if f.changed is None else f"{f.changed:,}" if f.changed else "", _number(f.largest_change)]
        shown.add_row(*cells, style="yellow" if f.changed else None)
    return shown


def verdict(found: Sequence[FieldFigures]) -> str:
    """One sentence: what changed against the recorded run."""
    compared = [f for f in found if f.changed is not None]
    if not compared:
        return "Nothing was recorded to compare with."
    changed = [f for f in compared if f.changed]
    if not changed:
        return f"All {len(compared)} columns are those of the run, to the bit."
    most = max(changed, key=lambda f: (f.changed or 0) / max(1, f.values))
    share = (most.changed or 0) / max(1, most.values)
    name = ".".join(filter(None, (most.layer, most.field)))
    return f"{len(changed)} of {len(compared)} columns differ from the run, most of all {name} ({share:.1%} of its values)."


def plain(found: Sequence[FieldFigures]) -> list[dict[str, Any]]:
    """The figures as JSON has them: what is not known is null."""
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in f._asdict().items()} for f in found]


def _number(x: float) -> str:
    if math.isnan(x):
        return ""
    return f"{x:,.0f}" if x == round(x) and abs(x) < 1e15 else f"{x:.4g}"
