"""What is said first of an account that no longer trades."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataflows.risk.types import KILL_DRAWDOWN, KILL_STALE
from drivers.report.contents import RunReport, read_report
from drivers.report.html import report_page
from drivers.text.times import stamp

FLATTEN = 2


def changed(report: RunReport, folder: Path, table: str, values: dict[str, float], last: int) -> RunReport:
    """A copy of a run with these values in its last bars."""
    shutil.copytree(report.run.folder, folder)
    frame = pd.read_parquet(folder / table)
    rows = slice(len(frame) - last * len(report.symbols), None)
    for name, value in values.items():
        column = frame[name].to_numpy().copy()
        column[rows] = value
        frame[name] = column
    frame.to_parquet(folder / table, index=False)
    return read_report(folder)


def since(report: RunReport, last: int) -> str:
    """The close of the first of the last bars."""
    return stamp(int(report.run.times()[-last])).replace("T", " ")[:16]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"l91_drawdown_throttle": 0.0}, "the drawdown throttle (L91) allows no new risk; the operator's REBASE lifts it."),
        (
            {"l81_kill_switch.overall": FLATTEN, "l81_kill_switch.overall_reason": KILL_DRAWDOWN},
            "the kill switch stands at FLATTEN (the drawdown reached its hard limit); RELEASE lifts it once the cause is gone.",
        ),
        (
            {"l81_kill_switch.overall": 1, "l81_kill_switch.overall_reason": KILL_STALE},
            "the kill switch stands at HALT (the feed was too old); it ends after its cause and the cool-down.",
        ),
        ({"l92_loss_limits.halt_entries": 1}, "a loss limit (L92) was reached; it ends with its UTC day or week."),
    ],
)
def test_what_bars_every_entry_at_the_end_is_said_with_its_beginning_and_its_cure(
    reports: dict[str, RunReport], tmp_path: Path, values: dict[str, float], said: str
) -> None:
    report = reports["traded"]
    free = {"l91_drawdown_throttle": 1.0, "l81_kill_switch.overall": 0, "l92_loss_limits.halt_entries": 0}
    before = changed(report, tmp_path / "free", "features/risk.parquet", free, 700)
    assert not any("ince" in text and "(L9" in text for text in before.standing)
    report = changed(before, tmp_path / "barred", "features/risk.parquet", values, 500)
    assert [text for text in report.standing if said in text and since(report, 500) in text], report.standing
    assert report.standing[0] in report_page(report).replace("&#39;", "'")


def test_a_long_time_without_an_increase_is_said_with_what_the_proposals_were_refused_for(
    reports: dict[str, RunReport], tmp_path: Path
) -> None:
    report = reports["traded"]
    folder = tmp_path / "quiet"
    shutil.copytree(report.run.folder, folder)
    decisions = pd.read_parquet(folder / "decisions.parquet")
    late = decisions.timestamp > pd.Timestamp(report.run.times()[-1000], tz="UTC")
    for name, value in (("verdict", "REJECTED"), ("refusal", "NOT_LEARNED")):
        decisions[name] = np.where(late, value, decisions[name].astype(object))
    decisions.loc[late, "may_enter"] = 0
    decisions.to_parquet(folder / "decisions.parquet", index=False)
    risk = pd.read_parquet(folder / "features/risk.parquet")
    risk["l81_kill_switch.overall"], risk["l91_drawdown_throttle"], risk["l92_loss_limits.halt_entries"] = 0, 1.0, 0
    risk.to_parquet(folder / "features/risk.parquet", index=False)
    (said,) = read_report(folder).standing
    let = decisions[decisions.verdict.isin(["APPROVED", "REDUCED"]) & (decisions.reduce_only == 0)]
    last = let.timestamp.max()
    n = int((decisions.timestamp > last).sum())
    assert said.startswith(f"No increase was approved since {last:%Y-%m-%d %H:%M}")
    assert f"{n:,} proposals since then came to nothing" in said and "too few observations stood behind the edge" in said


def test_an_idle_run_says_that_it_never_traded(reports: dict[str, RunReport]) -> None:
    assert any("No increase was approved in the whole run" in text or "since" in text for text in reports["idle"].standing)
