"""`python -m benchmarks.books LOB_FOLDER`: the spread that bars betray (L8's proxy) beside the one that recorded books quote.

LOB_FOLDER holds recorded snapshots and trades of one time, as `../shared/data/lob` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from dataflows.data.types import Bars, Book, Market, Quality, unknown_instruments
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.panel import Floats
from tests.support import filled, run_columnar

SETS = {
    "Bitstamp BTC, 2015": ("bitstamp_btcusd_2015-05-01/l2_snapshots20", "bitstamp_btcusd_2015-05-01/trades_feed"),
    "Hyperliquid BTC": ("hyperliquid_2025-09-04/BTC_l2book20", "hyperliquid_2025-09-04/BTC_trades"),
    "Hyperliquid ETH": ("hyperliquid_2025-09-04/ETH_l2book20", "hyperliquid_2025-09-04/ETH_trades"),
    "StandX BTC": ("standx_btcusd_2026-01-06_14h-16h/l2book10", "standx_btcusd_2026-01-06_14h-16h/trades"),
}
FEWEST = 100
"""Bars below which nothing is said; the window is half of what there are, at most that of the configuration."""


def quoted(folder: Path, name: str) -> float:
    """Mean quoted spread over time, bps; snapshots that are crossed count as nothing."""
    book = pd.read_parquet(folder / f"{name}.parquet", columns=["ts", "bid_price_0", "ask_price_0"])
    spread = 2e4 * (book["ask_price_0"] - book["bid_price_0"]) / (book["ask_price_0"] + book["bid_price_0"])
    weight = book["ts"].diff().shift(-1).dt.total_seconds().fillna(0.0) * (spread > 0.0)
    return float((spread * weight).sum() / weight.sum())


def proxied(bars: pd.DataFrame) -> Floats:
    """L8's spread of a symbol without a book, bps, from the first full window on; no floor."""
    shape = (len(bars), 1)
    panel = {k: np.ascontiguousarray(bars[k].to_numpy(float)[:, None]) for k in ("open", "high", "low", "close")}
    config = MicrostructureConfig()
    window = min(config.proxy_window_bars, len(bars) // 2)
    levels = np.full((*shape, 1), np.nan)
    market = filled(
        Market,
        shape,
        time=np.arange(1, len(bars) + 1, dtype=np.int64),
        bars=filled(Bars, shape, 1.0, **panel),
        book=filled(Book, shape, np.nan, bid_price=levels, bid_size=levels, ask_price=levels, ask_size=levels, ofi=levels),
        quality=filled(Quality, shape, valid=np.ones(shape, np.int64)),
    )
    given = {"l0_market_feed": market, "instruments": unknown_instruments(1)}
    configs = {"microstructure": config._replace(proxy_window_bars=window, proxy_floor_bps=1e-9)}
    spread = run_columnar(l8_spread_depth, given, configs).spread_bps[:, 0]
    return spread[np.isfinite(spread)]  # type: ignore[no-any-return]


def main() -> None:
    """Prints the table of docs/explanation/microstructure.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.books", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("| book | bars | a bar's deviation, bps | quoted, bps | proxy: median, bps | from its 10th to its 90th percentile |")
    print("|---|---|---|---|---|---|")
    for title, (book, trades) in SETS.items():
        price = pd.read_parquet(folder / f"{trades}.parquet").sort_values("ts").set_index("ts")["price"]
        true = quoted(folder, book)
        for seconds in (1, 10, 60):
            bars = price.resample(f"{seconds}s", closed="right", label="right").ohlc().dropna()
            if len(bars) < FEWEST:
                continue
            spread = proxied(bars)
            sigma = 1e4 * float(np.log(bars["close"]).diff().std())
            low, high = np.quantile(spread, (0.1, 0.9))
            print(
                f"| {title} | {len(bars)} of {seconds} s | {sigma:.1f} | {true:.2f} | {np.median(spread):.2f} "
                f"| {low:.2f} to {high:.2f} |"
            )


if __name__ == "__main__":
    main()
