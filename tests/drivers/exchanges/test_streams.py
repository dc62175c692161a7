"""Market streams of the practice exchange through the real ccxt, in virtual time, with everything that may go wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dataflows.data.types import OPERATOR_HALT
from drivers.engine.chunk import Chunk
from drivers.exchanges.access import Exchange
from drivers.exchanges.fetch import FetchRequest, fetch
from drivers.exchanges.frames import Frame, FrameRecorder, read_frames
from drivers.exchanges.live import LiveFeed
from drivers.exchanges.played import played_feed, write_session
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.market import BOOK_EVERY, MINUTE, PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.exchanges.practice.streams import KINDS
from drivers.exchanges.streams import COMPARE_EVERY, Streams
from drivers.feeds.dataset import open_dataset
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.exchanges.conftest import NOW, PRICES, connecting
from tests.drivers.report.conftest import EARLY

MS = 1_000_000
STEP = MINUTE * MS
SYMBOLS = ("BTC/USDT", "ETH/USDT")
NAMES = ("BTCUSDT", "ETHUSDT")
Connect = Callable[..., Exchange]


class Session:
    """A live feed with streams, and the clock that both sides go by, ms. Ours is a little off."""

    def __init__(
        self, connected: Connect, practice: PracticeExchange, folder: Path, minutes: int, warm: int = 5, **more: Any
    ) -> None:
        self.practice, self.now, self.said = practice, NOW, []  # type: ignore[var-annotated]
        practice.now = lambda: self.now
        record = more.get("record")
        exchange = connected() if record is None else connected(through=lambda fetch: record.through(fetch, self.ours))
        exchange.patience.sleep = self.wait
        begins = NOW * MS
        with nullcontext() if record is None else record.apart():
            fetch(exchange, FetchRequest(SYMBOLS, begins - warm * STEP, begins, STEP, folder))
        self.streams = Streams(exchange, SYMBOLS, STEP, time_ns=self.ours, notify=self.said.append, **more)
        self.streams.chance.seed(1)
        self.streams.client.timeout = 400
        self.streams.client.enableRateLimit = False
        end = NOW // MINUTE * STEP + minutes * STEP
        self.feed = LiveFeed(
            exchange, SYMBOLS, open_dataset(folder), begins, end, notify=self.said.append, time_ns=self.ours, wait=self.wait,
            streams=self.streams, record=record,
        )  # fmt: skip

    def ours(self) -> int:
        return (self.now + 250) * MS

    def wait(self, seconds: float) -> None:
        left = MINUTE - self.now % MINUTE  # a look soon after each close
        self.now += left + 50 if left <= 2_000 else min(max(int(seconds * 1_000), 2_000), left - 1)
        self.practice.advance()
        assert self.streams.settled(60.0)

    def run(self, at_bar: Callable[[int], None] = lambda n: None) -> list[Chunk]:
        """The live bars."""
        found: list[Chunk] = []
        for item in self.feed.deliver(after=int(self.feed.history.time[-1])):
            if isinstance(item, Chunk):
                found.append(item)
                at_bar(len(found))
        return found


@pytest.fixture
def session(connected: Connect, practice: PracticeExchange, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    opened: list[Session] = []

    def begin(minutes: int, **more: Any) -> Session:
        opened.append(Session(connected, practice, tmp_path / "m", minutes, **more))
        return opened[-1]

    yield begin
    for each in opened:
        each.streams.close()


def panel(found: list[Chunk], name: str) -> np.ndarray:
    return np.concatenate([getattr(chunk.inputs["observations"], name) for chunk in found])


def truth(practice: PracticeExchange, found: list[Chunk]) -> np.ndarray:
    """(T, N, 7) candle and buys and trades of the practice market, computed from its trades here."""
    made = []
    for chunk in found:
        opens = int(chunk.time[0]) // MS - MINUTE
        rows = []
        for name in NAMES:
            t = practice.market.trades(name, (opens - 1_767_225_600_000) // MINUTE)
            bought = t.sold == 0
            rows.append([t.price[0], t.price.max(), t.price.min(), t.price[-1], t.size.sum(), t.size[bought].sum(), len(t.id)])
        made.append(rows)
    return np.array(made)


def same_prices(practice: PracticeExchange, found: list[Chunk]) -> None:
    expected = truth(practice, found)
    for k, name in enumerate(("open", "high", "low", "close", "volume")):
        np.testing.assert_allclose(panel(found, name), expected[:, :, k], rtol=0, atol=1e-6, err_msg=name)


def test_bars_are_made_of_trades_and_agree_with_the_candles(
    practice: PracticeExchange, session: Callable[..., Session]
) -> None:
    live = session(8)
    found = live.run()
    assert len(found) == 8 and (live.feed.streamed, live.feed.asked) == (8, 0)
    assert live.feed.refilled == 2, "the first bar was open when the streams began: its trades come by REST"
    same_prices(practice, found)
    expected = truth(practice, found)
    np.testing.assert_allclose(panel(found, "buy_volume"), expected[:, :, 5], atol=1e-9)
    assert np.array_equal(panel(found, "trade_count"), expected[:, :, 6])
    vwap = panel(found, "vwap")
    assert (vwap >= panel(found, "low")).all() and (vwap <= panel(found, "high")).all()
    assert vars(live.streams.desk.trade_counts) == dict.fromkeys(vars(live.streams.desk.trade_counts), 0)
    assert live.said == [] and live.feed.notes() == []


def test_books_are_those_of_the_exchange_as_of_each_close(practice: PracticeExchange, session: Callable[..., Session]) -> None:
    live = session(14)
    found = live.run()
    seen = [panel(found, name) for name in ("bid_price", "bid_size", "ask_price", "ask_size")]
    assert seen[0].shape == (14, 2, 10) and live.feed.depth == 10
    for t, chunk in enumerate(found):
        close = int(chunk.time[0]) // MS
        for n, name in enumerate(NAMES):
            book = practice.market.book(name, practice.market.book_number(close))
            for k, side in ((0, book.bids), (2, book.asks)):
                top = list(side.items())[:10]
                assert list(zip(seen[k][t, n], seen[k + 1][t, n])) == top
    assert np.isfinite(panel(found, "ofi")).all() and (panel(found, "book_age") == 0.0).all()
    assert MINUTE % BOOK_EVERY == 0, "an update falls on each close"
    assert COMPARE_EVERY == 600 * 10**9
    assert [book.compared for book in live.streams.desk.books] == [1, 1] and live.streams.desk.book_counts.wrong == 0


def flow(practice: PracticeExchange, name: str, close: int, level: int) -> float:
    """Order flow of one level over the updates of a minute, by the definition of Cont, Kukanov and Stoikov (2014)."""
    last = practice.market.book_number(close)
    total = 0.0
    for number in range(last - MINUTE // BOOK_EVERY + 1, last + 1):
        before, after = practice.market.book(name, number - 1), practice.market.book(name, number)
        (bp0, bq0), (ap0, aq0) = list(before.bids.items())[level], list(before.asks.items())[level]
        (bp, bq), (ap, aq) = list(after.bids.items())[level], list(after.asks.items())[level]
        total += bq * (bp >= bp0) - bq0 * (bp <= bp0) - aq * (ap <= ap0) + aq0 * (ap >= ap0)
    return total


def test_order_flow_is_that_of_every_update(practice: PracticeExchange, session: Callable[..., Session]) -> None:
    found = session(4).run()
    for t in (1, 2, 3):  # the first bar was open when it began
        close = int(found[t].time[0]) // MS
        for n, name in enumerate(NAMES):
            for level in (0, 4):
                assert panel(found, "ofi")[t, n, level] == pytest.approx(flow(practice, name, close, level), abs=1e-6)


def withstand(live: Session, kind: str, seed: int) -> None:
    """Eight minutes in which frames go wrong; and what must hold whatever they do."""
    practice = live.practice
    rate = {"drop": 0.01, "silence": 0.01, "malformed": 0.01, "null": 1.0}.get(kind, 0.05)
    practice.streams.faults = Faults(rate=rate, kinds=(kind,), seed=seed, most=10**9 if kind == "null" else 2)
    found = live.run()
    assert len(found) == 8
    same_prices(practice, found)
    expected = truth(practice, found)
    np.testing.assert_allclose(panel(found, "buy_volume"), expected[:, :, 5], atol=1e-9)
    assert np.array_equal(panel(found, "trade_count"), expected[:, :, 6]), "what a stream has missed comes by REST"
    prices, sizes = panel(found, "bid_price"), panel(found, "bid_size")
    for t, chunk in enumerate(found):
        for n, name in enumerate(NAMES):
            number = practice.market.book_number(int(chunk.time[0]) // MS)
            shown = [(p, q) for p, q in zip(prices[t, n], sizes[t, n]) if np.isfinite(p)]
            ages = panel(found, "book_age")[t, n]
            wanted = [list(practice.market.book(name, number - back).bids.items())[:10] for back in range(131)]
            assert shown == [] or shown in wanted[: 1 + round(ages * MINUTE / BOOK_EVERY)], (t, name)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_frames_do_by_many_seeds(kind: str, tmp_path: Path) -> None:
    happened = 0
    for seed in range(1, 201):
        practice = PracticeExchange(PracticeMarket(PRICES), now=lambda: NOW)
        with connecting(practice) as connected:
            live = Session(connected, practice, tmp_path / str(seed), 8)
            try:
                withstand(live, kind, seed)
            finally:
                live.streams.close()
        happened += len(practice.streams.faults.happened)
    assert happened > 200


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_frames_do_the_bars_are_right_and_the_books_right_or_unknown(
    practice: PracticeExchange, session: Callable[..., Session], kind: str
) -> None:
    live = session(8)
    withstand(live, kind, 3)
    assert practice.streams.faults.happened
    health = live.feed.health()
    if kind in ("drop", "silence", "malformed"):
        assert sum(s["reconnects"] for s in health["streams"].values()) > 0 and any("ended" in said for said in live.said)
    if kind in ("lost", "reorder", "late"):
        assert health["gaps"] > 0 and health["lost"] > 0
    if kind == "duplicate":
        assert health["repeated"] > 0 and health["refilled_bars"] == 2
    if kind == "null":
        assert health["impossible"] > 0
    if kind == "malformed":
        assert health["malformed"] > 0


def test_what_an_outage_of_everything_kept_back_comes_in_order(
    practice: PracticeExchange, session: Callable[..., Session]
) -> None:
    live = session(10)

    def cut(bars: int) -> None:
        if bars == 3:  # REST and streams are away for two and a half minutes
            cut.until = live.now + 150_000  # type: ignore[attr-defined]
            practice.streams.refused = True
            for socket in practice.streams.sockets:
                socket.silent = True
            practice.faults = Faults(rate=1.0, kinds=("502",), most=10**9)

    def mend(ms: int) -> None:
        if ms >= getattr(cut, "until", 10**18):
            practice.streams.refused, practice.faults = False, Faults()

    practice.on_advance.append(mend)
    found = live.run(cut)
    assert [int(c.time[0]) for c in found] == list(range(int(found[0].time[0]), int(found[0].time[0]) + 10 * STEP, STEP))
    same_prices(practice, found)
    assert live.feed.asked >= 2 and live.feed.missing == 0
    np.testing.assert_allclose(panel(found, "buy_volume"), truth(practice, found)[:, :, 5], atol=1e-9)
    assert any("did not answer" in said for said in live.said) and any("is back" in said for said in live.said)


def test_a_live_session_as_a_batch_gives_the_same_bits(
    practice: PracticeExchange, session: Callable[..., Session], tmp_path: Path
) -> None:
    live = session(60, warm=720)
    practice.streams.faults = Faults(rate=0.002, kinds=("drop", "lost", "late", "duplicate"), seed=2)
    request = RunRequest(out=tmp_path / "live", venue="practice", live_from=NOW * MS, overrides=EARLY, report=False)
    quiet = Console(file=StringIO())
    run_stream(request, quiet, feed=live.feed)
    assert live.feed.health()["streamed_bars"] > 50 and practice.streams.faults.happened
    run_batch(RunRequest(data=tmp_path / "live", out=tmp_path / "batch", overrides=EARLY, report=False), quiet)
    fills = pd.read_parquet(tmp_path / "live" / "fills.parquet")
    assert (fills.timestamp > pd.Timestamp(NOW, unit="ms", tz="UTC")).sum() > 0
    compared = [path for path in sorted((tmp_path / "live").rglob("*.parquet")) if "journal" not in path.parts]
    assert compared
    for path in compared:
        one, other = (pd.read_parquet(f) for f in (path, tmp_path / "batch" / path.relative_to(tmp_path / "live")))
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_categorical=False)


def test_recorded_frames_played_again_give_the_same_bars(
    practice: PracticeExchange, session: Callable[..., Session], tmp_path: Path
) -> None:
    record = FrameRecorder(tmp_path / "frames", rotate=100_000)
    live = session(14, record=record)
    practice.streams.faults = Faults(rate=0.01, kinds=KINDS, seed=4)
    practice.faults = Faults(rate=0.2, kinds=("502", "html", "empty"), seed=4)
    found = live.run()
    write_session(tmp_path / "frames", live.feed.exchange, SYMBOLS, NOW * MS, NOW * MS - 5 * STEP)
    shutil.copytree(tmp_path / "m", tmp_path / "frames" / "history")
    record.close()
    assert len(list((tmp_path / "frames").glob("frames-*.jsonl.zst"))) > 1 and practice.streams.faults.happened
    played = played_feed(tmp_path / "frames")
    again = [c for c in played.deliver(after=int(played.history.time[-1])) if isinstance(c, Chunk)]
    assert len(again) == len(found) == 14
    for one, other in zip(found, again):
        for name, value in one.inputs["observations"]._asdict().items():
            np.testing.assert_array_equal(value, getattr(other.inputs["observations"], name), err_msg=f"{one.time} {name}")
    assert (played.streamed, played.asked) == (live.feed.streamed, live.feed.asked) and live.feed.streamed > 8
    for name in ("repeated", "impossible", "lost", "differing", "gaps", "wrong", "malformed"):
        assert played.health()[name] == live.feed.health()[name], name
    played.close()


def test_a_recording_that_a_crash_cut_short_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    record = FrameRecorder(tmp_path / "f")
    frames = [Frame(i * 10**9, "ws", "wss://x", f'{{"price": {i}}}') for i in range(200)]
    for frame in frames:
        record.write(frame)
    path = tmp_path / "f" / "frames-000001.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-3])  # nothing was closed: each second was flushed
    read = list(read_frames(tmp_path / "f"))
    assert 190 <= len(read) < 200 and read == frames[: len(read)]
    with pytest.raises(ValueError, match="has frames already"):
        FrameRecorder(tmp_path / "f")


def test_a_clock_that_is_too_far_off_halts(practice: PracticeExchange, session: Callable[..., Session]) -> None:
    live = session(6)
    honest = live.ours
    live.feed.time_ns = lambda: honest() + (3_000 * MS if live.now > NOW + 2 * MINUTE else 0)
    words = [0 if c.operator is None else int(c.operator[0]) for c in live.run()]
    assert words.count(OPERATOR_HALT) == 1 and words.index(OPERATOR_HALT) in (2, 3, 4)
    assert any("max_skew" in said and "HALT" in said for said in live.said)
