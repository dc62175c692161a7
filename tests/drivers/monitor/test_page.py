"""The live page of a stream: what it shows is what the run recorded; who may send commands; metrics; notices; the heartbeat."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from dataflows.execution.types import Mirror
from drivers.engine.chunk import Chunk
from drivers.feeds.base import Quiet
from drivers.monitor.heartbeat import Heartbeat, is_alive, read_heartbeat
from drivers.monitor.notices import NoticeError, NoticeRules, Notices, apprise_of, read_notices
from drivers.monitor.server import Page, PageRefusal, append
from drivers.monitor.state import LiveState
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.run.watch import Earlier, Follower, said_by
from drivers.runlog.lines import Event
from drivers.store.reader import open_run
from tests.browser import PHONE
from tests.drivers.report.conftest import EARLY as BELIEVING
from tests.drivers.small_market import EARLY, folder

MIDNIGHT = pd.Timestamp("2024-03-05", tz="UTC").value
TOKEN = "sixteen letters."
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a stream of seven hours over midnight, with its journal in two segments."""
    place = tmp_path_factory.mktemp("streamed")
    commands = place / "commands.txt"
    commands.write_text("2024-03-05T03:20 HALT\n2024-03-05T03:40 RELEASE\n", encoding="utf-8")
    out = place / "out"
    run_stream(
        RunRequest(data=folder(place / "data"), out=out, overrides=(*EARLY, *BELIEVING), report=False, operator_file=commands)
    )
    return out


@pytest.fixture(scope="module")
def state(streamed: Path) -> LiveState:
    """What the page knows of it, from the last segment of the journal alone."""
    follower = Follower(streamed, None)
    follower.start()
    end = time.monotonic() + 900  # a machine that is busy
    bars = int((open_run(streamed).times() > MIDNIGHT).sum())
    while follower.failed is None and (follower.state is None or follower.state.bars < bars):
        assert time.monotonic() < end
        time.sleep(0.05)
    follower.close()
    assert follower.failed is None and follower.state is not None
    return follower.state


def test_the_page_shows_what_the_run_recorded(streamed: Path, state: LiveState) -> None:
    whole = state.whole()
    every = pd.read_parquet(streamed / "fills.parquet")
    every["quantity"] = every.quantity.where(every.side.str.lower() == "buy", -every.quantity)
    fills = every[every.timestamp > pd.Timestamp(MIDNIGHT, tz="UTC")]
    assert len(fills) > 4 and whole["counts"]["fill"] == len(fills)
    shown = [mark for marks in whole["marks"].values() for mark in marks]
    assert sorted(mark["quantity"] for mark in shown) == sorted(fills.quantity)
    for mark in whole["marks"]["AAA"]:
        row = fills[(fills.symbol == "AAA") & (fills.price == mark["price"]) & (fills.quantity == mark["quantity"])]
        assert mark["time"] == row.timestamp.iloc[0].ceil("min").timestamp() - 60
    run = open_run(streamed)
    equity = run.value("execution", "l99_pine_mirror", Mirror).equity[run.times() > MIDNIGHT]
    assert [value for _, value in whole["equity"]] == equity.tolist()
    bars = pd.read_parquet(streamed.parent / "data" / "bars.parquet")
    mine = bars[bars.symbol == "AAA"].set_index("timestamp")
    for at, _, _, _, close, *_ in whole["candles"]["AAA"]:
        opens = pd.Timestamp(at, unit="s", tz="UTC")
        assert close == (mine.close[opens] if opens in mine.index else None)
    levels = [
        (entry["state"], "OPERATOR_HALT" in entry["reasons"]) for entry in whole["log"] if entry["event"] == "kill_switch"
    ]
    assert ("HALT", True) in levels, "the operator's word between two bars is seen"
    status = whole["now"]
    assert status["equity"] == whole["equity"][-1][1] and [p["symbol"] for p in status["positions"]] == ["AAA", "BBB"]
    held = every.groupby("symbol").quantity.sum()
    assert [p["position"] for p in status["positions"]] == pytest.approx([held.get("AAA", 0), held.get("BBB", 0)], abs=1e-9)


def test_news_are_the_bars_that_a_page_has_not(state: LiveState) -> None:
    whole = state.whole()
    news = state.news(state.bars - 7)
    assert news["candles"]["BBB"] == whole["candles"]["BBB"][-7:] and news["equity"] == whole["equity"][-7:]
    assert state.news(state.bars)["equity"] == [] and len(state.news(0)["equity"]) == len(whole["equity"])


