"""Made-up records from upstream, for the tests of the fusion domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.data.config import DataConfig
from dataflows.data.types import Bars, ExternalAlpha, HigherBars, Instruments, Market, Quality
from dataflows.execution.config import ExecutionConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.types import (
    PARTS,
    TREND,
    Cost,
    Decay,
    Ensemble,
    Expectancy,
    Horizon,
    K,
    Policy,
    Signals,
    SourceWeights,
    Success,
)
from dataflows.kinematics.types import Alignment, KinematicState, Returns
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.types import (
    BookImbalance,
    OrderFlowImbalance,
    PriceImpact,
    SpreadDepth,
    Tradeability,
    TradePressure,
)
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import PatternConsensus, PatternSignal
from dataflows.regime.types import ChangePoint, Regime
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import VolForecast
from tests.support import filled

CONFIG = FusionConfig(horizons=(5, 15, 60, 240))
"""Four horizons; the made-up records below have as many."""
CONFIGS: dict[str, Any] = {
    "data": DataConfig(),
    "fusion": CONFIG,
    "execution": ExecutionConfig(),
    "microstructure": MicrostructureConfig(),
    "risk": RiskConfig(),
}
EVEN = SourceWeights(np.full((5, K), 1.0 / K))
NEUTRAL = Policy(np.ones(1), np.ones(K))


def market(opens: Floats, closes: Floats, valid: Ints | None = None, volume: float = 1000.0, funding: float = 0.0) -> Market:
    """A market with these opens and closes; the rest is flat."""
    shape = closes.shape
    valid = np.ones(shape, np.int64) if valid is None else valid
    quality = filled(Quality, shape, 0.0, valid=valid, filled=1 - valid, listed=np.ones(shape, np.int64))
    bars = filled(
        Bars,
        shape,
        volume,
        open=opens,
        close=closes,
        high=np.maximum(opens, closes),
        low=np.minimum(opens, closes),
    )
    fifth = np.arange(1, len(closes) + 1)[:, None] % 5 == 0
    bars_5 = filled(HigherBars, shape, 1.0, closed=(fifth & (valid == 1)).astype(np.int64))
    made: Market = filled(Market, shape, 0.0, bars=bars, bars_5=bars_5, quality=quality, funding=np.full(shape, funding))
    return made


def regimes(label: Ints, **over: Any) -> Regime:
    """Certain of the label; all probabilities NaN where it is -1."""
    shape = label.shape
    names = ("calm", "trend_up", "trend_down", "high_vol", "chaotic")
    sure = {k: np.where(label < 0, np.nan, (label == i).astype(float)) for i, k in enumerate(names)}
    made: Regime = filled(Regime, shape, 0.5, **{**sure, "label": label, **over})
    return made


def returns(sigma: Floats) -> Returns:
    """Volatility `sigma` a bar, the rest 0."""
    made: Returns = filled(Returns, sigma.shape, 0.0, sigma=sigma)
    return made


def parts_of(edge: Floats) -> Floats:
    """L67's parts of edges (T, N, H): three quarters of each are trend's, the rest is stated; they sum to it exactly."""
    parts = np.zeros((*edge.shape, PARTS))
    parts[..., TREND], parts[..., -1] = 0.75 * edge, edge - 0.75 * edge
    return parts.reshape(*edge.shape[:2], -1)


def forecast(sigma: Floats) -> VolForecast:
    """Volatility `sigma` a bar in the mean of the next 60."""
    return VolForecast(sigma, sigma, sigma * np.sqrt(1440.0))


def random_regime(rng: np.random.Generator, shape: tuple[int, int]) -> Regime:
    """Random probabilities that sum to 1, and their labels."""
    p = rng.dirichlet(np.ones(5), shape)
    made: Regime = filled(
        Regime,
        shape,
        0.5,
        calm=p[..., 0].copy(),
        trend_up=p[..., 1].copy(),
        trend_down=p[..., 2].copy(),
        high_vol=p[..., 3].copy(),
        chaotic=p[..., 4].copy(),
        label=p.argmax(-1).astype(np.int64),
        trend_t=rng.normal(0.0, 5.0, shape),
    )
    return made


def holes(rng: np.random.Generator, x: Floats, share: float = 0.05) -> Floats:
    """x with some entries unknown."""
    return np.where(rng.random(x.shape) < share, np.nan, x)


def instruments(n: int, fee: float = 5.0) -> Instruments:
    """n symbols with a taker fee in bps."""
    made: Instruments = filled(Instruments, (n,), 0.0, taker_fee_bps=np.full(n, fee), multiplier=np.ones(n))
    return made


def vote(rng: np.random.Generator, shape: tuple[int, int]) -> PatternSignal:
    """A pattern that comes and goes."""
    side = rng.integers(-1, 2, shape)
    confidence = np.where(side == 0, 0.0, rng.random(shape))
    return PatternSignal(np.abs(side), side, confidence, np.zeros(shape))


def said(rng: np.random.Generator, shape: tuple[int, int]) -> ExternalAlpha:
    """A word from outside now and then, in a unit of its own."""
    spoken = rng.random(shape) < 0.1
    return ExternalAlpha(np.where(spoken, rng.normal(0.0, 50.0, shape), np.nan), np.where(spoken, 0.0, np.nan))


def everything(seed: int, bars: int = 300, symbols: int = 3) -> dict[str, Any]:
    """Every input of the domain, random, with holes: one dict to run all layers from."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, shape), axis=0))
    opens = np.vstack([closes[:1], closes[:-1]]) * (1.0 + rng.normal(0.0, 1e-4, shape))
    valid = (rng.random(shape) > 0.05).astype(np.int64)
    regime = random_regime(rng, shape)
    label = np.where(rng.random(shape) < 0.03, -1, regime.label)
    regime = regime._replace(label=label, trend_t=holes(rng, regime.trend_t), calm=holes(rng, regime.calm, 0.02))
    score = holes(rng, rng.uniform(-1.0, 1.0, shape))
    sigma = holes(rng, np.exp(rng.normal(-7.0, 0.5, shape)), 0.02)
    edge = np.sign(score)[..., None] * rng.exponential(30.0, (*shape, 4))
    return {
        "l0_market_feed": market(np.where(valid == 1, opens, np.nan), closes, valid, funding=1e-6),
        "l1_regime": regime,
        "l2_returns_volatility": returns(sigma),
        "l76_volatility_forecast": forecast(sigma),
        "l8_spread_depth": filled(SpreadDepth, shape, 1.0, spread_bps=holes(rng, rng.exponential(2.0, shape))),
        "l9_book_imbalance": filled(BookImbalance, shape, 0.0, weighted=holes(rng, rng.uniform(-1.0, 1.0, shape))),
        "l10_trade_pressure": filled(TradePressure, shape, 0.0, pressure=holes(rng, rng.uniform(-1.0, 1.0, shape))),
        "l62_order_flow_imbalance": filled(
            OrderFlowImbalance, shape, 0.0, predicted_bps=holes(rng, rng.normal(0.0, 1.0, shape))
        ),
        "l48_lead_lag": vote(rng, shape),
        "l49_relative_strength": vote(rng, shape),
        "l50_pattern_consensus": filled(
            PatternConsensus,
            shape,
            0.5,
            score=holes(rng, rng.uniform(-1.0, 1.0, shape)),
            dominant=np.repeat(rng.integers(26, 30, (-(-bars // 20), symbols)), 20, axis=0)[:bars],
            votes=np.zeros((*shape, 24)),
        ),
        "l64_change_point": filled(ChangePoint, shape, 0.0, instability=holes(rng, rng.random(shape))),
        "external_alpha": said(rng, shape),
        "l25_timeframe_alignment": filled(Alignment, shape, 0.5, score=holes(rng, rng.uniform(-1.0, 1.0, shape))),
        "l60_kinematic_state": filled(
            KinematicState,
            shape,
            0.5,
            direction=rng.integers(-1, 2, shape),
            strength=holes(rng, rng.random(shape)),
            trend_score=holes(rng, rng.uniform(-1.0, 1.0, shape)),
            reversion_score=holes(rng, rng.uniform(-1.0, 1.0, shape)),
        ),
        "l59_price_impact": filled(
            PriceImpact, shape, 0.0, lambda_sqrt=holes(rng, rng.normal(1e-6, 1e-6, shape)), r2=rng.random(shape)
        ),
        "l63_tradeability": filled(
            Tradeability,
            shape,
            0.5,
            avoid=(rng.random(shape) < 0.1).astype(np.int64),
            slippage_bps=np.cumsum(rng.exponential(2.0, (*shape, 3)), axis=-1),
        ),
        "l66_signal_matrix": Signals(holes(rng, rng.uniform(-1.0, 1.0, (*shape, K)))),
        "l7_ensemble": Ensemble(score, rng.uniform(-1.0 / K, 1.0 / K, (*shape, K))),
        "l67_expectancy": Expectancy(
            edge,
            rng.exponential(10.0, (*shape, 4)),
            rng.exponential(200.0, (*shape, 4)),
            rng.normal(0.0, 1.0, (*shape, K)),
            parts_of(edge),
        ),
        "l68_success_probability": Success(holes(rng, rng.random(shape)), rng.random(shape)),
        "l73_signal_decay": Decay(holes(rng, rng.random(shape))),
        "l70_horizon": Horizon(np.full(shape, 60.0), holes(rng, rng.normal(5.0, 20.0, shape)), np.full(shape, 2, np.int64)),
        "l71_trading_cost": filled(
            Cost,
            shape,
            1.0,
            round_trip_bps=holes(rng, rng.exponential(10.0, shape)),
            carry_bps_per_bar=rng.normal(0, 0.01, shape),
        ),
        "instruments": instruments(symbols),
        "source_weights": SourceWeights(rng.dirichlet(np.ones(K), 5)),
        "policy": Policy(np.array([0.5]), rng.uniform(0.5, 1.5, K)),
    }
