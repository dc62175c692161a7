"""`stratoquant stream`: the same engine, one bar at a time."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import names, project_of, utc_ns
from drivers.request import RunRequest


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
    command with --checkpoint goes on after the last bar as if it had never stopped.
    """
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
    )
    from drivers.cli.outcome import show
    from drivers.stream import run_stream

    show(run_stream(request))
