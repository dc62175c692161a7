"""The columns that docs/how-to/python.md queries by polars and DuckDB are in the files, as Arrow reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import stratoquant as sq
from tests.drivers.small_market import folder

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "python.md"


def test_the_queries_of_the_page_find_their_files_and_columns(tmp_path: Path) -> None:
    run = sq.run(folder(tmp_path / "market", 300), out=tmp_path / "run", report=False, trial=False)
    text = PAGE.read_text(encoding="utf-8")
    names = set(re.findall(r"runs/mine/([\w/]+\.parquet)", text))
    assert names == {"ledger.parquet", "fills.parquet", "features/fusion.parquet"}
    assert {"symbol", "fee"} <= set(pq.read_schema(run.folder / "fills.parquet").names)
    (column,) = re.findall(r'"(l66_[\w.]+)"', text)
    assert {"timestamp", "symbol", column} <= set(pq.read_schema(run.folder / "features" / "fusion.parquet").names)


@pytest.mark.parametrize("name", ["polars", "duckdb"])
def test_the_library_reads_them(name: str, tmp_path: Path) -> None:
    library = pytest.importorskip(name)
    run = sq.run(folder(tmp_path / "market", 300), out=tmp_path / "run", report=False, trial=False)
    path = run.folder / "ledger.parquet"
    rows = len(run.ledger)
    if name == "polars":
        assert library.scan_parquet(path).collect().height == rows
    else:
        assert library.sql(f"select count(*) from '{path}'").fetchone() == (rows,)
