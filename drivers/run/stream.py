"""The streaming driver: the same engine, one bar at a time; Ctrl-C, SIGTERM and SIGHUP leave a checkpoint to go on from.

Operator commands, and the watchdog's HALT when no data has come for too long, act between two bars. Bars and commands are
written to the journal before they act.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress, TaskID

from dataflows.runtime.compile import compilation_frozen
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk
from drivers.engine.interrupts import Requests, graceful
from drivers.feeds.base import Delivered, Feed, step_of
from drivers.files.atomic import write_atomic, write_atomic_bytes
from drivers.monitor.heartbeat import Heartbeat
from drivers.run.assembly import PreparedRun, prepare_run
from drivers.run.bar_by_bar import Stream
from drivers.run.batch import RunResult, default_out
from drivers.run.between_bars import Between
from drivers.run.compile_bar import warm_up_single_bars
from drivers.run.journaled import Journaled
from drivers.run.live_account import connection
from drivers.run.paced import paced
from drivers.run.progress import progress_bar
from drivers.run.recorder import Recorder
from drivers.run.request import RunRequest
from drivers.run.resume import catch_up, recorded_request, resumed, user_of, write_request
from drivers.run.venue_link import VenueLink, check_venue
from drivers.store.errors import StoreError
from drivers.store.folder import CHECKPOINT, JOURNAL
from drivers.text.terminal import Terminal
from drivers.text.times import stamp
from drivers.venues.base import Venue

SHOWN_EVERY: Final = 0.1
"""Seconds between two looks at the progress of a stream."""

TURN: Final = 5e-4
"""Seconds for which a thread may keep another one waiting, Python's usual 0.005: a bar passes through several threads."""


def run_stream(
    request: RunRequest,
    console: Console | None = None,
    sleep: Callable[[float], None] = time.sleep,
    connect: Callable[[PreparedRun], Venue] | None = None,
    feed: Feed | None = None,
) -> RunResult:
    """Streams market data through the engine, bar by bar. feed: where they come from; None: what the request names.

    connect: connects to the venue at which it trades, where the wiring chooses `venue: live`; None: what the request's mode
    says. The connection is closed at the end.

    With `request.checkpoint` naming a file that exists, it goes on after the bar that the file was left at. Ctrl-C, SIGTERM,
    SIGHUP and the end of the data finish the results of the bars that were run, with the checkpoint in them, and write it to
    `request.checkpoint`. With `request.resume` it completes the stream that left `<out>.partial`: from
    its journal, with the options that it was started with. Raises ValueError when nothing is left to stream or to resume,
    OperatorFileError for an operator file with a line that is not a command, VenueRefusal where the wiring and `connect`
    disagree about who the venue is, and StoreError, after the last bar, for results that could not be written.
    """
    console = console or Terminal(stderr=True)
    out = request.out or default_out(datetime.now(UTC))
    request = recorded_request(out, request.project) if request.resume else request

    def notify(text: str) -> None:
        console.print(text, style="bold", highlight=False)

    connect = connect or connection(request, notify)

    begun = time.perf_counter()
    with progress_bar(console) as progress:
        session = prepare_run(request, progress, feed, notify=notify)
        warm_up_single_bars(session.engine, request.project, progress)
        pa.array(np.zeros(0))  # Arrow imports pandas at its first column: for a third of a second the bars would wait for it
        check_venue(session.plan, connect is not None, session.data.instruments)
        ready = time.perf_counter()
        with ExitStack() as stack:
            stack.callback(session.data.close)
            stop = stack.enter_context(graceful())
            stack.enter_context(compilation_frozen())
            link = None
            if connect is not None:
                venue = connect(session)
                stack.callback(venue.close)
                link = VenueLink(venue, session.plan, session.data.symbols, step_of(session.data))
            if request.resume:
                stream = resumed(session, out, stack, notify, stop, link)
                items = following(session)
            else:
                stream, items = _begun(session, out, stack, notify, stop, link)
            if link is not None and link.kept is not None:
                link.kept.begin()
            begins_at = session.engine.last_time
            if request.speed == "realtime" and request.venue is None:
                items = paced(items, sleep, stop)
            heart = Heartbeat(stream.recorder.writer.folder, session.data)
            items = heart.watched(items)
            task = progress.add_task("Streaming", total=session.data.remaining(begins_at))
            with collected_at_flushes(), short_turns():
                stopped = stream.run(items, _shown(progress, task))
            heart.end()
            stream.engine.state()
            timings = {"prepare_seconds": ready - begun, "run_seconds": time.perf_counter() - ready}
            recorder, between = stream.recorder, stream.between
            kept = {} if link is None or link.kept is None else {"venue": link.kept.memory()}
            blob = save(session.engine, {**recorder.memory(), "operator": between.memory(), **kept})
            if recorder.failed:
                raise StoreError(
                    f"{recorder.failed}. The stream itself went on to {stamp(session.engine.last_time)}; `stratoquant stream "
                    f"--resume {out}` completes the results from the journal"
                )
            after = stamp(begins_at) if begins_at and not request.resume else None
            ended = stamp(session.engine.last_time) if stopped else None
            with recorder.writer.writing():
                write_atomic_bytes(recorder.writer.folder / CHECKPOINT, blob)
            summary = recorder.finish(timings, stopped_at=ended, resumed_after=after, operator_commands=between.applied)
            if request.checkpoint is not None:
                write_atomic_bytes(request.checkpoint, blob)
                user_of(request.checkpoint).unlink(missing_ok=True)
            path = request.checkpoint or out / CHECKPOINT
    if stopped:
        notify(f"Stopped after {stamp(session.engine.last_time)}. Go on with: stratoquant stream --checkpoint {path} …")
    return RunResult(out, summary, recorder.report_failed, recorder.uncounted)


