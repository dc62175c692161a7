"""What a report draws of what was learned: in a browser, against the epoch table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.fusion.types import SOURCES
from drivers.adapt.record import L6, L65
from drivers.diagrams.meaning import meanings
from drivers.diagrams.values import values_of
from drivers.report.contents import read_report
from drivers.report.html import report_page
from drivers.store.reader import open_run
from tests.browser import open_page, overflows
from tests.drivers.adapt.test_adapt import epochs
from tests.drivers.report.test_report_page import INKED

CHARTS = ("weights", "patterns", "thresholds")


@pytest.fixture(scope="module")
def page_file(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(report_page(read_report(learned)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (False, True), (True, False), (True, True)])
def test_the_charts_of_what_was_learned_are_drawn(browser_page: Any, page_file: Path, phone: bool, dark: bool) -> None:
    open_page(browser_page, page_file, phone=phone, dark=dark)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    assert not overflows(browser_page)
    for name in CHARTS:
        chart = browser_page.query_selector(f"#chart-{name}")
        box = chart.bounding_box()
        assert chart.evaluate(INKED) > 0.01 * box["width"] * box["height"]
    assert browser_page.locator("#table-weights tbody tr").count() == len(SOURCES)
    assert browser_page.locator('nav.jump a[href="#learned"]').count() == 1


def test_they_draw_what_the_epoch_table_holds(browser_page: Any, page_file: Path, learned: Path) -> None:
    open_page(browser_page, page_file)
    browser_page.wait_for_selector("html[data-drawn=yes]")
    chart = "sqChart.charts.find((c) => c.getDom().id === 'chart-{}').getOption().series.map((s) => [s.name, s.data])"
    frame = epochs(learned)
    stamps = (frame["timestamp"].astype("int64") // 1_000_000).tolist()
    series = dict(browser_page.evaluate(chart.format("weights")))
    assert list(series) == list(SOURCES)
    for k, name in enumerate(SOURCES):
        assert [ms for ms, _ in series[name]] == stamps
        wanted = frame[f"{L6}.evidence.pooled_weight.{k}"].to_numpy()
        np.testing.assert_array_equal(np.float32([w for _, w in series[name]]), np.float32(wanted))
    cells = dict(browser_page.evaluate(chart.format("patterns")))
    found = {(x, y) for x, y, state in next(iter(cells.values())) if state == 2}
    off = {(e, p) for p in range(24) for e in np.flatnonzero(frame[f"{L65}.pattern_weights.weights.{p}"] == 0.0)}
    rows = sorted({p for _, p in off})
    assert found == {(int(e), rows.index(p)) for e, p in off} and off
    moved = dict(browser_page.evaluate(chart.format("thresholds")))
    wanted = frame[f"{L65}.regime_thresholds.mean_shift.3.0"].to_numpy()
    np.testing.assert_array_equal(np.float32([x for _, x in moved["high volatility"]]), np.float32(wanted))
    np.testing.assert_allclose([x for _, x in moved["high volatility, advised"]], wanted, atol=1e-6)
    light = browser_page.evaluate("sqChart.charts.at(-1).getOption().tooltip[0].textStyle.color")
    browser_page.click("#theme")
    assert browser_page.evaluate("sqChart.charts.at(-1).getOption().tooltip[0].textStyle.color") != light


def test_the_page_of_the_graph_holds_what_was_in_force_at_a_bar(learned: Path) -> None:
    run = open_run(learned)
    packed = values_of(run, meanings(run.project), at="2026-01-12T12:00", symbol="SIMA")
    assert f"{L65}.advice.crash_sigma" in packed["columns"] and f"{L6}.by_symbol.sharpe" in packed["columns"]
    import base64

    column = packed["columns"][f"{L6}.by_symbol.sharpe"]
    sharpe = np.frombuffer(base64.b64decode(column["data"]), "<f8").reshape(-1, len(packed["symbols"]))
    table = pd.read_parquet(learned / "epochs" / "meta.parquet")
    own = table[(table["symbol"] == "SIMA") & (table["timestamp"] <= pd.Timestamp("2026-01-12T12:00", tz="UTC"))]
    at = packed["at"] if len(sharpe) > 1 else 0
    assert sharpe[at, packed["symbol"]] == own[f"{L6}.by_symbol.sharpe"].iloc[-1]
