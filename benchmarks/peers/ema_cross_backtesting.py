"""`python -m benchmarks.peers.ema_cross_backtesting FOLDER`: backtesting.py's EMA cross over the bars of a market, whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

FAST, SLOW = 20, 60


def ema(close: Any, span: int) -> Any:
    """Exponential average of closes."""
    return pd.Series(close).ewm(span=span, adjust=False).mean()


class EmaCross(Strategy):  # type: ignore[misc]  # backtesting ships no types
    """Long while the fast average is above the slow one, short while it is below."""

    def init(self) -> None:
        """Computes both averages."""
        self.fast = self.I(ema, self.data.Close, FAST)
        self.slow = self.I(ema, self.data.Close, SLOW)

    def next(self) -> None:
        """Turns the position where they cross."""
        if crossover(self.fast, self.slow):
            self.buy()
        elif crossover(self.slow, self.fast):
            self.sell()


def main() -> None:
    """Prints how many round trips it made."""
    bars = pd.read_parquet(Path(sys.argv[1]) / "bars.parquet")
    bars = bars[bars["symbol"] == bars["symbol"].iloc[0]].set_index("timestamp").dropna()
    columns = {name: name.title() for name in ("open", "high", "low", "close", "volume")}
    data = bars[list(columns)].rename(columns=columns)
    found = Backtest(data, EmaCross, cash=1e7, commission=0.0005, exclusive_orders=True).run()
    print(int(found["# Trades"]))


if __name__ == "__main__":
    main()
