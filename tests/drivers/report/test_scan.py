"""Tables as panels, and the clock of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.report.contents import RunReport
from drivers.report.scan import BarTimes, clock_of, panels
from drivers.store.reader import RecordedError, open_run

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE


def test_panels_are_the_columns_of_the_file_in_order(traded: RunReport) -> None:
    name = "l0_market_feed.bars.close"
    found = list(panels(traded.run, "features/data", [name]))
    wide = pd.read_parquet(traded.run.folder / "features" / "data.parquet", columns=["timestamp", "symbol", name])
    expected = wide.pivot(index="timestamp", columns="symbol", values=name).to_numpy()
    assert [first for first, _ in found] == np.cumsum([0, *(len(p[name]) for _, p in found[:-1])]).tolist()
    assert np.array_equal(np.concatenate([p[name] for _, p in found]), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("bars", "step", "period"),
    [
        (35, MINUTE, MINUTE),
        (2098, 10**9, MINUTE),
        (1440, MINUTE, 60 * MINUTE),
        (43_200, MINUTE, DAY),
        (525_600, MINUTE, 7 * DAY),
    ],
)
def test_a_run_is_shown_in_at_most_sixty_periods(bars: int, step: int, period: int) -> None:
    clock = BarTimes(20_000 * DAY + step, step, bars)
    assert clock.period == period
    numbers = clock.period_of(np.arange(bars))
    assert numbers[0] == 0 and numbers[-1] + 1 == len(clock.period_starts) <= 60


def test_midnight_belongs_to_the_day_that_it_ends() -> None:
    clock = BarTimes(20_000 * DAY + MINUTE, MINUTE, 40 * 1440)
    assert clock.period == DAY
    assert clock.period_of(np.array([0, 1439, 1440])).tolist() == [0, 0, 1]
    assert clock.period_starts[:2].tolist() == [20_000 * DAY, 20_001 * DAY]


def test_a_run_off_its_clock_is_refused(reports: dict[str, RunReport], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reports["idle"].run.folder, folder)
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**about, "clock_seconds": 300}), encoding="utf-8")
    with pytest.raises(RecordedError, match=r"its bars do not follow the clock that run\.json names"):
        clock_of(open_run(folder))
