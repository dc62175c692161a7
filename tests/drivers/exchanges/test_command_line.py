"""A session through the command line: a stream with keys at the practice exchange, its page, notices, log, recording.

Both sides go by a clock that starts now and is many times as fast as ours, so that bars come every second or two; the page's
process goes by ours. One session serves all checks.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from dataflows.data.types import Market
from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.market import PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.reader import open_run
from tests.drivers.exchanges.conftest import PRICES
from tests.drivers.report.conftest import EARLY

pytestmark = pytest.mark.long

SPEED = 30
KEY, SECRET, TOKEN, PATH = "key-nobody-may-see", "secret-nobody-may-see", "token-nobody-may-see", "path-nobody-may-see"
SECRETS = KEY, SECRET, TOKEN, PATH
PATIENCE = 240.0
FAST = """
import os, sys, time
origin, speed, real = int(sys.argv[1]), int(sys.argv[2]), time.time_ns
time.time_ns = lambda: origin + (real() - origin) * speed
time.time = lambda: time.time_ns() / 1e9
exec(os.environ.get("BEFORE", ""))
from drivers.cli.main import main
sys.argv[1:] = sys.argv[3:]
sys.exit(main())
"""
"""A command by the fast clock. BEFORE: what else is done first."""
FAULT = """
import ccxt
from drivers.exchanges.gateway import Gateway
events, looks = Gateway.events, []
def failing(self, until):
    looks.append(until)
    if len(looks) > 300:
        client = self.runner._free[False].get().client
        try:
            client.urls["api"]["private"] = "http://127.0.0.1:9/" + client.apiKey  # worse than what any exchange does
            client.fetch_balance()
        except ccxt.BaseError as error:
            raise RuntimeError(f"a fault of ours: {error}") from error
    return events(self, until)
Gateway.events = failing
"""
"""The exchange's code raises what nothing expects, after a request that failed."""


class Session:
    """What a test may ask of it."""

    def __init__(
        self, folder: Path, address: str, began: int, notices: list[dict[str, Any]], port: int, debug: bool = False, **more: str
    ) -> None:
        self.folder, self.began, self.notices = folder, began, notices
        self.said: list[str] = []
        venues = folder / "desk" / "config" / "venues"
        self.environment = {
            **os.environ, "STRATOQUANT_PRACTICE_KEY": KEY, "STRATOQUANT_PRACTICE_SECRET": SECRET,
            "STRATOQUANT_PAGE_TOKEN": TOKEN, "MY_NOTICES": f"json://127.0.0.1:{port}/{PATH}", **more,
        }  # fmt: skip
        self.run(["config", "init", str(folder / "desk")])
        venues.mkdir(exist_ok=True)
        (venues / "practice.yml").write_text(
            f"about: x\nkind: spot\nexchange: binance\n"
            f'endpoints: {{rest: "{address}", ws: "{address.replace("http", "ws")}"}}\n'
            "options: {fetchMarkets: {types: [spot]}, fetchCurrencies: false}\nsymbols: [BTC/USDT, ETH/USDT]\nsilence: 1800\n"
            "max_skew: 6000\nfee_currency: base\nstreams: [trades, candles]\n"
            "gate: {notional_per_order: 100000, notional_per_minute: 1000000}\n",
            encoding="utf-8",
        )
        (folder / "notices.yml").write_text("urls_from: MY_NOTICES\nevents: [fill, kill_switch]\n", encoding="utf-8")
        (folder / "commands.txt").touch()
        words = ["--debug"] if debug else []
        words += ["--project", str(folder / "desk"), "stream", "--venue", "practice", "--mode", "testnet"]
        words += ["--warm", "15h", "--no-report"]
        words += [word for change in EARLY for word in ("--set", change)]
        words += ["--out", str(self.out), "--operator", str(folder / "commands.txt"), "--notify", str(folder / "notices.yml")]
        words += ["--warm-from", str(folder / "history"), "--record", str(folder / "frames"), "--serve", "127.0.0.1:0"]
        self.stream = subprocess.Popen(
            self.command(words), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=lambda: self.said.extend(self.stream.stdout or ()), daemon=True).start()
        self.page = until(lambda: re.search(r"is at (http://\S+)", "".join(self.said))).group(1)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def command(self, words: list[str]) -> list[str]:
        return [sys.executable, "-c", FAST, str(self.began), str(SPEED), *words]

    def run(self, words: list[str]) -> str:
        return subprocess.run(self.command(words), env=self.environment, check=True, capture_output=True, text=True).stdout

    def get(self, path: str) -> str:
        try:
            return urlopen(f"{self.page}{path}", timeout=10).read().decode()
        except OSError as error:
            raise AssertionError(f"{error}: {''.join(self.said[-20:])}") from None

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/state")))

    def bars(self) -> int:
        return int(self.state().get("bars", 0))

    def post(self, text: str, token: str) -> int:
        sent = Request(f"{self.page}/command", text.encode(), {"Authorization": f"Bearer {token}"}, method="POST")
        try:
            return int(urlopen(sent, timeout=10).status)
        except HTTPError as error:
            return error.code

    def unsafe(self) -> list[str]:
        """What anybody may see, and names a secret: the page's answers, the arguments of the processes, the notices' texts."""
        seen = {path: self.get(path) for path in ("/", "/state", "/metrics", "/health", "/days")}
        children = subprocess.run(["pgrep", "-P", str(self.stream.pid)], capture_output=True, text=True).stdout.split()
        for pid in (str(self.stream.pid), *children):
            seen[f"arguments of {pid}"] = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
        for pid in children:  # the page trades nowhere
            inherited = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")
            seen[f"environment of {pid}"] = inherited.replace(TOKEN, "").replace(PATH, "")
        seen["notices"] = json.dumps([notice | {"path": ""} for notice in self.notices])
        return [where for where, text in seen.items() if any(secret in text for secret in SECRETS)]


