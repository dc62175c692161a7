"""A market-data folder into a partitioned data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from drivers.feeds.dataset import read_folder
from drivers.feeds.description import read_description
from drivers.feeds.errors import DataError, refuse
from drivers.feeds.partitioned.add import Added, add
from drivers.feeds.partitioned.read import is_partitioned
from drivers.feeds.source import Source
from drivers.feeds.tables import find_table


def partition_folder(
    folder: Path,
    out: Source,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
    venues: Path | None = None,
    total: Callable[[int], None] = lambda bars: None,
    progress: Callable[[int], None] = lambda bars: None,
) -> Added:
    """Reads a folder as a run would and adds it to the data set at `out` (see `add`).

    The arguments are those of `open_dataset`. total: told how many bars of symbols there are. Raises DataError.
    """
    if is_partitioned(folder):
        raise DataError(f"{folder}: is a partitioned data set already; run it as it is")
    data = read_folder(folder, symbols=symbols, start=start, end=end, now=now, venues=venues, sink=refuse)
    about = read_description(folder)
    bars = find_table(folder, "bars", about.timezone)
    actions = any(find_table(folder, stem, about.timezone) is not None for stem in ("splits", "dividends"))
    total(len(data) * len(data.symbols))
    leader = about.leader if about.leader in data.symbols else ""
    adjusted = actions or (bars is not None and "adjustment" in bars.columns)
    return add(data, out, leader=leader, adjusted=adjusted, progress=progress)
