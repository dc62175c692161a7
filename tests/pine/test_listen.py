"""`pine listen`: messages, hostile ones too; comparison, silence and repetition; a stream that is followed as it runs."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.execution.types import Mirror
from drivers.pine.message import MOST, Message, MessageError, read_message
from drivers.pine.render import MIRROR
from drivers.pine.server import serve
from drivers.pine.settings import default_settings, settings_of
from drivers.pine.watch import Following, Recording, Said, Watch
from drivers.run.follow import follow
from drivers.run.listen import listen
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.reader import open_run
from drivers.text.addresses import AddressError, address_of
from tests.drivers.small_market import EARLY, folder
from tests.pine.cases import Case
from tests.pine.runtimes import pynecore

TOKEN = "sixteen letters."
SETTINGS = default_settings()


def body(**over: Any) -> bytes:
    given = {
        "sq": 1, "token": TOKEN, "symbol": "A", "t": 6_000, "m": SETTINGS.model, "side": 1, "regime": 2, "z": 1_500_000,
        "atr": 2_000_000, "tick": "0.01",
    }  # fmt: skip
    return json.dumps({**given, **over}).encode()


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **fields: Any) -> None:
        self.lines.append((name, fields))

    warning = event

    def names(self) -> list[str]:
        return [name for name, _ in self.lines]


class Fixed:
    """A source that says the same of bars 6000 to 6600, but knows no bar at 6300."""

    symbols = ("A", "B")

    def __init__(self, until: int = 6_600) -> None:
        self.until = until

    def said(self, symbol: str, t: int) -> Said | None:
        return Said(1, 2, 1.5, 0.02, t != 6_300) if 6_000 <= t <= self.until else None


def watch(source: Any = None) -> tuple[Watch, Lines]:
    log = Lines()
    return Watch(source or Fixed(), SETTINGS, log, patience=100.0, now=0.0), log


def message(**over: Any) -> Message:
    return read_message(body(**over), TOKEN)


def test_a_message_is_read() -> None:
    assert message() == Message("A", 6_000, SETTINGS.model, 1, 2, 1.5, pytest.approx(0.02), pytest.approx(1e-8))


@pytest.mark.parametrize(
    "over",
    [
        {"sq": 2}, {"side": 2}, {"side": True}, {"side": 1.0}, {"regime": -2}, {"z": "1"}, {"z": 10**13}, {"t": -1},
        {"symbol": ""}, {"symbol": "x" * 65}, {"symbol": 1}, {"tick": 0.01}, {"tick": "0"}, {"tick": "nan"}, {"tick": "inf"},
        {"extra": 1},
    ],
)  # fmt: skip
def test_a_message_that_is_none_is_refused(over: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        message(**over)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode), st.just(b"[" * 2_000)))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        read_message(raw, TOKEN)


@pytest.mark.parametrize("token", ["", "sixteen letters", "sixteen letters.x", "é", None, 7])
def test_another_token_is_refused_before_anything_else_is_read(token: Any) -> None:
    with pytest.raises(PermissionError):
        read_message(body(token=token, side=99), TOKEN)


def test_what_agrees_is_said_once_and_what_differs_each_time() -> None:
    seen, log = watch()
    assert [seen.take(message(t=t), 1.0) for t in (6_000, 6_060)] == ["agree", "agree"]
    assert seen.take(message(t=6_120, side=-1, regime=0, z=1_500_003, atr=2_000_003), 2.0) == "mismatch"
    assert seen.take(message(t=6_180, z=1_500_002, atr=2_000_002), 2.0) == "agree"
    assert log.names() == ["chart_agrees", "chart_mismatch", "chart_agrees"]
    wrong = log.lines[1][1]["chart_then_python"]
    assert set(wrong) == {"side", "regime", "trend_z", "atr"}
    assert wrong["regime"] == ["CALM", "TREND_DOWN"]
    assert log.lines[1][1]["time"] == "1970-01-01T01:43:00Z"


def test_other_settings_and_a_bar_that_is_not_the_run_s_are_told() -> None:
    seen, log = watch()
    assert seen.take(message(m=1), 1.0) == "mismatch"
    assert seen.take(message(t=6_300), 1.0) == "mismatch"
    assert log.lines[0][1]["chart_then_python"] == {"settings": [1, SETTINGS.model]}
    assert "bar" in log.lines[-1][1]["chart_then_python"]


def test_a_message_that_comes_again_changes_nothing() -> None:
    seen, log = watch()
    seen.take(message(), 1.0)
    before = list(log.lines)
    assert seen.take(message(side=-1), 2.0) == "again"
    assert log.lines == before


def test_silence_is_a_fault_once_until_a_message_comes() -> None:
    seen, log = watch()
    for now in (1.0, 99.0, 101.0, 150.0):
        seen.due(now)
    assert log.names() == ["chart_silent"]
    seen.take(message(), 200.0)
    for now in (250.0, 301.0, 400.0):
        seen.due(now)
    assert log.names() == ["chart_silent", "chart_agrees", "chart_silent"]
    seen.take(message(t=6_060), 500.0)
    seen.due(601.0)
    assert log.names()[-2:] == ["chart_agrees", "chart_silent"]


def test_bars_whose_message_was_lost_are_counted_but_for_those_that_no_chart_has() -> None:
    seen, log = watch()
    seen.take(message(), 1.0)
    seen.take(message(t=6_360), 2.0)
    assert log.lines[1] == (
        "chart_silent",
        {"layer": "L99", "symbol": "A", "time": "1970-01-01T01:41:00Z", "why": "4 bars without a message"},
    )


def test_a_message_waits_for_the_engine_but_not_for_ever() -> None:
    source = Fixed(until=6_000)
    seen, log = watch(source)
    assert seen.take(message(t=6_060), 1.0) == "waits"
    seen.due(2.0)
    source.until = 6_600
    seen.due(3.0)
    assert seen.counts["agree"] == 1
    source.until = 6_060
    assert seen.take(message(t=6_120), 4.0) == "waits"
    seen.take(message(symbol="B"), 104.5)
    seen.due(104.5)
    assert "chart_ahead" in log.names()


@pytest.mark.parametrize(
    ("text", "public", "found"),
    [
        ("127.0.0.1:80", False, ("127.0.0.1", 80)),
        ("[::1]:8099", False, ("::1", 8099)),
        ("localhost:0", False, ("localhost", 0)),
        ("0.0.0.0:80", True, ("0.0.0.0", 80)),
        ("0.0.0.0:80", False, "other machines"),
        ("192.168.1.2:80", False, "other machines"),
        ("example.com:80", True, "no address"),
        ("8099", False, "no address"),
        ("127.0.0.1:70000", False, "0 to 65535"),
    ],
)
def test_an_address_is_this_machine_s_alone_unless_public(text: str, public: bool, found: Any) -> None:
    if isinstance(found, tuple):
        assert address_of(text, public=public) == found
    else:
        with pytest.raises(AddressError, match=found):
            address_of(text, public=public)


def post(port: int, data: bytes, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=data, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())["result"]
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["result"]


def test_the_server_takes_what_is_right_and_names_what_is_wrong() -> None:
    seen, _ = watch()
    refused: list[tuple[str, str]] = []
    with serve(("127.0.0.1", 0), seen, TOKEN, lambda *why: refused.append(why)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])
        assert post(port, body()) == (200, "agree")
        assert post(port, body(token="another one here"))[0] == 401
        assert post(port, b"{}")[0] == 400
        assert post(port, body(symbol="C"))[0] == 400
        assert post(port, b"x" * (MOST + 1))[0] == 413
        server.shutdown()
    assert len(refused) == 4
    assert not any(TOKEN in why or "another one" in why for _, why in refused)
    assert seen.counts["agree"] == 1


def test_the_alerts_that_a_chart_sends_agree_with_the_run(sample: Case, drawn: Any) -> None:
    alerts = drawn(pynecore, sample, MIRROR).alerts
    log = Lines()
    seen = Watch(Recording(sample.run), sample.exported().settings, log, 100.0, 0.0)
    for text in alerts:
        assert seen.take(read_message(text.encode(), ""), 1.0) == "agree"
    assert seen.counts == {"agree": 600, "mismatch": 0, "silent": 0, "ahead": 0, "again": 0}
    assert log.names() == ["chart_agrees"]


def test_listening_writes_to_the_log_of_the_run(sample: Case, drawn: Any) -> None:
    alerts = [json.loads(text) for text in drawn(pynecore, sample, MIRROR).alerts[-3:]]
    told: list[str] = []
    stop = threading.Event()
    counts: list[dict[str, int]] = []

    def run() -> None:
        counts.append(
            listen(
                sample.run.folder, ("127.0.0.1", 0), TOKEN, patience=1.0, project=None, tell=told.append, stopped=stop.is_set
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: bool(told))
    port = int(told[0].split(" for ")[0].rpartition(":")[2])
    right, wrong = ({**alerts[i], "token": TOKEN} for i in (0, 1))
    wrong["regime"] = (wrong["regime"] + 1) % 5
    assert [post(port, json.dumps(each).encode())[1] for each in (right, wrong)] == ["agree", "mismatch"]
    assert post(port, json.dumps({**right, "token": "wrong"}).encode())[0] == 401
    until(lambda: any(line.startswith("chart silent") for line in told))
    stop.set()
    thread.join(timeout=20)
    lines = [json.loads(line) for line in (sample.run.folder / "log.jsonl").read_text().splitlines()]
    found = [line["event"] for line in lines if line["event"].startswith("chart_")]
    assert found == ["chart_agrees", "chart_mismatch", "chart_refused", "chart_silent"]
    assert counts == [{"agree": 1, "mismatch": 1, "silent": 1, "ahead": 0, "again": 0}]
    assert TOKEN not in (sample.run.folder / "log.jsonl").read_text()


def until(true: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a stream over two days, with its journal in two segments."""
    place = tmp_path_factory.mktemp("streamed")
    out = place / "out"
    run_stream(RunRequest(data=folder(place / "data", 200), out=out, overrides=EARLY, report=False))
    return out


