"""A universe as configured, from end to end: symbols, listing, delivery, leader and timeframes; a run, a stream and its replay."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.run.batch import run_batch
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.run.test_stream import same, tables
from tests.drivers.small_market import EARLY, START, market

pytestmark = pytest.mark.usefixtures("no_disk")

LISTED, DELIVERED = START + pd.Timedelta(minutes=100), START + pd.Timedelta(minutes=330)
ABOUT = f"""
clock: 1m
tick_size: 0.01
lot_size: 0.001
symbols: [AAA, BBB]
leader: BBB
listing_time: {{BBB: {LISTED:%Y-%m-%dT%H:%MZ}}}
delivery_time: {{AAA: {DELIVERED:%Y-%m-%dT%H:%MZ}}}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The results of a run and of a stream over a market of three symbols."""
    base = tmp_path_factory.mktemp("universe")
    (base / "data").mkdir()
    market(420, ("AAA", "BBB", "CCC")).to_parquet(base / "data" / "bars.parquet", index=False)
    (base / "data" / "dataset.yml").write_text(ABOUT, encoding="utf-8")
    asked = (*EARLY, "data.timeframes=[10m,20m,40m]")
    made = []
    for name, run in (("run", run_batch), ("stream", run_stream)):
        request = RunRequest(data=base / "data", out=base / name, spec="prior_belief", overrides=asked, report=False)
        made.append(run(request, Console(file=io.StringIO())).out)  # type: ignore[operator]
    return made[0], made[1]


def test_what_is_not_in_the_universe_is_not_there_and_timeframes_are_as_configured(ran: tuple[Path, Path]) -> None:
    about = json.loads((ran[0] / "run.json").read_text())
    assert about["symbols"] == ["AAA", "BBB"]
    assert about["instruments"]["leader"] == [0, 1]
    assert about["configuration"]["data"]["timeframes"] == [10, 20, 40]
    feed = pd.read_parquet(ran[0] / "features" / "data.parquet").query("symbol == 'AAA'")
    closed = feed["l0_market_feed.bars_60.closed"].to_numpy()
    ends = pd.DatetimeIndex(feed["timestamp"][closed == 1])
    minutes = (ends - ends.normalize()) / pd.Timedelta(minutes=1)
    assert len(ends) >= 5
    assert (minutes % 40 == 0).all()


def test_nothing_is_expected_before_listing_and_after_delivery(ran: tuple[Path, Path]) -> None:
    feed = pd.read_parquet(ran[0] / "features" / "data.parquet").set_index("timestamp")
    late, early = feed[feed["symbol"] == "BBB"], feed[feed["symbol"] == "AAA"]
    before, after = late[late.index <= LISTED], early[early.index > DELIVERED]
    assert len(before) == 100
    assert len(after) == 90
    for part in (before, after):
        assert (part["l0_market_feed.quality.listed"] == 0).all()
        assert (part["l0_market_feed.quality.missing"] == 0).all()
        assert part["l0_market_feed.bars.close"].isna().all()
    assert late.index[np.argmax(late["l0_market_feed.quality.valid"])] == LISTED + pd.Timedelta(minutes=1)


def test_positions_begin_after_listing_and_are_settled_at_delivery(ran: tuple[Path, Path]) -> None:
    fills = pd.read_parquet(ran[0] / "fills.parquet")
    assert fills[fills["symbol"] == "BBB"]["timestamp"].min() > LISTED
    ledger = pd.read_parquet(ran[0] / "ledger.parquet").query("symbol == 'AAA'").set_index("timestamp")
    assert ledger["position"][:DELIVERED].abs().max() > 0.0
    assert (ledger["position"][DELIVERED + pd.Timedelta(minutes=1) :] == 0.0).all()


def test_a_run_a_stream_and_its_replay_are_the_same_bits(ran: tuple[Path, Path]) -> None:
    batch, streamed = ran
    ours, theirs = tables(streamed), tables(batch)
    assert set(ours) == set(theirs) >= {"orders.parquet", "fills.parquet", "ledger.parquet", "decisions.parquet"}
    for name in theirs:
        same(ours[name], theirs[name], name)
    assert replay(streamed).bars == 420
