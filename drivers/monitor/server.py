"""The page's server: the page, its server-sent events, `/metrics`, `/health`, and the buttons' commands."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from drivers.files.json_values import json_values
from drivers.monitor.heartbeat import is_alive, read_heartbeat
from drivers.monitor.metrics import StreamCollector, exposition
from drivers.monitor.state import LiveState
from drivers.text.inert import shown_values
from drivers.web.page import render_page

COMMANDS: Final = ("HALT", "FLATTEN", "RELEASE")
LOOK: Final = 0.25
"""Seconds between two looks for news."""
LEAST_TOKEN: Final = 16
TOKEN: Final = "STRATOQUANT_PAGE_TOKEN"
"""The environment variable that holds the token."""


class PageRefusal(ValueError):
    """The page cannot be served as asked. The message says why and what to do."""


@dataclass
class Page:
    """One stream's page.

    run: its name. folder: of the stream, where the heartbeat is. state: of the stream, once its journal has begun. said: a
    command in the one way of writing it, given its text and the symbols; raises ValueError for what is none. token: what a
    command must bring, and everything else too where `public`; None: there are no buttons. operator: the file to which commands
    are appended; None: there are no buttons. days, day: the earlier days that the journal holds, and one of them by its name;
    raises KeyError for none.
    """

    run: str
    folder: Path
    state: Callable[[], LiveState | None]
    said: Callable[[str, Sequence[str]], str]
    token: str | None = None
    operator: Path | None = None
    public: bool = False
    days: Callable[[], list[dict[str, Any]]] = list
    day: Callable[[str], dict[str, Any]] = dict[str, dict[str, Any]]().__getitem__

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise PageRefusal(f"{TOKEN} has {len(self.token)} characters; a token has {LEAST_TOKEN} or more")
        if self.public and self.token is None:
            raise PageRefusal(f"a page that other machines reach needs a token; set the environment variable {TOKEN}")
        self._reading = asyncio.Lock()
        self._html = render_page(
            "live.html.j2",
            title=self.run,
            description="A stream of StratoQuant, live",
            styles=["live.css"],
            scripts=["lightweight-charts.standalone.production.js", "live.js"],
            data={"run": self.run, "buttons": self.token is not None and self.operator is not None, "locked": self.public},
        )

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(middlewares=[self._guarded], client_max_size=4_096)
        app.router.add_get("/", self._page)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/state", self._state)
        app.router.add_get("/events", self._events)
        app.router.add_get("/days", self._days)
        app.router.add_get("/day", self._day)
        app.router.add_post("/command", self._command)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        host = request.host.rpartition(":")[0].strip("[]") or request.host
        if not self.public and host not in ("127.0.0.1", "localhost", "::1"):
            return _said(403, "this page is for this machine alone")  # a foreign name that leads here: DNS rebinding
        free = request.path in ("/", "/health")
        if (self.public and not free) or request.method == "POST":
            if self.token is None:
                return _said(403, f"there is no token; set the environment variable {TOKEN} before the stream begins")
            brought = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(brought.encode(), self.token.encode()):
                return _said(401, "the token is missing or wrong")
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Frame-Options"] = "DENY"
        return response

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=self._html, content_type="text/html")

    async def _health(self, request: web.Request) -> web.Response:
        beat, state = read_heartbeat(self.folder), self.state()
        alive = is_alive(beat) and state is not None and bool(state.now())
        return web.json_response({"alive": alive, "bars": state.bars if state else 0}, status=200 if alive else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        body = exposition(StreamCollector(self.state, lambda: read_heartbeat(self.folder)))
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _state(self, request: web.Request) -> web.Response:
        return web.Response(text=self._text(None), content_type="application/json")

    async def _days(self, request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(self.days))

    async def _day(self, request: web.Request) -> web.Response:
        """One at a time: each runs a day again."""
        try:
            async with self._reading:
                found = await asyncio.to_thread(self.day, request.query.get("name", ""))
        except KeyError:
            return _said(404, "the journal has no such day")
        text = json.dumps(shown_values(json_values(found)), allow_nan=False, separators=(",", ":"))
        return web.Response(text=text, content_type="application/json")

    def _text(self, since: int | None) -> str:
        """The state, and how the process is; since: the bars that the page has; None: it has nothing."""
        state = self.state()
        about = {} if state is None else state.whole() if since is None else state.news(since)
        beat = read_heartbeat(self.folder)
        found = {**about, "heartbeat": {**beat, "alive": is_alive(beat)}, "whole": since is None}
        return json.dumps(shown_values(json_values(found)), allow_nan=False, separators=(",", ":"))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        sent: tuple[int, int] | None = None
        has: int | None = None
        with suppress(ConnectionResetError):  # the page was closed
            while True:
                state = self.state()
                mark = (state.version if state else -1, int(read_heartbeat(self.folder).get("time", 0)))
                if mark != sent:
                    text = self._text(has)
                    await response.write(f"data: {text}\n\n".encode())
                    sent, has = mark, json.loads(text).get("bars")
                await asyncio.sleep(LOOK)
        return response

    async def _command(self, request: web.Request) -> web.Response:
        if self.operator is None:
            return _said(409, "the stream has no file of commands; start it with --operator FILE")
        state = self.state()
        if state is None:
            return _said(409, "the stream has not begun")
        text = " ".join((await request.text()).split())
        if text.partition(" ")[0] not in COMMANDS:
            return _said(400, f"write one of {', '.join(COMMANDS)}, alone or with a symbol")
        try:
            line = self.said(text, state.symbols)
        except ValueError as error:
            return _said(400, str(error))
        append(self.operator, line)
        return _said(200, f"{line} is sent")


def append(path: Path, line: str) -> None:
    """Appends a line, whole and on the disk; an unfinished last line is ended first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(handle).st_size
        start = "\n" if size and os.pread(handle, 1, size - 1) != b"\n" else ""
        os.write(handle, f"{start}{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def _said(status: int, words: str) -> web.Response:
    return web.json_response({"result": words}, status=status)
