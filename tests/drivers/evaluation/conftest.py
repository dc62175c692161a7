"""A small market that is traded, and an executor that runs tasks here, in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serial import Serial
from drivers.evaluation.plan import EvaluationRequest
from drivers.executors.protocol import Done, Task
from drivers.feeds.simulate import simulate
from drivers.run.request import RunRequest

EARLY = (  # an edge that is believed in without having been learned, windows that are full after days
    "fusion.prior_slope_bps=800",
    "fusion.prior_strength=100000",
    "fusion.leave_cost=0.0",
    "fusion.leave_halflife=0.02",
    "kinematics.volatility_halflife_slow=100",
    "risk.cap_volume_bars=60",
)


class Here(Serial):
    """begun: names of the tasks that were begun. stop_after, fail: what goes wrong."""

    def __init__(self, stop_after: int = 10**9, fail: Sequence[int] = ()) -> None:
        self.begun: list[str] = []
        self._stop, self._fail = stop_after, fail

    def end(self, task: Task) -> Done:
        i = len(self.begun)
        if i == self._stop:
            raise KeyboardInterrupt
        self.begun.append(task.name)
        return Done(task, None, "it broke") if i in self._fail else super().end(task)


@pytest.fixture(scope="session")
def traded_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "market"
    simulate(folder, seed=3, symbols=("SIMA", "SIMB"), days=26, clock_seconds=3600, edge=3.0, book=False, trades=False)
    return folder


def asked(market: Path, out: Path, settings: Sequence[Any] = (), **more: Any) -> EvaluationRequest:
    base = RunRequest(data=market, overrides=EARLY)
    return EvaluationRequest(**{"base": base, "settings": settings, "out": out, "windows": 2, **more})
