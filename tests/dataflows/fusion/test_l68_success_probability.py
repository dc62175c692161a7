"""L68 against a slow walk over every position's future, and on planted truths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dataflows.data.config import DataConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l68_success_probability import l68_success_probability
from dataflows.fusion.types import Expectancy, K, Signals, Success
from dataflows.panel import Floats, Ints
from dataflows.risk.config import RiskConfig
from tests.dataflows.fusion.world import forecast, market, parts_of
from tests.dataflows.kernels.barriers import drawn, walked
from tests.support import run_columnar

GAPS = DataConfig(max_gap=2)
RISK = RiskConfig()
USUAL = FusionConfig()
SHORT = FusionConfig(horizons=(2, 5, 7, 20), success_horizon_bars=7, success_alpha=0.5, success_l1=0.01, forget_halflife=30.0)
PRIOR = 1.0 / (1.0 + RISK.reward_risk)


def success(
    prices: tuple[Floats, Floats, Floats, Floats],
    values: Floats,
    edge: Floats,
    sigma: Floats,
    config: FusionConfig = USUAL,
    *,
    valid: Ints | None = None,
    std: float = 5.0,
    risk: RiskConfig = RISK,
) -> Success:
    opens, highs, lows, closes = prices
    made = market(opens, closes, valid)
    edges = np.repeat(edge[..., None], 4, axis=-1)
    got: Success = run_columnar(
        l68_success_probability,
        {
            "l0_market_feed": made._replace(bars=made.bars._replace(high=highs, low=lows)),
            "l76_volatility_forecast": forecast(sigma),
            "l66_signal_matrix": Signals(values),
            "l67_expectancy": Expectancy(
                edges, np.full(edges.shape, std), np.full(edges.shape, 500.0), np.zeros(values.shape), parts_of(edges)
            ),
        },
        {"data": GAPS, "fusion": config, "risk": risk},
    )
    return got


def slow(
    prices: tuple[Floats, ...], whole: Ints, values: Floats, edge: Floats, sigma: Floats, std: float, config: FusionConfig
) -> Success:
    """One symbol. Ends are looked up in the whole future; weights follow from all past gradients at every bar anew."""
    bars = len(edge)
    stop = np.minimum(RISK.stop_sigma * sigma * math.sqrt(7), RISK.stop_max)
    target = RISK.reward_risk * stop
    side = np.sign(edge)
    told = (np.isfinite(edge) & (edge != 0.0) & np.isfinite(stop)).astype(np.int64)
    up, down = np.where(side > 0, target, stop), np.where(side > 0, stop, target)
    ends = walked(*prices, whole, told, up, down, 7, GAPS.max_gap)
    features = np.column_stack([np.nan_to_num(side[:, None] * values), np.ones(bars), np.abs(edge) / (np.abs(edge) + std)])

    class Learner:
        def __init__(self, width: int, l1: float, l2: float) -> None:
            self.w, self.z, self.n, self.l1, self.l2 = np.zeros(width), np.zeros(width), np.zeros(width), l1, l2

        def learn(self, x: Floats, error: float) -> None:
            g = error * x
            self.z += g - (np.sqrt(self.n + g * g) - np.sqrt(self.n)) / config.success_alpha * self.w
            self.n += g * g
            bound = np.maximum(np.abs(self.z) - self.l1, 0.0)
            self.w = -np.sign(self.z) * bound / ((config.success_beta + np.sqrt(self.n)) / config.success_alpha + self.l2)

    def chance(odds: float) -> float:
        return 1.0 / (1.0 + math.exp(-odds))

    model, platt = Learner(features.shape[1], config.success_l1, config.success_l2), Learner(2, 0.0, 0.0)
    prior = math.log(PRIOR / (1.0 - PRIOR))
    claim = np.where(told, 1e-4 * np.abs(edge) * (1.0 / stop + 1.0 / target), 0.0)
    p, base, lean = np.full(bars, np.nan), np.full(bars, np.nan), np.full(bars, np.nan)
    brier = np.full(bars, np.nan)
    past: list[tuple[float, float]] = []
    for t in range(bars):
        for s in np.flatnonzero(ends[:, 0] == t):
            how, gain, u = ends[s, 1], ends[s, 2], ends[s, 3]
            won = float(how == side[s])
            if how == 0:  # out of time: what it gained, between the stop at 0 and the target at 1
                won = float(np.clip((side[s] * gain + stop[s]) / (target[s] + stop[s]), 0.0, 1.0))
            past.append((u, (p[s] - won) ** 2))
            odds = base[s] + lean[s] + platt.w @ [1.0, lean[s]]
            platt.learn(np.array([1.0, lean[s]]), (chance(odds) - won) * u)
            model.learn(features[s], (chance(prior + claim[s] + model.w @ features[s]) - won) * u)
        if past:
            u, loss = np.array(past).T
            later = np.cumsum(u[::-1])[::-1] - u
            weight = u * 0.5 ** (later / config.forget_halflife)
            brier[t] = weight @ loss / weight.sum()
        if np.isfinite(edge[t]):
            base[t] = prior + model.w[K]
            lean[t] = claim[t] + model.w @ features[t] - model.w[K]
            p[t] = chance(base[t] + platt.w[0] + max(1.0 + platt.w[1], 0.0) * lean[t])
    return Success(p, brier)


def test_it_equals_a_slow_walk_over_every_position() -> None:
    opens, highs, lows, closes, valid, *_ = drawn(5, 500, 2)
    rng = np.random.default_rng(6)
    values = np.where(rng.random((500, 2, K)) < 0.1, np.nan, rng.uniform(-1.0, 1.0, (500, 2, K)))
    edge = np.where(rng.random((500, 2)) < 0.1, np.nan, 10.0 * np.round(rng.normal(0.0, 1.0, (500, 2)), 0))
    sigma = np.exp(rng.normal(-4.6, 0.4, (500, 2)))
    sigma[::31] = np.nan
    fast = success((opens, highs, lows, closes), values, edge, sigma, SHORT, valid=valid)
    for n in range(2):
        whole = ((valid[:, n] == 1) & np.isfinite(closes[:, n])).astype(np.int64)
        prices = tuple(x[:, n] for x in (opens, highs, lows, closes))
        want = slow(prices, whole, values[:, n], edge[:, n], sigma[:, n], 5.0, SHORT)
        np.testing.assert_allclose(fast.p_success[:, n], want.p_success, rtol=1e-9)
        np.testing.assert_allclose(fast.brier[:, n], want.brier, rtol=1e-9)
    assert np.nanstd(fast.p_success) > 0.01


def path(
    seed: int, bars: int, symbols: int, effect: float, *, shuffled: bool = False
) -> tuple[tuple[Floats, Floats, Floats, Floats], Floats]:
    """Bars of ten steps each, and a slow source; the next bar's mean is `effect` sigma times the source."""
    rng = np.random.default_rng(seed)
    source = np.zeros((bars, symbols))
    for t in range(1, bars):
        source[t] = 0.98 * source[t - 1] + 0.2 * rng.normal(0.0, 0.3, symbols)
    source = np.clip(source, -1.0, 1.0)
    steps = rng.normal(0.0, 1e-3 / math.sqrt(10.0), (bars, 10, symbols))
    steps[1:] += 1e-4 * effect * source[:-1, None]
    if shuffled:
        steps = rng.permutation(steps)
    inside = 100.0 * np.exp(np.cumsum(steps.reshape(-1, symbols), axis=0)).reshape(bars, 10, symbols)
    closes = np.ascontiguousarray(inside[:, -1])
    opens = np.vstack([np.full((1, symbols), 100.0), closes[:-1]])
    highs = np.maximum(inside.max(axis=1), opens)
    lows = np.minimum(inside.min(axis=1), opens)
    return (opens, highs, lows, closes), source


