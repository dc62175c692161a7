"""What a policy costs, its shadow account above all: `python -m benchmarks.shadow [DAYS]`.

A simulated market of minutes with an edge that is believed in, one symbol and ten. The processor seconds of the engine alone
(layers, steps, guards), and those of a whole run with its results, each the least of three, without a policy and with one.
"""

from __future__ import annotations

import gc
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.setup import DAY_BARS, chunks, market, market_folder
from drivers.engine.building import boundaries, make_engine, make_plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest

BELIEF: Final = "fusion.prior_slope_bps=120"
REPEATS: Final = 3


def engine_seconds(symbols: int, days: int, policy: int) -> float:
    """Processor seconds of a warm engine over so many days."""
    data, project = market(symbols, days * DAY_BARS), defaults()
    wiring = load(project.wiring)
    plan = make_plan(wiring, load_configs(project, (BELIEF, f"rl.policy={policy}")))
    found = []
    for _ in range(REPEATS):
        engine = make_engine(plan, data.symbols, data.instruments, depth=data.depth, models=boundaries(wiring))
        engine.warm_up()
        days_of = list(chunks(data))
        found.append(_spent(lambda run=engine.advance, given=days_of: [run(chunk) for chunk in given]))  # type: ignore[misc]
    return min(found)


def run_seconds(symbols: int, days: int, policy: int) -> float:
    """Processor seconds of a run of so many days from its request to its results, without the report."""
    folder = market_folder(symbols, days * DAY_BARS)
    found = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as out:
            overrides = (BELIEF, f"rl.policy={policy}")
            request = RunRequest(data=folder, out=Path(out) / "run", overrides=overrides, report=False)
            found.append(_spent(lambda asked=request: run_batch(asked, Console(file=io.StringIO()))))  # type: ignore[misc]
    return min(found)


def _spent(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Prints the figures."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for symbols in (1, 10):
        for name, measure in (("engine", engine_seconds), ("run", run_seconds)):
            off, on = measure(symbols, days, 0), measure(symbols, days, 1)
            more = 100.0 * (on / off - 1.0)
            print(f"{symbols:>3} symbols, {name:<6} {off:6.2f} s without, {on:6.2f} s with a policy: {more:+.0f} %")


if __name__ == "__main__":
    main()
