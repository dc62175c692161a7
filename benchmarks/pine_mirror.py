"""`python -m benchmarks.pine_mirror RUN [--symbol S] [--picture FILE.png] [--runtime PineTS]`: the mirror, measured.

Prints the characters of a payload of 120 bars for every symbol of a run, the time to render both scripts, and of a chart with
the run's last bars the largest error of each series that Pine recomputes, in each runtime. --picture draws what was plotted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from dataflows.regime.types import REGIMES
from drivers.pine.export import export
from drivers.pine.render import MIRROR, SCRIPTS, script
from drivers.pine.settings import settings_of
from drivers.store.reader import open_run
from tests.pine.cases import Case, case_of
from tests.pine.runtimes import Drawn, pinets, pynecore

RUNTIMES = {"PyneCore": pynecore, "PineTS": pinets}
SERIES = {
    "Return": "return_1", "ATR": "atr", "Volatility": "sigma", "Trend": "trend_z", "Stop": "stop", "Target": "target",
    "Chart regime": "chart_regime", "Chart side": "chart_side",
}  # fmt: skip
COLORS = ("#9ca3af", "#16a34a", "#dc2626", "#ea580c", "#7c3aed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--symbol")
    parser.add_argument("--bars", type=int, default=4000)
    parser.add_argument("--payload", type=int, default=500)
    parser.add_argument("--tick", type=float, help="of the chart; without it: the run's")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--runtime", choices=RUNTIMES, default="PyneCore")
    given = parser.parse_args()
    run = open_run(given.run)
    _payloads(given.run)
    symbol = given.symbol or run.symbols[0]
    ticks = run.about["instruments"]["tick_size"]
    tick = given.tick or ticks[run.symbols.index(symbol)]
    case = case_of(given.run, symbol, given.payload, tick, chart=given.bars)
    for name, runtime in RUNTIMES.items():
        if given.picture is not None and name != given.runtime:
            continue
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            drawn = runtime(case.exported().scripts[MIRROR], case.bars, {}, Path(folder))
            _errors(name, case, drawn, time.perf_counter() - begun)
            if given.picture is not None:
                _draw(given.picture, name, case, drawn)


def _payloads(folder: Path) -> None:
    run = open_run(folder)
    sizes = {symbol: len(export(run, symbol, 120).payload) for symbol in run.symbols}
    print(f"payload of 120 bars: {', '.join(f'{symbol} {size:,}' for symbol, size in sizes.items())} characters;", end=" ")
    print(f"{sum(sizes.values()):,} for {len(sizes)} symbols")
    settings, payload = settings_of(run.about), export(run, run.symbols[0], 120).payload
    for name in SCRIPTS:
        script(name, settings)
        spent = []
        for _ in range(50):
            begun = time.perf_counter()
            made = script(name, settings, symbol=run.symbols[0], payload=payload)
            spent.append(time.perf_counter() - begun)
        print(f"{name}: {len(made):,} characters, rendered in {1e3 * statistics.median(spent):.2f} ms (median of 50)")


def _errors(name: str, case: Case, drawn: Drawn, seconds: float) -> None:
    print(f"{name}: {len(case.rows):,} bars of {case.symbol} in {seconds:.1f} s; ", end="")
    print(", ".join(f"{key.lower()} {drawn.last(key):.0f}" for key in ("Status", "Compared", "Mismatches")))
    for title, field in SERIES.items():
        chart, python = drawn.plots[title], case.recorded.column[field][case.rows].astype(float)
        known = np.isfinite(chart) & np.isfinite(python)
        error = np.abs(chart - python)[known]
        size = np.abs(python[known])
        relative = error[size > 0.0] / size[size > 0.0]
        print(f"  {title:<13} {known.sum():>6,} bars, largest error {error.max(initial=0.0):.1e}, ", end="")
        print(f"relative {relative.max(initial=0.0):.1e}")


def _draw(path: Path, name: str, case: Case, drawn: Drawn) -> None:
    """Price with the regime behind it, levels and fills; the trend of the chart with Python's; both sides."""
    mpl.rcParams.update({"font.size": 8, "axes.grid": True, "grid.alpha": 0.25})
    view = slice(-case.payload_bars - 60, None)
    at = np.arange(len(case.rows))[view]
    plots = {title: values[view] for title, values in drawn.plots.items()}
    figure, (price, trend, side) = plt.subplots(3, 1, figsize=(11, 7), height_ratios=(5, 2, 1.2), sharex=True, layout="tight")
    above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "fontsize": 7, "frameon": False}
    price.plot(at, case.bars.close[view], color="#1f2937", lw=0.8, label="close")
    regime = plots["Chart regime"]
    for code, color in enumerate(COLORS):
        price.fill_between(at, 0, 1, where=regime == code, transform=price.get_xaxis_transform(), color=color, alpha=0.16, lw=0,
                           step="mid", label=REGIMES[code] if (regime == code).any() else None)  # fmt: skip
    price.plot(at, plots["Stop"], color="#dc2626", lw=1.1, label="stop")
    price.plot(at, plots["Target"], color="#16a34a", lw=1.1, label="target")
    price.scatter(at, plots["Bought"], color="#16a34a", s=18, zorder=3, label="bought")
    price.scatter(at, plots["Sold"], color="#dc2626", s=18, zorder=3, label="sold")
    gaps = np.flatnonzero(np.diff(case.bars.time[view]) > case.bars.clock)
    for gap in gaps:
        price.axvline(at[gap] + 0.5, color="#6b7280", ls=":", lw=1)
        price.annotate("gap", (at[gap] + 0.5, 0.02), xycoords=("data", "axes fraction"), fontsize=7, color="#6b7280")
    price.legend(**above, ncols=10)
    equal = f"equal on {drawn.last('Compared'):.0f} bars" if drawn.last("Mismatches") == 0 else "DIFFERENT"
    figure.suptitle(f"StratoQuant mirror: {case.symbol}, as {name} drew it; {equal}", x=0.06, ha="left", fontsize=9)
    trend.plot(at, plots["Trend"], color="#1d4ed8", lw=0.9, label="trend, ATR: chart")
    trend.scatter(at, plots["Python trend"], color="#f59e0b", s=8, zorder=3, label="Python")
    trend.legend(**above, ncols=2)
    side.step(at, plots["Chart side"], where="mid", color="#1d4ed8", lw=0.9, label="chart side")
    side.step(at, plots["Python side"], where="mid", color="#f59e0b", lw=0.9, label="side of the gate")
    side.set_yticks((-1, 0, 1), ("short", "flat", "long"))
    side.legend(**above, ncols=2)
    side.set_xlabel("bar of the chart")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
