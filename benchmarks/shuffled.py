"""`python -m benchmarks.shuffled READY_FOLDER`: how much of a reading is noise.

READY_FOLDER holds perps_2025-05 and crash_2021-05, as `../shared/data/ready` does. Prints what L13, L24, L52 and L54 say of the
closes, and of the same returns in a random order, in which there is neither trend nor memory nor cycle.
"""

from __future__ import annotations

import argparse
import typing
from pathlib import Path
from typing import Any

import numpy as np

from dataflows.data.config import DataConfig
from dataflows.data.l0_market_feed import l0_market_feed
from dataflows.data.types import Instruments, Observations
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.l13_kalman_velocity import l13_kalman_velocity
from dataflows.kinematics.l24_variance_ratio import l24_variance_ratio
from dataflows.kinematics.l52_hurst_exponent import l52_hurst_exponent
from dataflows.kinematics.l54_cycle_phase import l54_cycle_phase
from drivers.feeds.dataset import open_dataset
from tests.support import run_columnar

CHAIN: tuple[Any, ...] = (
    l0_market_feed,
    l2_returns_volatility,
    l13_kalman_velocity,
    l24_variance_ratio,
    l52_hurst_exponent,
    l54_cycle_phase,
)
READINGS = (
    ("l13_kalman_velocity", "t_stat"),
    ("l13_kalman_velocity", "innovation_z"),
    ("l24_variance_ratio", "ratio"),
    ("l24_variance_ratio", "z"),
    ("l52_hurst_exponent", "h"),
    ("l54_cycle_phase", "in_cycle"),
    ("l54_cycle_phase", "period"),
)
WARM_UP = 3000


def readings(seen: Observations, facts: Instruments) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each reading, over all symbols."""
    configs = {"data": DataConfig(), "kinematics": KinematicsConfig()}
    values: dict[str, Any] = {"observations": seen, "instruments": facts}
    for fn in CHAIN:
        hints = typing.get_type_hints(fn)
        given, taken = ({k: v for k, v in of.items() if k in hints} for of in (values, configs))
        values[fn.__name__] = run_columnar(fn, given, taken, depth=seen.bid_price.shape[2])
    panels = {f"{layer}.{field}": getattr(values[layer], field)[WARM_UP:] for layer, field in READINGS}
    return {name: (float(np.nanmean(panel)), float(np.nanstd(panel))) for name, panel in panels.items()}


def shuffled(seen: Observations, seed: int) -> Observations:
    """The returns of each symbol in a random order, as bars that are all close."""
    rng = np.random.default_rng(seed)
    close = seen.close.copy()
    for n in range(close.shape[1]):
        known = np.isfinite(close[:, n])
        path = np.log(close[known, n])
        close[known, n] = np.exp(path[0] + np.concatenate([[0.0], np.cumsum(rng.permutation(np.diff(path)))]))
    return seen._replace(open=close, high=close, low=close, close=close, vwap=np.full_like(close, np.nan))


def main() -> None:
    """Prints a table for each set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shuffled", description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in ("perps_2025-05", "crash_2021-05"):
        data = open_dataset(parser.parse_args().folder / name)
        seen = data.rows(0, len(data.time))
        real, noise = readings(seen, data.instruments), readings(shuffled(seen, 1), data.instruments)
        print(f"\n{name}\n\n| mean ± deviation | as it was | shuffled |\n|---|---|---|")
        for key, (mean, deviation) in real.items():
            print(f"| {key} | {mean:.2f} ± {deviation:.2f} | {noise[key][0]:.2f} ± {noise[key][1]:.2f} |")


if __name__ == "__main__":
    main()
