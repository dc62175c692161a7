"""`stratoquant stream`: the same engine, one bar at a time."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import names, project_of, utc_ns
from drivers.run.request import RunRequest


class Speed(StrEnum):
    """How fast recorded bars come."""

    max = "max"
    realtime = "realtime"


def stream(
    context: typer.Context,
    data: options.Data = None,
    speed: Annotated[Speed, typer.Option(help="max: as fast as it goes. realtime: each bar when it closed.")] = Speed.max,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on from the state in this file, if it exists, and leave the state there."),
    ] = None,
    operator: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What you say between bars, a line each: 2026-03-01T12:00 HALT. A line without a time, appended while the "
            "stream runs, acts at once. HALT: nothing grows, working entries are canceled, stops stay. FLATTEN: close all. "
            "RELEASE: lift both. REBASE: measure drawdown from here. CASH_FLOW 5000: cash in, or out (-5000).",
        ),
    ] = None,
    stale_after: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="Say HALT when no price has come for so long; RELEASE is yours to say."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write all that the engine is handed to this file before it acts, for `stratoquant replay`. With --operator "
            "or --stale-after there always is one: OUT.journal.",
        ),
    ] = None,
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
    """Stream: recorded data through the same engine, one bar at a time.

    The numbers are those of `run`, to the bit. Ctrl-C finishes the bar, leaves a checkpoint and the results so far; the same
    command with --checkpoint goes on after the last bar as if it had never stopped. --operator lets you speak between bars.
    """
    if operator is not None and not operator.is_file():
        raise typer.BadParameter(f"there is no file {operator}; an empty one will do", param_hint="--operator")
    if checkpoint is not None and not checkpoint.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {checkpoint.parent} to leave it in", param_hint="--checkpoint")
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
        speed=speed.value,
        checkpoint=checkpoint,
        seed=seed,
        report=report,
        words=operator,
        stale_after=stale_after,
        journal=journal,
    )
    from drivers.cli.outcome import show
    from drivers.run.stream import run_stream

    show(run_stream(request))
