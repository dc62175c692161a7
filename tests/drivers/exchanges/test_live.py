"""A live market in virtual time: whole at the seam, whole after outages, the same bits as the batch of its journal."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dataflows.data.types import OPERATOR_HALT, OPERATOR_RELEASE
from dataflows.risk.types import KILL_OPERATOR_HALT
from dataflows.spans import MINUTES
from drivers.engine.chunk import Chunk
from drivers.exchanges.access import Exchange
from drivers.exchanges.fetch import FetchRequest, fetch
from drivers.exchanges.live import LiveFeed
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.market import MINUTE
from drivers.exchanges.practice.server import PracticeExchange
from drivers.feeds.base import Quiet
from drivers.feeds.dataset import open_dataset
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.live import warm_bars
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.exchanges.conftest import DAY, NOW
from tests.drivers.report.conftest import EARLY

MS = 1_000_000
Connect = Callable[..., Exchange]
SYMBOLS = ("ETH/USDT", "BTC/USDT")


class Time:
    """The exchange's clock, and ours, which goes a little wrong: ms."""

    def __init__(self, now: int) -> None:
        self.now = now

    def wait(self, seconds: float) -> None:
        self.now += max(1, int(seconds * 1_000))


@pytest.fixture
def at(practice: PracticeExchange) -> Time:
    moving = Time(NOW)
    practice.now = lambda: moving.now
    return moving


def live(
    connected: Connect, at: Time, folder: Path, minutes: int, faults: Faults | None = None, warm: int = 120, **more: Any
) -> tuple[LiveFeed, list[str]]:
    """A feed of `minutes` live bars after so many of history; and what it says."""
    exchange = connected()
    exchange.patience.sleep = at.wait
    begins = NOW * MS
    step = MINUTE * MS
    fetch(exchange, FetchRequest(SYMBOLS, begins - warm * step, begins, step, folder))
    said: list[str] = []
    end = NOW // MINUTE * step + minutes * step
    feed = LiveFeed(
        exchange, SYMBOLS, open_dataset(folder), begins, end, notify=said.append,
        time_ns=lambda: (at.now + 250) * MS, wait=lambda seconds: at.wait(max(seconds, 5.0)), **more,
    )  # fmt: skip
    return feed, said


def bars(feed: LiveFeed, after: int = 0) -> list[Chunk]:
    """What is delivered; every Quiet lies before the next close."""
    found: list[Chunk] = []
    for item in feed.deliver(after=after):
        if isinstance(item, Quiet):
            assert not found or item.until < found[-1].time[0] + feed.history.step
        else:
            assert isinstance(item, Chunk)
            found.append(item)
    return found


def closes(found: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.inputs["observations"].close for chunk in found])


def expected(practice: PracticeExchange, first: int, count: int) -> np.ndarray:
    """Closes of the practice market by candle, BTCUSDT and ETHUSDT."""
    rows = [
        [practice.market.candle(name, first + i * MINUTE, MINUTE, 2**60) for name in ("BTCUSDT", "ETHUSDT")]
        for i in range(count)
    ]
    return np.array([[row[4] for row in pair if row is not None] for pair in rows])


