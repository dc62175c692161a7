"""`stratoquant evaluate`: many settings, and what the best of them is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import Failed, request_of
from drivers.cli.executors import ClusterAddress, Workers, executor_of
from drivers.cli.say import say
from drivers.text.counts import plural


def evaluate(
    context: typer.Context,
    data: options.Data = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="1,2,3", help="Instead of data: built-in sample markets of these seeds.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="DOMAIN.KEY=V1,V2",
            help="Values of one key of config/ to compare, e.g. --set risk.gross=0.5,1.0. Give it again to combine them.",
        ),
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as a YAML file, with `grid` and named `settings`.")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also run with each adaptive part switched over: off where it is on.")
    ] = False,
    spec: options.Spec = None,
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
    windows: Annotated[int, typer.Option(min=1, help="Parts of the span whose results are shown apart.")] = 4,
    separate: Annotated[
        bool, typer.Option("--separate", help="Make each window a run of its own, which begins with nothing learned.")
    ] = False,
    workers: Workers = None,
    cluster: ClusterAddress = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results. Without it: evaluations/<time of the start>."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the runs themselves, with their reports, in DIR/runs.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Compare settings, and say what the best of them is worth after so much choice.

    Every setting is run on the same data, in parallel: the configuration as it is, the values of --set in all combinations,
    and the settings of --grid. The page and the tables hold results by window, the deflated Sharpe ratio, the probability of
    backtest overfitting, the test for superior predictive ability, the minimum track record, purged splits and the ablation.
    Every setting counts as a trial of the project. A killed evaluation goes on where it was with the same command and --out.
    """
    if keep and cluster is not None and not cluster.startswith("local:"):
        raise typer.BadParameter("a cluster's runs stay on its machines; leave it out", param_hint="--keep")
    with executor_of(cluster, workers, "drivers.evaluation.task") as pool:  # its processes start beside this one
        from datetime import UTC, datetime

        from drivers.evaluation.page import NAME
        from drivers.evaluation.plan import EvaluationRequest
        from drivers.evaluation.run import default_out
        from drivers.evaluation.run import evaluate as run
        from drivers.evaluation.settings import combined, read_file, typed
        from drivers.evaluation.words import in_short

        from_file, named = read_file(grid) if grid is not None else ({}, {})
        place = out or default_out(datetime.now(UTC))
        request = EvaluationRequest(
            request_of(context, symbols, start, end, None, data=data, spec=spec),
            combined({**from_file, **typed(values or ())}, named),
            _numbers(seeds),
            ablation,
            windows,
            separate,
            place,
            keep,
        )
        try:
            evaluation = run(request, pool)
        except KeyboardInterrupt:
            say(f"What is done is kept. Go on with the same command and --out {place}", err=True)
            raise
    for text in in_short(evaluation):
        say(text)
    say(f"Results: {place / NAME}")
    if show:
        import webbrowser

        webbrowser.open((place / NAME).resolve().as_uri())
    if evaluation.failures:
        failed = list(evaluation.failures.values())
        raise Failed(f"{plural(len(failed), 'run')} failed and {'is' if len(failed) == 1 else 'are'} left out; {failed[0]}")


def _numbers(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise typer.BadParameter("give different whole numbers, as 1,2,3", param_hint="--seeds")
    return tuple(int(part) for part in parts)
