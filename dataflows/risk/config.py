"""Settings of the risk domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class RiskConfig(NamedTuple):
    """Volatility forecast, stops, caps, limits and the kill switch. Fractions are of equity unless said otherwise."""

    tail_window: Annotated[int, setting("bars", "L74: returns among which the largest are looked at", ge=60)] = 2880
    tail_top: Annotated[int, setting("returns", "L74: how many of the largest make the tail", ge=10)] = 60
    tail_extreme: Annotated[
        float, setting("index", "L74: an index below this is extreme: no variance exists below 2", gt=0)
    ] = 2.0

    garch_omega: Annotated[
        float, setting("squared log price per bar", "L76: constant of the GARCH(1,1); 0: (1 - alpha - beta) sigma_slow^2", ge=0)
    ] = 0.0
    garch_alpha: Annotated[
        float, setting("fraction", "L76: weight of the last squared return, a bar at any clock", ge=0, lt=1)
    ] = 0.05
    garch_beta: Annotated[float, setting("fraction", "L76: weight of the last variance, a bar at any clock", ge=0, lt=1)] = 0.94

    forecast_bars: Annotated[
        int, setting("bars", "L76: span whose mean volatility sizes, stops and chances go by", ge=2, least=10)
    ] = 60
    change_widen: Annotated[
        float, setting("factor", "L76: how much wider a forecast is when the law of the returns has surely changed", ge=1)
    ] = 1.5

    var_window: Annotated[int, setting("bars", "L77: returns whose quantiles are taken", ge=100)] = 2880
    var_level: Annotated[
        float, setting("fraction", "L77: share of returns that stay within the value at risk", ge=0.9, lt=1)
    ] = 0.99
    var_least_bars: Annotated[int, setting("bars", "L77: returns from which their own quantiles count", ge=100)] = 500
    var_floor: Annotated[
        float,
        setting("fraction", "L77: least of the returns' own quantiles, as a share of a Student-t(4)'s", ge=0, le=1),
    ] = 0.5
    var_least_index: Annotated[
        float, setting("index", "L77: least tail index in the mean loss beyond; from 1 down there is no mean", gt=1)
    ] = 1.5

    liquidity_notional: Annotated[
        float, setting("quote currency", "L79: position that is to be left", gt=0, of_account=True)
    ] = 10_000.0
    liquidity_participation: Annotated[float, setting("fraction", "L79: most of the volume that leaving takes", gt=0, le=1)] = (
        0.1
    )
    dry_up: Annotated[float, setting("factor", "L79: how much thinner the market gets, and its spread wider", ge=1)] = 5.0
    liquidity_volume_bars: Annotated[int, setting("bars", "L79: window of the notional traded", ge=1, least=5)] = 60
    stress_vol_factor: Annotated[float, setting("factor", "L80: times the volatility of a day", ge=1)] = 3.0
    stress_gap: Annotated[float, setting("fraction of price", "L80: least gap of the gap scenario", ge=0, le=1)] = 0.1

    correlation_halflife: Annotated[int, setting("15-bars", "L78: half-life of the correlations", ge=2, least=30)] = 672
    correlation_shrink: Annotated[float, setting("fraction", "L78: how far they go to their mean", ge=0, le=1)] = 0.2
    correlation_unknown: Annotated[
        float, setting("fraction", "L78: most of the last half-life that may be unknown of a symbol", ge=0, lt=1)
    ] = 0.1

    annual_target: Annotated[
        float, setting("fraction a year", "L83, L87: most volatility of a position, and of all together", gt=0)
    ] = 0.2
    volatility_power: Annotated[int, setting("exponent", "L83: 1: inverse volatility, 2: inverse variance", ge=1, le=2)] = 1
    regime_factor_calm: Annotated[float, setting("factor", "L83: share of the size in a calm market", ge=0, le=1)] = 1.0
    regime_factor_trend: Annotated[float, setting("factor", "L83: share of the size in a trend", ge=0, le=1)] = 1.0
    regime_factor_high_vol: Annotated[float, setting("factor", "L83: share of the size in high volatility", ge=0, le=1)] = 0.5
    regime_factor_chaotic: Annotated[float, setting("factor", "L83: share of the size in a chaotic market", ge=0, le=1)] = 0.25

    stop_sigma: Annotated[float, setting("standard deviations", "L84: stop over the horizon's volatility", gt=0)] = 1.5
    stop_atr: Annotated[float, setting("ATR", "L84: stop over average true range", gt=0)] = 2.5
    stop_min_ticks: Annotated[float, setting("ticks", "L84: least distance of a stop", ge=0)] = 4.0
    stop_max: Annotated[float, setting("fraction of price", "L84: greatest distance of a stop", gt=0, lt=1)] = 0.1
    reward_risk: Annotated[float, setting("ratio", "L84, L68: distance of the target over that of the stop", gt=0)] = 1.5
    trail_ratio: Annotated[float, setting("ratio", "L84: distance of the trailing stop over that of the stop", gt=0)] = 1.0
    default_horizon_bars: Annotated[int, setting("bars", "L84: holding period while L70 has none", ge=1, least=5)] = 60

    drawdown_start: Annotated[
        float, setting("fraction of the peak", "L91: drawdown at which sizes begin to shrink", gt=0, lt=1)
    ] = 0.05
    drawdown_stop: Annotated[float, setting("fraction of the peak", "L91: drawdown at which the size is 0", gt=0, lt=1)] = 0.15
    throttle_hysteresis: Annotated[
        float, setting("of the factor", "L91: how much beyond a step the factor must be before it rises again", ge=0, lt=1)
    ] = 0.05

    loss_daily: Annotated[
        float, setting("fraction of the day's first equity", "L92: loss that halts entries for the day", gt=0, lt=1)
    ] = 0.03
    loss_weekly: Annotated[
        float, setting("fraction of the week's first equity", "L92: loss that halts entries for the week", gt=0, lt=1)
    ] = 0.06
    loss_flatten_at: Annotated[float, setting("multiple", "L92: multiple of a limit at which everything is closed", ge=1)] = 1.5

    late_share: Annotated[
        float, setting("fraction", "L94, L86: last share of a position's life in which nothing is added to it", ge=0, lt=1)
    ] = 0.2
    rearm_bars: Annotated[int, setting("bars", "L94: lockout of a side after a stop", ge=0, least=3)] = 60

    max_fraction: Annotated[float, setting("fraction", "L85: greatest |weight| of a symbol", gt=0)] = 0.2
    cap_participation: Annotated[
        float, setting("fraction", "L85: greatest position over the notional traded in the window", gt=0, le=1)
    ] = 0.01
    cap_volume_bars: Annotated[int, setting("bars", "L85: window of the notional traded", ge=1, least=5)] = 1440

    max_liquidation_bars: Annotated[
        float, setting("bars", "L85: most that it may take to leave a position in a dried-up market (L79)", gt=0, least=2)
    ] = 120.0

    gross: Annotated[float, setting("fraction", "L86: greatest sum of |weight|", gt=0)] = 1.0
    net: Annotated[float, setting("fraction", "L86, L4: greatest |sum of weights|", gt=0)] = 0.5

    cap_band: Annotated[
        float,
        setting(
            "fraction",
            "L86, L87, L93, L95, L4: part of each cap that new risk leaves free and held risk may drift into",
            ge=0,
            le=0.5,
        ),
    ] = 0.1
    max_share: Annotated[
        float, setting("fraction", "L87: most that a symbol may add to the variance that annual_target allows", gt=0)
    ] = 0.5
    risk_budget: Annotated[float, setting("fraction", "L93: most that all stops together may cost", gt=0)] = 0.02
    risk_per_symbol: Annotated[float, setting("fraction", "L93: most that one stop may cost", gt=0)] = 0.005
    es_budget: Annotated[float, setting("fraction", "L95: most that the mean loss of the worst days may be", gt=0)] = 0.05
    stress_budget: Annotated[float, setting("fraction", "L95: most that a scenario may cost, all falling together", gt=0)] = 0.1

    hard_drawdown: Annotated[
        float, setting("fraction of the peak", "L81: drawdown at which everything is closed, latched", gt=0, lt=1)
    ] = 0.2
    stale_bars: Annotated[float, setting("bars", "L81: a feed older than this halts its symbol", ge=0, least=3)] = 3.0
    cooldown_bars: Annotated[
        int, setting("bars", "L81: how long a symbol stays halted after the cause has gone", ge=0, least=1)
    ] = 30
    reject_count: Annotated[int, setting("orders", "L81: rejects within the window that halt everything, latched", ge=1)] = 5
    symbol_reject_count: Annotated[
        int, setting("orders", "L81: rejects of one symbol within the window that halt it while they last", ge=1)
    ] = 3
    reject_window_bars: Annotated[int, setting("bars", "L81: window in which rejects are counted", ge=1, least=3)] = 60

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if not self.tail_top < self.tail_window:
            yield f"tail_top is {self.tail_top}; it must be below tail_window ({self.tail_window})."
        if self.var_least_bars > self.var_window:
            yield f"var_least_bars is {self.var_least_bars}; the window never holds more than var_window ({self.var_window})."
        if not self.garch_alpha + self.garch_beta < 1.0:
            yield (
                f"garch_alpha + garch_beta is {self.garch_alpha + self.garch_beta:g}; from 1 on "
                "the variance has no mean to return to. Typical: 0.05 and 0.94."
            )
        least = min(self.regime_factor_calm, self.regime_factor_trend, self.regime_factor_high_vol)
        if self.regime_factor_chaotic > least:
            yield f"regime_factor_chaotic is {self.regime_factor_chaotic:g}, above another's {least:g}; it must be smallest."
        if self.reward_risk * self.stop_max >= 1.0 or self.trail_ratio * self.stop_max >= 1.0:
            yield (
                f"stop_max is {self.stop_max:g}; times reward_risk {self.reward_risk:g} or trail_ratio {self.trail_ratio:g} it "
                "reaches the whole price. Lower one of them."
            )
        if not self.drawdown_start < self.drawdown_stop:
            yield f"drawdown_start is {self.drawdown_start:g}; it must be below drawdown_stop ({self.drawdown_stop:g})."
        elif self.drawdown_start < self.throttle_hysteresis * (self.drawdown_stop - self.drawdown_start):
            yield (
                f"throttle_hysteresis is {self.throttle_hysteresis:g}; with drawdown_start {self.drawdown_start:g} the factor "
                "could never come back to 1."
            )
        if not self.hard_drawdown > self.drawdown_stop:
            yield f"hard_drawdown is {self.hard_drawdown:g}; it must be above drawdown_stop ({self.drawdown_stop:g})."
        if self.risk_per_symbol > self.risk_budget:
            yield f"risk_per_symbol is {self.risk_per_symbol:g}, above risk_budget ({self.risk_budget:g}); it would never bind."
        if self.net > self.gross:
            yield f"net is {self.net:g}, above gross ({self.gross:g}); it would never bind."
