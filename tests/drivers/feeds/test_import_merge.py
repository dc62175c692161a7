"""Sorting by runs gives what a stable sort of everything at once gives, whatever the order and the budget."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, plan_import, run_import
from drivers.feeds.importing.convert import TIME
from drivers.feeds.importing.merge import Sorter, in_order, without_repeats
from tests.drivers.feeds.folders import bars

ROW = st.tuples(st.integers(0, 12), st.sampled_from(["B", "A", "C"]))


def table(rows: list[tuple[int, str]], first: int = 0) -> pa.Table:
    """Rows with a running number, by which their order can be told."""
    return pa.table(
        {
            "timestamp": pa.array([t for t, _ in rows], pa.int64()).cast(TIME),
            "symbol": pa.array([s for _, s in rows], pa.string()),
            "close": pa.array(np.arange(first, first + len(rows), dtype=np.float64)),
        }
    )


def pieces(tables: list[list[tuple[int, str]]], budget: int) -> list[pa.Table]:
    with tempfile.TemporaryDirectory() as aside:
        sorter, count = Sorter(Path(aside), budget), 0
        for rows in tables:
            if rows:
                sorter.add(table(rows, count))
                count += len(rows)
        return list(sorter.sorted())


@given(st.lists(st.lists(ROW, max_size=30), max_size=8), st.sampled_from([1, 400, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_runs_merge_to_a_stable_sort(tables: list[list[tuple[int, str]]], budget: int) -> None:
    found = pieces(tables, budget)
    everything = [row for rows in tables for row in rows]
    expected = table(everything).to_pandas().sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)
    if not everything:
        assert not found
        return
    pd.testing.assert_frame_equal(pa.concat_tables(found).to_pandas(), expected)
    for one, other in zip(found, found[1:], strict=False):  # no time is in two pieces
        assert one["timestamp"][-1].value < other["timestamp"][0].value


@given(st.lists(ROW, max_size=40), st.sampled_from(["first", "last"]))
@settings(max_examples=100, deadline=None)
def test_of_repeated_rows_the_one_asked_for_stays(rows: list[tuple[int, str]], policy: str) -> None:
    kept, dropped = without_repeats(in_order(table(rows)), policy)  # type: ignore[arg-type]
    frame = table(rows).to_pandas().drop_duplicates(["timestamp", "symbol"], keep=policy)
    expected = frame.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(kept.to_pandas(), expected)
    assert dropped == len(rows) - len(expected)


def test_the_same_row_again_is_one_also_where_it_is_unknown() -> None:
    rows = table([(1, "A"), (1, "A"), (2, "A")])
    same = rows.set_column(2, "close", pa.array([np.nan, np.nan, 1.0]))
    assert without_repeats(same, "refuse")[1] == 1
    with pytest.raises(
        DataError, match=r"A 1970-01-01T00:00:00.000000001Z appears twice with different values of close \(nan, 2\)"
    ):
        without_repeats(rows.set_column(2, "close", pa.array([np.nan, 2.0, 1.0])), "refuse")


def test_an_import_in_many_runs_is_that_in_one(tmp_path: Path) -> None:
    frame = bars(3000, ("BTCUSDT", "ETHUSDT", "LTCUSDT"))
    for symbol, part in frame.groupby("symbol"):
        part.drop(columns="symbol").to_csv(tmp_path / f"{symbol}.csv", index=False)
    shares: list[float] = []
    result = run_import(
        plan_import(ImportRequest((tmp_path,), tmp_path / "out")), lambda share, what: shares.append(share), budget=20_000
    )
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "bars.parquet"), frame, check_exact=True)
    assert result.kinds[0].written == len(frame)
    assert shares == sorted(shares)
    assert (shares[-1], shares[0] >= 0.0) == (1.0, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["BTCUSDT.csv", "ETHUSDT.csv", "LTCUSDT.csv", "out"]
