"""The port to market data: what every feed must keep, and a stream from a feed that can do no more than the port asks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from dataflows.data.types import OPERATOR_CASH_FLOW, OPERATOR_HALT, Observations
from drivers.engine.chunk import Chunk, Instant, joined, piece_of
from drivers.feeds.base import Feed, Quiet
from drivers.feeds.dataset import open_dataset
from drivers.feeds.journal import JournalFeed
from drivers.feeds.simulate import simulate
from drivers.feeds.simulate.feed import simulated_feed
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.engine.conftest import same_bits
from tests.drivers.small_market import folder

MINUTES = 240
MARKET: dict[str, Any] = {"seed": 3, "symbols": ("AAA", "BBB", "CCC"), "days": 2, "clock_seconds": 300, "edge": 1.5}
COMMANDS = "2024-03-04T22:30:20 CASH_FLOW 5000\n2024-03-04T23:10 HALT\n"
HOUR = 3_600_000_000_000


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of market data, and the results of a stream of it with two operator commands."""
    base = tmp_path_factory.mktemp("feeds")
    data, commands = folder(base / "data", MINUTES), base / "operator.txt"
    commands.write_text(COMMANDS, encoding="utf-8")
    run_stream(RunRequest(data=data, out=base / "out", operator_file=commands, report=False), quiet())
    return data, base / "out"


@pytest.fixture(params=["folder", "simulator", "journal"])
def feed(request: pytest.FixtureRequest, streamed: tuple[Path, Path]) -> Feed:
    data, out = streamed
    made: dict[str, Feed] = {
        "folder": open_dataset(data),
        "simulator": simulated_feed(**MARKET),
        "journal": JournalFeed(out),
    }
    return made[request.param]


def bars(items: Iterator[Any]) -> list[Chunk]:
    return [item for item in items if isinstance(item, Chunk)]


def whole(chunks: list[Chunk]) -> Observations:
    made = joined([chunk.inputs["observations"] for chunk in chunks], Observations)
    assert isinstance(made, Observations)
    return made


def test_a_feed_says_what_its_columns_are(feed: Feed) -> None:
    assert feed.symbols == tuple(sorted(feed.symbols))
    assert len(feed.instruments.uid) == len(feed.symbols)
    assert feed.clock.seconds in (60, 300)
    assert len(feed.digest) == 64
    assert feed.about()["data"]
    feed.close()


