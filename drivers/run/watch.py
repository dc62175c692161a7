"""Follows a stream by its journal and serves its page, until the stream ends or it is told to."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from drivers.engine.chunk import Outputs
from drivers.engine.engine import Engine
from drivers.monitor.heartbeat import read_heartbeat
from drivers.monitor.notices import Notices
from drivers.monitor.server import Page
from drivers.monitor.state import LiveState
from drivers.run.follow import follow
from drivers.run.operator_commands import OperatorFileError, parse
from drivers.run.replay import engine_from
from drivers.store.folder import Awaited
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalReader
from drivers.store.segments import beginning_of, has_segments, last_beginning, segments_of

EVERY = 0.25
"""Seconds between two looks at the journal."""
MOST_BARS = 10_000
"""Bars of an earlier day that are shown, the last of it."""


def said_by(text: str, symbols: Sequence[str]) -> str:
    """A command of the page in the operator's own way of writing. Raises OperatorFileError for what is none."""
    command = parse(text, "the page", symbols)
    if command is None:
        raise OperatorFileError("the page: there is no command")
    return command.said


class Earlier:
    """The days of a stream before its journal's last segment, run again where one is asked for. folder, project: see
    `Follower`."""

    def __init__(self, folder: Path, project: Path | None) -> None:
        self.folder, self.project = folder, project
        self._begins: dict[str, int] = {}
        self._found: dict[str, dict[str, Any]] = {}

    def days(self) -> list[dict[str, Any]]:
        """Name of each segment and UTC ms at which it begins (0: with the stream), oldest first; empty before the first bar."""
        if not has_segments(self.folder / "journal"):
            return []
        earlier = segments_of(self.folder)[:-1]
        for path in earlier:
            if _name(path) not in self._begins:
                begin = next(iter(JournalReader(path)), None)
                self._begins[_name(path)] = 0 if begin is None else int(begin.about["last_time"]) // 1_000_000
        return [{"name": _name(path), "begins": self._begins[_name(path)]} for path in earlier]

    def read(self, name: str) -> dict[str, Any]:
        """What the page shows of one: `LiveState.whole`. The last two are remembered. Raises KeyError for a segment that is not
        there, and what `follow` raises."""
        if name not in self._found:
            path = {_name(path): path for path in segments_of(self.folder)[:-1]}[name]
            begin = beginning_of(path)
            if begin is None:  # the stream was killed before it was on the disk
                raise KeyError(name)
            records = itertools.islice(JournalReader(path), 1, None)
            engine = engine_from(begin, self.project)
            state = LiveState(engine.symbols, int(begin.about["clock"]["seconds"]), engine.epoch_ns, MOST_BARS)
            for record in records:
                if record.about["kind"] == "bars":
                    state.bar(engine.advance(chunk_of(record)))
                elif record.about["kind"] == "instant":
                    state.between(engine.react(instant_of(record)))
            self._found = dict([*self._found.items(), (name, state.whole())][-2:])
        return self._found[name]


def _name(segment: Path) -> str:
    return segment.name.partition(".")[0]


class Follower:
    """The state of a stream, kept up in a thread. folder: `<out>.partial`. project: the folder whose layers it runs."""

    def __init__(self, folder: Path, project: Path | None, notices: Notices | None = None) -> None:
        self.folder, self.project, self.notices = folder, project, notices
        self.state: LiveState | None = None
        self.failed: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the stream is over, or cannot be followed."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Ends it."""
        self._over.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        try:
            while not self._over.is_set() and not has_segments(self.folder / "journal"):
                time.sleep(EVERY)
            if self._over.is_set():
                return  # the stream has never begun
            follow(
                self.folder, self._bar, project=self.project, stopped=self._over.is_set, wait=self._wait, between=self._between
            )
        except BaseException as error:  # in a thread of its own: the one that serves raises it
            self.failed = error

    def _wait(self) -> None:
        if self.notices is not None:
            self.notices.feed(read_heartbeat(self.folder).get("feed") or {})
        self._over.wait(EVERY)

    def _of(self, engine: Engine) -> LiveState:
        if self.state is None:
            about = last_beginning(segments_of(self.folder), "clock")[1].about
            self.state = LiveState(engine.symbols, int(about["clock"]["seconds"]), engine.epoch_ns)
        return self.state

    def _bar(self, engine: Engine, outputs: Outputs) -> None:
        found = self._of(engine).bar(outputs)
        if self.notices is not None and time.time_ns() - int(outputs.time[-1]) < 600_000_000_000:  # not of the history
            self.notices.of(found)

    def _between(self, engine: Engine, outputs: Outputs) -> None:
        if self.state is not None:
            found = self.state.between(outputs)
            if self.notices is not None:
                self.notices.of(found)


def serve(
    page: Page, address: tuple[str, int], follower: Follower, tell: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    """Serves until the stream is over or `stopped` says so. Raises OSError where the address is taken, and what ended the
    follower."""
    asyncio.run(_served(page, address, follower, tell, stopped))
    if follower.failed is not None:
        raise follower.failed


async def _served(
    page: Page, address: tuple[str, int], follower: Follower, tell: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    runner = web.AppRunner(page.app(), shutdown_timeout=0.2, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        port = runner.addresses[0][1]
        tell(f"The page of {page.run} is at http://{host}:{port}")
        follower.start()
        awaited = Awaited(follower.folder, tell)
        while not stopped() and not follower.ended:
            awaited.look()
            await asyncio.sleep(EVERY)
    finally:
        with suppress(asyncio.CancelledError):
            await runner.cleanup()
        follower.close()
