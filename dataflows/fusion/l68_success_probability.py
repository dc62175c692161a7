"""L68: does the target come before the stop."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.success import Bracket, ChanceRules, Claims, Models, Told, success_chances
from dataflows.fusion.types import Expectancy, K, Signals, Success
from dataflows.kernels.ftrl import Ftrl, Rates
from dataflows.kernels.labels import PricePath, Samples
from dataflows.layer import layer
from dataflows.risk.types import RiskConfig, VolForecast

FEATURES: Final = K + 2


class SuccessProbabilityCarry(NamedTuple):
    """Positions that could have been taken and are not over, and what those that are over have taught."""

    samples: Annotated[Samples, Bind(W="success_horizon_bars", F=FEATURES)]
    regression: Annotated[Ftrl, Bind(F=FEATURES)]
    platt: Annotated[Ftrl, Bind(F=2)]
    told: Annotated[Told, Bind(W="success_horizon_bars")]


@layer("L68")
def l68_success_probability(
    l0_market_feed: Market,
    l66_signal_matrix: Signals,
    l67_expectancy: Expectancy,
    l76_volatility_forecast: VolForecast,
    data: DataConfig,
    fusion: FusionConfig,
    risk: RiskConfig,
    carry: SuccessProbabilityCarry,
) -> Success:
    """Panels (T, N) in [0, 1]: p_success of a position on the side of the edge, brier: how far off such chances were.

    p_success is the chance of a bet that wins the target or loses the stop and pays as much on average as the position: its
    mean payoff is p * target - (1 - p) * stop. Three outcomes count, each by what it pays. A sample is a close s with an edge
    at `success_horizon_bars` h: entry at the open of s+1, the stop stop_sigma * sigma * sqrt(h) away, sigma L76's (at most
    stop_max), the target reward_risk times as far: the keys of L84. It ends at the first bar that reaches one of them and is
    paid that one (the stop where both lie in one bar), else at the close of s+h, and is paid its gain. The label is the
    payoff, 0 at the stop and 1 at the target. A random walk, which pays nothing on average, has p = 1 / (1 + reward_risk),
    however many samples run out of time. Void if bar s, s+1 or the one it times out at is filled or unknown, or more than
    `max_gap` bars of its life are.

    p is learned per symbol by FTRL-proximal logistic regression on the sources on the side of the edge, a constant and the
    edge's certainty, each sample weighing its average uniqueness; an unknown source counts 0 and learns nothing. A Platt step
    corrects it, fitted the same way on the chances that were stated before their outcomes were known. Before any label p is
    that of a fair bet, 1 / (1 + reward_risk), and of what L67 claims beyond: an edge m adds m / stop + m / target to the log
    odds, so that a cold start, which has no edge, has the fair bet. Without an edge p is that of a position about which nothing
    is known; NaN while the edge is unknown. brier: mean squared error of what was stated against the label, half-life
    `forget_halflife` effective observations; NaN before the first. O(1) a bar, O(h) where a barrier is reached.
    Sources: fractional labels in a logistic regression, Papke and Wooldridge (1996); FTRL-proximal, McMahan et al. (2013);
    Platt (1999); Brier (1950); Lopez de Prado (2018), ch. 3 and 4.
    """
    bars = l0_market_feed.bars
    return Success(
        *success_chances(
            PricePath(open=bars.open, high=bars.high, low=bars.low, close=bars.close, valid=l0_market_feed.quality.valid),
            Claims(
                sources=l66_signal_matrix.values,
                edge_bps=l67_expectancy.edge_bps,
                edge_std_bps=l67_expectancy.edge_std_bps,
                column=fusion.horizons.index(fusion.success_horizon_bars),
                sigma=l76_volatility_forecast.sigma_bar,
            ),
            Bracket(
                bars=float(fusion.success_horizon_bars),
                stop_sigma=risk.stop_sigma,
                stop_max=risk.stop_max,
                reward_risk=risk.reward_risk,
            ),
            ChanceRules(
                max_gap=data.max_gap,
                rates=Rates(alpha=fusion.success_alpha, beta=fusion.success_beta, l1=fusion.success_l1, l2=fusion.success_l2),
                forget_halflife=fusion.forget_halflife,
            ),
            carry.samples,
            Models(regression=carry.regression, platt=carry.platt),
            carry.told,
        )
    )
