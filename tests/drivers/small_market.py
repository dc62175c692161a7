"""A small market for runs from end to end: a few hundred bars, with gaps, an outage across midnight and a symbol that comes late."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

EARLY = (
    "kinematics.volatility_halflife_slow=60", "kinematics.term_short_bars=30", "kinematics.term_medium_bars=60",
    "kinematics.term_long_bars=120", "microstructure.proxy_window_bars=60", "microstructure.pressure_window_bars=60",
    "risk.cap_volume_bars=60", "risk.es_budget=0.1",
)  # fmt: skip
"""Settings with which a believing run trades from the second hour on, so that a few hours of data are enough."""
START = pd.Timestamp("2024-03-04T21:00:00Z")


def market(minutes: int = 420, symbols: tuple[str, ...] = ("AAA", "BBB"), seed: int = 5) -> pd.DataFrame:
    """Bars of one minute from three hours before midnight on, sorted by time, then symbol."""
    rng = np.random.default_rng(seed)
    frames = []
    for i, symbol in enumerate(symbols):
        trend = np.repeat(rng.normal(0.0, 6e-4, -(-minutes // 60)), 60)[:minutes]
        close = np.round(100.0 * (i + 1) * np.exp(np.cumsum(trend + rng.normal(0.0, 8e-4, minutes))), 2)
        opening = np.concatenate([[close[0]], close[:-1]])
        wick = np.round(close * np.abs(rng.normal(0.0, 4e-4, (2, minutes))), 2)
        volume = np.round(rng.uniform(100.0, 900.0, minutes), 3)
        frame = pd.DataFrame(
            {
                "timestamp": pd.date_range(START, periods=minutes, freq="min", unit="ns"),
                "symbol": symbol,
                "open": opening,
                "high": np.maximum(opening, close) + wick[0],
                "low": np.minimum(opening, close) - wick[1],
                "close": close,
                "volume": volume,
                "trade_count": np.round(volume / 3.0),
                "buy_volume": np.round(volume * rng.uniform(0.3, 0.7, minutes), 3),
            }
        )
        frames.append(frame.iloc[20:] if i else frame)
    made = pd.concat(frames).sort_values(["timestamp", "symbol"], kind="stable").reset_index(drop=True)
    since = (made["timestamp"] - START) / pd.Timedelta(minutes=1)
    outage = (since >= 0.4 * minutes) & (since < 0.4 * minutes + 15)
    return made[~outage].drop(index=[31, 32, 77]).reset_index(drop=True)


def folder(path: Path, minutes: int = 420) -> Path:
    """The market as a folder with a description."""
    path.mkdir(parents=True)
    market(minutes).to_parquet(path / "bars.parquet", index=False)
    text = "clock: 1m\ntick_size: 0.01\nlot_size: 0.001\nmin_notional: 5\n"
    (path / "dataset.yml").write_text(text, encoding="utf-8")
    return path


def left(path: Path) -> set[str]:
    """Every file and folder below a folder."""
    return {str(Path(base, name).relative_to(path)) for base, folders, files in os.walk(path) for name in (*folders, *files)}
