"""The streaming driver: the same engine, one bar at a time; Ctrl-C, SIGTERM and SIGHUP leave a checkpoint to go on from.

Operator commands, and the watchdog's HALT when no data has come for too long, act between two bars. Both are written to the
journal before they act.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dataflows.runtime.compile import compilation_frozen
from drivers.engine.checkpoint import restore, save
from drivers.engine.engine import Chunk, Outputs, joined
from drivers.engine.interrupts import Requests, deferred, graceful
from drivers.files.atomic import write_atomic_bytes
from drivers.run.assembly import Session, open_session
from drivers.run.batch import RunResult, default_out
from drivers.run.between_bars import Between
from drivers.run.journaled import Journaled
from drivers.run.operator_commands import NAMES
from drivers.run.progress import progress_bar
from drivers.run.recorder import Recorder
from drivers.run.request import RunRequest
from drivers.text.times import stamp

BUFFER_BARS = 512
"""Bars whose outputs wait in memory before they go to the sinks together."""


def run_stream(request: RunRequest, console: Console | None = None, sleep: Callable[[float], None] = time.sleep) -> RunResult:
    """Streams recorded data through the engine, bar by bar.

    With `request.checkpoint` naming a file that exists, it goes on after the bar that the file was left at. Ctrl-C, SIGTERM,
    SIGHUP and the end of the data write the checkpoint (to `request.checkpoint`, else `checkpoint.npz` in the results) and
    finish the results of the bars that were run. Raises ValueError when nothing is left to stream, and OperatorFileError for an
    operator file with a line that is not a command.
    """
    console = console or Console(stderr=True)
    out = request.out or default_out(datetime.now(UTC))
    begun = time.perf_counter()
    with progress_bar(console) as progress:
        session = open_session(request, progress)
        first, memory = _resume(session, request.checkpoint)
        if first == len(session.data):
            at = stamp(session.engine.last_time)
            raise ValueError(f"the checkpoint is at {at}, the end of the data; there is nothing left to stream")
        ready = time.perf_counter()
        acted = memory.get("acted", {}) if first else None
        between = Between(session, lambda text: console.print(text, style="bold", highlight=False), acted)
        if first and "acted" not in memory:  # a checkpoint of an older version
            between.timed = [command for command in between.timed if (command.time or 0) >= session.engine.last_time]
        with (
            graceful() as stop,
            Recorder(session, out) as recorder,
            compilation_frozen(),
            _journaled(session, first, out, console, between.acted) as engine,
        ):
            recorder.recall(memory)
            task = progress.add_task("Streaming", total=len(session.data), completed=first)
            run = _Run(session, recorder, engine, between, stop)
            stopped = run.bars(first, sleep, lambda text: progress.update(task, advance=1, description=text))
            timings = {"prepare_seconds": ready - begun, "run_seconds": time.perf_counter() - ready}
            blob = save(session.engine, {**recorder.memory(), "acted": dict(between.acted)})
            resumed = stamp(int(session.data.time[first - 1])) if first else None
            ended = stamp(session.engine.last_time) if stopped else None
            summary = recorder.finish(timings, stopped_at=ended, resumed_after=resumed, operator_commands=between.applied)
            path = request.checkpoint or out / "checkpoint.npz"
            write_atomic_bytes(path, blob)
    if stopped:
        console.print(f"Stopped after {stamp(session.engine.last_time)}. Go on with: stratoquant stream --checkpoint {path} …")
    return RunResult(out, summary, recorder.report_failed)


def _resume(session: Session, checkpoint: Path | None) -> tuple[int, dict[str, Any]]:
    """Restores the engine where a checkpoint is given; returns the first row still to run and the recorder's memory."""
    if checkpoint is None or not checkpoint.is_file():
        return 0, {}
    memory = restore(session.engine, checkpoint.read_bytes())
    return int(np.searchsorted(session.data.time, session.engine.last_time, side="right")), memory


@contextmanager
def _journaled(session: Session, first: int, out: Path, console: Console, acted: Mapping[str, int]) -> Iterator[Journaled]:
    """The engine, with its journal: where one was asked for, and where operator commands or the watchdog may act."""
    request = session.request
    path = request.journal
    if path is None and (request.operator_file is not None or request.stale_after is not None):
        path = out.with_name(f"{out.name}.journal")
    if path is not None and first == 0 and path.is_file() and path.stat().st_size:
        raise ValueError(f"{path} is the journal of another run; name another with --journal, or remove it")
    engine = Journaled(session, path, acted)
    if engine.cut:
        console.print(engine.cut, highlight=False)
    try:
        yield engine
        engine.state()
    finally:
        engine.close()


class _Run:
    """The bars of one stream, and what comes between them."""

    def __init__(self, session: Session, recorder: Recorder, engine: Journaled, between: Between, stop: Requests) -> None:
        self.session, self.recorder, self.engine, self.between, self.stop = session, recorder, engine, between, stop
        self.waiting: list[Outputs] = []

    def bars(self, first: int, sleep: Callable[[float], None], show: Callable[[str], None]) -> bool:
        """Runs bar by bar; True when Ctrl-C, SIGTERM or SIGHUP ended it, with every bar that was begun finished."""
        data, engine = self.session.data, self.session.engine
        begun, origin = time.monotonic(), int(data.time[first])
        real, stopped = self.session.request.speed == "realtime", False
        for t in range(first, len(data)):
            closes = int(data.time[t])
            due = begun + (closes - origin) / 1e9 if real else 0.0
            while not self.stop.asked and (wait := due - time.monotonic()) > 0.0:
                self.act(min(closes, closes - int(wait * 1e9)))
                sleep(min(wait, 0.2))
            if self.stop.asked:
                stopped = True
                break
            with deferred():
                self.act(closes)
                observations = data.rows(t, t + 1)
                self.waiting.append(self.engine.advance(Chunk(observations.time, data.inputs(observations))))
                self.between.saw(observations)
                if len(self.waiting) == BUFFER_BARS or closes % engine.epoch_ns == 0:
                    self.flush()
            show(f"Streaming {stamp(engine.last_time)}")
        self.act(engine.last_time + 1)
        self.flush()
        return stopped

    def act(self, now: int) -> None:
        """Applies all that is due before `now`."""
        if not self.session.engine.held:
            return  # no bar yet: there is nothing to act on
        for at, command, by in self.between.due(now, self.session.engine.last_time):
            self.flush()
            text = command.text if command.where else ""
            outputs = self.engine.react(at, operator=command.code, amount=command.amount, by=by, command=text)
            name = NAMES[command.code]
            about = {"command": name, "by": by, **({"amount": command.amount} if command.amount else {})}
            self.recorder.take_between(outputs, about)
            self.between.has_acted(at, command, about)

    def flush(self) -> None:
        """What waits goes to the sinks."""
        if self.waiting:
            self.recorder.take(together(self.session, self.waiting))
            self.waiting.clear()


def together(session: Session, outputs: list[Outputs]) -> Outputs:
    """Successive outputs as those of one chunk."""
    annotations = session.plan.annotations
    values: dict[str, Any] = {n: joined([o.values[n] for o in outputs], annotations[n]) for n in outputs[0].values}
    offsets = {
        log: np.concatenate([[0], np.cumsum(np.concatenate([np.diff(o.offsets[log]) for o in outputs]))])
        for log in outputs[0].offsets
    }
    epoch = {k: v for o in outputs for k, v in o.epoch.items()}
    return Outputs(np.concatenate([o.time for o in outputs]), values, offsets, epoch)
