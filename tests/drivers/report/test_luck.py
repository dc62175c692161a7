"""The count of trials in reports: every run is noted by itself, and the Sharpe ratio is deflated by the count."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from drivers.report.contents import RunReport, in_short, read_report, trials_of
from drivers.report.figures import Figure, all_figures, luck
from drivers.report.html import report_page
from drivers.report.scan import BarTimes
from drivers.store.reader import open_run
from drivers.store.trials import NAME, Trials
from tests.drivers.report.conftest import RUNS

DAYS = 120


@pytest.fixture
def year(reports: dict[str, RunReport]) -> RunReport:
    """The report of a run with 120 days of known returns."""
    account = reports["traded"].account
    assert account is not None
    returns = np.random.default_rng(4).standard_t(4, DAYS) * 0.01 + 0.0015
    clock = BarTimes(86_400 * 10**9, 86_400 * 10**9, DAYS)
    return replace(reports["traded"], account=replace(account, clock=clock, returns=returns))


def test_every_run_is_noted_with_its_settings_and_its_report_counts_them(finished: dict[str, Path]) -> None:
    lines = [json.loads(line) for line in (finished["idle"].parent / NAME).read_text().splitlines()]
    assert [line["run"] for line in lines] == list(RUNS) and len({line["trial"] for line in lines}) == 3
    assert [tuple(line["settings"]) for line in lines] == list(RUNS.values())
    assert [line["days"] for line in lines] == [2, 2, 2]
    assert all(line["data_hash"] == open_run(finished["idle"]).about["data_hash"] for line in lines)
    counts = [read_report(folder).figure("trials") for folder in finished.values()]
    assert [figure.value for figure in counts if figure] == [3, 3, 3]


def test_the_deflated_ratio_is_the_papers_formula(year: RunReport) -> None:
    assert year.account is not None
    returns = year.account.daily.returns
    trials = Trials(Path(NAME), runs=40, different=25, variance=0.01)
    found = {key: value for key, value, *_ in luck(year.account, trials)}
    ratio, skew, kurtosis = returns.mean() / returns.std(ddof=1), stats.skew(returns), stats.kurtosis(returns, fisher=False)
    error = math.sqrt((1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / (DAYS - 1))
    g = 0.5772156649015329
    bar = 0.1 * ((1 - g) * stats.norm.ppf(1 - 1 / 25) + g * stats.norm.ppf(1 - 1 / (25 * math.e)))
    assert found["luck_sharpe"] == pytest.approx(bar * math.sqrt(365))
    assert found["deflated_sharpe"] == pytest.approx(stats.norm.cdf((ratio - bar) / error))
    assert found["probabilistic_sharpe"] == pytest.approx(stats.norm.cdf(ratio / error))
    assert found["track_record"] == pytest.approx(1 + (error * math.sqrt(DAYS - 1) * stats.norm.ppf(0.95) / ratio) ** 2)


def test_the_report_says_what_the_count_means(year: RunReport) -> None:
    def told(trials: Trials) -> str:
        figures: list[Figure] = all_figures(year.account, year.book, None, trials)
        return " ".join(in_short(replace(year, figures=figures, trials=trials)))

    many = told(Trials(Path(NAME), runs=40, different=25, variance=0.01, damaged=2))
    assert "has made 25 different trials on these data" in many and "(deflated Sharpe ratio)" in many
    assert "2 lines of trials.jsonl could not be read" in many
    alone = told(Trials(Path(NAME), runs=1, different=1))
    assert "only trial on these data" in alone and "deflated" not in alone


def test_the_page_shows_the_count_also_of_a_run_that_was_moved(finished: dict[str, Path], tmp_path: Path) -> None:
    page = report_page(read_report(finished["traded"]))
    assert "Trials on these data" in page and "Deflated Sharpe ratio" in page
    moved = replace(open_run(finished["traded"]), folder=tmp_path / "moved")
    moved.about["trial"] = {**moved.about["trial"], "ledger": str(tmp_path / "gone")}
    alone = trials_of(moved)
    assert alone is not None and alone.different == 1 and alone.runs == 0
    (tmp_path / NAME).write_bytes((finished["idle"].parent / NAME).read_bytes())
    beside = trials_of(moved)
    assert beside is not None and beside.different == 3
    assert trials_of(replace(moved, about={k: v for k, v in moved.about.items() if k != "trial"})) is None