def test_earlier_days_are_run_again_from_the_journal(streamed: Path, state: LiveState, tmp_path: Path) -> None:
    earlier = Earlier(streamed, None)
    assert earlier.days() == [{"name": "000001", "begins": 0}] and Earlier(tmp_path, None).days() == []

    async def steps(client: Any) -> tuple[Any, Any, int]:
        found = [await client.get(path) for path in ("/days", "/day?name=000001", "/day?name=000002")]
        return await found[0].json(), await found[1].json(), found[2].status

    days, day, none = asked(page(state, tmp_path, days=earlier.days, day=earlier.read), steps)
    run = open_run(streamed)
    before = run.times() <= MIDNIGHT
    assert days == earlier.days() and none == 404, "the last segment is what the page follows"
    assert [value for _, value in day["equity"]] == run.value("execution", "l99_pine_mirror", Mirror).equity[before].tolist()
    fills = pd.read_parquet(streamed / "fills.parquet")
    marks = sum(len(marks) for marks in day["marks"].values())
    assert marks == day["counts"]["fill"] == (fills.timestamp <= pd.Timestamp(MIDNIGHT, tz="UTC")).sum()


def test_what_comes_with_most_bars_pushes_nothing_else_off_the_list(state: LiveState) -> None:
    shown = state.whole()["log"]
    minor = [entry for entry in shown if entry["event"] in ("refusal", "regime_change")]
    assert len(minor) == 100 and len(shown) == 200 and state.counts["refusal"] > 100
    assert [entry["at"] for entry in shown] == sorted(entry["at"] for entry in shown)


def page(state: LiveState | None, place: Path, **more: Any) -> Page:
    given = {"token": TOKEN, "operator": place / "commands.txt", **more}
    return Page("run", place, lambda: state, said_by, **given)


def asked(what: Page, steps: Callable[[TestClient[Any, Any]], Any]) -> Any:
    async def run() -> Any:
        async with TestClient(TestServer(what.app())) as client:
            return await steps(client)

    return asyncio.run(run())


AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


def test_commands_are_appended_for_the_token_alone(state: LiveState, tmp_path: Path) -> None:
    (tmp_path / "commands.txt").write_text("2024-03-04T22:00 HALT\n# half", encoding="utf-8")

    async def steps(client: Any) -> list[tuple[int, str]]:
        found = []
        for text, headers in (
            ("HALT", {}), ("HALT", {"Authorization": "Bearer wrong"}), ("SELL", AUTHORISED), ("CASH_FLOW 5000", AUTHORISED),
            ("FLATTEN ZZZ", AUTHORISED), ("HALT\n2030-01-01T00:00 RELEASE", AUTHORISED), ("HALT", AUTHORISED),
            ("FLATTEN  BBB", AUTHORISED), ("RELEASE", AUTHORISED),
        ):  # fmt: skip
            answer = await client.post("/command", data=text, headers=headers)
            found.append((answer.status, (await answer.json())["result"]))
        return found

    found = asked(page(state, tmp_path), steps)
    assert [status for status, _ in found] == [401, 401, 400, 400, 400, 400, 200, 200, 200]
    assert "ZZZ is not a symbol" in found[4][1] and found[-1][1] == "RELEASE is sent"
    lines = (tmp_path / "commands.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["2024-03-04T22:00 HALT", "# half", "HALT", "FLATTEN BBB", "RELEASE"]


@pytest.mark.parametrize(("given", "said"), [
    ({"token": None}, (403, "STRATOQUANT_PAGE_TOKEN")), ({"operator": None}, (409, "--operator FILE")),
])  # fmt: skip
def test_without_token_or_file_there_are_no_commands(
    state: LiveState, tmp_path: Path, given: dict[str, Any], said: tuple[int, str]
) -> None:
    async def steps(client: Any) -> tuple[int, str, str]:
        answer = await client.post("/command", data="HALT", headers=AUTHORISED)
        return answer.status, (await answer.json())["result"], await (await client.get("/")).text()

    status, words, html = asked(page(state, tmp_path, **given), steps)
    assert status == said[0] and said[1] in words and '"buttons":false' in html
    assert not (tmp_path / "commands.txt").exists()


def test_a_public_page_needs_the_token_for_everything(state: LiveState, tmp_path: Path) -> None:
    with pytest.raises(PageRefusal, match="needs a token"):
        page(state, tmp_path, token=None, public=True)
    with pytest.raises(PageRefusal, match="16 or more"):
        page(state, tmp_path, token="short")

    async def steps(client: Any) -> list[int]:
        bare = [(await client.get(path)).status for path in ("/", "/state", "/metrics", "/events")]
        return [*bare, *[(await client.get(path, headers=AUTHORISED)).status for path in ("/state", "/metrics")]]

    assert asked(page(state, tmp_path, public=True), steps) == [200, 401, 401, 401, 200, 200]


def test_a_foreign_name_that_leads_here_is_refused(state: LiveState, tmp_path: Path) -> None:
    async def steps(client: Any) -> list[int]:
        return [(await client.get("/state", headers={"Host": host})).status for host in ("evil.example:8765", "localhost:8765")]

    assert asked(page(state, tmp_path), steps) == [403, 200]


def test_events_bring_the_whole_and_then_the_news(state: LiveState, tmp_path: Path) -> None:
    async def steps(client: Any) -> list[dict[str, Any]]:
        found = []
        async with client.get("/events") as answer:
            assert answer.content_type == "text/event-stream"
            for _ in range(2):
                text = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 5)
                found.append(json.loads(text.removeprefix(b"data: ")))
                with state.lock:
                    state.version += 1
        return found

    first, second = asked(page(state, tmp_path), steps)
    assert first["whole"] and not second["whole"] and first["now"] == second["now"]
    assert len(first["candles"]["AAA"]) == state.bars and second["candles"]["AAA"] == []


