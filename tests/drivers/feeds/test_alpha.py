"""An alpha file beside the bars: when a value begins to act, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.errors import DataError
from tests.drivers.feeds.folders import NOW, START, bars, write

MINUTE = 60 * 10**9
Rows = list[tuple[Any, str, float]]


def alpha(rows: Rows) -> pd.DataFrame:
    """Seconds after the start of the data, symbol, value."""
    frame = pd.DataFrame(rows, columns=["timestamp", "symbol", "value"])
    frame["timestamp"] = START + pd.to_timedelta(frame["timestamp"], unit="s")
    return frame.astype({"timestamp": "datetime64[ns, UTC]"})


def opened(folder: Path, rows: Rows, suffix: str = ".parquet", **given: Any) -> Dataset:
    return open_dataset(write(folder, suffix, bars=bars(), alpha=alpha(rows)), now=NOW, **given)


def handed(data: Dataset, a: int = 0, b: int | None = None) -> Any:
    return data.inputs(data.rows(a, len(data) if b is None else b))["external_alpha"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".feather"])
def test_a_value_acts_from_the_first_bar_that_closes_at_or_after_it(tmp_path: Path, suffix: str) -> None:
    """Row t closes t + 1 minutes after the start."""
    data = opened(tmp_path, [(300.0, "ETHUSDT", 1.5), (301.0, "BTCUSDT", -2.0), (599.9, "BTCUSDT", 3.0)], suffix)
    got = handed(data)
    assert got.value[4, 1] == 1.5  # stamped 5:00, the close of row 4
    assert got.value[5, 0] == -2.0  # 5:01, known at 6:00
    assert got.value[9, 0] == 3.0
    assert np.isfinite(got.value).sum() == 3
    np.testing.assert_array_equal(got.age, np.where(np.isnan(got.value), np.nan, 0.0))


def test_of_several_in_one_bar_the_last_counts_whatever_the_order_of_rows(tmp_path: Path) -> None:
    data = opened(tmp_path, [(130.0, "BTCUSDT", 2.0), (170.0, "BTCUSDT", 4.0), (125.0, "BTCUSDT", 1.0)])
    assert handed(data).value[2, 0] == 4.0


def test_what_was_stated_before_the_first_bar_comes_with_its_age(tmp_path: Path) -> None:
    data = opened(tmp_path, [(-600.0, "BTCUSDT", 7.0), (-90.0, "ETHUSDT", 8.0), (-3600.0, "ETHUSDT", 9.0)])
    got = handed(data)
    assert got.value[0].tolist() == [7.0, 8.0]
    assert got.age[0].tolist() == [11.0, 2.0]  # bars before the one that closes at 0:01
    later = handed(data, 1)
    assert np.isnan(later.value).all()
    cut = opened(tmp_path / "cut", [(30.0, "BTCUSDT", 7.0)], start=START.value + 5 * MINUTE)
    assert (handed(cut).value[0, 0], handed(cut).age[0, 0]) == (7.0, 5.0)


def test_a_chunk_is_handed_its_own_rows(tmp_path: Path) -> None:
    data = opened(tmp_path, [(60.0 * m, "BTCUSDT", float(m)) for m in range(1, 21)])
    whole = handed(data)
    parts = [handed(data, a, a + 5) for a in range(0, 20, 5)]
    np.testing.assert_array_equal(np.concatenate([p.value for p in parts]), whole.value)
    np.testing.assert_array_equal(np.concatenate([p.age for p in parts]), whole.age)


def test_without_the_file_nothing_is_handed_and_the_file_is_part_of_the_hash(tmp_path: Path) -> None:
    bare = open_dataset(write(tmp_path / "bare", bars=bars()), now=NOW)
    assert set(bare.inputs(bare.rows(0, 3))) == {"observations"}
    assert not bare.has_alpha
    one = opened(tmp_path / "one", [(60.0, "BTCUSDT", 1.0)])
    other = opened(tmp_path / "other", [(60.0, "BTCUSDT", 1.1)])
    assert one.has_alpha
    assert len({bare.digest, one.digest, other.digest}) == 3


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(60.0, "BTCUSDT", np.nan)], r"alpha\.parquet, row 1: BTCUSDT .*: value is nan; it must be finite"),
        ([(60.0, "BTCUSDT", 1.0), (61.0, "BTCUSDT", np.inf)], r"row 2: .*value is inf"),
        ([(60.0, "BTCUSDT", 1.0), (60.0, "BTCUSDT", 2.0)], r"row 2: BTCUSDT .* is stated twice with different values"),
        ([(86400.0 * 30, "BTCUSDT", 1.0)], r"lies in the future"),
        ([(60.0, "BTCUSD", 1.0)], r"none of its symbols is in the data, e\.g\. BTCUSD; did you mean BTCUSDT"),
    ],
)
def test_a_bad_file_is_refused_by_row(tmp_path: Path, rows: Rows, says: str) -> None:
    with pytest.raises(DataError, match=says):
        opened(tmp_path, rows)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    frame = alpha([(60.0, "BTCUSDT", 1.0)]).rename(columns={"value": "score"})
    with pytest.raises(DataError, match=r"alpha\.parquet: column value is missing; .*Needed: timestamp, symbol, value"):
        open_dataset(write(tmp_path, bars=bars(), alpha=frame), now=NOW)


def test_repeated_rows_that_say_the_same_and_symbols_not_asked_for_are_no_fault(tmp_path: Path) -> None:
    rows: Rows = [(60.0, "BTCUSDT", 1.0), (60.0, "BTCUSDT", 1.0), (60.0, "ETHUSDT", 2.0)]
    assert handed(opened(tmp_path, rows, symbols=["BTCUSDT"])).value[0].tolist() == [1.0]
    assert np.isnan(handed(opened(tmp_path / "one", rows[:2], symbols=["ETHUSDT"])).value).all()
