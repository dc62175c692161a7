"""L1 and what it needs, and nothing else, over observations."""

from __future__ import annotations

import typing
from typing import Any

import numpy as np

from dataflows.data.config import DataConfig
from dataflows.data.l0_market_feed import l0_market_feed
from dataflows.data.types import Instruments, Observations, unknown_instruments
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.l12_regression_slope_short import l12_regression_slope_short
from dataflows.kinematics.l20_regression_slope_medium import l20_regression_slope_medium
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.regime.config import RegimeConfig
from dataflows.regime.l1_regime import l1_regime
from dataflows.regime.types import Regime, RegimeThresholds
from tests.support import run_columnar

CHAIN: tuple[Any, ...] = (
    l0_market_feed,
    l2_returns_volatility,
    l8_spread_depth,
    l12_regression_slope_short,
    l20_regression_slope_medium,
    l1_regime,
)


def regimes_of(seen: Observations, facts: Instruments | None = None) -> Regime:
    """L1 with the settings of the package and thresholds that nothing has adapted."""
    made: Regime = chain_of(seen, facts)["l1_regime"]
    return made


def chain_of(seen: Observations, facts: Instruments | None = None) -> dict[str, Any]:
    """What each layer of the chain gives, by its name."""
    configs = {
        "data": DataConfig(),
        "kinematics": KinematicsConfig(),
        "microstructure": MicrostructureConfig(),
        "regime": RegimeConfig(),
    }
    values: dict[str, Any] = {
        "observations": seen,
        "instruments": facts if facts is not None else unknown_instruments(seen.close.shape[1]),
        "regime_thresholds": RegimeThresholds(np.zeros((5, 5)), np.zeros((5, 5)), np.ones(1)),
    }
    for fn in CHAIN:
        hints = typing.get_type_hints(fn)
        given = {k: v for k, v in values.items() if k in hints}
        taken = {k: v for k, v in configs.items() if k in hints}
        values[fn.__name__] = run_columnar(fn, given, taken, depth=seen.bid_price.shape[2])
    return values