class Feed:
    """A feed that is well, but for one stream."""

    def health(self) -> dict[str, Any]:
        up = {"up": True, "heard": None, "reconnects": 2}
        return {"skew_ms": -12.0, "delay_ms": 80.0, "missing_bars": 3, "streams": {"trades": up, "book": {**up, "up": False}}}


def test_the_heartbeat_says_how_long_bars_take_and_when_it_stops(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path, Feed())
    chunk = Chunk(np.array([1]), {})
    for item in heart.watched([Quiet(0), chunk, chunk]):
        time.sleep(0.002 if isinstance(item, Chunk) else 0.0)
    heart._next = 0.0
    heart.beat()
    beat = read_heartbeat(tmp_path)
    assert beat["bar_ms"]["median"] >= 2.0 and beat["feed"]["missing_bars"] == 3 and is_alive(beat)
    assert not is_alive({**beat, "time": beat["time"] - 11 * 10**9}) and not is_alive({})
    heart.end()
    assert read_heartbeat(tmp_path) == {}
    Heartbeat(tmp_path / "gone", Feed()).beat()  # a page that cannot be told is no matter of the stream


def test_metrics_are_those_of_the_state(state: LiveState, tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path, Feed())
    heart.beat()

    async def steps(client: Any) -> tuple[str, int]:
        return await (await client.get("/metrics")).text(), (await client.get("/health")).status

    text, alive = asked(page(state, tmp_path), steps)
    found = {(s.name, *s.labels.values()): s.value for family in text_string_to_metric_families(text) for s in family.samples}
    status = state.now()
    assert alive == 200 and found["stratoquant_up",] == 1.0
    assert found["stratoquant_equity",] == pytest.approx(status["equity"])
    assert found["stratoquant_position", "AAA"] == pytest.approx(status["positions"][0]["position"])
    assert found["stratoquant_events_total", "fill"] == state.counts["fill"] and found["stratoquant_bars_total",] == state.bars
    assert found["stratoquant_stream_up", "book"] == 0.0 and found["stratoquant_feed_delay_seconds",] == pytest.approx(0.08)
    heart.end()
    _, dead = asked(page(state, tmp_path), steps)
    assert dead == 503
    dashboard = (DOCS / "how-to" / "grafana.json").read_text(encoding="utf-8")
    queries = [target["expr"] for panel in json.loads(dashboard)["panels"] for target in panel["targets"]]
    named = {name for name, *_ in found}
    import re

    asked_for = {word for query in queries for word in re.findall(r"stratoquant_\w+", query)}
    quantiles = {f"stratoquant_bar_seconds_{q}" for q in ("median", "p99")}
    counted = {"stratoquant_feed_late_total", "stratoquant_feed_differing_total", "stratoquant_feed_gaps_total"}
    assert len(asked_for) > 10 and asked_for <= named | quantiles | counted