def until(done: Callable[[], Any]) -> Any:
    """Waits until something is so; fails where it never is."""
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def told(notices: list[dict[str, Any]]) -> HTTPServer:
    """A service that takes notices."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notices.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *what: Any) -> None:
            """Nothing."""

    return HTTPServer(("127.0.0.1", 0), Taking)


@contextmanager
def running(folder: Path, debug: bool = False, **more: str) -> Iterator[Session]:
    """A session. more: of its environment."""
    began = time.time_ns()
    market = PracticeMarket(PRICES)

    def now() -> int:
        return (began + (time.time_ns() - began) * SPEED) // 1_000_000

    account = PracticeAccount(MarketTape(market), now, key=KEY, secret=SECRET)
    notices: list[dict[str, Any]] = []
    service = told(notices)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    with PracticeExchange(market, now=now, account=account, pace=0.02).serving() as address:
        made = Session(folder, address, began, notices, service.server_port, debug, **more)
        try:
            yield made
        finally:
            made.stream.kill()
            service.shutdown()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with running(tmp_path_factory.mktemp("session")) as made:
        yield made


def test_a_session_with_its_page_notices_log_and_recording(session: Session) -> None:
    # the page
    until(lambda: session.bars() > 905)
    assert json.loads(session.get("/health"))["alive"]
    metrics = session.get("/metrics")
    assert "stratoquant_up 1.0" in metrics and 'stratoquant_stream_up{stream="trades"} 1.0' in metrics
    assert "<html" in session.get("/")
    with urlopen(f"{session.page}/events", timeout=10) as events:
        first, news = (json.loads(line.removeprefix(b"data: ")) for line in _lines(events, 2))
    assert first["whole"] and not news["whole"] and news["bars"] >= first["bars"]
    # its buttons
    assert [session.post("HALT", token) for token in ("", "wrong")] == [401, 401]
    assert (session.folder / "commands.txt").read_text(encoding="utf-8") == ""
    assert session.post("BUY", TOKEN) == 400 and session.post("HALT", TOKEN) == 200
    assert (session.folder / "commands.txt").read_text(encoding="utf-8") == "HALT\n"
    until(lambda: "OPERATOR_HALT" in session.state()["now"]["kill_reasons"])
    # notices
    until(lambda: any("kill switch" in notice["title"] and "state" in notice["message"] for notice in session.notices))
    assert {notice["path"] for notice in session.notices} == {f"/{PATH}"}
    # the log, as it goes on
    log = subprocess.Popen(
        session.command(["--project", str(session.folder / "desk"), "logs", str(session.out), "--follow", "--json"]),
        env=session.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert log.stdout is not None
    seen = [json.loads(log.stdout.readline()) for _ in range(5)]
    assert all(line["event"] and line["time"] for line in seen)
    # no file, page, notice or argument of a process names a key
    assert secrets_in(session.folder) == [] and session.unsafe() == []
    # the page is killed, and the stream goes on
    page = subprocess.run(["pgrep", "-P", str(session.stream.pid)], capture_output=True, text=True).stdout.split()
    assert len(page) == 1
    os.kill(int(page[0]), signal.SIGKILL)
    journal = session.out.with_name("out.partial") / "journal"
    size = _size(journal)
    until(lambda: _size(journal) > size + 20_000)
    session.stream.send_signal(signal.SIGTERM)
    assert session.stream.wait(120) == 0, "".join(session.said[-20:])
    assert log.wait(60) == 0, "it ends with the stream"
    assert secrets_in(session.folder) == [] and not [s for s in SECRETS if s in "".join(session.said)]


def test_what_was_decided_is_what_its_journal_and_its_recording_say(session: Session) -> None:
    """The page was killed meanwhile: the journal, run again without one, comes to the states that it holds; and the recording
    has the same bars."""
    session.run(["--project", str(session.folder / "desk"), "replay", str(session.out)])
    again = session.folder / "again"
    run_stream(RunRequest(frames=session.folder / "frames", out=again, overrides=EARLY, report=False))
    bars = [
        open_run(out).value("data", "l0_market_feed", Market).bars._asdict() | {"time": open_run(out).times()}
        for out in (session.out, again)
    ]
    common = np.isin(bars[0]["time"], bars[1]["time"]), np.isin(bars[1]["time"], bars[0]["time"])
    assert common[0].sum() > 904
    for name in bars[0]:
        np.testing.assert_array_equal(bars[0][name][common[0]], bars[1][name][common[1]], err_msg=name)


@pytest.mark.parametrize("debug", [False, True])
def test_a_crash_in_the_exchange_s_code_names_no_key(debug: bool, tmp_path: Path) -> None:
    with running(tmp_path, debug, BEFORE=FAULT) as session:
        assert session.stream.wait(PATIENCE) == 1
        until(lambda: "a fault of ours" in "".join(session.said))
        said = "".join(session.said)
        assert ("Traceback" in said) is debug and ("RuntimeError" in said)
        assert secrets_in(tmp_path) == [] and not [secret for secret in SECRETS if secret in said]
        assert (tmp_path / "out.partial").is_dir(), "what --resume goes on from"


def _lines(events: Any, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        line = events.readline()
        found += [line] if line.startswith(b"data: ") else []
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def secrets_in(folder: Path) -> list[str]:
    """Files in which a secret stands."""
    secrets = [text.encode() for text in SECRETS]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(text in path.read_bytes() for text in secrets)]
