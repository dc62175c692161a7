"""Charts held against a run while they are open: a finished run, or a stream that is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drivers.engine.chunk import Outputs
from drivers.engine.engine import Engine
from drivers.pine.server import serve
from drivers.pine.settings import Settings, settings_of
from drivers.pine.watch import Following, Recording, Source, Watch
from drivers.run.follow import follow
from drivers.runlog.log import RunLog, open_run_log
from drivers.store.reader import open_run
from drivers.store.segments import last_beginning, segments_of

EVERY = 0.5
"""Seconds between two looks at what is due."""


class Announced:
    """The log, with every line told to a person too."""

    def __init__(self, log: RunLog, tell: Callable[[str], None]) -> None:
        self._log, self._tell = log, tell

    def event(self, name: str, **fields: Any) -> None:
        """As `RunLog`."""
        self._log.event(name, **fields)
        self._tell(_line(name, fields))

    def warning(self, name: str, **fields: Any) -> None:
        """As `RunLog`."""
        self._log.warning(name, **fields)
        self._tell(_line(name, fields))


class Refusals:
    """Writes refused messages to the log, at most one a second: a sender cannot fill the disk."""

    def __init__(self, log: Announced) -> None:
        self._log, self._last, self._unsaid = log, -1.0, 0

    def __call__(self, sender: str, why: str) -> None:
        """One refused message."""
        now = time.monotonic()
        if now - self._last < 1.0:
            self._unsaid += 1
            return
        self._log.warning("chart_refused", layer="L99", sender=sender, why=why, unsaid=self._unsaid)
        self._last, self._unsaid = now, 0


def listen(
    run: Path,
    address: tuple[str, int],
    token: str,
    *,
    patience: float | None,
    project: Path | None,
    tell: Callable[[str], None],
    stopped: Callable[[], bool],
) -> dict[str, int]:
    """Listens until `stopped` says so; returns how many messages came to what. run: as it was named when it was started.

    patience: seconds without a message that are a fault; None: two bars and half a minute. Events go to the run's log.
    Raises what reading the run raises, OSError where the address is taken, and whatever ends the engine that is followed.
    """
    failed: list[BaseException] = []
    over = threading.Event()

    def ended() -> bool:
        return over.is_set() or stopped()

    run = run.with_suffix("") if run.suffix == ".partial" else run
    with ExitStack() as stack:
        partial = run.with_name(run.name + ".partial")
        folder = partial if not (run / "run.json").is_file() and (partial / "journal").is_dir() else run
        source, settings, thread = _followed(folder, project, ended, failed) if folder is partial else (*_recorded(run), None)
        log = Announced(stack.enter_context(open_run_log(folder / "log.jsonl", run=run.name)), tell)
        patient = 2.0 * settings.clock_seconds + 30.0 if patience is None else patience
        watch = Watch(source, settings, log, patient, time.monotonic())
        server = stack.enter_context(serve(address, watch, token, Refusals(log)))
        place = f"{address[0]}:{server.server_address[1]}"
        tell(f"Listening at {place} for charts of {folder.name}; a chart silent for {patient:g} s is a fault.")
        threads = [threading.Thread(target=server.serve_forever, daemon=True), *([thread] if thread else [])]
        for each in threads:
            each.start()
        try:
            while not ended() and not failed:
                time.sleep(EVERY)
                watch.due(time.monotonic())
        finally:
            over.set()
            server.shutdown()
            for each in threads:
                each.join(timeout=5.0)
    if failed:
        raise failed[0]
    return watch.counts


def _recorded(run: Path) -> tuple[Source, Settings]:
    found = open_run(run)
    return Recording(found), settings_of(found.about)


def _followed(
    folder: Path, project: Path | None, ended: Callable[[], bool], failed: list[BaseException]
) -> tuple[Source, Settings, threading.Thread]:
    about = last_beginning(segments_of(folder), "clock")[1].about
    seconds = int(about["clock"]["seconds"])
    source = Following(about["symbols"], seconds)

    def take(engine: Engine, outputs: Outputs) -> None:
        source.take(outputs.time, outputs.values["l99_pine_mirror"])

    def run() -> None:
        try:
            follow(folder, take, project=project, stopped=ended)
        except BaseException as error:  # in a thread of its own: the one that listens raises it
            failed.append(error)

    settings = settings_of({"configuration": about["configs"], "clock_seconds": seconds})
    return source, settings, threading.Thread(target=run, daemon=True)


def _line(name: str, fields: dict[str, Any]) -> str:
    about = " ".join(str(fields[key]) for key in ("time", "symbol", "why") if key in fields)
    differ = fields.get("chart_then_python")
    return f"{name.replace('_', ' ')}: {about}{f' {differ}' if differ else ''}"
