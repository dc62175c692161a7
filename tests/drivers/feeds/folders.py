"""Small market-data folders for the tests of the feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-03-01T00:00:00Z")
NOW = int(pd.Timestamp("2026-03-10T00:00:00Z").value)


def bars(minutes: int = 20, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), seed: int = 0) -> pd.DataFrame:
    """Bars of one minute, sorted by time then symbol, prices rounded to a hundredth."""
    rng = np.random.default_rng(seed)
    frames = []
    for i, symbol in enumerate(symbols):
        close = np.round(100.0 * (i + 1) * np.exp(np.cumsum(rng.normal(0.0, 1e-3, minutes))), 2)
        opening = np.concatenate([[close[0]], close[:-1]])
        frames.append(
            pd.DataFrame(
                {
                    "timestamp": pd.date_range(START, periods=minutes, freq="min", unit="ns"),
                    "symbol": symbol,
                    "open": opening,
                    "high": np.maximum(opening, close) + 0.05,
                    "low": np.minimum(opening, close) - 0.05,
                    "close": close,
                    "volume": np.round(rng.uniform(1.0, 9.0, minutes), 3),
                }
            )
        )
    return pd.concat(frames).sort_values(["timestamp", "symbol"], kind="stable").reset_index(drop=True)


def book(snapshots: int = 40, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), depth: int = 3, seed: int = 1) -> pd.DataFrame:
    """Snapshots every half minute, in the middle of nothing in particular."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(snapshots):
        for i, symbol in enumerate(symbols):
            mid = 100.0 * (i + 1) + rng.integers(-3, 4)
            row: dict[str, Any] = {"timestamp": START + pd.Timedelta(seconds=30 * k + 10), "symbol": symbol}
            for d in range(depth):
                row |= {
                    f"bid_px_{d}": mid - 1.0 - d,
                    f"bid_sz_{d}": rng.integers(1, 9) / 2,
                    f"ask_px_{d}": mid + 1.0 + d,
                    f"ask_sz_{d}": rng.integers(1, 9) / 2,
                }
            rows.append(row)
    frame = pd.DataFrame(rows)
    frame["timestamp"] = frame["timestamp"].astype("datetime64[ns, UTC]")
    return frame


def trades(count: int = 300, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), seed: int = 2) -> pd.DataFrame:
    """Trades at random times within twenty minutes."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0.5, 1200.0, count))
    symbol = rng.choice(symbols, count)
    return pd.DataFrame(
        {
            "timestamp": (START + pd.to_timedelta((seconds * 1e3).astype(int), unit="ms")).astype("datetime64[ns, UTC]"),
            "symbol": symbol,
            "price": np.round(100.0 + rng.normal(0.0, 0.5, count), 2),
            "size": np.round(rng.uniform(0.1, 3.0, count), 2),
            "side": rng.choice(["buy", "sell"], count),
            "trade_id": np.arange(count) + 1000,
        }
    )


def write(folder: Path, suffix: str = ".parquet", description: str | None = None, **tables: pd.DataFrame) -> Path:
    """Writes `bars=frame` to bars.<suffix> and so on; CSV times as ISO text with a Z."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, frame in tables.items():
        path = folder / f"{stem}{suffix}"
        if suffix == ".parquet":
            frame.to_parquet(path, index=False)
        elif suffix == ".feather":
            frame.to_feather(path)
        else:
            shown = frame.copy()
            if isinstance(shown["timestamp"].dtype, pd.DatetimeTZDtype):
                shown["timestamp"] = shown["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            shown.to_csv(path, index=False)
    if description is not None:
        (folder / "dataset.yml").write_text(description, encoding="utf-8")
    return folder
