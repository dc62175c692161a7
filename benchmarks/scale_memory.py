"""What memory a wide universe takes: the peak of the whole process tree, while the history grows.

python -m benchmarks.scale_memory [--symbols 200] [--days 10,20,30] [--command run,features] [--features all]

Prints, of each command over each length of minutes from a partitioned set: the peak of the sum over all its processes (resident
memory; pages that they share count once for each) and of the largest one; then the peak in each tenth of its time, which shows
what grows with the history.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.processes import stratoquant
from benchmarks.setup import DAY_BARS, market_folder
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.partitioned.read import open_partitioned
from drivers.text.times import stamp

MIB: Final = 1 << 20
EVERY: Final = 0.1
"""Seconds from one look at the processes to the next."""


class Peak(NamedTuple):
    """tree, largest: MiB. tenths: of `tree`, in each tenth of the time. seconds: that it took."""

    tree: float
    largest: float
    tenths: tuple[float, ...]
    seconds: float

    def __str__(self) -> str:
        tenths = " ".join(f"{mib:.0f}" for mib in self.tenths)
        return f"{self.tree:.0f} MiB, largest process {self.largest:.0f} MiB, {self.seconds:.0f} s; by tenths of it: {tenths}"


def peak(command: list[str]) -> Peak:
    """The peak of a command that must succeed, all its processes together, and of the largest. Linux only."""
    begun, trees, largest = time.perf_counter(), [0.0], 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            sizes = [_resident(pid) for pid in _family(process.pid)]
            trees.append(sum(sizes))
            largest = max(largest, *sizes)
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    tenths = tuple(float(part.max()) / MIB for part in np.array_split(trees, 10) if len(part))
    return Peak(max(tenths), largest / MIB, tenths, time.perf_counter() - begun)


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left.extend(children.get(found[-1], []))
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def main() -> None:
    """Measures and prints; an hour for 200 symbols."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--days", default="10,20,30")
    parser.add_argument("--command", default="run,features")
    parser.add_argument("--features", default="all", help="what `run` keeps of the layers' values")
    asked = parser.parse_args()
    days = [int(part) for part in asked.days.split(",")]
    with tempfile.TemporaryDirectory() as root:
        place = Path(root) / "parts"
        partition_folder(market_folder(asked.symbols, max(days) * DAY_BARS), place)
        time_of = open_partitioned(place).time
        for name in asked.command.split(","):
            for length in days:
                more = ["--no-trial", "--features", asked.features] if name == "run" else []
                with tempfile.TemporaryDirectory() as out:
                    end = stamp(int(time_of[length * DAY_BARS - 1]))
                    found = peak(stratoquant(name, "--data", str(place), "--end", end, "--out", f"{out}/out", *more))
                print(f"{name}, {asked.symbols} symbols, {length} days: {found}", flush=True)


if __name__ == "__main__":
    main()
