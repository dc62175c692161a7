"""What a user waits for, measured on whole processes: commands, their start, a stream's own loop, and others beside them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.setup import DAY_BARS, market, market_folder
from dataflows.runtime.code_folder import make_cache_root

PEERS: Final = {"backtesting": "backtesting.py", "nautilus_trader": "Nautilus Trader"}
"""Module to name of each peer whose EMA cross `benchmarks.peers` has."""
PEERS_PYTHON: Final = os.environ.get("PEERS_PYTHON", sys.executable)
"""The interpreter whose packages the peers are: Nautilus Trader, for one, wants an older pandas than ours."""
COMMAND: Final = "import sys; from drivers.cli.main import main; sys.exit(main())"


def with_bytecode() -> dict[str, str]:
    """The environment of a command whose modules are compiled, as those of an installation are after their first use, wherever
    this process keeps its own. The first command of a state of the code fills the folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(make_cache_root() / "benchmarks" / "bytecode")}


def timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, float, float]:
    """(seconds, processor seconds of it and its children, MiB of its largest process) of a command that must succeed."""
    program = (
        "import os, resource, subprocess, sys, time\n"
        "begun = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "if done.returncode: sys.exit(done.stderr)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        capture_output=True,
        text=True,
        env={**with_bytecode(), **(environment or {})},
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
    wall, cpu, mib = map(float, done.stdout.split())
    return wall, cpu, mib


def stratoquant(*arguments: str) -> list[str]:
    """A command of ours, of this state of the code."""
    return [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); {COMMAND}", *arguments]


def has_module(python: str, module: str) -> bool:
    """Whether an interpreter finds a module."""
    asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", asked], check=False).returncode == 0


def other_clock(clock_seconds: int, symbols: int, bars: int) -> dict[str, float]:
    """`stratoquant run` with all its results over `bars` bars of that length, start and reading included; the second of two."""
    folder = market_folder(symbols, bars, clock_seconds)
    with tempfile.TemporaryDirectory() as scratch:
        command = stratoquant("run", "--data", str(folder), "--out", f"{scratch}/run", "--overwrite")
        timed(command)  # compiles what is not compiled
        wall, cpu, mib = timed(command)
    return {"seconds": wall, "processor_seconds": cpu, "microseconds_per_bar": 1e6 * wall / bars, "peak_mib": mib}


def whole_command(bars: int, repeats: int = 3) -> dict[str, float]:
    """`stratoquant run` over a market with all its results, by turns with the EMA cross of every peer that is installed:
    medians, and the ratios of the medians."""
    folder = market_folder(1, bars)
    with tempfile.TemporaryDirectory() as scratch:
        ways = {"stratoquant run": stratoquant("run", "--data", str(folder), "--out", f"{scratch}/run", "--overwrite")}
        for module, name in PEERS.items():
            for python in dict.fromkeys((PEERS_PYTHON, sys.executable)):
                if name not in ways and has_module(python, module):
                    script = f"benchmarks.peers.ema_cross_{module.removesuffix('_trader')}"
                    ways[name] = [python, "-m", script, str(folder)]
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, command in ways.items():
                found[name].append(timed(command))
        size = sum(p.stat().st_size for p in Path(scratch, "run").rglob("*") if p.is_file()) / 2**20
    made: dict[str, float] = {"results_mib": size}
    ours = [statistics.median(x) for x in zip(*found["stratoquant run"], strict=True)]
    for name, taken in found.items():
        wall, cpu, mib = (statistics.median(x) for x in zip(*taken, strict=True))
        made |= {f"{name}: seconds": wall, f"{name}: processor seconds": cpu, f"{name}: MiB": mib}
        if name != "stratoquant run":
            made |= {f"times {name}": ours[0] / wall, f"times {name}, processor": ours[1] / cpu}
    return made


STREAM: Final = """
import json, sys, time
from pathlib import Path
import numpy as np
from rich.console import Console
from drivers.run import bar_by_bar, stream
from drivers.run.request import RunRequest
inner = bar_by_bar.Stream.run
marks, used, days = [], [], []

def run(self, items, show):
    def clocked():
        rest = iter(items)
        while True:
            marks.append(time.perf_counter_ns())
            used.append(time.thread_time_ns())
            item = next(rest, None)
            if item is None:
                return
            days.append(int((item.time[0] - 1) // self.session.engine.epoch_ns))
            yield item
    return inner(self, clocked(), show)

bar_by_bar.Stream.run = run
data, out, journal, skip = sys.argv[1:]
belief = ("fusion.prior_slope_bps=120",)
request = RunRequest(data=Path(data), out=Path(out), report=False, journaled=journal == "1", overrides=belief)
stream.run_stream(request, Console(quiet=True))
begins = np.diff(days, prepend=days[0])
print(json.dumps([np.asarray(x)[int(skip):].tolist() for x in (np.diff(marks), np.diff(used), begins)]))
"""


def stream_loop(symbols: int, bars: int, *, journal: bool) -> dict[str, float]:
    """Milliseconds from one bar to the next of `stratoquant stream`: feed, journal, engine, guards, results, flushes, garbage
    collection. The first 400 bars, which fill windows, do not count. journal: whether each bar waits for the disk.

    `worst_bar` is the number of the worst bar among those that count, `worst_begins_a_day` is 1 where it closed the day before
    it, and `worst_other_ms` is the worst of the bars that did not."""
    skip = 400
    folder = market_folder(symbols, bars + skip)
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-c", STREAM, str(folder), f"{scratch}/out", str(int(journal)), str(skip)],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"the stream failed: {done.stderr.strip()[-2000:]}")
    wall, cpu, begins = (np.array(x, np.float64)[:bars] for x in json.loads(done.stdout.splitlines()[-1]))
    wall, cpu, worst = wall / 1e6, cpu / 1e6, int(wall.argmax())
    return {
        "bars": len(wall),
        "median_ms": float(np.median(wall)),
        "p99_ms": float(np.percentile(wall, 99)),
        "p99.9_ms": float(np.percentile(wall, 99.9)),
        "worst_ms": float(wall.max()),
        "worst_bar": worst,
        "worst_begins_a_day": float(begins[worst]),
        "worst_other_ms": float(wall[begins == 0].max()),
        "median_processor_ms": float(np.median(cpu)),
        "p99.9_processor_ms": float(np.percentile(cpu, 99.9)),
        "worst_processor_ms": float(cpu.max()),
    }


def first_run() -> dict[str, float]:
    """`stratoquant run` on the sample market with an empty cache, packages installed: all of `make run` but pip."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as scratch:
        wall, cpu, _ = timed(stratoquant("run", "--out", f"{scratch}/run"), {"STRATOQUANT_CACHE": cache})
        timings = json.loads(Path(scratch, "run/run.json").read_text(encoding="utf-8"))["timings"]
    return {"seconds": wall, "processor_seconds": cpu, "of_it_until_the_first_bar": timings["prepare_seconds"]}


def warm_start(repeats: int = 3) -> dict[str, float]:
    """Seconds from the start of a run's process to its first bar, machine code in the cache: the median, and of it imports."""
    folder = market_folder(1, 10 * DAY_BARS)
    program = (
        "import time; begun = time.perf_counter()\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from drivers.run.assembly import prepare_run\n"
        "from drivers.run.progress import progress_bar\n"
        "from drivers.run.request import RunRequest\n"
        "import drivers.run.batch\n"
        "imported = time.perf_counter()\n"
        "with progress_bar(Console(quiet=True)) as progress:\n"
        f"    prepare_run(RunRequest(data=Path({str(folder)!r})), progress)\n"
        "print(time.perf_counter() - begun, imported - begun)\n"
    )
    taken = []
    for _ in range(repeats + 1):  # the first fills the cache
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=with_bytecode())
        taken.append([float(x) for x in done.stdout.splitlines()[-1].split()])
    seconds, imports = (statistics.median(x) for x in zip(*taken[1:], strict=True))
    return {"seconds": seconds, "of_it_imports": imports}


def many_symbols(symbols: int, bars: int) -> dict[str, float]:
    """A market of many symbols as a command, all results written: microseconds a symbol and bar, and the peak memory of the
    process."""
    folder = market_folder(symbols, bars)
    rows = symbols * len(market(symbols, bars).time)
    with tempfile.TemporaryDirectory() as scratch:
        wall, cpu, mib = timed(stratoquant("run", "--data", str(folder), "--out", f"{scratch}/run", "--no-report"))
        about = json.loads(Path(scratch, "run/run.json").read_text(encoding="utf-8"))
        size = sum(p.stat().st_size for p in Path(scratch, "run").rglob("*") if p.is_file()) / 2**20
    return {
        "run_us_a_symbol_bar": about["timings"]["run_seconds"] / rows * 1e6,
        "command_us_a_symbol_bar": wall / rows * 1e6,
        "processor_us_a_symbol_bar": cpu / rows * 1e6,
        "peak_mib": mib,
        "results_mib": size,
    }
