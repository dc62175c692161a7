"""What L8 and L63 give is what the boundary model promises, and faults are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from dataflows.boundary import schema_of
from dataflows.data.types import DataConfig
from dataflows.kinematics.types import Returns
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.l63_tradeability import l63_tradeability
from dataflows.microstructure.schema import MicrostructureBoundary
from dataflows.microstructure.types import (
    ORDER_SIZES,
    BookImbalance,
    FlowToxicity,
    OrderFlowImbalance,
    PriceImpact,
    TradePressure,
)
from dataflows.regime.types import Regime
from tests.dataflows.microstructure.markets import instruments, random_book, traded, with_book
from tests.support import filled, run_columnar


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    configs = {"microstructure": MicrostructureConfig(proxy_window_bars=20), "data": DataConfig()}
    market = traded(rng, 100, 2, spread=1e-3, sigma=5e-4)._replace(book=with_book(*random_book(rng, (100, 2))).book)
    facts = instruments(2, feed=np.array([0, 1]))
    seen = run_columnar(l8_spread_depth, {"l0_market_feed": market, "instruments": facts}, configs)
    given = {
        "l0_market_feed": market,
        "instruments": facts,
        "l1_regime": filled(Regime, (100, 2), 0.1),
        "l2_returns_volatility": filled(Returns, (100, 2), 0.001),
        "l8_spread_depth": seen,
    }
    given |= {
        "l9_book_imbalance": filled(BookImbalance, (100, 2), 0.1),
        "l10_trade_pressure": filled(TradePressure, (100, 2), 0.1),
        "l59_price_impact": filled(PriceImpact, (100, 2), 1e-6),
        "l61_flow_toxicity": filled(FlowToxicity, (100, 2), 0.5),
        "l62_order_flow_imbalance": filled(OrderFlowImbalance, (100, 2), 1.0),
    }
    fit = run_columnar(l63_tradeability, given, configs)
    data = {f"l8_spread_depth.{k}": v for k, v in seen._asdict().items()}
    for k, v in fit._asdict().items():
        data |= (
            {f"l63_tradeability.{k}": v}
            if v.ndim == 2
            else {f"l63_tradeability.{k}.{name}": v[:, :, i] for i, name in enumerate(ORDER_SIZES)}
        )
    return pd.DataFrame({k: np.ascontiguousarray(v).reshape(-1) for k, v in data.items()})


def test_the_output_of_l8_and_l63_passes(frame: pd.DataFrame) -> None:
    schema_of(MicrostructureBoundary).validate(frame)
    assert frame.notna().all(axis=1).mean() > 0.5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("l8_spread_depth.spread_bps", 0.0),
        ("l8_spread_depth.mid", np.inf),
        ("l8_spread_depth.bid_depth", -1.0),
        ("l63_tradeability.score", 1.5),
        ("l63_tradeability.avoid", 2),
        ("l63_tradeability.slippage_bps.middle", 1e9),
    ],
)
def test_planted_faults_are_refused(frame: pd.DataFrame, column: str, value: float) -> None:
    broken = frame.copy()
    broken.loc[150, column] = value
    with pytest.raises(pa.errors.SchemaError):
        schema_of(MicrostructureBoundary).validate(broken)
