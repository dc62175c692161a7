"""`python -m benchmarks.peers.ema_cross_nautilus FOLDER`: Nautilus Trader's own EMA cross over the bars of a market, whole.

It needs `pip install nautilus_trader`, which is no dependency of ours.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider


def main() -> None:
    """Prints how many orders it sent."""
    bars = pd.read_parquet(Path(sys.argv[1]) / "bars.parquet")
    bars = bars[bars["symbol"] == bars["symbol"].iloc[0]].set_index("timestamp").dropna()
    instrument = TestInstrumentProvider.ethusdt_perp_binance()
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
    engine = BacktestEngine(config=BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(10_000_000, USDT)],
    )
    engine.add_instrument(instrument)
    engine.add_data(BarDataWrangler(bar_type, instrument).process(bars[["open", "high", "low", "close", "volume"]]))
    settings = EMACrossConfig(
        instrument_id=instrument.id, bar_type=bar_type, fast_ema_period=20, slow_ema_period=60, trade_size=Decimal("1")
    )
    engine.add_strategy(EMACross(config=settings))
    engine.run()
    print(len(engine.cache.orders()))
    engine.dispose()


if __name__ == "__main__":
    main()
