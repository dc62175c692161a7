"""polars and DuckDB: the queries of docs/how-to/python.md find what they ask for, a partitioned set is one table to them, and a
polars table of bars is read as a pandas table is."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

import stratoquant as sq
from drivers.feeds.partitioned.folder import partition_folder
from stratoquant.frames import write_market
from tests.drivers.small_market import folder, market

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "python.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sq.Run:
    place = tmp_path_factory.mktemp("page")
    return sq.run(folder(place / "market", 300), out=place / "runs" / "mine", report=False, trial=False)


def test_the_queries_of_the_page_find_their_files_and_columns(run: sq.Run) -> None:
    text = PAGE.read_text(encoding="utf-8")
    names = set(re.findall(r"runs/mine/([\w/]+\.parquet)", text))
    assert names == {"ledger.parquet", "fills.parquet", "features/fusion.parquet"}
    assert {"symbol", "fee"} <= set(pq.read_schema(run.folder / "fills.parquet").names)
    (column,) = re.findall(r'"(l66_[\w.]+)"', text)
    assert {"timestamp", "symbol", column} <= set(pq.read_schema(run.folder / "features" / "fusion.parquet").names)


def test_polars_and_duckdb_read_a_run(run: sq.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder.parents[1])
    rows = len(run.ledger)
    assert pl.scan_parquet("runs/mine/ledger.parquet").collect().height == rows
    fees, values = re.findall(r'duckdb\.sql\("+(.*?)"+\)\n', PAGE.read_text(encoding="utf-8"))
    assert {symbol for symbol, _ in duckdb.sql(fees).fetchall()} <= {"AAA", "BBB"}
    assert len(duckdb.sql(values).fetchall()) == rows


def test_they_read_a_partitioned_set_as_one_table(tmp_path: Path) -> None:
    partition_folder(folder(tmp_path / "market", 300), tmp_path / "wide")
    frame = market(300)
    expected = frame.loc[frame["symbol"] == "AAA", "close"].tolist()
    assert pl.read_parquet(tmp_path / "wide" / "symbol=AAA").sort("timestamp")["close"].to_list() == expected
    closes = duckdb.sql(f"select close from '{tmp_path}/wide/symbol=AAA/*/*.parquet' order by timestamp").fetchall()
    assert [row[0] for row in closes] == expected


def test_bars_in_polars_are_read_as_those_in_pandas(tmp_path: Path) -> None:
    frame = market(420)
    write_market(frame, tmp_path / "pandas", stamp="close")
    write_market(pl.from_pandas(frame), tmp_path / "polars", stamp="close")
    one, other = (pq.read_table(tmp_path / name / "bars.parquet") for name in ("pandas", "polars"))
    assert one.equals(other)
