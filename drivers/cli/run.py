"""`stratoquant run`: a backtest."""

from __future__ import annotations

from pathlib import Path

import typer

from drivers.cli import options
from drivers.cli.common import request_of
from drivers.cli.executors import ClusterAddress, executor_of
from drivers.feeds.source import Url, source_of
from drivers.run.request import RunRequest


def run(
    context: typer.Context,
    data: options.Data = None,
    out: options.OutPlace = None,
    overwrite: options.Overwrite = False,
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
    overrides: options.Set = None,
    spec: options.Spec = None,
    seed: options.Seed = RunRequest.seed,
    report: options.Report = RunRequest.report,
    features: options.Features = RunRequest.features,
    cluster: ClusterAddress = None,
    trial: options.Trial = RunRequest.trial,
) -> None:
    """Backtest: run every bar of the data through the whole graph.

    The market layers process a whole day at once. The account then runs bar by bar: fills, ledger, limits, the risk gate,
    orders. The results are Parquet files and report.html in --out; they appear only when they are complete. For a URL they are
    made in a temporary folder ($TMPDIR) first, which must have room for them. The summary reports what was traded, and what was
    refused and why.

    Without options it runs the built-in sample market. The first run compiles the layers, for about a minute on two cores;
    later runs start in seconds.
    """
    place = None if out is None else source_of(out)
    request = request_of(
        context,
        symbols,
        start,
        end,
        overrides,
        data=data,
        out=place if isinstance(place, Path) else None,
        url=place if isinstance(place, Url) else None,
        spec=spec,
        overwrite=overwrite,
        seed=seed,
        report=report,
        features=features,
        trial=trial,
    )
    from drivers.cli.outcome import show
    from drivers.run.batch import run_batch

    if cluster is None:
        show(run_batch(request))
        return
    from drivers.scale.run import market_side_on, require_market_side

    require_market_side(request.data)
    with executor_of(cluster, None, "drivers.scale.shard") as pool:
        show(run_batch(request, advance=market_side_on(pool)))
