"""What a domain run gave, a line a column, and how it differs from the run that it was made from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dataflows.panel import Floats, Ints
from drivers.store.reader import RecordedRun


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


def table(found: Sequence[FieldFigures], title: str) -> Group:
    """The figures for the terminal: a heading a layer, a line a field; fields that changed stand out."""
    compared = any(f.changed is not None for f in found)
    heads = ("known", "min", "median", "max", *(("changed", "by up to") if compared else ()))
    wide = min(30, 2 + max(len(f.field) for f in found))

    def grid(header: bool) -> Table:
        made = Table(box=None, show_header=header, padding=(0, 1, 0, 0), pad_edge=False)
        made.add_column("", width=wide, overflow="fold")
        for head in heads:
            made.add_column(head, width=7 if head in ("known", "changed") else 10, justify="right", no_wrap=True)
        return made

    parts: list[Any] = [Text(title, style="bold"), grid(header=True)]
    for layer, fields in groupby(found, key=lambda f: f.layer):
        body = grid(header=False)
        for f in fields:
            cells = [f"  {f.field}", f"{f.valid:.1%}", *(_number(x) for x in (f.minimum, f.median, f.maximum))]
            if compared:
                cells += ["new" if f.changed is None else f"{f.changed:,}" if f.changed else "", _number(f.largest_change)]
            body.add_row(*cells, style="yellow" if f.changed else None)
        parts += [Text(layer, style="bold"), body]
    return Group(*parts)


def verdict(found: Sequence[FieldFigures]) -> str:
    """One sentence: what changed against the recorded run."""
    compared = [f for f in found if f.changed is not None]
    if not compared:
        return "Nothing was recorded to compare with."
    changed = [f for f in compared if f.changed]
    fresh = len(found) - len(compared)
    more = f" {fresh} are new." if fresh else ""
    if not changed:
        return f"All {len(compared)} columns that the run has are as it recorded them, to the bit.{more}"
    most = max(changed, key=lambda f: (f.changed or 0) / max(1, f.values))
    share = (most.changed or 0) / max(1, most.values)
    name = ".".join(filter(None, (most.layer, most.field)))
    return (
        f"{len(changed)} of {len(compared)} columns differ from the run, most of all {name} ({share:.1%} of its values).{more}"
    )


def as_records(found: Sequence[FieldFigures]) -> list[dict[str, Any]]:
    """The figures as JSON has them: what is not known is null."""
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in f._asdict().items()} for f in found]


def _number(x: float) -> str:
    if math.isnan(x):
        return ""
    return f"{x:,.0f}" if abs(x) < 1e15 and x == round(x) else f"{x:.4g}"  # an infinity is shown as it is
