"""L2: log returns, and how much the price moves."""

from __future__ import annotations

from dataflows.data.types import Instruments, Market
from dataflows.kinematics import volatility as at
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.types import Returns
from dataflows.kinematics.volatility import VolatilityCarry, returns_and_volatility
from dataflows.layer import layer


@layer("L2")
def l2_returns_volatility(
    l0_market_feed: Market,
    instruments: Instruments,
    kinematics: KinematicsConfig,
    carry: VolatilityCarry,
) -> Returns:
    """Log returns over the last 1, 5, 15, 60 valid bars, and volatilities of one bar. Panels (T, N).

    Learned from valid bars only. r_n, z: NaN on a bar that is not valid; r_1 after a gap reaches back to the last valid close.
    sigma, sigma_slow: root of the exponentially weighted mean of r_1 squared, seeded with the mean of the first half-life of
    them. parkinson, garman_klass, yang_zhang: over the last `volatility_range_window` bars. All four in log price per bar.
    A return that L0 flags as an outlier enters each average at most as `volatility_outlier_most` times the volatility so
    far, so that one bad print is soon forgotten and a crash is learned within bars; true ranges likewise. r_n and z show
    what was observed.
    atr, atr_60: Wilder's average true range of base bars and of closed 60-bars, quote currency. The volatilities hold on bars
    that are not valid and are never below sigma_floor = `volatility_floor_ticks` * tick / price (0 where the tick is unknown).
    z: r_1 over the sigma of the bar before, within [-1000, 1000]; 0 where r_1 is 0. Nothing reaches across a new listing.
    Source: Parkinson (1980); Garman and Klass (1980); Yang and Zhang (2000); Wilder (1978).
    """
    made = returns_and_volatility(
        bars=l0_market_feed.bars,
        bars_60=l0_market_feed.bars_60,
        valid=l0_market_feed.quality.valid,
        listed=l0_market_feed.quality.listed,
        outlier=l0_market_feed.quality.outlier,
        tick_size=instruments.tick_size,
        halflife=kinematics.volatility_halflife,
        halflife_slow=kinematics.volatility_halflife_slow,
        window=kinematics.volatility_range_window,
        period=kinematics.volatility_atr,
        floor_ticks=kinematics.volatility_floor_ticks,
        outlier_most=kinematics.volatility_outlier_most,
        state=carry,
    )
    return Returns(
        r_1=made[at.R_1],
        r_5=made[at.R_5],
        r_15=made[at.R_15],
        r_60=made[at.R_60],
        sigma=made[at.SIGMA],
        sigma_slow=made[at.SIGMA_SLOW],
        parkinson=made[at.PARKINSON],
        garman_klass=made[at.GARMAN_KLASS],
        yang_zhang=made[at.YANG_ZHANG],
        atr=made[at.ATR],
        atr_60=made[at.ATR_60],
        sigma_floor=made[at.SIGMA_FLOOR],
        z=made[at.Z],
    )