def _shown(progress: Progress, task: TaskID) -> Callable[[int], None]:
    """What shows the bars, ten times a second at most."""
    bars, again = 0, 0.0

    def show(last_time: int) -> None:
        nonlocal bars, again
        bars += 1
        if time.monotonic() >= again:
            progress.update(task, completed=bars, description=f"Streaming {stamp(last_time)}")
            again = time.monotonic() + SHOWN_EVERY

    return show


@contextmanager
def collected_at_flushes() -> Iterator[None]:
    """Within it, Python looks for garbage when outputs go to the sinks, at no other time, and not among what was there before:
    to look through all that a warm engine holds takes tenths of a second, for which a bar would wait. What has survived once is
    looked through at the end of an epoch alone: the trades that streams of 20 symbols keep would take 9 ms."""
    was = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was:
            gc.enable()


@contextmanager
def short_turns() -> Iterator[None]:
    """Within it, threads take turns sooner."""
    was = sys.getswitchinterval()
    sys.setswitchinterval(min(was, TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(was)


def following(session: PreparedRun) -> Iterator[Delivered]:
    """What the feed delivers after the last instant of the engine, bar by bar."""
    return session.data.deliver(after=session.engine.last_time, most=1, epoch_ns=session.engine.epoch_ns)


def _begun(
    session: PreparedRun, out: Path, stack: ExitStack, notify: Callable[[str], None], stop: Requests, link: VenueLink | None
) -> tuple[Stream, Iterator[Delivered]]:
    """A stream that begins here, or goes on from a checkpoint into results of its own; and what it is to run."""
    request = session.request
    memory: dict[str, Any] = {}
    if request.checkpoint is not None:
        catch_up(request.checkpoint)
    if request.checkpoint is not None and request.checkpoint.is_file():
        memory = restore(session.engine, request.checkpoint.read_bytes())
    items = following(session)
    first = next(items, None)
    if first is None:
        at = f"the checkpoint is at {stamp(session.engine.last_time)}, the end of the data" if memory else "there are no data"
        raise ValueError(f"{at}; there is nothing left to stream")
    between = Between(session, notify, {**memory["operator"], "applied": []} if memory else None)
    between.open(int(first.time[0]) if isinstance(first, Chunk) else None)
    kept = request.journaled
    recorder = stack.enter_context(Recorder(session, out, parts=kept, notify=notify if kept else None))
    folder = recorder.writer.folder
    if kept:
        with recorder.writer.writing():
            write_request(request, session, folder)
            if request.checkpoint is not None:
                write_atomic(user_of(request.checkpoint), f"{out.absolute()}\n")
    recorder.recall(memory)
    stream = Stream(session, recorder, Journaled(session, folder / JOURNAL if kept else None), between, stop)
    stack.callback(stream.close)
    stream.connect(link)
    if link is not None and link.kept is not None and "venue" in memory:
        link.kept.recover(memory["venue"])
    try:
        stream.begin_segment()
    except OSError as error:
        raise StoreError(f"the journal cannot be begun ({error.strerror}); free some space, or give --no-journal") from error
    return stream, itertools.chain([first], items)
