"""The page of an evaluation: it opens offline without an error, and its tables are those of the files."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from drivers.evaluation.run import evaluate
from drivers.evaluation.settings import combined
from tests.browser import open_page
from tests.drivers.evaluation.conftest import Here, asked


@pytest.fixture(scope="module")
def out(traded_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "evaluation"
    settings = combined({"risk.gross": ["0.6", "0.8"]}, {"<b>bold</b>": {"fusion.entry_min_t": "0.5"}})
    evaluate(asked(traded_market, place, settings, ablate=True), Here(), Console(file=StringIO()))
    return place


@pytest.mark.parametrize("phone", [False, True])
def test_it_draws_and_its_tables_say_what_the_files_say(browser_page: Any, out: Path, phone: bool) -> None:
    open_page(browser_page, out / "evaluation.html", phone=phone)
    browser_page.wait_for_function("document.documentElement.dataset.drawn === 'yes'")
    rows = browser_page.eval_on_selector_all(
        "#table-settings tbody tr", "(rows) => rows.map((row) => [row.cells[0].textContent, Number(row.cells[1].dataset.sort)])"
    )
    settings = pd.read_parquet(out / "settings.parquet")
    assert dict(rows) == pytest.approx(dict(zip(settings.setting, settings.total_return)))
    assert "<b>bold</b>" in dict(rows)
    drawn = browser_page.evaluate("sq.data.runs.map((run) => [run.name, sqChart.unpack(run.equity, run.clock).at(-1)[1]])")
    assert dict(drawn) == pytest.approx(dict(zip(settings.setting, settings.total_return)), rel=1e-6, abs=1e-7)
    wide = browser_page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide


def test_every_table_has_its_caption_and_every_id_is_one(browser_page: Any, out: Path) -> None:
    open_page(browser_page, out / "evaluation.html")
    for table in browser_page.query_selector_all("table"):
        assert browser_page.locator(f"#{table.get_attribute('aria-labelledby')}").count() == 1
    ids = browser_page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert {"settings", "windows", "choice", "ablation"} <= set(ids)