@pytest.mark.parametrize("epoch", [24 * HOUR, HOUR])
def test_the_bars_are_the_same_however_they_are_cut_and_no_chunk_straddles_an_epoch(feed: Feed, epoch: int) -> None:
    wanted = whole(bars(feed.deliver(most=100_000)))
    for most in (1, 7, 1000):
        chunks = bars(feed.deliver(most=most, epoch_ns=epoch))
        assert max(len(chunk.time) for chunk in chunks) <= most
        assert all((chunk.time[0] - 1) // epoch == (chunk.time[-1] - 1) // epoch for chunk in chunks)
        assert all(a.time[-1] < b.time[0] for a, b in pairwise(chunks))
        same_bits(wanted, whole(chunks))


def test_it_goes_on_after_any_time(feed: Feed) -> None:
    every = [int(t) for chunk in bars(feed.deliver()) for t in chunk.time]
    for at in (every[0] - 1, every[0], every[40], every[40] + 1, every[-1]):
        assert [int(t) for chunk in bars(feed.deliver(after=at, most=9)) for t in chunk.time] == [t for t in every if t > at]
        assert feed.remaining(at) in (None, sum(t > at for t in every))


def test_the_simulator_delivers_what_its_folder_holds(tmp_path: Path) -> None:
    simulate(tmp_path / "market", book=False, trades=False, **MARKET)
    read, drawn = open_dataset(tmp_path / "market"), simulated_feed(**MARKET)
    same_bits(whole(bars(read.deliver(most=1000))), whole(bars(drawn.deliver(most=1000))))
    same_bits(read.instruments, drawn.instruments)
    assert (read.symbols, read.clock, read.source) == (drawn.symbols, drawn.clock, drawn.source)
    assert read.quality == drawn.quality


def test_a_journal_delivers_the_bars_that_came_and_the_words_between_them(streamed: tuple[Path, Path]) -> None:
    data, out = streamed
    items = list(JournalFeed(out).deliver())
    same_bits(whole(bars(open_dataset(data).deliver())), whole(bars(iter(items))))
    words = [(i, item) for i, item in enumerate(items) if isinstance(item, Instant)]
    assert [(x.operator, x.amount) for _, x in words] == [(OPERATOR_CASH_FLOW, 5000.0), (OPERATOR_HALT, 0.0)]
    for i, word in words:
        before, after = items[i - 1], items[i + 1]
        assert isinstance(before, Chunk) and isinstance(after, Chunk)
        assert before.time[-1] <= word.ts < after.time[0]
    start, end = int(open_dataset(data).time[100]), int(open_dataset(data).time[130])
    part = bars(JournalFeed(out, start, end).deliver())
    assert (part[0].time[0], part[-1].time[-1], len(part)) == (start + 60_000_000_000, end, 30)


class Forward:
    """A feed that can do what the port asks and nothing else: no length, no rows, one way. It says when it has nothing."""

    def __init__(self, of: Feed) -> None:
        self.symbols, self.instruments, self.clock, self.depth = of.symbols, of.instruments, of.clock, of.depth
        self.digest = ""
        self._items = of.deliver()
        self.closed = False

    def deliver(self, *, after: int = 0, most: int = 1, epoch_ns: int = 24 * HOUR) -> Iterator[Any]:
        for item in self._items:
            if isinstance(item, Chunk):
                yield Quiet(int(item.time[0]) - 1_000_000_000)
            yield item

    def remaining(self, after: int = 0) -> int | None:
        return None

    def about(self) -> dict[str, Any]:
        return {"data": "forward", "source": "a test"}

    def notes(self) -> list[str]:
        return []

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("source", ["folder", "journal"])
def test_a_stream_needs_no_more_than_the_port(streamed: tuple[Path, Path], tmp_path: Path, source: str) -> None:
    """From the folder with the operator's file, and from the journal, which holds the operator's words: the same results."""
    data, out = streamed
    feed = Forward(open_dataset(data) if source == "folder" else JournalFeed(out))
    commands = out.with_name("operator.txt") if source == "folder" else None
    run_stream(RunRequest(out=tmp_path / "out", operator_file=commands, report=False), quiet(), feed=feed)
    assert feed.closed
    names = sorted(str(p.relative_to(out)) for p in out.rglob("*.parquet"))
    assert names == sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.parquet"))
    for name in names:
        one, two = (pq.read_table(folder_ / name).to_pandas() for folder_ in (out, tmp_path / "out"))
        pd.testing.assert_frame_equal(one, two, check_exact=True, check_categorical=False)
    with np.load(out / "checkpoint.npz") as then, np.load(tmp_path / "out" / "checkpoint.npz") as now:
        np.testing.assert_array_equal(then["f8"], now["f8"])


def test_a_run_takes_the_results_of_a_stream_for_data(streamed: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = streamed
    run_batch(RunRequest(data=out, out=tmp_path / "again", report=False), quiet())
    one, two = (pq.read_table(folder_ / "ledger.parquet").to_pandas() for folder_ in (out, tmp_path / "again"))
    pd.testing.assert_frame_equal(one, two, check_exact=True, check_categorical=False)
    assert one["cash"].iloc[-1] == one["cash"].iloc[0] + 5000.0  # the operator's word is in it
    with pytest.raises(ValueError, match="is run with all its symbols; leave out --symbols"):
        run_batch(RunRequest(data=out, out=tmp_path / "part", symbols=("AAA",)), quiet())


def test_a_piece_of_a_chunk_has_its_own_reports() -> None:
    from dataflows.execution.types import Executions
    from tests.drivers.store.records import log

    events = log(Executions, [{"id": i} for i in range(5)])
    time = np.arange(4) + 1
    chunk = Chunk(time, {}, np.arange(4), np.arange(4.0), events, np.array([0, 2, 2, 4, 5]))
    part = piece_of(chunk, 1, 4)
    assert (part.events.n, part.events.id.tolist(), part.events_at.tolist()) == (3, [2, 3, 4], [0, 0, 2, 3])
    assert part.operator.tolist() == [1, 2, 3]
    first, later = piece_of(chunk._replace(events_at=None), 0, 1), piece_of(chunk._replace(events_at=None), 1, 2)
    assert (first.events.n, later.events.n) == (5, 0)
