"""An account that does not suit the market, and data that are too short, are told in one sentence with its cure."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.feeds.check import check_dataset
from drivers.feeds.dataset import open_dataset
from drivers.feeds.suitability import suitability_notes
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from tests.drivers.feeds.folders import NOW, START, bars, book, write


def notes(folder: Path, cash: float) -> list[str]:
    data = open_dataset(folder, now=NOW)
    return suitability_notes(data, load_configs(defaults(), (f"execution.start_cash={cash}",), clock=data.clock))


def quoted(unit: float, turnover: float = 5e6) -> pd.DataFrame:
    """Two symbols that trade `turnover` dollars a minute each, in a currency of which one is `unit` dollars."""
    frame = bars(200)
    frame[["open", "high", "low", "close"]] /= unit
    frame["volume"] *= turnover / (unit * frame["volume"] * frame["close"]).mean()
    return frame


def cure(sentence: str) -> float:
    return float(re.search(r"--set execution\.start_cash=(\S+)`", sentence)[1])  # type: ignore[index]


def test_dollars_of_a_market_in_bitcoin_are_too_many(tmp_path: Path) -> None:
    """The same market in dollars and in bitcoin of 100,000 dollars: 100,000 suits the one, 1 the other."""
    dollars, bitcoin = write(tmp_path / "a", bars=quoted(1.0)), write(tmp_path / "b", bars=quoted(1e5))
    assert notes(dollars, 100_000.0) == []
    (said,) = notes(bitcoin, 100_000.0)
    assert said.startswith("the account is too large for this market, and no position will be opened")
    assert "start_cash is 100,000, and what trades in a day of trading is worth 144,000" in said, (
        "2 of 50 bitcoin, 1440 minutes"
    )
    assert notes(bitcoin, 1.0) == []
    assert notes(bitcoin, cure(said)) == []
    assert any(note == said for note in check_dataset(bitcoin, now=NOW).notes)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 100.0])
@pytest.mark.parametrize("cash", [1e3, 1e5, 1e7, 1e9])
def test_a_unit_of_money_changes_nothing(factor: float, cash: float, tmp_path: Path) -> None:
    frame = quoted(1.0)
    plain = notes(write(tmp_path / "a", bars=frame), cash)
    frame[["open", "high", "low", "close"]] *= factor
    scaled = notes(write(tmp_path / "b", bars=frame), cash * factor)
    assert [n.split(":")[0] for n in plain] == [n.split(":")[0] for n in scaled]
    assert bool(plain) == (cash >= 1e9)


def test_a_book_says_the_depth_where_there_is_one(tmp_path: Path) -> None:
    """About 450 of 100 a level of three: 10 % of 1,000 costs one logit, of 100,000 more than there are."""
    levels = book(40)
    folder = write(tmp_path, bars=quoted(1.0), book=levels)
    assert notes(folder, 1_000.0) == []
    (said,) = notes(folder, 1e6)
    assert "too large" in said
    assert notes(folder, cure(said)) == []


def test_an_account_below_one_lot_is_too_small(tmp_path: Path) -> None:
    """A lot of 100 is worth 10,000 and 20,000; of 20 % of an account at least one must fit."""
    folder = write(tmp_path, bars=quoted(1.0), description="lot_size: 100")
    (said,) = notes(folder, 10_000.0)
    assert "too small for this market" in said
    assert "the least order is worth" in said
    assert notes(folder, 100_000.0) == []
    assert notes(folder, cure(said)) == []


def test_nothing_is_said_without_a_volume(tmp_path: Path) -> None:
    assert notes(write(tmp_path, bars=bars(200).assign(volume=np.nan)), 1e12) == []


def test_data_shorter_than_the_volatility_s_window_are_told(tmp_path: Path) -> None:
    short = quoted(1.0).iloc[:100]
    (said,) = notes(write(tmp_path / "a", bars=short), 1e5)
    assert said.startswith("the data have 50 bars and volatility is known after 60 (kinematics.volatility_halflife)")
    assert said.endswith("take more of them")
    seconds = quoted(1.0).assign(timestamp=lambda x: pd.Timestamp("2026-03-01", tz="UTC") + (x["timestamp"] - START) / 60)
    (said,) = notes(write(tmp_path / "b", bars=seconds), 1e4)
    assert "200 bars and volatility is known after 3,600" in said
    assert said.endswith("take more of them, or shorter times: `--spec seconds`")


def test_a_run_says_it_in_its_summary(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", bars=quoted(1e5))
    request = RunRequest(data=folder, out=tmp_path / "out", report=False)
    out = run_batch(request, Console(file=io.StringIO())).out
    said = json.loads((out / "run.json").read_text())["summary"]["notes"]
    assert [note.split(":")[0] for note in said if "account" in note] == [
        "the account is too large for this market, and no position will be opened"
    ]
