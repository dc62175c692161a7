"""`python -m benchmarks.volatility READY_FOLDER`: how near each estimate of volatility is to what the next hour brings.

READY_FOLDER holds perps_2025-05 and crash_2021-05, as `../shared/data/ready` does. Prints QLIKE (Patton 2011), the mean of
x - log x - 1 of the next hour's sum of squared minute returns over its forecast x apart: 0 is perfect, and no noise of the sum
changes the order of two forecasts. From the third day on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from dataflows.panel import Floats
from drivers.engine.chunk import Chunk
from drivers.run.assembly import prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest

HOUR: Final = 60
ESTIMATES: Final = (
    ("l2_returns_volatility", "sigma", 1),
    ("l2_returns_volatility", "parkinson", 1),
    ("l2_returns_volatility", "garman_klass", 1),
    ("l2_returns_volatility", "yang_zhang", 1),
    ("l58_volatility_term_structure", "har_60", 1),
    ("l76_volatility_forecast", "sigma_1", 1),
    ("l76_volatility_forecast", "sigma_bar", 1),
)
"""Layer, field, and the bars that it is the volatility of."""


def estimates(folder: Path, console: Console) -> tuple[tuple[str, ...], dict[str, Floats]]:
    """The symbols, and the log closes and each estimate's variance of an hour, (T, N)."""
    parts: dict[str, list[Floats]] = {}
    with progress_bar(console) as progress:
        session = prepare_run(RunRequest(data=folder), progress)
        for seen in session.data.deliver(most=session.chunk_bars, epoch_ns=session.engine.epoch_ns):
            if not isinstance(seen, Chunk):
                continue  # a journal's instants hold no bar
            got = session.engine.advance(seen).values
            parts.setdefault("close", []).append(np.log(got["l0_market_feed"].bars.close))
            for layer, field, bars in ESTIMATES:
                variance = np.square(getattr(got[layer], field)) * (HOUR / bars)
                parts.setdefault(f"{layer}.{field}", []).append(variance)
    return session.data.symbols, {name: np.concatenate(part) for name, part in parts.items()}


def qlike(close: Floats, variance: Floats) -> float:
    """Of one symbol: log closes and forecasts of the next hour's variance, (T,)."""
    total = np.cumsum(np.nan_to_num(np.diff(close, prepend=np.nan)) ** 2)
    rows = slice(2880, len(close) - HOUR)
    came, told = (total[HOUR:] - total[:-HOUR])[rows], variance[rows]
    there = (came > 0.0) & (told > 0.0)
    ratio = came[there] / told[there]
    return float(np.mean(ratio - np.log(ratio) - 1.0))


def main() -> None:
    """Prints a table for each set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volatility", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name in ("perps_2025-05", "crash_2021-05"):
        symbols, values = estimates(folder / name, Console(stderr=True))
        close = values.pop("close")
        print(f"\n| {name} | {' | '.join(symbols)} |\n|---{'|---' * len(symbols)}|")
        for key, variance in values.items():
            row = " | ".join(f"{qlike(close[:, n], variance[:, n]):.3f}" for n in range(len(symbols)))
            print(f"| {key} | {row} |")


if __name__ == "__main__":
    main()