def among_others(source: Floats, seed: int) -> Floats:
    """The source beside K - 1 that know nothing."""
    rng = np.random.default_rng(seed)
    values = np.clip(rng.normal(0.0, 0.3, (*source.shape, K)), -1.0, 1.0)
    values[..., 0] = source
    return values


def ends_of(prices: tuple[Floats, ...], side: Floats, risk: RiskConfig = RISK) -> Floats:
    """Payoff of every position, from 0 (the stop) to 1 (the target), NaN not known, (T, N). All walk one bar on at a time."""
    opens, highs, lows, closes = prices
    stop = risk.stop_sigma * 1e-3 * math.sqrt(60)
    count = len(side) - 60
    entry, side = opens[1 : count + 1], side[:count]
    up = entry * (1.0 + np.where(side > 0, risk.reward_risk * stop, stop))
    down = entry * (1.0 - np.where(side > 0, stop, risk.reward_risk * stop))
    won = np.full(side.shape, np.nan)
    for h in range(1, 61):
        above, below = highs[h : count + h] >= up, lows[h : count + h] <= down
        now = np.isnan(won) & (above | below)
        won[now] = (np.where(side > 0, above & ~below, below & ~above))[now]
    late = np.isnan(won)
    payoff = (1.0 + side * (closes[60 : count + 60] / entry - 1.0) / stop) / (1.0 + risk.reward_risk)
    won[late] = np.clip(payoff, 0.0, 1.0)[late]
    won[side == 0] = np.nan
    return np.vstack([won, np.full((60, side.shape[1]), np.nan)])


