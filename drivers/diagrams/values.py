"""The values of a run around one bar, packed for the page of the graph.

Each column is the run's own numbers, bit for bit: float64 or int64, little-endian, in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.panel import Ints, Kind
from drivers.diagrams.meaning import Meaning
from drivers.graph.columns import wide_columns
from drivers.store.reader import RecordedRun
from drivers.text.times import parse_utc, stamp

NUMBERS: Final = 140_000
"""About as many numbers go into a page: 1.5 MB of text."""
MOST_BARS: Final = 121
LEAST_BARS: Final = 21


class ValuesError(ValueError):
    """A bar or symbol that the run does not hold. One sentence: which, and what there is."""


def chosen_bar(run: RecordedRun, at: str | None, symbol: str | None) -> tuple[int, str | None]:
    """The bar that closes at a time or last before it; without a time the last bar with an order, else the last. And the symbol
    that is shown first: the one asked for, else that of the last order until then; None: there is no order.

    Raises ValuesError for a time that is none, or outside the run.
    """
    times = run.times()
    if not len(times):
        raise ValuesError(f"{run.folder} has no bars, so there are no values to show")
    if at is None:
        last, found = _last_order(run, symbol, int(times[-1])) or (int(times[-1]), symbol)
        return max(0, int(np.searchsorted(times, last, side="right")) - 1), found
    try:
        wanted = parse_utc(at)
    except ValueError as error:
        raise ValuesError(f"--at {error}") from None
    if not times[0] <= wanted <= times[-1]:
        raise ValuesError(
            f"--at {at} is outside {run.folder.name}, whose bars close from {stamp(times[0])} to {stamp(times[-1])}"
        )
    bar = int(np.searchsorted(times, wanted, side="right")) - 1
    order = _last_order(run, symbol, int(times[bar]))
    return bar, symbol if order is None else order[1]


def _last_order(run: RecordedRun, symbol: str | None, until: int) -> tuple[int, str] | None:
    """When the last order until a time was decided, and of which symbol; None: there is none."""
    if "orders" not in run.tables():
        return None
    orders = run.table("orders", ["timestamp", "symbol"], symbols=None if symbol is None else [symbol], end=until)
    stamps = orders["timestamp"].cast(pa.int64()).to_numpy()
    if not len(stamps):
        return None
    last = int(stamps.argmax())
    return int(stamps[last]), str(orders["symbol"][last].as_py())


def values_of(
    run: RecordedRun, layers: Mapping[str, Meaning], *, at: str | None = None, symbol: str | None = None
) -> dict[str, Any]:
    """What the layers gave in the bars around one: times, symbols, and each recorded column. layers: by node name.

    Symbols come whole while LEAST_BARS bars of each fit into NUMBERS; else the chosen one and as many as do.
    Raises ValuesError for a bar or symbol that is not in the run.
    """
    if symbol is not None and symbol not in run.symbols:
        raise ValuesError(f"{run.folder.name} has no symbol {symbol!r}; it has {', '.join(run.symbols[:12])}")
    times, (bar, symbol) = run.times(), chosen_bar(run, at, symbol)
    tables = (*(f"features/{name}" for name in run.domains()), *(f"epochs/{name}" for name in run.learned()))
    wanted = {table: _columns(run, table, layers) for table in tables}
    count = max(1, sum(map(len, wanted.values())))
    symbols = _symbols(run.symbols, symbol, NUMBERS // (count * LEAST_BARS))
    panels = _panels(run, wanted, symbols, *_window(times, bar, MOST_BARS))
    changing = sum(not _is_one(panel) for panel, _ in panels.values())  # what never changes is written once
    first, last = _window(times, bar, min(MOST_BARS, max(LEAST_BARS, NUMBERS // (max(1, changing) * len(symbols)))))
    skipped = first - _window(times, bar, MOST_BARS)[0]
    columns = {name: _packed(panel[skipped : skipped + last - first], kind) for name, (panel, kind) in panels.items()}
    spec = run.about.get("spec")
    return {
        "name": Path(run.folder.resolve()).name,
        "spec": None if spec is None else dict(spec),
        "symbols": list(symbols),
        "times": [int(stamp) // 1_000_000 for stamp in times[first:last]],
        "at": bar - first,
        "first": first,
        "total": len(times),
        "symbol": 0 if symbol is None else symbols.index(symbol),
        "columns": columns,
    }


def _window(times: Ints, bar: int, bars: int) -> tuple[int, int]:
    """The first of so many bars around one, and the one behind the last."""
    first = max(0, min(bar - bars // 2, len(times) - bars))
    return first, min(first + bars, len(times))


def _panels(
    run: RecordedRun, wanted: Mapping[str, Mapping[str, Kind]], symbols: Sequence[str], first: int, last: int
) -> dict[str, tuple[Any, Kind]]:
    """The columns between two bars, each (bars, symbols), or (bars, 1) of one value a bar."""
    window, places = run.times()[first:last], [run.symbols.index(name) for name in symbols]
    found: dict[str, tuple[Any, Kind]] = {}
    for source, kinds in wanted.items():
        learned = source.startswith("epochs/")  # what held at a bar may have been said long before
        table = run.table(source, list(kinds), start=None if learned else int(window[0]) - 1, end=int(window[-1]))
        said = table["timestamp"].cast("int64").to_numpy()[:: len(run.symbols)]
        held = np.searchsorted(said, window, side="right") - 1
        for name, kind in kinds.items():
            rows = table[name].to_numpy().reshape(len(said), len(run.symbols))[:, places]
            panel = _held(rows, held) if learned else rows
            found[name] = (panel[:, :1] if kind.axes == () else panel, kind)
    return found


def _is_one(panel: Any) -> bool:
    """Whether every number is the same, to the bit or all NaN."""
    flat = np.ascontiguousarray(panel).reshape(-1).astype(np.float64)
    return bool((flat.view(np.int64) == flat[:1].view(np.int64)).all())


def _held(rows: Any, at: Ints) -> Any:
    """The row (of E, N) that holds at each bar; NaN where `at` is -1, before the first epoch has ended."""
    found = np.full((len(at), rows.shape[1]), np.nan) if (at < 0).any() else np.empty((len(at), rows.shape[1]), rows.dtype)
    found[at >= 0] = rows[at[at >= 0]]
    return found


def _symbols(there: Sequence[str], chosen: str | None, most: int) -> list[str]:
    if len(there) <= most:
        return list(there)
    others = [name for name in there if name != chosen]
    return sorted([*([] if chosen is None else [chosen]), *others][: max(1, most)])


def _columns(run: RecordedRun, table: str, layers: Mapping[str, Meaning]) -> dict[str, Kind]:
    """The columns of a table, by name. A layer that the run did not have gives none."""
    there = run.columns(table)
    nodes = {name: layers[name] for name in dict.fromkeys(column.partition(".")[0] for column in there) if name in layers}
    return {
        column: leaf.kind
        for name, meaning in nodes.items()
        for path, leaf in meaning.leaves.items()
        for column in columns_at(f"{name}.{path}".rstrip("."), leaf.kind, there)
    }


def columns_at(name: str, kind: Kind, there: Sequence[str]) -> list[str]:
    """The columns in which a leaf is recorded: its own, or those of a stack."""
    if len(kind.axes) < 2:
        return [name] if name in there else []
    return wide_columns(name, kind, there)


def members_of(node: str, meaning: Meaning | None, there: Sequence[str]) -> dict[str, str]:
    """Of the columns of a layer's stacks, as older versions have numbered them: the column to the name that it has today."""
    if meaning is None:
        return {}
    stacks = [(f"{node}.{path}".rstrip("."), leaf.kind) for path, leaf in meaning.leaves.items() if leaf.kind.members]
    return {column: f"{name}.{kind.part(k)}" for name, kind in stacks for k, column in enumerate(columns_at(name, kind, there))}


def _packed(panel: Any, kind: Kind) -> dict[str, str]:
    """A column as text. What is the same in every bar and symbol, to the bit, is written once. Whole numbers with gaps, as
    those of a layer that speaks once an epoch, are written as floats: the gaps are NaN."""
    gaps = kind.dtype != "f8" and panel.dtype.kind == "f" and bool(np.isnan(panel).any())
    dtype = "f8" if gaps else kind.dtype
    flat = np.ascontiguousarray(panel, np.float64 if gaps else kind.numpy).reshape(-1)
    bits = flat.view(np.int64)
    once = flat[:1] if (bits == bits[0]).all() else flat
    text = base64.b64encode(once.astype(once.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    return {"type": dtype, "per": "bar" if kind.axes == () else "symbol", "data": text}
