"""The kinematics layers run one after the other over a market, as the plan would."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dataflows.data.config import DataConfig
from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.microstructure.types import Tradeability
from dataflows.panel import leaves
from dataflows.regime.types import Regime
from tests.dataflows.data.observed import hole, instruments, market, observe, walk
from tests.support import filled, layers_of, run_columnar

LAYERS = layers_of("kinematics")
# short windows, so that a test market of a few hundred bars fills them
BRISK = KinematicsConfig(
    volatility_halflife=20,
    volatility_halflife_slow=40,
    volatility_atr=5,
    trend_medium_spans=(2, 4, 8),
    trend_medium_atr=5,
    momentum_medium_horizons=(40, 80, 120),
    slope_medium_bars=6,
    slope_medium_lags=1,
    rsi_short_period=5,
    macd_spans=(4, 9, 5),
    directional_short_period=4,
    directional_medium_period=2,
    breakout_short_bars=20,
    channel_bars=3,
    ratio_window_bars=40,
    ratio_horizon_bars=5,
    derivative_bars=9,
    hurst_lags=(1, 2, 3, 4, 6, 8),
    hurst_window_bars=50,
    fraction_taps=20,
    fraction_window_bars=40,
    efficiency_bars=10,
    reversion_window_bars=40,
    jump_window_bars=30,
    term_short_bars=10,
    term_medium_bars=40,
    term_long_bars=120,
)


def run(fn: Any, inputs: Mapping[str, Any], k: KinematicsConfig = BRISK, cuts: Any = ()) -> Any:
    """One layer over those of the inputs that it takes."""
    hints = typing.get_type_hints(fn)
    taken = {name: v for name, v in inputs.items() if name in hints}
    return run_columnar(fn, taken, {"kinematics": k, "data": DataConfig()}, cuts=cuts)


def with_gaps(bars: int) -> Market:
    """Two symbols with a short and a long gap."""
    return market(hole(hole(observe(walk(bars)), slice(300, 303), 0), slice(500, 560), 1))


def valid(seen: Market, panel: Any, n: int) -> pd.Series[float]:
    """A symbol's column at its valid bars."""
    return pd.Series(panel[:, n])[seen.quality.valid[:, n] == 1]


def regime(shape: tuple[int, int], seed: int = 0, **over: Any) -> Regime:
    """Random probabilities that sum to 1, a random short t-statistic, nothing forced."""
    p = np.random.default_rng(seed).dirichlet(np.ones(5), shape)
    names = ("calm", "trend_up", "trend_down", "high_vol", "chaotic")
    values = {name: np.ascontiguousarray(p[:, :, i]) for i, name in enumerate(names)}
    values["trend_t"] = np.random.default_rng(seed + 1).normal(0.0, 3.0, shape)
    values["vol_percentile"] = np.random.default_rng(seed + 2).random(shape)
    made: Regime = filled(Regime, shape, 0.0, **{**values, **over})
    return made


def tradeability(shape: tuple[int, int], score: Any = None) -> Tradeability:
    """Random scores, or the given one."""
    if score is None:
        score = np.random.default_rng(9).random(shape)
    made: Tradeability = filled(Tradeability, shape, 0.0, score=score, slippage_bps=np.zeros((*shape, 3)))
    return made


def chain(seen: Market, k: KinematicsConfig = BRISK, tick: float = 0.01, **over: Any) -> dict[str, Any]:
    """Every value of the domain by node name, with its inputs."""
    shape = seen.bars.close.shape
    values: dict[str, Any] = {
        "l0_market_feed": seen,
        "instruments": instruments(shape[1], tick),
        "l1_regime": regime(shape),
        "l63_tradeability": tradeability(shape),
        **over,
    }
    for fn in LAYERS:
        values[fn.__name__] = run(fn, values, k)
    return values


def same(a: Any, b: Any) -> None:
    """Equal to the bit, NaN for NaN."""
    for x, y in zip(leaves(a), leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape and x.flags.c_contiguous
        np.testing.assert_array_equal(x, y)
