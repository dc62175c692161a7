"""How long a wide universe takes on a cluster that nobody here has: an estimate from costs that are measured.

python -m benchmarks.scale_estimate [--symbols 20] [--days 6] [--universe 1000] [--years 5]

Measures, in one process and in processor time: each pass of the market side a symbol-bar, with its reading, checkpoint, files
and handing on; what `run --cluster` does on the driver beside; the bytes that it takes of the workers. Of two lengths, so that
the start does not count, each three times, of which the least counts. Then prints the hours on 4, 16 and 64 workers, and the
wall: work that is shared out falls with the workers; a pass over all symbols goes block by block, and the driver bar by bar,
however many there are.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.serial import Serial
from benchmarks.setup import DAY_BARS, YEAR_BARS, market_folder
from drivers.executors.protocol import Done, Task
from drivers.feeds.partitioned.folder import partition_folder
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.scale.features import FeaturesRequest, features
from drivers.scale.run import market_side_on

WORKERS: Final = (4, 16, 64)
NETWORK: Final = 1.0e9
"""Bytes a second that the driver's network and its unpickling are taken to give; not measured."""
REPEATS: Final = 3
ACROSS: Final = "x"
"""Ends the name of a pass over all symbols."""


class Timed(Serial):
    """seconds: of processor, by pass. other: those of making messages of the answers. bytes: of these."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.other, self.bytes = 0.0, 0

    def end(self, task: Task) -> Done:
        """Runs a task, and makes a message of its answer."""
        begun = time.process_time()
        done = super().end(task)
        ended = time.process_time()
        self.seconds[task.argument.step] += ended - begun  # type: ignore[assignment]
        self.bytes += len(pickle.dumps(done.value))
        self.other += time.process_time() - ended
        return done


def costs(place: Path, symbols: int, days: int, command: str) -> tuple[dict[str, float], float, float]:
    """(microseconds a symbol-bar by pass, of the driver, bytes a symbol-bar to the driver): what the second half of twice as
    many days adds."""
    taken: dict[int, list[tuple[Timed, float]]] = {days: [], 2 * days: []}
    for length in (days, *(days, 2 * days) * REPEATS):  # the first loads the machine code
        with tempfile.TemporaryDirectory() as out:
            executor, begun = Timed(), time.process_time()
            end = _end(place, length)
            if command == "features":
                features(FeaturesRequest(place, Path(out) / "out", end=end), executor)
            else:
                request = RunRequest(place, Path(out) / "out", end=end, features="none", report=False, trial=False)
                run_batch(request, Console(quiet=True), advance=market_side_on(executor))
            spent = time.process_time() - begun - sum(executor.seconds.values()) - executor.other
            taken[length].append((executor, spent))
    short, long = taken[days][1:], taken[2 * days]
    bars = symbols * days * DAY_BARS
    least = {n: min(e.seconds[n] for e, _ in long) - min(e.seconds[n] for e, _ in short) for n in long[0][0].seconds}
    driver = min(spent for _, spent in long) - min(spent for _, spent in short)
    passes = {name: 1e6 * seconds / bars for name, seconds in least.items()}
    return passes, 1e6 * driver / bars, (long[0][0].bytes - short[0][0].bytes) / bars


def _end(place: Path, days: int) -> int:
    from drivers.feeds.partitioned.read import open_partitioned

    return int(open_partitioned(place).time[days * DAY_BARS - 1])


def hours(passes: dict[str, float], driver: float, transfer: float, bars: float, workers: int) -> dict[str, float]:
    """Hours that each part alone would take: the longest is the wall. passes, driver: microseconds a symbol-bar. transfer:
    bytes a symbol-bar."""
    each = {f"pass {name} over all symbols": us for name, us in passes.items() if name.endswith(ACROSS)}
    serial = {name: us * bars / 3.6e9 for name, us in {**each, "the driver": driver}.items()}
    return {
        "the workers": sum(passes.values()) * bars / 3.6e9 / workers,
        **serial,
        "the network to the driver": transfer * bars / NETWORK / 3600,
    }


def main() -> None:
    """Measures and prints; some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--days", type=int, default=6)
    parser.add_argument("--universe", type=int, default=1000)
    parser.add_argument("--years", type=float, default=5.0)
    asked = parser.parse_args()
    bars = asked.universe * asked.years * YEAR_BARS
    with tempfile.TemporaryDirectory() as root:
        place = Path(root) / "parts"
        partition_folder(market_folder(asked.symbols, 2 * asked.days * DAY_BARS), place)
        for command in ("features", "run"):
            passes, driver, transfer = costs(place, asked.symbols, asked.days, command)
            print(f"{command}, microseconds of processor a symbol-bar, {asked.symbols} symbols:")
            print("  " + ", ".join(f"pass {name} {us:.2f}" for name, us in sorted(passes.items())))
            print(f"  driver {driver:.2f}; {transfer:.0f} bytes a symbol-bar to the driver", flush=True)
            for workers in WORKERS:
                parts = hours(passes, driver, transfer, bars, workers)
                wall = max(parts, key=lambda name: parts[name])
                print(f"  {asked.universe} symbols x {asked.years:g} years, {workers} workers: {parts[wall]:.1f} h, by {wall}")
            print("  " + "; ".join(f"{name} {h:.1f} h" for name, h in parts.items() if name != "the workers"), flush=True)


if __name__ == "__main__":
    main()
