"""The batch driver: a data set through the engine, day by day, results to disk as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from rich.console import Console

from drivers.engine.chunk import Chunk, Instant, Outputs
from drivers.engine.interrupts import deferred
from drivers.engine.pipeline import pipeline
from drivers.feeds.source import Source
from drivers.run.assembly import PreparedRun, prepare_run
from drivers.run.progress import progress_bar
from drivers.run.recorder import Recorder
from drivers.run.request import RunRequest
from drivers.run.sinks import Sinks
from drivers.run.venue_link import check_venue
from drivers.store.kept import usual
from drivers.store.published import publishing
from drivers.text.terminal import Terminal

ANY_EPOCH: Final = 1 << 62
"""A length of epochs that cuts no bars, ns."""


class TakesBetween(Protocol):
    """Who records what comes between two bars."""

    def take_between(self, outputs: Outputs) -> None:
        """Records one instant between two bars."""


Advance: TypeAlias = Callable[[PreparedRun, TakesBetween, Sequence[Callable[[Outputs], object]]], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run: where its results are, a folder or a URL, and what they add up to. report_failed: why `report.html` is
    not with them. uncounted: why the ledger of trials does not have it."""

    out: Source
    summary: dict[str, Any]
    report_failed: str = ""
    uncounted: str = ""


def default_out(now: datetime) -> Path:
    """`runs/<UTC time>` below the current folder."""
    return Path("runs") / now.strftime("%Y-%m-%dT%H%M%SZ")


def run_batch(request: RunRequest, console: Console | None = None, *, advance: Advance | None = None) -> RunResult:
    """Runs the whole graph over a data set and writes the results.

    advance: how its chunks get through the engine, None: as `advance_all` does.
    Raises what its parts raise (DataError, ConfigError, ProjectError, VenueRefusal, StoreError …), each with one sentence.
    Whatever happens, the results' folder appears under its name only when it is whole.
    """
    console = console or Terminal(stderr=True)
    if request.url is None:
        return _run(request, request.out or default_out(datetime.now(UTC)), console, advance or advance_all)
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    with publishing(request.url, overwrite=request.overwrite, tell=tell) as folder:
        made = _run(request, folder, console, advance or advance_all)
    return replace(made, out=request.url)


def _run(request: RunRequest, out: Path, console: Console, advance: Advance) -> RunResult:
    begun = time.perf_counter()
    with progress_bar(console) as progress:
        session = _with_features(prepare_run(request, progress))
        check_venue(session.plan, connected=False)
        ready = time.perf_counter()
        with ExitStack() as stack:
            with deferred():  # a request to stop between the folder's making and its care would leave it behind
                recorder = stack.enter_context(Recorder(session, out))
            days = progress.add_task(f"Running {session.data.about()['data']}", total=session.data.remaining())
            sinks = Sinks(recorder, ahead=2)  # chunks that wait are in memory
            stack.callback(sinks.stop)
            takers = [
                lambda outputs: sinks.take(lambda: outputs),
                lambda outputs: progress.update(days, advance=len(outputs.time)),
            ]
            if request.adapters:
                from drivers.run.lifecycle import Lifecycle  # brings Hamilton's driver with it, and pandas

                lifecycle = Lifecycle(session, out.name, request.adapters)
                stack.enter_context(lifecycle.followed())
                takers.insert(0, lifecycle.take)
            advance(session, sinks, takers)
            sinks.wait()
            done = time.perf_counter()
            summary = recorder.finish({"prepare_seconds": ready - begun, "run_seconds": done - ready})
    return RunResult(out, summary, recorder.report_failed, recorder.uncounted)


def _with_features(session: PreparedRun) -> PreparedRun:
    """The run with what it keeps of the layers' values, where the request leaves that open."""
    rows = (session.data.remaining() or 0) * len(session.data.symbols)
    return replace(session, request=replace(session.request, features=session.request.features or usual(rows)))


def advance_all(session: PreparedRun, recorder: TakesBetween, takers: Sequence[Callable[[Outputs], object]]) -> None:
    """Every chunk of the data through the engine and to those that take its outputs, the recorder among them."""

    def take(made: Iterator[Outputs]) -> None:
        for outputs in made:
            for taker in takers:
                taker(outputs)

    most = max(1, session.chunk_bars // 2)  # two are under way at a time
    with pipeline(session.engine) as engine:
        for item in session.data.deliver(most=most, epoch_ns=ANY_EPOCH):
            with deferred():
                if isinstance(item, Chunk):
                    take(engine.put(item))
                elif isinstance(item, Instant):
                    take(engine.drain())
                    recorder.take_between(session.engine.react(item))
        with deferred():
            take(engine.drain())
