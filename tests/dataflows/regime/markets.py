"""What L1 reads of L0, L2, L8 and L12, out of bars, by plain pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dataflows.data.types import Bars, HigherBars, Market, Quality, Session
from dataflows.kinematics.types import Returns, Slope
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats
from dataflows.regime.types import RegimeThresholds
from tests.support import filled

FLOOR = 1e-6


def neutral() -> RegimeThresholds:
    """Thresholds before any adaptation."""
    return RegimeThresholds(np.zeros((5, 5)), np.zeros((5, 5)), np.ones(1))


def slope_t(close: Floats, window: int = 30) -> Floats:
    """t-statistic of log close on time over each window."""
    y = np.log(close)
    out = np.full(y.shape, np.nan)
    if len(y) < window:
        return out
    x = np.arange(window) - (window - 1) / 2
    w = np.lib.stride_tricks.sliding_window_view(y, window, axis=0)
    w = w - w.mean(axis=2, keepdims=True)
    beta = w @ x / (x @ x)
    rest = (w * w).sum(axis=2) - beta * beta * (x @ x)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[window - 1 :] = beta / np.sqrt(np.maximum(rest, 0.0) / (window - 2) / (x @ x))
    return out


def inputs(
    close: Floats, high: Floats, low: Floats, volume: Floats, spread_bps: Floats | None = None, halflife: float = 60.0
) -> dict[str, Any]:
    """The inputs of L1 for bars that are valid where the close is known. spread_bps: quoted; None: proxied."""
    shape = close.shape
    valid = np.isfinite(close).astype(np.int64)
    r = np.vstack([np.full((1, shape[1]), np.nan), np.diff(np.log(close), axis=0)])
    alpha = 1.0 - np.exp(-np.log(2.0) / halflife)
    variance = pd.DataFrame(r * r).ewm(alpha=alpha, adjust=False, min_periods=int(halflife)).mean()
    sigma = np.maximum(np.sqrt(variance.to_numpy()), FLOOR)
    previous = pd.DataFrame(sigma).ffill().shift().to_numpy()
    whole = np.arange(shape[0]) % 15 == 14
    group = np.arange(shape[0]) // 15

    def of_15(x: Floats, how: str) -> Floats:
        done = getattr(pd.DataFrame(x).groupby(group), how)().to_numpy()
        out = np.full(shape, np.nan)
        out[whole] = done[: whole.sum()]
        return pd.DataFrame(out).ffill().to_numpy()

    higher = HigherBars(
        of_15(close, "first"),
        of_15(high, "max"),
        of_15(low, "min"),
        of_15(close, "last"),
        of_15(volume, "sum"),
        np.ascontiguousarray(np.broadcast_to(whole[:, None], shape).astype(np.int64)),
    )
    proxied = np.full(shape, int(spread_bps is None), np.int64)
    spread = np.ones(shape) if spread_bps is None else spread_bps
    return {
        "l0_market_feed": filled(
            Market,
            shape,
            bars=filled(Bars, shape, open=close, high=high, low=low, close=close, volume=volume),
            bars_15=higher,
            session=filled(Session, shape, bar_of_session=np.repeat(np.arange(shape[0])[:, None] % 1440, shape[1], axis=1)),
            quality=filled(Quality, shape, valid=valid),
        ),
        "l2_returns_volatility": filled(Returns, shape, r_1=r, sigma=sigma, sigma_floor=np.full(shape, FLOOR), z=r / previous),
        "l8_spread_depth": filled(SpreadDepth, shape, spread_bps=spread, proxied=proxied),
        "l12_regression_slope_short": filled(Slope, shape, t_stat=slope_t(close)),
        "l20_regression_slope_medium": filled(Slope, shape, t_stat=np.full(shape, np.nan)),
        "regime_thresholds": neutral(),
    }


def walk(
    rng: np.random.Generator, bars: int, symbols: int, sigma: Floats | float = 5e-4, drift: Floats | float = 0.0
) -> dict[str, Any]:
    """Inputs of L1 out of a random walk; sigma and drift per bar may be arrays (T, 1)."""
    size = np.broadcast_to(np.asarray(sigma, float), (bars, symbols))
    path = np.cumsum(drift + size * rng.standard_normal((bars, symbols)), axis=0)
    wick = np.abs(rng.standard_normal((2, bars, symbols))) * size * 0.5
    close = 100.0 * np.exp(path)
    before = np.vstack([np.full((1, symbols), 100.0), close[:-1]])
    high, low = np.maximum(close, before) * np.exp(wick[0]), np.minimum(close, before) * np.exp(-wick[1])
    return inputs(close, high, low, rng.lognormal(3.0, 0.8, (bars, symbols)) * (size / 5e-4))
