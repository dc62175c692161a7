"""`stratoquant stream`: the same engine, one bar at a time."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import given, project_of, request_of
from drivers.cli.watch import watched
from drivers.cli.watchdog import guarded
from drivers.run.request import RunRequest


class Speed(StrEnum):
    """How fast recorded bars come."""

    max = "max"
    realtime = "realtime"


class Mode(StrEnum):
    """Where orders go."""

    paper = "paper"
    testnet = "testnet"
    live = "live"


def stream(
    context: typer.Context,
    data: options.Data = None,
    venue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A live market instead of recorded data: a file of config/venues that names an exchange, e.g. binance_spot. "
            "On paper, unless --mode says otherwise: no key is needed, and no order can leave.",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="Of a live market, where orders go. paper: to the simulated venue. testnet: to the exchange's test net. live: "
            "to the exchange; needs `live: true` in the venue's file and --yes-live. Keys come from the environment: "
            "STRATOQUANT_<NAME>_KEY and _SECRET."
        ),
    ] = Mode.paper,
    yes_live: Annotated[bool, typer.Option("--yes-live", help="Real orders with real money are meant.")] = False,
    clock: Annotated[str | None, typer.Option(metavar="TIME", help="Of a live market: length of a bar; else 1m.")] = None,
    warm: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Of a live market: history to run before it, in which nothing is entered; else what the configuration needs.",
        ),
    ] = None,
    warm_from: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of a live market: a folder of `data fetch` that has that history.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a live market: record what comes over the wire, for --frames."),
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A recording of --record instead of a live market: the same bars.")
    ] = None,
    speed: Annotated[Speed, typer.Option(help="max: as fast as it goes. realtime: each bar when it closed.")] = Speed.max,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on from the state in this file, if it exists, and leave the state there."),
    ] = None,
    operator: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of operator commands, one a line: 2026-03-01T12:00 HALT; - is standard input. A line without a "
            "time acts at once if it is appended while the stream runs. HALT: no position grows, working entries are canceled, "
            "stops stay. FLATTEN: close every position. HALT SYMBOL, FLATTEN SYMBOL: that one alone. RELEASE: lift all; "
            "RELEASE SYMBOL, RELEASE LATCH NAME: that one. CANCEL ORDER: take an order off. REBASE: measure drawdown from now. "
            "CASH_FLOW 5000: pay cash in (-5000: out).",
        ),
    ] = None,
    stale_after: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.0, help="Send HALT when no price has come for so long. Only you can send RELEASE."
        ),
    ] = None,
    journal: Annotated[
        bool,
        typer.Option(
            "--journal/--no-journal",
            help="Write bars and commands to a journal before they act, so that a crash loses nothing: see --resume.",
        ),
    ] = True,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Complete the stream of these results that a crash ended, from its journal and with its own options. No other "
            "option is taken.",
        ),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve a live page of the stream from a process of its own: see `watch`."),
    ] = None,
    notify: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --serve: a YAML file of notices, as `stratoquant watch` takes it.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="With --serve: other machines may reach the page.")] = False,
    watchdog: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --mode testnet or live: a process beside the stream that cancels or flattens without it, by the rules "
            "of this YAML file: see `watchdog`. Needs --operator.",
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
    features: options.Features = RunRequest.features,
    trial: options.Trial = RunRequest.trial,
) -> None:
    """Stream: recorded data, or a live market on paper, through the same engine, one bar at a time.

    The results equal those of `run` to the bit. Ctrl-C, SIGTERM and SIGHUP finish the bar and write a checkpoint and the
    results so far. The same command with --checkpoint continues after the last bar as if it had never stopped. --resume
    completes a stream that crashed. --operator sends commands between bars.
    """
    if operator is not None and str(operator) != "-" and not operator.is_file():
        raise typer.BadParameter(f"there is no file {operator}; an empty one will do", param_hint="--operator")
    if checkpoint is not None and not checkpoint.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {checkpoint.parent} to leave it in", param_hint="--checkpoint")
    if venue is not None and data is not None:
        raise typer.BadParameter("a live market and recorded data exclude each other; leave one out", param_hint="--venue")
    if frames is not None and (venue is not None or data is not None):
        raise typer.BadParameter("a recording takes the place of a market and of data; leave them out", param_hint="--frames")
    about_live = (("clock", clock), ("warm", warm), ("warm-from", warm_from), ("record", record))
    if lone := next((n for n, v in about_live if v and venue is None), None):
        raise typer.BadParameter("it is about a live market; name one with --venue", param_hint=f"--{lone}")
    if serve is None and (notify is not None or public):
        raise typer.BadParameter("it is about the page; give --serve", param_hint="--notify" if notify else "--public")
    if watchdog is not None and resume is None and (mode is Mode.paper or operator is None or str(operator) == "-"):
        lacks = "--mode testnet or live" if mode is Mode.paper else "--operator FILE, by which it latches HALT"
        raise typer.BadParameter(f"it guards an account; give {lacks}", param_hint="--watchdog")
    if resume is not None:
        others = [
            p.name
            for p in context.command.params
            if p.name not in ("resume", "serve", "notify", "public", "watchdog") and given(context, p.name or "")
        ]
        if others:
            raise typer.BadParameter(
                f"the stream goes on with the options that it began with; leave --{str(others[0]).replace('_', '-')} out",
                param_hint="--resume",
            )
    request = request_of(
        context,
        symbols,
        start,
        end,
        overrides,
        data=data,
        out=out,
        spec=spec,
        overwrite=overwrite,
        speed=speed.value,
        checkpoint=checkpoint,
        seed=seed,
        report=report,
        features=features,
        trial=trial,
        operator_file=operator,
        stale_after=stale_after,
        journaled=journal,
        venue=venue,
        mode=mode.value,
        yes_live=yes_live,
        clock=clock,
        warm=warm,
        warm_from=warm_from,
        record=record,
        frames=frames,
        live_from=None if venue is None else time.time_ns(),
    )
    from datetime import UTC, datetime

    from drivers.cli.outcome import show
    from drivers.run.stream import run_stream

    if resume is not None:
        request = RunRequest(out=resume, project=project_of(context), resume=True)
    if serve is None and watchdog is None:
        show(run_stream(request))
        return
    from drivers.run.batch import default_out

    request = replace(request, out=request.out or default_out(datetime.now(UTC)))
    with ExitStack() as beside:
        if watchdog is not None:
            beside.enter_context(guarded(request, watchdog))
        if serve is not None:
            beside.enter_context(watched(request, serve, notify, public))
        show(run_stream(request))
