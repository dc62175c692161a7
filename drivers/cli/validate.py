"""`stratoquant validate`: the standard properties on the user's own data."""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import Failed, request_of
from drivers.cli.say import say_json
from drivers.run.request import RunRequest


def validate(
    context: typer.Context,
    data: options.Data = None,
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
    overrides: options.Set = None,
    spec: options.Spec = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of what is drawn at random, and of the built-in sample market.")
    ] = RunRequest.seed,
    bars: Annotated[
        int | None,
        typer.Option("--bars", min=1, help="Bars that are run again in other ways, about. Without it: 10080."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run all bars again in every way.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Test on your own data what must hold for every run, with a verdict for each property.

    The data go through the graph once. Every bar is tested: values stay within their boundaries, the account adds up, approvals
    stay within the caps, and orders stay within the approvals. Then the first days, and others drawn at random, run again: one
    bar at a time, in random pieces, restored from checkpoints, in plain Python, each symbol alone, and with a different future.
    Every output must be the same to the bit. Nothing is written. The command fails when a property does not hold.
    """
    if every and bars is not None:
        raise typer.BadParameter("give --bars or --all, not both", param_hint="--all")
    from drivers.validation.on_data import validate_data
    from drivers.validation.suite import BARS

    request = request_of(
        context,
        symbols,
        start,
        end,
        overrides,
        data=data,
        spec=spec,
        seed=seed,
    )
    report = validate_data(request, bars=None if every else bars or BARS)
    if json:
        say_json(report.as_dict())
    else:
        from drivers.text.terminal import Terminal

        Terminal().print(report)
    if not report.ok:
        broken = report.broken
        what = "property does" if len(broken) == 1 else "properties do"
        raise Failed(f"{len(broken)} {what} not hold, the first: {broken[0].name}. {broken[0].finding}")
