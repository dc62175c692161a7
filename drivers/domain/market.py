"""The market data of a finished run, found again where a domain needs more of them than the run recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from dataflows.data.types import Instruments, unknown_instruments
from drivers.domain.errors import DomainError
from drivers.domain.inputs import Cut, Nodes
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.sample import sample_market
from drivers.feeds.source import Source, source_of
from drivers.store.reader import RecordedRun


def market_of(
    run: RecordedRun, cut: Cut, nodes: Nodes, named: Source | None, progress: Progress
) -> tuple[Dataset | None, Instruments | None]:
    """The data where layers of the cut observe them, and the facts of the symbols where they take those.

    named: where the data are, if not where the run found them. Raises DomainError when they are gone or are not the same.
    """
    takes_facts = any("instruments" in nodes[name].params for name in cut.runs)
    kept = run.about.get("instruments")
    watched = ["observations", *(["external_alpha"] if run.about.get("external_alpha") else [])]
    observers = [name for name in cut.runs if set(watched) & set(nodes[name].params)]
    if not observers and (kept is not None or not takes_facts):
        return None, None if kept is None else instruments_of(kept)
    if observers:
        why = f"{', '.join(observers)} is computed from them"
    else:
        why = "the run is too old to have kept the facts of its symbols"
    data = _data_of(run, f"the {cut.domain} domain needs the market data of {run.folder.name} ({why})", named, progress)
    # the facts as the run used them, where it kept them: a venue's file may have changed since
    return (data if observers else None), (data.instruments if kept is None else instruments_of(kept))


def _data_of(run: RecordedRun, need: str, path: Source | None, progress: Progress) -> Dataset:
    given, seed = run.about.get("data_path"), run.about.get("seed")
    if path is None and given is not None:
        path = source_of(given)
        if not isinstance(path, Path):  # run.json may come from anybody: it sends nobody to an address
            raise DomainError(f"{need}, and they are at {path}; name the address yourself with --data {path}")
    if path is None and seed is not None:
        path = sample_market(int(seed), progress)
    if path is None:
        raise DomainError(f"{need}, and the run does not say where they are; name them with --data DIR")
    if isinstance(path, Path) and not path.is_dir():
        raise DomainError(f"{need}, and {path} is not there; name them with --data DIR")
    task = progress.add_task(f"Reading {path.name}", total=None)
    data = open_dataset(path, symbols=run.symbols, start=run.about.get("start"), end=run.about.get("end"))
    progress.remove_task(task)
    if data.digest != run.about["data_hash"]:
        raise DomainError(f"{need}, and {path} holds other data or changed ones (another hash); name the run's with --data DIR")
    times = run.times()
    if not np.array_equal(data.time[: len(times)], times):
        raise DomainError(f"{need}, and {path} has other bars than the run; run the whole graph again")
    return data


def instruments_of(kept: Mapping[str, Sequence[Any]]) -> Instruments:
    """The facts of a run's symbols as its run.json keeps them."""
    facts = unknown_instruments(len(kept["uid"]))  # what an older run did not keep, no venue asked for then
    for name, column in facts._asdict().items():
        if name in kept:
            column[:] = [np.nan if x is None else x for x in kept[name]]
    return facts
