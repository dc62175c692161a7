"""What memory a wide universe takes: the peak of the whole process tree, while the history grows.

python -m benchmarks.scale_memory [--symbols 200] [--days 10,20,30] [--command run,features] [--features all]

Prints, of each command over each length of minutes from a partitioned set: the peak of the sum over all its processes (resident
memory; pages that they share count once for each) and of the largest one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import stratoquant
from benchmarks.setup import DAY_BARS, market_folder
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.partitioned.read import open_partitioned
from drivers.text.times import stamp

MIB: Final = 1 << 20
EVERY: Final = 0.1
"""Seconds from one look at the processes to the next."""


class Peak(NamedTuple):
    """tree, largest: MiB. seconds: that it took."""

    tree: float
    largest: float
    seconds: float


def peak(command: list[str]) -> Peak:
    """The peak of a command that must succeed, all its processes together, and of the largest. Linux only."""
    begun, tree, largest = time.perf_counter(), 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            sizes = [_resident(pid) for pid in _family(process.pid)]
            tree, largest = max(tree, sum(sizes)), max(largest, *sizes)
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return Peak(tree / MIB, largest / MIB, time.perf_counter() - begun)


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
                print(
                    f"{name}, {asked.symbols} symbols, {length} days: {found.tree:.0f} MiB, largest process "
                    f"{found.largest:.0f} MiB, {found.seconds:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
