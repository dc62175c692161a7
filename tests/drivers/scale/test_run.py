"""A run whose market side is computed by workers: orders, ledger, features and all are those of one process."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.folder import partition_folder
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.scale.run import market_side_on, require_market_side
from tests.drivers.scale.test_features import SYMBOLS, Here
from tests.drivers.small_market import EARLY, market

BELIEF = (*EARLY, "fusion.prior_slope_bps=800", "fusion.prior_strength=100000")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-seven hours, so that two epochs end, of three symbols of which one comes late."""
    root = tmp_path_factory.mktemp("run")
    frame = market(27 * 60, SYMBOLS)
    late = (frame["symbol"] == "CCC") & (frame["timestamp"] < frame["timestamp"].min() + pd.Timedelta("70min"))
    (root / "folder").mkdir()
    frame[~late].to_parquet(root / "folder" / "bars.parquet")
    (root / "folder" / "dataset.yml").write_text("clock: 1m\nlot_size: 0.001\n", encoding="utf-8")
    partition_folder(root / "folder", root / "parts")
    return root / "parts"


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {str(p.relative_to(folder)): pd.read_parquet(p) for p in sorted(folder.rglob("*.parquet"))}


@pytest.mark.parametrize("shard", [pytest.param(1, marks=pytest.mark.long), 2])
def test_every_output_is_that_of_one_process(place: Path, tmp_path: Path, shard: int) -> None:
    quiet = Console(file=StringIO())
    run_batch(RunRequest(data=place, out=tmp_path / "one", overrides=BELIEF, report=False), quiet)
    one = tables(tmp_path / "one")
    assert len(one["orders.parquet"]) > 10
    assert {name for name in one if name.startswith("epochs/")}
    request = RunRequest(data=place, out=tmp_path / str(shard), overrides=BELIEF, report=False)
    run_batch(request, quiet, advance=market_side_on(Here(), shard=shard))
    other = tables(tmp_path / str(shard))
    assert set(other) == set(one)
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], check_exact=True, obj=name)


def test_data_that_are_read_whole_are_refused(place: Path) -> None:
    with pytest.raises(DataError, match="is no partitioned data set; make one with"):
        require_market_side(place.parent / "folder")
    with pytest.raises(DataError, match="nowhere: does not exist; check the path"):
        require_market_side(place.parent / "nowhere")
    with pytest.raises(DataError, match="--cluster needs data in parts: --data PLACE"):
        require_market_side(None)
