"""The two independent runtimes that execute Pine offline, and what a script plotted in them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

HERE = Path(__file__).parent


class ChartBars(NamedTuple):
    """What a chart shows: opens of bars in seconds since 1970 and their prices, (T,)."""

    time: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    clock: int
    tick: float

    def last(self, count: int) -> ChartBars:
        return ChartBars(*(x[-count:] for x in self[:5]), self.clock, self.tick)


class Drawn(NamedTuple):
    """What a script plotted, by title, (T,), NaN where nothing; the cells of its table where the runtime keeps them; alerts."""

    plots: dict[str, np.ndarray]
    table: list[list[str]]
    alerts: list[str]

    def last(self, title: str) -> float:
        return float(self.plots[title][-1])


Runtime = Callable[[str, ChartBars, Mapping[str, Any], Path], Drawn]


def timeframe(clock: int) -> str:
    """A clock as Pine writes it."""
    return f"{clock // 86_400}D" if clock % 86_400 == 0 else str(clock // 60) if clock % 60 == 0 else f"{clock}S"


def pynecore(source: str, bars: ChartBars, inputs: Mapping[str, Any], folder: Path) -> Drawn:
    """PyneCore, through pine2pyne. The transpiled script stays in `folder`, for a look at what ran."""
    from pine2pyne import transpile
    from pynecore.core.script_runner import ScriptRunner
    from pynecore.core.syminfo import SymInfo
    from pynecore.types.ohlcv import OHLCV

    path = folder / f"script_{hashlib.sha256(source.encode()).hexdigest()[:16]}.py"
    if not path.is_file():
        path.write_text(str(transpile(source)), encoding="utf-8")
    about = SymInfo(
        prefix="TEST", description="test", ticker="TEST", currency="USD", period=timeframe(bars.clock), type="crypto",
        mintick=bars.tick, pricescale=round(1 / bars.tick), pointvalue=1.0, mincontract=1e-6, opening_hours=[], session_starts=[],
        session_ends=[],
    )  # fmt: skip
    rows = [
        OHLCV(int(t) * 1000, float(o), float(h), float(lo), float(c), 1.0)
        for t, o, h, lo, c in zip(bars.time, bars.open, bars.high, bars.low, bars.close, strict=True)
    ]
    named = {"Payload": "payload", "Alert token": "token"}
    runner = ScriptRunner(path, rows, about, inputs={named[k]: v for k, v in inputs.items()}, lossless_prices=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        made = [item[1] for item in runner.run_iter()]
    alerts = [line.partition("ALERT: ")[2] for line in said.getvalue().splitlines() if "ALERT: " in line]
    return Drawn({title: np.array([float(row[title]) for row in made]) for title in made[-1]}, [], alerts)


def pinets(source: str, bars: ChartBars, inputs: Mapping[str, Any], folder: Path) -> Drawn:
    """PineTS, in a process of node. Skips where it is not installed; fails there if STRATOQUANT_NEEDS_PINETS is set."""
    node = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    if node is None or not (HERE / "node_modules" / "pinets").is_dir():
        why = "PineTS is not installed: `make test` installs it where npm is there"
        pytest.fail(why) if os.environ.get("STRATOQUANT_NEEDS_PINETS") else pytest.skip(why)
    given = {
        "script": source,
        "inputs": dict(inputs),
        "symbol": {"tick": bars.tick, "clock": bars.clock, "timeframe": timeframe(bars.clock)},
        "bars": [[int(t), *map(float, prices), 1.0] for t, *prices in zip(*bars[:5], strict=True)],
    }
    done = subprocess.run(
        [node, str(HERE / "pinets.mjs")], input=json.dumps(given), capture_output=True, text=True, check=False, cwd=HERE
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    table = found.pop("__table__", [])
    return Drawn({title: np.array([np.nan if x is None else x for x in row]) for title, row in found.items()}, table, [])
