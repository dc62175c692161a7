"""Recorded frames played through the same code: the streams' own handlers, without a network and without a clock.

The feed looks at what is there when it looked while it was recorded, and finds what it found: same frames, same bars.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import ccxt
from aiohttp import WSMsgType

from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.frames import Frame, read_frames
from drivers.exchanges.live import LiveFeed
from drivers.exchanges.streams import Streams
from drivers.feeds.dataset import open_dataset
from drivers.files.atomic import write_atomic
from drivers.venues.description import VenueRules

SESSION: Final = "session.json"
HISTORY: Final = "history"


def write_session(folder: Path, exchange: Exchange, symbols: tuple[str, ...], begins: int, start: int) -> None:
    """Notes what a recording is of, beside its frames. begins, start: UTC ns of the first live bar and of the history."""
    rules = exchange.rules.model_dump(mode="json", exclude_unset=True)
    about = {"venue": exchange.name, "rules": rules, "symbols": list(symbols), "begins": begins, "start": start}
    write_atomic(folder / SESSION, json.dumps(about, indent=1) + "\n")


def played_feed(folder: Path, notify: Callable[[str], None] = lambda text: None) -> LiveFeed:
    """The live feed that was recorded there, once more. Raises ExchangeFault for a folder without a recording."""
    path = folder / SESSION
    if not path.is_file():
        raise ExchangeFault(f"{folder} holds no recording of a live market; make one with `stream --venue NAME --record DIR`")
    about = json.loads(path.read_text(encoding="utf-8"))
    tape = Tape(read_frames(folder))
    rules = VenueRules(**about["rules"])
    exchange = Exchange(about["venue"], rules, sleep=lambda seconds: None, through=tape.through)
    history = open_dataset(folder / HISTORY, start=about["start"])
    symbols = tuple(about["symbols"])
    streams = PlayedStreams(exchange, symbols, history.step, time_ns=lambda: tape.now, notify=notify) if rules.streams else None
    feed = LiveFeed(
        exchange, symbols, history, about["begins"], notify=notify, time_ns=lambda: tape.now, streams=streams,
        wait=lambda seconds: tape.play(streams), clock_skew=lambda: tape.skew,
    )  # fmt: skip
    feed.end = tape.last_close(history.step)
    return feed


class Tape:
    """Recorded frames, and the clock that they bring with them. now: UTC ns. skew: the exchange's clock less that, ns."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.frames = deque(frames)
        self.now, self.skew = (self.frames[0].time, 0) if self.frames else (0, 0)
        self._answers = deque(frame for frame in self.frames if frame.kind in ("asked", "refused"))
        self._looks = [frame.time for frame in self.frames if frame.kind == "look"]
        self._skews = [frame for frame in self.frames if frame.kind == "skew"]
        if self._skews:
            self.skew = int(self._skews[0].text)

    def last_close(self, step: int) -> int:
        """UTC ns of the last close that was looked at."""
        skew = int(self._skews[-1].text) if self._skews else 0
        return (self._looks[-1] + skew) // step * step if self._looks else 0

    def through(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        """In place of ccxt's `fetch`: the answers that were recorded, in their order."""

        def answered(url: str, *arguments: Any, **more: Any) -> Any:
            if not self._answers:
                raise ccxt.NetworkError("the recording ends here")
            frame = self._answers.popleft()
            if frame.kind == "refused":
                raise getattr(ccxt, frame.text, ccxt.BadResponse)(f"{frame.text}, as it was recorded")
            return json.loads(frame.text)

        return answered

    def play(self, streams: PlayedStreams | None) -> None:
        """Plays on until the feed's next look."""
        part: list[Frame] = []
        while self.frames:
            part.append(self.frames.popleft())
            if part[-1].kind == "look":
                break
        else:
            self.now += 1_000_000_000  # nothing is left: time goes on, so that the feed comes to its end
        if streams is not None:
            streams.call(streams.take(part, self))
        elif part:
            self.to(part[-1])

    def to(self, frame: Frame) -> None:
        """It is the time of this frame."""
        self.now = max(self.now, frame.time)
        if frame.kind == "skew":
            self.skew = int(frame.text)


class _Silent:
    """A socket that says nothing by itself."""

    closed = False
    _conn = None

    def __init__(self) -> None:
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Any:
        """Never, until it is closed."""
        await self._over

    async def send_str(self, text: str) -> None:
        """Nobody is there."""

    async def ping(self) -> None:
        """Nobody is there."""

    async def pong(self, data: bytes) -> None:
        """Nobody is there."""

    async def close(self) -> None:
        """It is over."""
        self.closed = True
        self._over.cancel()


class _Woken(selectors.DefaultSelector):
    """Waits for nothing but to be woken: time comes from the recording, and none passes while it waits."""

    def select(self, timeout: float | None = None) -> Any:
        """See `selectors`."""
        return super().select(0 if timeout is not None and timeout <= 0 else None)


class TapeLoop(asyncio.SelectorEventLoop):
    """A loop by the recording's clock, that knows when all it has to do is done. now: UTC ns by that clock."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.tape_ns, self.steps = now, 0
        super().__init__(_Woken())

    def time(self) -> float:
        """Seconds by the recording's clock."""
        return self.tape_ns() / 1e9

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> Any:  # type: ignore[override]
        """See `asyncio`."""
        self.steps += 1
        return super().call_soon(callback, *arguments, context=context)

    async def quiet(self) -> None:
        """Returns when no task can run. In a turn of the loop everything runs that could when it began; a timer that has become
        due runs in the next."""
        turns = 0
        while turns < 2:
            before = self.steps
            await asyncio.sleep(0)
            turns = turns + 1 if self.steps == before + 1 else 0  # nothing but this one


class PlayedStreams(Streams):
    """Streams whose frames, ends and answers come from a recording."""

    _loop: TapeLoop

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        return TapeLoop(self.time_ns)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._awaited: defaultdict[str, deque[asyncio.Future[Any]]] = defaultdict(deque)
        self._early: defaultdict[str, deque[Frame]] = defaultdict(deque)
        self.client.enableRateLimit = False
        self.client.fetch = self._answered

    def tick(self, now: int, skew: int) -> None:
        """The recording says what is due."""
        self._now, self._skew = now, skew

    async def take(self, frames: Sequence[Frame], tape: Tape) -> None:
        """Some frames; what each of them sets off is done before the next."""
        for frame in frames:
            tape.to(frame)
            self._now, self._skew = tape.now + tape.skew, tape.skew
            await self._take(frame)

    async def _take(self, frame: Frame) -> None:
        if frame.kind == "open":
            if frame.text == "book":
                self._early.clear()  # what nobody asked for before the new connection is nobody's after it
            stream = self._streams[frame.text]
            if stream.task is None:
                stream.task = self._loop.create_task(self._dial(stream))
        elif frame.kind == "ws":
            made = (self.client.clients or {}).get(frame.url)
            if made is not None:
                made.handle_message(SimpleNamespace(type=WSMsgType.TEXT, data=frame.text))
        elif frame.kind == "lost":
            made = (self.client.clients or {}).get(frame.url)
            if made is not None:  # it may have ended by what was played, as it did
                made.on_error(ccxt.NetworkError(frame.text))
        elif frame.kind in ("rest", "fault"):
            waiting = self._awaited[frame.url]
            if waiting:
                waiting.popleft().set_result(frame)
            else:
                self._early[frame.url].append(frame)
        elif frame.kind == "compare":
            self._spawn(self._compare(frame.text))
        await self._loop.quiet()

    async def _answered(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if self._early[url]:
            frame = self._early[url].popleft()
        else:
            self._awaited[url].append(self._loop.create_future())
            frame = await self._awaited[url][-1]
        if frame.kind == "fault":
            raise getattr(ccxt, frame.text, ccxt.BadResponse)(f"{frame.text}, as it was recorded")
        return json.loads(frame.text)

    def _opening(self, url: str, made: Any, fresh: bool) -> None:
        super()._opening(url, made, fresh)
        if fresh:
            made.keepAlive = 0

            async def silent() -> Any:
                return _Silent()

            made.create_connection = lambda session: silent()