@pytest.fixture(scope="module")
def planted() -> tuple[Floats, Floats]:
    """Chances and outcomes where the source is worth something, once the first 4000 bars have taught."""
    prices, source = path(1, 16_000, 10, 0.2)
    got = success(prices, among_others(source, 2), 20.0 * source, np.full(source.shape, 1e-3))
    won = ends_of(prices, np.sign(source))
    late = np.isfinite(won)
    late[:4_000] = False
    return got.p_success[late], won[late]


def test_its_chances_come_true(planted: tuple[Floats, Floats]) -> None:
    """Reliability within 0.05 in every fifth of what it says."""
    chance, won = planted
    edges = np.quantile(chance, np.linspace(0.0, 1.0, 6))
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        bin_ = (chance >= a) & (chance <= b)
        assert chance[bin_].mean() == pytest.approx(won[bin_].mean(), abs=0.05)


def test_a_planted_edge_is_found(planted: tuple[Floats, Floats]) -> None:
    chance, won = planted
    high, low = chance > np.quantile(chance, 0.8), chance < np.quantile(chance, 0.2)
    assert won[high].mean() > won[low].mean() + 0.05
    assert ((chance - won) ** 2).mean() < won.var()  # better than always stating the base rate


def test_shuffled_returns_find_nothing() -> None:
    prices, source = path(3, 16_000, 6, 0.2, shuffled=True)
    got = success(prices, among_others(source, 4), 20.0 * source, np.full(source.shape, 1e-3))
    won = ends_of(prices, np.sign(source))
    late = np.isfinite(won)
    late[:4_000] = False
    chance, won = got.p_success[late], won[late]
    assert abs(chance.mean() - won.mean()) < 0.02
    assert np.std(chance) < 0.05
    base = won.mean()
    assert ((chance - won) ** 2).mean() > won.var() - 5e-4  # no skill
    # the last statement of each symbol, which has the most behind it, is close to the base rate for either side
    assert np.abs(got.p_success[-1] - base).max() < 0.12


