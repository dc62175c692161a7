"""Two runs side by side: what differs is what pandas finds, and what makes them hard to compare is said first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from drivers.report import compare
from drivers.report.contents import RunReport, read_report
from tests.browser import open_page, overflows
from tests.drivers.report.conftest import RUNS
from tests.drivers.report.test_report_page import EVIL, INKED


def edited(report: RunReport, folder: Path, **about: Any) -> RunReport:
    """A copy of a run with other entries in run.json."""
    shutil.copytree(report.run.folder, folder)
    (folder / "run.json").write_text(json.dumps({**report.run.about, **about}), encoding="utf-8")
    return read_report(folder)


def test_the_settings_that_differ_are_the_overrides_that_differ(reports: dict[str, RunReport]) -> None:
    table = compare.settings([reports["traded"], reports["hasty"]])
    one, two = (dict(text.split("=") for text in RUNS[name]) for name in ("traded", "hasty"))
    assert table is not None
    assert {row[0].text for row in table.rows} == {key for key, _ in one.items() ^ two.items()}
    for row in table.rows:
        for cell, given in zip(row[1:], (one, two), strict=True):
            assert row[0].text not in given or float(cell.text) == float(given[row[0].text])


def test_figures_stand_side_by_side_with_their_difference(reports: dict[str, RunReport]) -> None:
    a, b = reports["traded"], reports["hasty"]
    rows = {row[0].text: row for row in compare.figures([a, b]).rows if len(row) > 1}
    assert list(rows) == [f.label for f in a.figures]
    for f, g in zip(a.figures, b.figures, strict=True):
        assert [cell.sort for cell in rows[f.label][1:3]] == [f.value, g.value]
        assert rows[f.label][3].sort == (g.value - f.value if f.value is not None and g.value is not None else None)


def wide(report: RunReport, column: str, fill: Any) -> pd.DataFrame:
    times = pd.to_datetime(report.run.times(), utc=True)
    table = pd.read_parquet(report.run.folder / "decisions.parquet")
    found = table.assign(symbol=table.symbol.astype(str)).pivot(index="timestamp", columns="symbol", values=column)
    return found.astype(object).reindex(index=times, columns=list(report.symbols)).fillna(fill)


def test_decisions_that_differ_are_those_that_pandas_finds(reports: dict[str, RunReport]) -> None:
    a, b = reports["traded"], reports["hasty"]
    found = compare.differing_decisions(a, b)
    verdicts = [wide(r, "verdict", "HOLD") for r in (a, b)]
    targets = [wide(r, "target_weight", 0.0).astype(float) for r in (a, b)]
    other = (verdicts[0] != verdicts[1]) | ((targets[0] - targets[1]).abs() > 1e-12)
    assert found is not None and 0 < found.differ == int(other.to_numpy().sum()) and found.shared == other.size
    pairs = pd.Series(list(zip(verdicts[0].to_numpy()[other], verdicts[1].to_numpy()[other], strict=True))).value_counts()
    assert dict(found.pairs) == pairs.to_dict()
    same = (verdicts[0] == verdicts[0].shift()) & (verdicts[1] == verdicts[1].shift()) & other.shift(fill_value=False)
    begins = (other & ~same).stack()
    expected = [(int(t.value), s) for t, s in begins[begins].index[: compare.MOST_EXAMPLES]]
    assert [(t, s) for t, s, _, _ in found.examples] == expected


def test_a_run_without_decisions_holds_throughout(reports: dict[str, RunReport], tmp_path: Path) -> None:
    """Its decisions.parquet has no row, as of a run that ended within its first hours; either run may be named first."""
    a = reports["traded"]
    b = edited(a, tmp_path / "run")
    table = pq.read_table(a.run.folder / "decisions.parquet")
    pq.write_table(table.slice(0, 0), b.run.folder / "decisions.parquet")
    decided = (wide(a, "verdict", "HOLD") != "HOLD") | (wide(a, "target_weight", 0.0).astype(float).abs() > 1e-12)
    for one, two in ((a, b), (b, a)):
        found = compare.differing_decisions(one, two)
        assert found is not None and found.differ == int(decided.to_numpy().sum()) > 0
        assert all(pair[one is a] == "HOLD" for pair in found.pairs)
        assert "Decisions" in compare.comparison_page([one, two])


def test_a_run_does_not_differ_from_itself(reports: dict[str, RunReport]) -> None:
    a = reports["traded"]
    found = compare.differing_decisions(a, a)
    assert found is not None and found.differ == 0 and found.shared == a.clock.bars * len(a.symbols)
    assert compare.settings([a, a]) is None and compare.wiring([a, a]) is None and compare.warnings([a, a]) == []


def test_runs_of_other_data_are_compared_with_a_warning(reports: dict[str, RunReport], tmp_path: Path) -> None:
    a = reports["traded"]
    assert compare.warnings([a, reports["hasty"]]) == []
    b = edited(a, tmp_path / "run", data_hash="other", versions={"numpy": "0"}, spec={"name": "s", "about": "Beware."})
    found = compare.warnings([a, b])
    assert found[0].startswith("The two runs are of different data") and "different versions" in found[1]
    assert found[2] == "Machine spec s. Beware."


def test_a_layer_that_only_one_has_is_one_difference(reports: dict[str, RunReport], tmp_path: Path) -> None:
    b = edited(reports["traded"], tmp_path / "run")
    wiring = b.run.project.wiring
    wiring.write_text(wiring.read_text(encoding="utf-8").replace("l60_kinematic_state:", "l60_renamed:"), encoding="utf-8")
    table = compare.wiring([reports["traded"], b])
    assert table is not None
    assert {row[0].text: compare.ABSENT in (row[1].text, row[2].text) for row in table.rows} == {
        "layers.l60_kinematic_state": True,
        "layers.l60_renamed": True,
    }


def test_nested_mappings_differ_where_they_differ() -> None:
    one, two = {"a": {"x": 1, "y": [1, 2]}, "b": 3}, {"a": {"x": 2, "y": [1, 2]}, "c": {"d": None}}
    expected = [("a.x", ["1", "2"]), ("b", ["3", "absent"]), ("c", ["absent", "d: none"])]
    assert list(compare.differing([one, two])) == expected
    assert list(compare.differing([one, one, two])) == [(key, [first, first, second]) for key, (first, second) in expected]


@pytest.mark.parametrize("phone", [False, True])
def test_the_page_draws_both_runs(browser_page: Any, reports: dict[str, RunReport], tmp_path: Path, phone: bool) -> None:
    path = tmp_path / "page.html"
    compare.write_comparison([reports["traded"], reports["idle"]], path)
    open_page(browser_page, path, phone=phone)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    assert not overflows(browser_page) and path.stat().st_size < 3_000_000
    chart = browser_page.query_selector("#chart-equity")
    assert chart.evaluate(INKED) > 1000
    series = browser_page.evaluate("sqChart.charts[0].getOption().series.map((s) => [s.name, s.data.length])")
    assert [name for name, _ in series] == ["traded", "traded", "idle", "idle"] and min(n for _, n in series) > 100
    growth = browser_page.evaluate("sqChart.unpack(sq.data.runs[0].equity, sq.data.runs[0].clock)")
    total = reports["traded"].figure("total_return")
    assert total is not None and growth[-1][1] == pytest.approx(total.value, rel=1e-6)


def test_runs_that_share_no_time_start_together(browser_page: Any, reports: dict[str, RunReport], tmp_path: Path) -> None:
    a = reports["traded"]
    b = edited(a, tmp_path / "late")
    for path in (*b.run.folder.glob("*.parquet"), *(b.run.folder / "features").glob("*.parquet")):
        table = pd.read_parquet(path)
        for name in {"timestamp", "ended"} & set(table.columns):
            table[name] += pd.Timedelta(days=400)
        table.to_parquet(path, index=False)
    b = read_report(b.run.folder)
    found = compare.differing_decisions(a, b)
    assert found is not None and found.shared == 0
    path = compare.write_comparison([a, b], tmp_path / "page.html")
    open_page(browser_page, path)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    assert "the second is moved to the start of the first" in browser_page.locator("figcaption").inner_text()
    lines = browser_page.evaluate("sqChart.charts[0].getOption().series.map((s) => s.data[0][0])")
    assert len(set(lines)) == 1
    assert np.isclose(lines[0] * 1e6, a.clock.first)


def test_no_name_of_a_run_is_taken_for_markup(browser_page: Any, reports: dict[str, RunReport], tmp_path: Path) -> None:
    about = {"spec": {"name": EVIL, "about": EVIL}, "data_hash": EVIL, "overrides": [EVIL]}
    b = edited(reports["traded"], tmp_path / "run", **about)
    path = tmp_path / "page.html"
    path.write_text(compare.comparison_page([reports["traded"], b]), encoding="utf-8")
    open_page(browser_page, path)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    assert browser_page.locator("img").count() == 0 and EVIL in browser_page.locator("#table-facts").inner_text()


def test_three_runs_stand_side_by_side(browser_page: Any, reports: dict[str, RunReport], tmp_path: Path) -> None:
    runs = [reports[name] for name in ("traded", "hasty", "idle")]
    table = compare.settings(runs)
    assert table is not None and [name for name, _ in table.columns] == ["Key", "traded", "hasty", "idle"]
    keys = {row[0].text for row in table.rows}
    assert keys == {text.split("=")[0] for name in RUNS for text in RUNS[name]}
    rows = {row[0].text: row for row in compare.figures(runs).rows if len(row) > 1}
    trips = [float(len(run.book.trips)) for run in runs]
    assert [cell.sort for cell in rows["Round trips"][1:]] == trips and trips[2] == 0
    path = compare.write_comparison(runs, tmp_path / "page.html")
    open_page(browser_page, path)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    assert not overflows(browser_page)
    lines = browser_page.evaluate("sqChart.charts[0].getOption().series.map((s) => s.name)")
    assert lines == ["traded", "traded", "hasty", "hasty", "idle", "idle"]


def test_runs_of_one_name_are_numbered(reports: dict[str, RunReport]) -> None:
    one, other = reports["traded"], reports["idle"]
    assert compare.names_of([one, other, one]) == ["traded (1)", "idle", "traded (3)"]
