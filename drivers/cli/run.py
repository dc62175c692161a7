"""`stratoquant run`: a backtest."""

from __future__ import annotations

import typer

from drivers.cli import options
from drivers.cli.common import names, project_of, utc_ns
from drivers.run.request import RunRequest


def run(
    context: typer.Context,
    data: options.Data = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
    overrides: options.Set = None,
    spec: options.Spec = None,
    seed: options.Seed = RunRequest.seed,
    report: options.Report = RunRequest.report,
) -> None:
    """Backtest: every bar of the data through the whole graph.

    Each day goes through the market layers at once and through the account bar by bar: fills, ledger, limits, the risk gate,
    orders. Results are Parquet files and report.html in --out, whole or not at all; the summary says what was traded, and
    what was refused and why.

    With no options it runs the built-in sample market. The first run compiles, which takes up to a minute; later ones start in
    seconds.
    """
    request = RunRequest(
        data=data,
        out=out,
        symbols=names(symbols),
        start=utc_ns(start),
        end=utc_ns(end),
        overrides=tuple(overrides or ()),
        spec=spec,
        project=project_of(context),
        overwrite=overwrite,
        seed=seed,
        report=report,
    )
    from drivers.cli.outcome import show
    from drivers.run.batch import run_batch

    show(run_batch(request))
