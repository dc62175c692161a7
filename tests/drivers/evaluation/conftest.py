"""A small market that is traded, and an executor that runs tasks here, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.evaluation.plan import EvaluationRequest
from drivers.executors.protocol import Done, Task, attempt
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


class Here:
    """Runs tasks in this process. begun: names of those that were begun. stop_after, fail: what goes wrong."""

    workers, here = 1, True

    def __init__(self, stop_after: int = 10**9, fail: Sequence[int] = ()) -> None:
        self.begun: list[str] = []
        self._stop, self._fail = stop_after, fail

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        for i, task in enumerate(tasks):
            if i == self._stop:
                raise KeyboardInterrupt
            self.begun.append(task.name)
            yield Done(task, None, "it broke") if i in self._fail else Done(task, *attempt(task.function, task.argument))

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *about: object) -> None:
        return None


@pytest.fixture(scope="session")
def traded_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "market"
    simulate(folder, seed=3, symbols=("SIMA", "SIMB"), days=26, clock_seconds=3600, edge=3.0, book=False, trades=False)
    return folder


def asked(market: Path, out: Path, settings: Sequence[Any] = (), **more: Any) -> EvaluationRequest:
    base = RunRequest(data=market, overrides=EARLY)
    return EvaluationRequest(**{"base": base, "settings": settings, "out": out, "windows": 2, **more})
