"""A wide universe, and many runs: what two processes gain over one.

python -m benchmarks.scale [--symbols 40] [--days 8] [--settings 16] [--evaluated-days 35] [--repeat 1] [--free] [--run]

Prints, of whole commands, start and end included: `features` and `evaluate` with one process on one core and with two on two,
and the ratio. The yardstick is the command with one worker, bound to one core: one that is not bound uses the second core for
its start and for layers side by side; `--free` prints its time too. On a machine that others use, seconds say little: there the
processor seconds of each process say how evenly the work is shared. `--run`: also `run` from a folder, from the partitioned set
and with `--cluster local:2`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import stratoquant, with_bytecode
from benchmarks.setup import DAY_BARS, market_folder
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.partitioned.read import open_partitioned


class Timing(NamedTuple):
    """Of a command: seconds; processor seconds of it and of each of its workers; MiB of its largest process."""

    seconds: float
    own: float
    workers: tuple[float, ...]
    mib: float

    @property
    def processor(self) -> float:
        return self.own + sum(self.workers)

    def __str__(self) -> str:
        each = " + ".join(f"{x:.1f}" for x in (self.own, *self.workers))
        return f"{self.seconds:.1f} s, processor {self.processor:.1f} s ({each}), largest process {self.mib:.0f} MiB"


def measured(arguments: Sequence[str], cores: int, repeat: int = 1) -> Timing:
    """The median by seconds of a command that makes a new place, on so many cores."""
    found = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            found.append(_timed(stratoquant(*arguments, "--out", f"{folder}/out"), cores))
    return statistics.median_low(found)


def _timed(command: Sequence[str], cores: int) -> Timing:
    usable = sorted(os.sched_getaffinity(0))[:cores]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=with_bytecode(),
        preexec_fn=lambda: os.sched_setaffinity(0, usable),
    )
    used: dict[int, float] = {}
    mib: dict[int, float] = {}
    while process.poll() is None:
        for pid in (process.pid, *_children(process.pid)):
            try:
                used[pid], mib[pid] = _used(pid)
            except (OSError, StopIteration):  # it has just ended
                continue
        time.sleep(0.05)
    seconds = time.perf_counter() - begun
    assert process.stderr is not None
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {process.stderr.read().decode().strip().splitlines()[-1]}")
    own = used.pop(process.pid)
    return Timing(seconds, own, tuple(sorted(used.values())), max(mib.values()))


def _children(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    own = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            own += [int(x) for x in thread.read_text().split()]
        except OSError:  # the thread has just ended
            continue
    return own + [deeper for each in own for deeper in _children(each)]


def _used(pid: int) -> tuple[float, float]:
    """Processor seconds and the most memory, MiB, of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024


def compared(name: str, arguments: Sequence[str], first: Sequence[str], repeat: int, free: bool) -> None:
    """Prints a command with one worker on one core, with two on two, and, where free, with one that may use both cores. first:
    a short command that compiles what is not compiled, modules too."""
    print(name, flush=True)
    measured(first, 2)

    def made(way: str, workers: int, cores: int) -> Timing:
        found = measured([*arguments, "--workers", str(workers)], cores, repeat)
        print(f"  {way}: {found}", flush=True)
        return found

    one = made("one process on one core", 1, 1)
    two = made("two processes on two cores", 2, 2)
    least, most = one.processor / (two.own + max(two.workers)), 2 * one.processor / two.processor
    print(f"  two are {one.seconds / two.seconds:.2f} times as fast; by processor seconds between {least:.2f} (the command and")
    print(f"  its busiest worker take turns) and {most:.2f} (both cores are always at work)", flush=True)
    if free:
        unbound = made("one process that may use both cores", 1, 2)
        print(f"  two are {unbound.seconds / two.seconds:.2f} times as fast as that", flush=True)


def main() -> None:
    """Runs all of it; takes some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=40, help="of features; 0 leaves it out")
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--settings", type=int, default=16, help="of evaluate; 0 leaves it out")
    parser.add_argument("--evaluated-days", type=int, default=35)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--free", action="store_true", help="also one process that may use both cores")
    parser.add_argument("--run", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder, parts = Path(), Path(root) / "parts"
        if asked.symbols:
            folder = market_folder(asked.symbols, asked.days * DAY_BARS)
            partition_folder(folder, parts)
            what = f"features, {asked.symbols} symbols, {asked.days} days of minutes"
            command = ["features", "--data", str(parts), "--shard", "10"]
            one = open_partitioned(parts).symbols[0]
            compared(what, command, [*command, "--symbols", one], asked.repeat, asked.free)
        if asked.settings:
            data = market_folder(1, asked.evaluated_days * DAY_BARS)
            values = ",".join(f"{0.5 + 0.1 * i:.1f}" for i in range(asked.settings))
            what = f"evaluate, {asked.settings} settings and the default, a symbol, {asked.evaluated_days} days of minutes"
            command = ["evaluate", "--data", str(data), "--set"]
            first = [*command, "fusion.entry_min_t=0.5,0.6"]
            compared(what, [*command, f"fusion.entry_min_t={values}"], first, asked.repeat, asked.free)
        if asked.run and asked.symbols:
            for name, arguments in (
                ("run from the folder", ["--data", str(folder)]),
                ("run from the partitioned set", ["--data", str(parts)]),
                ("run --cluster local:2", ["--data", str(parts), "--cluster", "local:2"]),
            ):
                print(f"{name}: {measured(['run', *arguments, '--features', 'none', '--no-report'], 2)}", flush=True)


if __name__ == "__main__":
    main()
