"""A wide universe: what two processes gain over one, and what memory it takes.

python -m benchmarks.scale [--symbols 40] [--days 4] [--repeat 3]

Prints, of whole commands: `features` with one and two workers and the ratio, also without the start of the processes, which a
run over twice the days tells; `run` from a folder and from the partitioned set, with the peak of their memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.processes import stratoquant, timed
from benchmarks.setup import DAY_BARS, market_folder
from drivers.feeds.partitioned.folder import partition_folder


def measured(arguments: list[str], repeat: int) -> tuple[float, float, float]:
    """Medians of the seconds and processor seconds of a command that makes a new place, and its largest process, MiB."""
    found = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            found.append(timed(stratoquant(*arguments, "--out", f"{folder}/out")))
    return statistics.median(f[0] for f in found), statistics.median(f[1] for f in found), max(f[2] for f in found)


def main() -> None:
    """Runs all of it; takes some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=40)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        seconds: dict[tuple[int, int], float] = {}
        for days in (asked.days, 2 * asked.days):
            folder, parts = market_folder(asked.symbols, days * DAY_BARS), Path(root) / str(days)
            partition_folder(folder, parts)
            for workers in (1, 2):
                command = ["features", "--data", str(parts), "--workers", str(workers), "--shard", "10"]
                wall, cpu, mib = measured(command, asked.repeat)
                seconds[days, workers] = wall
                each = wall / (asked.symbols * days * DAY_BARS) * 1e6
                print(
                    f"features, {asked.symbols} symbols, {days} days, {workers} workers: {wall:.1f} s, {cpu:.1f} processor s, "
                    f"largest process {mib:.0f} MiB, {each:.1f} us a symbol-bar",
                    flush=True,
                )
            print(f"  two workers: {seconds[days, 1] / seconds[days, 2]:.2f} times as fast", flush=True)
            for name, data in (("folder", folder), ("partitioned set", parts)):
                wall, cpu, mib = measured(["run", "--data", str(data), "--features", "none", "--no-report"], 1)
                print(f"run from the {name}, {days} days: {wall:.1f} s, {cpu:.1f} processor s, {mib:.0f} MiB", flush=True)
        more = {workers: seconds[2 * asked.days, workers] - seconds[asked.days, workers] for workers in (1, 2)}
        print(f"without the start of the processes: {more[1] / more[2]:.2f} times as fast")


if __name__ == "__main__":
    main()
