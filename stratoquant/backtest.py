"""`sq.run`: a backtest from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from drivers.feeds.errors import DataError
from drivers.feeds.source import Source, Url
from drivers.run.batch import default_out, run_batch
from drivers.run.request import RunRequest
from drivers.store.kept import CHOICES, Features
from stratoquant.arguments import Time, names_of, ns_of, overrides_of, path_of, place_of
from stratoquant.frames import Stamp, is_table, write_market
from stratoquant.results import Run, load_run


def run(
    data: Any = None,
    *,
    symbols: str | Sequence[str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    set: Mapping[str, Any] | None = None,
    spec: str | None = None,
    alpha: Any = None,
    stamp: Stamp | None = None,
    clock: str | None = None,
    calendar: str | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    project: str | PathLike[str] | None = None,
    report: bool = True,
    features: Features | None = None,
    seed: int = RunRequest.seed,
    trial: bool = True,
    adapters: Sequence[Any] = (),
) -> Run:
    """Backtest: every bar of the data through the whole graph, as `stratoquant run` does.

    data: the path of a market-data folder, or the path or URL of a partitioned data set; or bars as a pandas or polars
    DataFrame or an Arrow table (a time, symbol, open, high, low, close, volume); or a dict {symbol: table}; None is the built-
    in sample market. Tables are written to `<out>-data` first.
    symbols: names to take, None for all. start, end: bars whose close lies in (start, end].
    set: settings of this run, {"risk.gross": 0.5}. spec: name or path of a machine spec.
    alpha: a signal of your own beside tables of bars: timestamp, symbol, value; or a pandas DataFrame with an index of times
    and a column for each symbol. spec="own_signal" lets it decide alone.
    stamp: whether a table's times name the open or the close of their bar. clock, calendar: of tables, e.g. `1m`, `XNYS`.
    out: folder of the results, or a URL; None: runs/<time>. overwrite: replace the results there.
    project: a folder with config/, specs/, wiring_master.yaml or layers/ of your own. report: write report.html.
    features: which of the layers' values to keep: "all", at every bar, as `Run.features` needs them; "decisions", at the bars
    that `Run.explain` is asked about; or "none". None: "all" up to 250,000 bars times symbols, "decisions" beyond.
    seed: of the sample market. trial: count the run in the project's ledger of trials, by which reports deflate the Sharpe
    ratio. adapters: lifecycle adapters of Hamilton (its UI's tracker, or your own), which are told of the run day by day.

    Returns the run. Raises one sentence for each mistake: DataError, ConfigError, ProjectError, StoreError, ValueError,
    TypeError. Results appear only when they are complete.
    """
    if features is not None and features not in CHOICES:
        raise ValueError(f"features is {features!r}; it is one of {', '.join(CHOICES)}")
    place = default_out(datetime.now(UTC)) if out is None else place_of(out)
    folder = place if isinstance(place, Path) else Path(place.name)
    request = RunRequest(
        data=_market(data, folder, overwrite, alpha, stamp, clock, calendar),
        out=folder,
        url=place if isinstance(place, Url) else None,
        symbols=names_of("symbols", symbols),
        start=ns_of("start", start),
        end=ns_of("end", end),
        overrides=overrides_of(set),
        spec=spec,
        project=path_of(project),
        overwrite=overwrite,
        seed=seed,
        report=report,
        features=features,
        trial=trial,
        adapters=tuple(adapters),
    )
    made = run_batch(request)
    return load_run(made.out if isinstance(made.out, Path) else made.out.text)


def _market(
    data: Any, out: Path, overwrite: bool, alpha: Any, stamp: Stamp | None, clock: str | None, calendar: str | None
) -> Source | None:
    """The market-data folder of what was given as data."""
    if is_table(data):
        place = out.with_name(f"{out.name}-data")
        if overwrite and place.exists():
            raise DataError(f"{place} exists; the bars would be written there: remove it, or name another out")
        return write_market(data, place, alpha=alpha, stamp=stamp, clock=clock, calendar=calendar)
    if alpha is not None:
        raise ValueError("alpha goes with tables of bars; a folder holds its own signal in alpha.parquet")
    for name, value in {"stamp": stamp, "clock": clock, "calendar": calendar}.items():
        if value is not None:
            raise ValueError(f"{name} goes with tables of bars; a folder says it in its dataset.yml")
    if data is None:
        return None
    if isinstance(data, (str, PathLike)):
        return place_of(data)
    raise TypeError(
        f"data is a {type(data).__name__}; give the path of a market-data folder, a pandas or polars DataFrame, an Arrow "
        "table, or a dict {symbol: table}"
    )
