"""`pine check`: exports as TradingView writes them, made from what a runtime drew, whole and spoiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.cli.main import run_command
from drivers.pine.check import ChartError, check
from drivers.pine.render import MIRROR
from tests.pine.cases import Case
from tests.pine.runtimes import pynecore


@pytest.fixture
def exported(sample: Case, drawn: Any) -> pd.DataFrame:
    """The chart's data: times, prices and every plot."""
    found = drawn(pynecore, sample, MIRROR)
    prices = {name: getattr(sample.bars, name) for name in ("open", "high", "low", "close")}
    return pd.DataFrame({"time": sample.bars.time, **prices, **found.plots})


def written(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "chart.csv"
    frame.to_csv(path, index=False, na_rep="NaN")
    return path


def test_the_chart_agrees(exported: pd.DataFrame, sample: Case, tmp_path: Path) -> None:
    found = check(written(exported, tmp_path), sample.recorded)
    assert found.equal
    assert (found.bars, found.compared, found.only_chart, found.only_run) == (3600, 600, 0, 0)
    assert max(each.error for each in found.series) < 1e-9
    assert {each.title for each in found.series} >= {"Stop", "Target", "Trend", "Chart regime"}


def test_iso_times_are_read_too(exported: pd.DataFrame, sample: Case, tmp_path: Path) -> None:
    exported["time"] = pd.to_datetime(exported["time"], unit="s", utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert check(written(exported, tmp_path), sample.recorded).equal


@pytest.mark.parametrize(
    ("title", "by"),
    [("Trend", 1e-3), ("ATR", 1e-6), ("Chart regime", 1.0), ("Chart side", -1.0), ("close", 1e-3), ("Stop", 0.01)],
)
def test_the_first_difference_is_named(title: str, by: float, exported: pd.DataFrame, sample: Case, tmp_path: Path) -> None:
    at = int(np.flatnonzero(np.isfinite(exported[title].to_numpy()))[-20])
    exported.loc[exported.index[at:], title] += by
    found = check(written(exported, tmp_path), sample.recorded)
    assert not found.equal
    (only,) = (each for each in found.series if each.differ)
    assert only.title == title
    assert only.first is not None
    assert only.first.time == exported["time"][at]
    assert only.first.chart - only.first.python == pytest.approx(by)
    assert ("another market" in found.words) == (title == "close")


def test_missing_bars_are_counted(exported: pd.DataFrame, sample: Case, tmp_path: Path) -> None:
    extra = exported.iloc[[2000]].assign(time=exported["time"][2000] + 30)
    frame = pd.concat([exported.drop(index=[3500, 3501]), extra]).sort_values("time")
    found = check(written(frame, tmp_path), sample.recorded)
    assert (found.only_chart, found.only_run) == (1, 2)


def test_nothing_compared_is_no_agreement(exported: pd.DataFrame, sample: Case, tmp_path: Path) -> None:
    later = check(written(exported.assign(time=exported["time"] + 10**8), tmp_path), sample.recorded)
    short = check(written(exported.iloc[:500], tmp_path), sample.recorded)
    assert not later.equal
    assert "no bar of the run" in later.words
    assert not short.equal
    assert "history" in short.words


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.drop(columns="Trend"), "no column 'Trend'"),
        (lambda f: f.assign(time="soon"), "row 2: 'soon' is no time"),
        (lambda f: f.assign(ATR="much"), "row 2: ATR is 'much'"),
        (lambda f: pd.concat([f, f.iloc[-1:]]), "twice"),
        (lambda f: pd.concat([f, f["ATR"]], axis=1), "twice"),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    spoil: Any, words: str, exported: pd.DataFrame, sample: Case, tmp_path: Path
) -> None:
    with pytest.raises(ChartError, match=words):
        check(written(spoil(exported), tmp_path), sample.recorded)


def test_the_command_says_it_and_its_exit_code(exported: pd.DataFrame, sample: Case, tmp_path: Path, capsys: Any) -> None:
    run = str(sample.run.folder)
    assert run_command(["pine", "check", str(written(exported, tmp_path)), "--run", run]) == 0
    assert "agrees with the run on 600 bars" in capsys.readouterr().out
    exported.loc[exported.index[-1], "Chart side"] = 7
    assert run_command(["pine", "check", str(written(exported, tmp_path)), "--run", run]) == 1
    assert "first at 2026-01-09T11:59:00Z in Chart side" in capsys.readouterr().err
    assert run_command(["pine", "check", str(tmp_path / "none.csv"), "--run", run]) == 2