@pytest.mark.parametrize("horizon_sigmas", [0.5, 1.5, 4.0])
def test_a_random_walk_pays_nothing(horizon_sigmas: float) -> None:
    """Whether nearly all samples reach a barrier or nearly all run out of time: the payoff in stops is 0.

    Optional stopping: a martingale stopped at any of three outcomes has mean 0. A time-out with a gain, counted as the whole
    target, made this walk look like +0.26 stops.
    """
    prices, source = path(21, 12_000, 6, 0.0)
    side = np.where(np.random.default_rng(22).random(source.shape) < 0.5, -1.0, 1.0)
    risk = RISK._replace(stop_sigma=horizon_sigmas, stop_max=0.9)
    got = success(prices, among_others(source, 23), 1e-3 * side, np.full(source.shape, 1e-3), risk=risk)
    stated = (1.0 + risk.reward_risk) * got.p_success[4_000:] - 1.0  # stops
    overlap = 6 * 8_000 / 60  # samples of an hour that share no bar
    assert abs(stated.mean()) < 4.0 * risk.reward_risk / math.sqrt(overlap)
    paid = ends_of(prices, side, risk)
    assert abs((1.0 + risk.reward_risk) * np.nanmean(paid) - 1.0) < 4.0 * risk.reward_risk / math.sqrt(overlap * 1.5)
    assert abs(stated.mean()) < 0.08


def test_before_any_label_it_is_the_prior_and_without_an_edge_it_knows_no_side() -> None:
    prices, source = path(5, 300, 2, 0.2)
    values = among_others(source, 6)
    edge = 20.0 * source
    edge[:, 1] = 0.0
    edge[100:110] = np.nan
    got = success(prices, values, edge, np.full(source.shape, 1e-6))  # barriers so near that all end within a bar
    assert np.isfinite(got.brier[5:, 0]).all()
    assert np.isnan(got.p_success[100:110]).all()
    assert (got.p_success[np.isfinite(edge[:, 1]), 1] == got.p_success[0, 1]).all()  # never a position, so never a label
    assert got.p_success[0, 1] == pytest.approx(PRIOR, abs=1e-12)
    assert np.isnan(got.brier[:, 1]).all()
    quiet = success(prices, values, edge, np.full(source.shape, 1.0))  # barriers out of reach, and time not up for 60 bars
    stop = RISK.stop_max
    odds = 1e-4 * np.abs(edge[:60]) * (1.0 / stop + 1.0 / (RISK.reward_risk * stop)) - math.log(RISK.reward_risk)
    np.testing.assert_allclose(quiet.p_success[:60], 1.0 / (1.0 + np.exp(-odds)))  # what the edge claims, to first order
    lost, won = 100.0, 150.0  # bps
    small = success(prices, values, np.full(source.shape, 2.0), np.full(source.shape, 100e-4 / (1.5 * math.sqrt(60))))
    p = small.p_success[0, 0]
    assert p * won - (1.0 - p) * lost == pytest.approx(2.0, rel=0.01)
    assert np.isfinite(quiet.brier[70, 0])


def test_long_and_short_are_treated_alike() -> None:
    (opens, highs, lows, closes), source = path(7, 1_500, 2, 0.2)
    values = among_others(source, 8)
    up = success((opens, highs, lows, closes), values, 20.0 * source, np.full(source.shape, 1e-3))
    mirrored = (200.0 - opens, 200.0 - lows, 200.0 - highs, 200.0 - closes)
    # distances are fractions of the entry, which the mirror changes: so each end may differ where the price is far from 100
    down = success(mirrored, -values, -20.0 * source, np.full(source.shape, 1e-3))
    assert np.nanmax(np.abs(up.p_success - down.p_success)) < 0.02


def test_no_future_bar_is_used() -> None:
    prices, source = path(9, 400, 1, 0.5)
    values = among_others(source, 10)
    sigma = np.full(source.shape, 3e-4)
    whole = success(prices, values, 20.0 * source, sigma)
    for cut in (70, 71, 200):
        part = success(tuple(x[:cut].copy() for x in prices), values[:cut].copy(), 20.0 * source[:cut], sigma[:cut])  # type: ignore[arg-type]
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[:cut], b)


def test_a_horizon_that_l67_does_not_learn_is_refused_by_name() -> None:
    assert any("success_horizon_bars is 61" in p for p in FusionConfig(success_horizon_bars=61).problems())
    assert not list(USUAL.problems())
