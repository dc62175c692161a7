"""The streaming driver: the same engine, one bar at a time; Ctrl-C leaves a checkpoint to go on from."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dataflows.kernels.compile import compilation_frozen
from drivers.batch import RunResult, default_out
from drivers.engine.checkpoint import restore, save
from drivers.engine.engine import Chunk, Outputs, joined
from drivers.events import stamp
from drivers.recorder import Recorder
from drivers.request import RunRequest
from drivers.session import Session, open_session, progress_bar
from drivers.whole import write_whole_bytes

BUFFER_BARS = 512
"""Bars whose outputs wait in memory before they go to the sinks together."""


def run_stream(request: RunRequest, console: Console | None = None, sleep: Callable[[float], None] = time.sleep) -> RunResult:
    """Streams recorded data through the engine, bar by bar.

    With `request.checkpoint` naming a file that exists, it goes on after the bar that the file was left at. Ctrl-C, and the
    end of the data, write the checkpoint (to `request.checkpoint`, else `checkpoint.npz` in the results) and finish the
    results of the bars that were run. Raises ValueError when nothing is left to stream.
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
        with Recorder(session, out) as recorder, compilation_frozen():
            recorder.recall(memory)
            task = progress.add_task("Streaming", total=len(session.data), completed=first)
            stopped = _bars(session, recorder, first, sleep, lambda text: progress.update(task, advance=1, description=text))
            timings = {"prepare_seconds": ready - begun, "run_seconds": time.perf_counter() - ready}
            blob = save(session.engine, recorder.memory())
            resumed = stamp(int(session.data.time[first - 1])) if first else None
            ended = stamp(session.engine.last_time) if stopped else None
            summary = recorder.finish(timings, stopped_at=ended, resumed_after=resumed)
    path = request.checkpoint or out / "checkpoint.npz"
    write_whole_bytes(path, blob)
    if stopped:
        console.print(f"Stopped after {stamp(session.engine.last_time)}. Go on with: stratoquant stream --checkpoint {path} …")
    return RunResult(out, summary, recorder.report_failed)


def _resume(session: Session, checkpoint: Path | None) -> tuple[int, dict[str, Any]]:
    """Restores the engine where a checkpoint is given; returns the first row still to run and the recorder's memory."""
    if checkpoint is None or not checkpoint.is_file():
        return 0, {}
    memory = restore(session.engine, checkpoint.read_bytes())
    return int(np.searchsorted(session.data.time, session.engine.last_time, side="right")), memory


class _Stop:
    """Set by Ctrl-C: the bar under way is finished first. A second Ctrl-C ends the process as usual."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stop:
        self._before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)


def _bars(
    session: Session, recorder: Recorder, first: int, sleep: Callable[[float], None], show: Callable[[str], None]
) -> bool:
    """Runs bar by bar; True when Ctrl-C ended it, with every bar that was begun finished."""
    data, engine = session.data, session.engine
    waiting: list[Outputs] = []
    begun, origin = time.monotonic(), int(data.time[first])
    with _Stop() as stop:
        for t in range(first, len(data)):
            due = begun + (int(data.time[t]) - origin) / 1e9 if session.request.speed == "realtime" else 0.0
            while not stop.asked and (wait := due - time.monotonic()) > 0.0:
                sleep(min(wait, 0.2))
            if stop.asked:
                break
            observations = data.rows(t, t + 1)
            waiting.append(engine.advance(Chunk(observations.time, data.inputs(observations))))
            if len(waiting) == BUFFER_BARS or int(data.time[t]) % engine.epoch_ns == 0:
                _flush(session, recorder, waiting)
            show(f"Streaming {stamp(engine.last_time)}")
        _flush(session, recorder, waiting)
        return stop.asked


def _flush(session: Session, recorder: Recorder, waiting: list[Outputs]) -> None:
    if waiting:
        recorder.take(together(session, waiting))
        waiting.clear()


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