def test_history_and_live_bars_meet_without_a_gap_and_entries_are_barred_before(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path
) -> None:
    feed, said = live(connected, at, tmp_path / "m", 30)
    found = bars(feed)
    times = [int(chunk.time[0]) for chunk in found]
    assert times == list(range(times[0], times[0] + len(times) * MINUTE * MS, MINUTE * MS)) and len(found) == 150 - 1
    assert np.allclose(closes(found), expected(practice, times[0] // MS - MINUTE, len(found)), rtol=0, atol=1e-8)
    words = {i: (int(c.operator[0]), int(c.subject[0])) for i, c in enumerate(found) if c.operator is not None}
    seam = next(i for i, time in enumerate(times) if time > NOW * MS)
    assert words == {0: (OPERATOR_HALT, 0), seam: (OPERATOR_RELEASE, KILL_OPERATOR_HALT)}
    assert said == [] and abs(feed.skew + 250 * MS) <= 5 * MS


def test_waits_and_slow_answers_are_no_skew_and_a_clock_that_is_set_back_is_seen(
    connected: Connect, at: Time, tmp_path: Path
) -> None:
    feed, said = live(connected, at, tmp_path / "m", 5)
    client = feed.exchange.client
    asked, failing, slow = client.fetch_time, [0], [0.0]

    def fetch_time() -> int:
        if failing[0]:
            failing[0] -= 1
            at.wait(3.0)
            raise ccxt.RequestTimeout("x")
        at.wait(slow[0])
        theirs = int(asked())
        at.wait(slow[0])
        return theirs

    def skew_after(minutes: float) -> float:
        at.now += int(minutes * MINUTE)
        feed._now()
        return feed.skew / MS

    client.fetch_time = fetch_time
    assert skew_after(3) == pytest.approx(-250, abs=5)
    failing[0] = 3
    assert skew_after(3) == pytest.approx(-250, abs=5), "tries that failed took 9 s and more"
    slow[0] = 0.9
    assert skew_after(3) == pytest.approx(-250, abs=5), "by the middle of the request"
    client.fetch_time = lambda: (at.wait(4.0), int(asked()))[1]
    assert skew_after(3) == pytest.approx(-250, abs=5), "it could be wrong by 2 s, so it says nothing"
    client.fetch_time, ours = asked, feed.time_ns
    feed.time_ns = lambda: ours() - 3_600 * 1_000 * MS
    assert skew_after(0.2) == pytest.approx(3_600_000 - 250, abs=5)
    assert feed._now() == pytest.approx(at.now * MS, abs=5 * MS)
    assert said == []


@pytest.mark.parametrize("kind", ["429", "502", "html", "broken", "hang", "null"])
def test_whatever_the_exchange_answers_the_bars_are_the_same(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path, kind: str
) -> None:
    minutes = 5 if kind == "hang" else 12
    feed, _ = live(connected, at, tmp_path / "m", minutes)
    practice.faults = Faults(rate=0.5, kinds=(kind,), seed=5)
    feed.exchange.client.timeout = 400
    found = bars(feed)
    assert practice.faults.happened and len({int(c.time[0]) for c in found}) == len(found) == 119 + minutes
    assert np.allclose(closes(found), expected(practice, int(found[0].time[0]) // MS - MINUTE, len(found)), rtol=0, atol=1e-8)


def test_an_outage_leaves_missing_bars_which_are_counted_when_they_come_and_never_inserted(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path
) -> None:
    feed, said = live(connected, at, tmp_path / "m", 30)
    found: list[Chunk] = []
    for item in feed.deliver(after=int(feed.history.time[-1])):
        if isinstance(item, Chunk):
            found.append(item)
        minute = (at.now - NOW) // MINUTE
        practice.faults = Faults(rate=1.0, kinds=("502",), most=10**6) if 8 <= minute < 16 else Faults()
    close = closes(found)
    missing = np.isnan(close).all(axis=1)
    late = np.array([chunk.inputs["observations"].late[0, 0] for chunk in found])
    assert 3 <= missing.sum() <= 6 and len(found) == 30 and not np.isnan(close[~missing]).any()
    assert late.sum() == missing.sum() and late[np.flatnonzero(missing)[-1] + 1] == missing.sum()
    truth = expected(practice, int(found[0].time[0]) // MS - MINUTE, 30)
    assert np.allclose(close[~missing], truth[~missing], rtol=0, atol=1e-8)
    assert len(said) == 2 and "practice did not answer" in said[0] and "answers again" in said[1]
    lost = f"{missing.sum()} bars are missing, the others were fetched afterwards"
    assert feed.notes() == [f"practice did not answer {feed.outages} times; {lost}"]


def test_after_a_restart_the_bars_that_were_missed_come_first(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path
) -> None:
    feed, _ = live(connected, at, tmp_path / "m", 20)
    one = bars(feed)
    last = int(one[-8].time[0])
    at.now = int(one[-2].time[0]) // MS + 20_000  # the stream was away for six minutes
    again = bars(feed, after=last)
    assert [int(c.time[0]) for c in again] == [int(c.time[0]) for c in one[-7:]]
    assert np.array_equal(closes(again), closes(one[-7:])) and all(c.operator is None for c in again)


@pytest.mark.long  # test_streams.py has it with streams, which fall back to this
def test_a_live_session_as_a_batch_gives_the_same_bits(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path
) -> None:
    feed, _ = live(connected, at, tmp_path / "m", 90, warm=900)
    request = RunRequest(out=tmp_path / "live", venue="practice", live_from=NOW * MS, overrides=BELIEVING, report=False)
    quiet = Console(file=StringIO())
    run_stream(request, quiet, feed=feed)
    run_batch(RunRequest(data=tmp_path / "live", out=tmp_path / "batch", overrides=BELIEVING, report=False), quiet)
    fills = pd.read_parquet(tmp_path / "live" / "fills.parquet")
    assert len(fills) > 0 and (fills.timestamp > pd.Timestamp(NOW, unit="ms", tz="UTC")).all()
    for path in sorted((tmp_path / "live").rglob("*.parquet")):
        name = path.relative_to(tmp_path / "live")
        if name.parts[0] != "journal":
            pd.testing.assert_frame_equal(
                pd.read_parquet(path), pd.read_parquet(tmp_path / "batch" / name), check_exact=True, check_categorical=False
            )


BELIEVING = EARLY  # without a belief nothing is learned within the hours of this test


def test_funding_of_swaps_comes_once_with_the_bar_in_which_the_exchange_states_it(
    connected: Connect, practice: PracticeExchange, at: Time, tmp_path: Path
) -> None:
    """One payment is stated at once, one half a minute late, one request fails."""
    feed, _ = live(connected, at, tmp_path / "m", 130)
    hour = -(-NOW // 3_600_000) * 3_600_000
    failed: list[int] = []

    def history(symbol: str, since: int, limit: int) -> list[dict[str, Any]]:
        lag = 0 if symbol.startswith("BTC") else 30_000
        if at.now > hour + 3_600_000 and not failed:
            failed.append(at.now)
            raise ccxt.ExchangeError("busy")
        rates = [(hour + k * 3_600_000 + 7, (k + 1) * 1e-4) for k in range(3)]  # seven ms after the full hour
        return [{"timestamp": t, "fundingRate": rate} for t, rate in rates if since <= t <= at.now - lag]

    feed.exchange.client.fetch_funding_rate_history = history
    feed.exchange.rules = feed.exchange.rules.model_copy(update={"market": "swap", "kind": "perpetual"})
    found = bars(feed, after=int(feed.history.time[-1]))
    rate = np.concatenate([chunk.inputs["observations"].funding_rate for chunk in found])
    assert rate.sum(axis=0) == pytest.approx([3e-4, 3e-4]) and np.count_nonzero(rate) == 4 and failed
    minutes = [int(found[t].time[0]) // MS - hour for t, _ in np.argwhere(rate)]
    assert all(0 < m % 3_600_000 <= 3 * MINUTE for m in minutes), "in the bar after the full hour, or in those after it"


def test_the_history_is_the_longest_window_or_two_of_the_longest_half_life() -> None:
    usual = load_configs(defaults(), (), None, MINUTES)
    assert warm_bars(usual, MINUTES) == max(2 * 14 * DAY // MINUTE, usual["fusion"].horizons[-1])
    longer = load_configs(defaults(), ("regime.usual_halflife_bars=30d",), None, MINUTES)
    assert warm_bars(longer, MINUTES) == 60 * DAY // MINUTE
