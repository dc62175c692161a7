"""Every layout of `layouts.yml`: rows in exactly that form come out right, and what a file needs its message names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.cli.main import run_command
from tests.drivers.feeds.layouts import LAYOUTS, PAGE, Layout, page


def market(folder: Path, symbol: str) -> None:
    """Bars beside which a book, funding or an alpha can stand."""
    folder.mkdir()
    (folder / "dataset.yml").write_text("clock: 1m\n", encoding="utf-8")
    (folder / "bars.csv").write_text(
        "timestamp,symbol,open,high,low,close,volume\n" + f"2024-03-01T00:00:00Z,{symbol},1,1,1,1,1\n", encoding="utf-8"
    )


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: case.layout)
def test_a_file_in_exactly_that_form(case: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, expected = tmp_path / "out", case.expected
    command = ["data", "import", str(case.write(tmp_path)), "--out", str(out)]
    if case.kind in ("book", "funding", "alpha"):
        market(out, expected["symbol"][0])
        command.append("--add")
    if case.by:
        assert run_command(command) == 2
        assert re.search(case.says, capsys.readouterr().err)
    code = run_command([*command, *case.words])
    assert code == 0, capsys.readouterr().err
    mine = pd.read_parquet(out / f"{case.kind}.parquet")
    assert set(mine.columns) == set(expected.columns)
    for name in expected.columns:
        if name in ("side", "trade_id", "symbol"):
            assert [None if pd.isna(x) else str(x) for x in mine[name]] == [None if pd.isna(x) else x for x in expected[name]]
        else:
            np.testing.assert_array_equal(mine[name].to_numpy(), expected[name].to_numpy(), err_msg=name)


def test_the_page_of_the_documentation_has_these_layouts_and_presets() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "stale: run python -m tests.drivers.feeds.layouts"