@pytest.fixture
def rules(tmp_path: Path) -> NoticeRules:
    path = tmp_path / "notices.yml"
    path.write_text("urls_from: MY_NOTICES\nevents: [fill, feed]\n", encoding="utf-8")
    return read_notices(path)


def test_notices_are_sent_in_order_and_what_cannot_be_is_counted(rules: NoticeRules) -> None:
    sent: list[tuple[str, str]] = []

    def send(title: str, body: str) -> bool:
        if "AAA-2" in body:
            raise OSError("the service is away")
        sent.append((title, body))
        return "AAA-3" not in body

    notices = Notices("paper", rules, send)
    fills = [Event(10**18 + n, "fill", {"layer": "L90", "order": f"AAA-{n}", "quantity": 0.5}) for n in (1, 2, 3)]
    notices.of([*fills, Event(10**18, "entry", {"symbol": "AAA"})])
    notices.feed({"streams": {"trades": {"up": True}}})
    notices.feed({"streams": {"trades": {"up": False}}})
    notices.feed({"streams": {"trades": {"up": False}}})
    notices.feed({"streams": {"trades": {"up": True}}})
    notices.close()
    assert [body.partition("Z ")[2] or body for _, body in sent] == [
        "order AAA-1 quantity 0.5", "order AAA-3 quantity 0.5", "the trades stream has ended", "the trades stream is back",
    ]  # fmt: skip
    assert (notices.sent, notices.lost) == (3, 2) and sent[0][0] == "paper: fill"


def test_a_file_of_notices_names_what_is_wrong(tmp_path: Path, rules: NoticeRules, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bad.yml"
    for values, words in (
        ({"events": ["fill"]}, "urls_from"), ({"urls_from": "X", "events": ["fil"]}, "'fil'"), ({"urls_from": "X", "more": 1}, "more"),
    ):  # fmt: skip
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        with pytest.raises(NoticeError, match=words):
            read_notices(path)
    monkeypatch.delenv("MY_NOTICES", raising=False)
    with pytest.raises(NoticeError, match="MY_NOTICES is empty"):
        apprise_of(rules)
    monkeypatch.setenv("MY_NOTICES", "nonsense://secret")
    with pytest.raises(NoticeError, match="URL 1 of MY_NOTICES") as refused:
        apprise_of(rules)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("MY_NOTICES", "json://127.0.0.1:9/x")
    assert apprise_of(rules)("title", "body") is False, "nobody is there"


def test_a_line_is_appended_whole(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    for line in ("HALT", "RELEASE"):
        append(path, line)
    assert path.read_text(encoding="utf-8") == "HALT\nRELEASE\n" and path.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def served(state: LiveState, tmp_path: Path) -> Iterator[str]:
    import threading

    from aiohttp import web

    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []
    Heartbeat(tmp_path, Feed()).beat()

    async def start() -> None:
        of_days = {"days": lambda: [{"name": "000001", "begins": 0}], "day": lambda name: {**state.whole(), "log": []}}
        runner = web.AppRunner(page(state, tmp_path, **of_days).app(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(runner.addresses[0][1])
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(start()), loop.run_forever()), daemon=True)
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{address[0]}/"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser_on_a_phone(browser: Any, served: str, state: LiveState, tmp_path: Path, dark: bool) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark" if dark else "light")
    tab = context.new_page()
    faults: list[str] = []
    tab.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(served)
    tab.locator("#log tbody tr").nth(3).wait_for()
    assert tab.inner_text("#equity") == f"{state.now()['equity']:,.2f}"
    assert tab.inner_text("#feed") == "1 of 2 down" and tab.inner_text("#beat") == "live"
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"], "nothing sticks out"
    assert tab.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert tab.locator("#chart canvas").count() > 0 and tab.locator("#positions tbody tr").count() == 2
    few = tab.locator("#log tbody tr").count()
    tab.check("#minor")
    assert tab.locator("#log tbody tr").count() > few, "refusals are shown when they are asked for"
    tab.select_option("#days", "000001")
    tab.get_by_text("nothing yet").wait_for()
    tab.select_option("#days", "")
    tab.locator("#log tbody tr").nth(3).wait_for()
    answers = iter([None, TOKEN])
    tab.on("dialog", lambda dialog: dialog.accept(next(answers) or ""))
    tab.click("[data-command=HALT]")
    tab.get_by_text("HALT is sent").wait_for()
    assert (tmp_path / "commands.txt").read_text(encoding="utf-8") == "HALT\n"
    context.close()
    assert not faults, faults