def test_a_stream_is_followed_as_its_journal_grows(streamed: Path, tmp_path: Path) -> None:
    """Half of a segment first, torn in the middle of a record; the rest and the next day's segment later. The bits are the run's."""
    out = streamed
    first, second = sorted((out / "journal").glob("*.journal"))
    whole = first.read_bytes()
    growing = tmp_path / "growing" / "journal"
    growing.mkdir(parents=True)
    (growing / first.name).write_bytes(whole[: len(whole) * 2 // 3])
    run = open_run(out)
    source, bars = Following(run.symbols, 60), []
    looks = 0

    def take(engine: Any, outputs: Any) -> None:
        bars.extend(outputs.time.tolist())
        source.take(outputs.time, outputs.values["l99_pine_mirror"])

    def wait() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert 0 < len(bars) < len(run.times())
            (growing / first.name).write_bytes(whole)
            (growing / second.name).write_bytes(second.read_bytes())

    follow(growing.parent, take, stopped=lambda: looks > 3, wait=wait)
    np.testing.assert_array_equal(bars, run.times())
    recorded = Recording(run)
    known = run.value("execution", "l99_pine_mirror", Mirror)
    assert known.comparable.any()
    for t in run.times() // 10**9 - 60:
        for symbol in run.symbols:
            ours, theirs = source.said(symbol, int(t)), recorded.said(symbol, int(t))
            assert repr(ours) == repr(theirs)
    follow(tmp_path / "growing", take, stopped=lambda: True)


def test_a_chart_is_held_against_a_stream_that_goes_on(streamed: Path, tmp_path: Path) -> None:
    run = open_run(streamed)
    model = settings_of(run.about).model
    recorded, symbol = Recording(run), run.symbols[0]
    known = [(int(t) // 10**9 - 60, recorded.said(symbol, int(t) // 10**9 - 60)) for t in run.times()]
    t, said = next((t, said) for t, said in reversed(known) if said is not None and said.comparable)
    partial = tmp_path / "going.partial"
    (partial / "journal").mkdir(parents=True)
    for path in (streamed / "journal").glob("*.journal"):
        (partial / "journal" / path.name).write_bytes(path.read_bytes())
    told: list[str] = []
    stop = threading.Event()

    def listening() -> None:
        listen(tmp_path / "going", ("127.0.0.1", 0), TOKEN, patience=60.0, project=None, tell=told.append, stopped=stop.is_set)

    thread = threading.Thread(target=listening)
    thread.start()
    until(lambda: bool(told))
    port = int(told[0].split(" for ")[0].rpartition(":")[2])
    right = {"t": t, "m": model, "symbol": symbol, "side": said.side, "regime": said.regime}
    numbers = {"z": round(said.z * 1e6), "atr": round(said.atr / 0.01 * 1e6)}
    assert post(port, body(**right, **numbers))[1] in ("waits", "agree")
    assert post(port, body(**right | {"t": t - 60, "m": model + 1}, **numbers))[0] == 200
    until(lambda: {line.split(":")[0] for line in told} >= {"chart agrees", "chart mismatch"}, 60.0)
    stop.set()
    thread.join(timeout=20)
    assert "chart_agrees" in (partial / "log.jsonl").read_text()
