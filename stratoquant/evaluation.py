"""`sq.evaluate`: many settings, and what the best of them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from drivers.evaluation.judged import Evaluation as Judgement
from drivers.evaluation.machine import machine
from drivers.evaluation.page import NAME
from drivers.evaluation.plan import EvaluationRequest
from drivers.evaluation.run import default_out
from drivers.evaluation.run import evaluate as run
from drivers.evaluation.settings import combined
from drivers.evaluation.task import RunTask
from drivers.evaluation.words import in_short
from drivers.executors.cluster import Cluster
from drivers.executors.local import LocalPool
from drivers.run.request import RunRequest
from stratoquant.arguments import Time, as_yaml, names_of, ns_of, path_of, place_of


class Evaluation:
    """Settings that were compared. Tables are read from the folder of the results."""

    def __init__(self, folder: Path, judgement: Judgement) -> None:
        self.folder = folder
        self.judgement = judgement

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / NAME

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / f"{name}.parquet"
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame()

    @property
    def settings(self) -> pd.DataFrame:
        """A row a setting: return, Sharpe ratio and its interval, probabilistic and deflated ratio, and more."""
        return self._table("settings")

    @property
    def days(self) -> pd.DataFrame:
        """The return of every setting on every day."""
        return self._table("days")

    @property
    def windows(self) -> pd.DataFrame:
        """A row a setting and window."""
        return self._table("windows")

    @property
    def ablation(self) -> pd.DataFrame:
        """A row an adaptive part, on and off; empty without `ablation=True`."""
        return self._table("ablation")

    def __repr__(self) -> str:
        return "\n".join(in_short(self.judgement))


def evaluate(
    data: str | PathLike[str] | None = None,
    *,
    set: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] = (),
    ablation: bool = False,
    spec: str | None = None,
    symbols: str | Sequence[str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    windows: int = 4,
    separate: bool = False,
    workers: int = 0,
    cluster: str | None = None,
    out: str | PathLike[str] | None = None,
    project: str | PathLike[str] | None = None,
    keep: bool = False,
) -> Evaluation:
    """Compares settings on the same data, as `stratoquant evaluate` does: {"risk.gross": [0.5, 1.0]} are two.

    data: the path of a market-data folder, or the path or URL of a partitioned data set; seeds: of built-in sample markets, in
    its place. ablation: also switch each adaptive part over. windows: parts of the span whose results are shown apart;
    separate: each is a run of its own. workers: processes, 0 for one a core. cluster: a Dask
    cluster instead, `tcp://host:port` or `local:2`. out: folder of the results, None:
    evaluations/<time>; an evaluation that was ended there goes on. keep: leave the runs themselves in it. The other arguments
    are those of `run`.
    """
    folder = path_of(out) or default_out(datetime.now(UTC))
    base = RunRequest(
        data=None if data is None else place_of(data),
        symbols=names_of("symbols", symbols),
        start=ns_of("start", start),
        end=ns_of("end", end),
        spec=spec,
        project=path_of(project),
    )
    grid = {key: [as_yaml(key, value) for value in values] for key, values in (set or {}).items()}
    request = EvaluationRequest(base, combined(grid), tuple(seeds), ablation, windows, separate, folder, keep)
    with LocalPool(workers, modules=[RunTask.__module__]) if cluster is None else Cluster(cluster, machine) as pool:
        return Evaluation(folder, run(request, pool))
