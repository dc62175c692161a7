"""L67 against a slow regression that keeps every sample, and on planted truths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from dataflows.data.config import DataConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.edge_calibration import Usual, class_factors, usual_volatility, volatility_classes
from dataflows.fusion.edge_equations import design_effect
from dataflows.fusion.edge_regression import relative_weights
from dataflows.fusion.l67_expectancy import l67_expectancy
from dataflows.fusion.types import PARTS, Ensemble, Expectancy, K, Policy, Signals, SourceWeights
from dataflows.panel import Floats, Ints
from tests.dataflows.fusion.world import EVEN, NEUTRAL, forecast, market, random_regime, regimes
from tests.support import run_columnar

GAPS = DataConfig(max_gap=2)


def expectancy(
    opens: Floats,
    closes: Floats,
    sources: Floats,
    config: FusionConfig,
    *,
    valid: Ints | None = None,
    sigma: Any = 1e-3,
    regime: Any = None,
    score: Floats | None = None,
    policy: Policy = NEUTRAL,
    weights: SourceWeights = EVEN,
) -> Expectancy:
    shape = closes.shape
    score = np.zeros(shape) if score is None else score
    got: Expectancy = run_columnar(
        l67_expectancy,
        {
            "l0_market_feed": market(opens, closes, valid),
            "l1_regime": regimes(np.zeros(shape, np.int64)) if regime is None else regime,
            "l76_volatility_forecast": forecast(np.broadcast_to(sigma, shape).copy()),
            "l7_ensemble": Ensemble(score, np.zeros((*shape, K))),
            "l66_signal_matrix": Signals(sources),
            "source_weights": weights,
            "policy": policy,
        },
        {"data": GAPS, "fusion": config},
    )
    return got


class Slow:
    """The same model the long way: every sample is kept, and each system is solved as one least-squares problem.

    The unknowns are a symbol's slopes and the common ones at once, the priors rows of the design.
    """

    def __init__(self, world: dict[str, Any], weights: Floats, config: FusionConfig) -> None:
        self.world, self.weights, self.config = world, weights, config
        self.symbols = world["closes"].shape[1]
        x = world["sources"]
        self.x = np.where(np.isfinite(x), x, 0.0)
        self.told = np.isfinite(world["score"] + world["sigma"] + world["p"].sum(-1))
        usual = np.exp(pd.DataFrame(np.log(world["sigma"])).expanding().mean().to_numpy())
        place = np.clip(np.log2(world["sigma"] / usual), -1.0, 2.0)[..., None]
        self.volatile = np.maximum(0.0, 1.0 - np.abs(place - np.array([-1.0, 0.0, 1.0, 2.0])))  # at 1/2, 1, 2, 4 times usual

    def belief(self, t: int, n: int, h: int) -> float:
        slope = self.config.prior_slope_bps * math.sqrt(
            min(h, self.config.success_horizon_bars) / self.config.success_horizon_bars
        )
        return float(slope * self.world["score"][t, n])

    def samples(self, t: int, h: int) -> list[tuple[int, int, float, float]]:
        """(bar, symbol, y, weight) of all that count at bar t."""
        w, step, found, ticks = self.world, max(1, h // 5), [], {}
        for s in range(0, t - h + 1, step):
            for n in range(self.symbols):
                valid = w["valid"][:, n]
                if not (self.told[s, n] and valid[s] and valid[s + 1] and valid[s + h]):
                    continue
                if (valid[s + 1 : s + h + 1] == 0).sum() > GAPS.max_gap:
                    continue
                scale = w["sigma"][s, n] * math.sqrt(h)
                y = np.clip((w["closes"][s + h, n] / w["opens"][s + 1, n] - 1.0) / scale, -4.0, 4.0)
                y -= np.clip(1e-4 * self.belief(s, n, h) / scale, -4.0, 4.0)
                found.append((s, n, y))
                ticks[s] = True
        later = {s: sum(1 for other in ticks if other > s) * step / h for s in ticks}
        return [(s, n, y, step / h * 0.5 ** (later[s] / self.config.forget_halflife)) for s, n, y in found]

    def solve(
        self, t: int, h: int, raw: dict[tuple[int, int], float], claims: dict[tuple[int, int], float]
    ) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Slopes and covariance by symbol, residual variance, effective observations, factors of volatility and of regimes."""
        c, used = self.config, self.weights > 0.0
        found = self.samples(t, h)
        step = max(1, h // 5) / h
        rows = np.array([self.x[s, n] * self.weights for s, n, _, _ in found]).reshape(-1, K)
        who = np.array([n for _, n, _, _ in found], int)
        y, w = np.array([y for _, _, y, _ in found]), np.array([w for _, _, _, w in found])
        when = np.array([s for s, _, _, _ in found], int)
        xy = rows * y[:, None]
        together = sum((w[when == s][0] / step * (xy[when == s].sum(0) ** 2).sum()) for s in set(when.tolist()))
        apart = (w / step * (xy**2).sum(1)).sum()
        effect = float(np.clip(together / apart, 1.0, self.symbols)) if apart > 0 else float(self.symbols)
        plain = np.array([self.x[s, n] for s, n, _, _ in found]).reshape(-1, K)
        square = (c.prior_strength * c.prior_source**2 + (w[:, None] * plain**2).sum(0)) / (c.prior_strength + w.sum())
        count = used.sum()
        slopes, spread = np.zeros((self.symbols, K)), np.zeros((self.symbols, K, K))
        variance, seen = np.zeros(self.symbols), np.zeros(self.symbols)
        none = np.zeros((count, count))
        for n in range(self.symbols):
            own, others = who == n, who != n
            design = np.vstack(
                [
                    np.hstack([np.sqrt(w[own])[:, None] * rows[own][:, used], np.zeros((own.sum(), count))]),
                    np.hstack([np.zeros((others.sum(), count)), np.sqrt(w[others] / effect)[:, None] * rows[others][:, used]]),
                    np.hstack([none, np.diag(np.sqrt(c.prior_strength * square[used]))]),
                    np.sqrt(c.symbol_strength * square[used])[:, None] * np.hstack([np.eye(count), -np.eye(count)]),
                ]
            )
            target = np.concatenate([np.sqrt(w[own]) * y[own], np.sqrt(w[others] / effect) * y[others], np.zeros(2 * count)])
            solution = np.linalg.lstsq(design, target, rcond=None)[0]
            covariance = np.linalg.inv(design.T @ design)
            slopes[n, used] = self.weights[used] * solution[:count]
            spread[n][np.ix_(used, used)] = np.outer(self.weights[used], self.weights[used]) * covariance[:count, :count]
            misfit = (w[own] * (y[own] - plain[own] @ slopes[n]) ** 2).sum()
            variance[n] = (c.prior_strength + misfit) / (c.prior_strength + w[own].sum())
            there = w[others].sum() / effect
            seen[n] = w[own].sum() + c.symbol_strength * there / (c.symbol_strength + there)
        by_volatility = self.factors(found, self.volatile, raw, (1.0, 1.0, 0.5, 0.25), effect)
        by_regime = self.factors(found, self.world["p"], claims, (1.0,) * 5, effect)
        return slopes, spread, variance, seen, by_volatility, by_regime

    def factors(
        self,
        found: list[tuple[int, int, float, float]],
        classes: Floats,
        claims: dict[tuple[int, int], float],
        priors: tuple[float, ...],
        effect: float,
    ) -> Floats:
        """Slopes through the origin of what came on what was claimed, by class, with pseudo-observations of their priors."""
        claim = np.array([claims[s, n] for s, n, _, _ in found])
        y, w = np.array([y for _, _, y, _ in found]), np.array([w for _, _, _, w in found])
        share = np.array([classes[s, n] for s, n, _, _ in found]).reshape(-1, len(priors))
        if not (w * claim**2).sum() > 0.0:
            return np.array(priors)
        size = math.sqrt(self.config.regime_strength * (w * claim**2).sum() / w.sum())

        def slope(weight: Floats, prior: float) -> float:
            rows = np.append(np.sqrt(weight) * claim, size)
            return float(np.linalg.lstsq(rows[:, None], np.append(np.sqrt(weight) * y, size * prior), rcond=None)[0][0])

        common = slope(w / effect, 1.0)
        return np.array([np.clip(slope(w * share[:, c] / effect, q * common), 0.0, 2.0) for c, q in enumerate(priors)])

    def run(self) -> Expectancy:
        c, w = self.config, self.world
        bars = len(w["closes"])
        shape = (bars, self.symbols, len(c.horizons))
        edge, std, known = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
        slope = np.full((bars, self.symbols, K), np.nan)
        parts = np.full((bars, self.symbols, len(c.horizons), PARTS), np.nan)
        for j, h in enumerate(c.horizons):
            raw: dict[tuple[int, int], float] = {}
            claims: dict[tuple[int, int], float] = {}
            for t in range(bars):
                if t % max(1, h // 5, min(16, h)) == 0:
                    slopes, spread, variance, seen, by_volatility, by_regime = self.solve(t, h, raw, claims)
                for n in range(self.symbols):
                    if not self.told[t, n]:
                        continue
                    x, scale = self.x[t, n], 1e4 * w["sigma"][t, n] * math.sqrt(h)
                    raw[t, n] = float(np.clip(slopes[n] @ x, -4.0, 4.0))
                    claims[t, n] = raw[t, n] * float(self.volatile[t, n] @ by_volatility)
                    factor = float(self.volatile[t, n] @ by_volatility) * float(w["p"][t, n] @ by_regime)
                    edge[t, n, j] = scale * factor * raw[t, n] + self.belief(t, n, h)
                    cut = raw[t, n] / (slopes[n] @ x) if slopes[n] @ x else 1.0
                    parts[t, n, j] = np.append(scale * factor * cut * slopes[n] * x, self.belief(t, n, h))
                    std[t, n, j] = scale * math.sqrt(variance[n] * (x @ spread[n] @ x)) * max(factor, 1.0)
                    known[t, n, j] = seen[n] + (c.prior_strength if c.prior_slope_bps > 0 else 0.0)
                    if h == c.success_horizon_bars:
                        slope[t, n] = scale * slopes[n]
        return Expectancy(edge, std, known, slope, parts.reshape(bars, self.symbols, -1))


@pytest.mark.parametrize("prior_slope_bps", [0.0, 40.0])
def test_it_equals_a_slow_regression_that_keeps_every_sample(prior_slope_bps: float) -> None:
    rng = np.random.default_rng(5)
    shape = (150, 3)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 2e-3, shape) + rng.normal(0.0, 2e-3, (150, 1)), axis=0))
    opens = np.vstack([closes[:1], closes[:-1]]) * np.exp(rng.normal(0.0, 2e-4, shape))
    valid = (rng.random(shape) > 0.08).astype(np.int64)
    valid[70:79, 0] = 0
    opens[74:79, 0] = np.nan
    sources = np.where(rng.random((*shape, K)) < 0.1, np.nan, rng.uniform(-1.0, 1.0, (*shape, K)))
    sources[:, 1] += 0.3 * sources[:, 0]
    weights = np.ones(K)
    weights[[2, 4]] = 0.0, 0.25
    config = FusionConfig(
        horizons=(2, 5, 12), success_horizon_bars=5, prior_strength=10.0, symbol_strength=20.0, regime_strength=5.0,
        forget_halflife=40.0, prior_slope_bps=prior_slope_bps,
    )  # fmt: skip
    regime = random_regime(rng, shape)
    world = {
        "closes": closes,
        "opens": opens,
        "valid": valid,
        "sources": sources,
        "score": np.where(rng.random(shape) < 0.05, np.nan, rng.uniform(-1.0, 1.0, shape)),
        "sigma": np.exp(rng.normal(-6.5, 0.3, shape)),
        "p": np.stack([regime.calm, regime.trend_up, regime.trend_down, regime.high_vol, regime.chaotic], axis=-1),
    }
    fast = expectancy(
        opens, closes, sources, config,
        valid=valid, sigma=world["sigma"], regime=regime, score=world["score"], policy=Policy(np.ones(1), weights),
    )  # fmt: skip
    for name, a, b in zip(Expectancy._fields, fast, Slow(world, weights, config).run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=name)
    whole = np.zeros(fast.edge_bps.shape)
    for part in np.moveaxis(fast.parts_bps.reshape(*fast.edge_bps.shape, PARTS), -1, 0):
        whole += part
    np.testing.assert_array_equal(whole, fast.edge_bps)


def planted(seed: int, bars: int, symbols: int, edges_bps: Any, *, sigma_bps: float = 10.0, memory: float = 0.95) -> Any:
    """Opens, closes and sources that move slowly; each bar's return has mean sources @ edges_bps of the close before it."""
    rng = np.random.default_rng(seed)
    sources = np.empty((bars, symbols, K))
    sources[0] = rng.normal(0.0, 0.3, (symbols, K))
    for t in range(1, bars):
        sources[t] = memory * sources[t - 1] + math.sqrt(1.0 - memory**2) * rng.normal(0.0, 0.3, (symbols, K))
    sources = np.clip(sources, -1.0, 1.0)
    steps = 1e-4 * rng.normal(0.0, sigma_bps, (bars, symbols))
    steps[1:] += 1e-4 * (sources[:-1] * np.broadcast_to(edges_bps, K)).sum(-1)
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    return np.vstack([closes[:1], closes[:-1]]), closes, sources


USUAL = FusionConfig(horizons=(5, 15, 60), success_horizon_bars=15)
ONE = np.eye(K)[3]


def test_planted_slopes_are_found_whatever_their_sign() -> None:
    truth = np.zeros(K)
    truth[[1, 6]] = 5.0, -5.0
    opens, closes, sources = planted(1, 12_000, 4, truth)
    got = expectancy(opens, closes, sources, USUAL)
    grown = sum(0.95**i for i in range(15))  # what one bar's edge adds up to over 15 while the source decays
    slopes = got.slope_by_source[-1].mean(axis=0)
    np.testing.assert_allclose(slopes[[1, 6]], grown * truth[[1, 6]], rtol=0.25)
    assert np.abs(np.delete(slopes, [1, 6])).max() < 0.2 * grown * 5.0
    expected = grown * (sources[-3000:] * truth).sum(-1)
    assert np.corrcoef(expected.ravel(), got.edge_bps[-3000:, :, 1].ravel())[0, 1] > 0.95


def test_its_standard_error_is_honest_on_pure_noise() -> None:
    """Edge over its standard deviation is no wider than a standard normal, also where symbols and sources move together."""
    opens, closes, sources = planted(3, 3_000, 40, 0.0)
    for same in (False, True):
        if same:  # four groups of ten symbols that are one and the same
            first = np.repeat(np.arange(0, 40, 10), 10)
            opens, closes, sources = opens[:, first], closes[:, first].copy(), sources[:, first].copy()
        none = expectancy(opens, closes, sources, USUAL)
        z = none.edge_bps[500::250] / none.edge_std_bps[500::250]
        assert np.isfinite(z).all()
        assert (np.abs(z) > 2.0).mean() < 0.06


def test_no_edge_on_a_random_walk_with_bid_ask_bounce() -> None:
    """A reversal signal trades against the bounce of the last close. From close to close it would seem to earn money."""
    rng = np.random.default_rng(4)
    bars, symbols = 4_000, 4
    mid = 100.0 * np.exp(np.cumsum(1e-4 * rng.normal(0.0, 3.0, (bars, symbols)), axis=0))
    side = rng.choice([-1.0, 1.0], (2, bars, symbols))
    opens = np.vstack([mid[:1], mid[:-1]]) * (1.0 + 10e-4 * side[0])
    closes = mid * (1.0 + 10e-4 * side[1])
    last = np.diff(np.log(closes), axis=0, prepend=np.log(closes[:1]))
    sources = np.tanh(-last / 20e-4)[..., None] * ONE
    got = expectancy(opens, closes, sources, USUAL)
    assert (np.abs(got.edge_bps[-1] / got.edge_std_bps[-1]) < 2.5).all()
    naive = np.vstack([closes[:1], closes[:-1]])  # entry at the close of s, which nobody can have
    fooled = expectancy(naive, closes, sources, USUAL)
    assert (np.abs(fooled.edge_bps[-1, :, 0] / fooled.edge_std_bps[-1, :, 0]) > 4.0).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_edge_rises_in_the_learned_direction_whatever_the_label(sign: float) -> None:
    opens, closes, sources = planted(6, 3_000, 1, sign * 4.0 * ONE)
    last = []
    for i, x in enumerate(np.linspace(-1.0, 1.0, 21)):
        other = sources.copy()
        other[-1] = x * ONE
        regime = regimes(np.zeros(closes.shape, np.int64))
        regime.label[-1] = i % 5  # a label that changes, at the same probabilities
        last.append(expectancy(opens, closes, other, USUAL, regime=regime).edge_bps[-1, 0])
    edges = np.array(last)
    assert (sign * np.diff(edges, axis=0) > 0.0).all()
    np.testing.assert_allclose(edges, -edges[::-1], atol=1e-9)  # long and short alike


def test_a_regime_in_which_the_claim_fails_lowers_it() -> None:
    rng = np.random.default_rng(9)
    opens, closes, sources = planted(8, 12_000, 2, 0.0)
    high = (np.arange(12_000) // 200 % 2)[:, None] * np.ones((1, 2), np.int64)
    steps = 1e-4 * rng.normal(0.0, 10.0, closes.shape)
    steps[1:] += 1e-4 * np.where(high == 0, 6.0, 0.0)[:-1] * sources[:-1, :, 3]
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    got = expectancy(opens, closes, sources, USUAL, regime=regimes(3 * high))
    strength = np.abs(got.edge_bps[-2_000:, :, 0] / (got.slope_by_source[-2_000:] * sources[-2_000:]).sum(-1))
    there = high[-2_000:] == 0
    assert np.median(strength[there]) > 1.5 * np.median(strength[~there])


def test_the_edge_is_right_at_every_volatility_if_it_does_not_grow_with_it() -> None:
    """The source is worth 4 bps a bar, whatever the volatility is; in standard deviations that is four times as much or less."""
    rng = np.random.default_rng(15)
    opens, closes, sources = planted(16, 24_000, 3, 0.0)
    sigma = np.where(np.arange(24_000) // 300 % 2, 20.0, 5.0)[:, None] * np.ones((1, 3))
    steps = 1e-4 * sigma * rng.normal(0.0, 1.0, closes.shape)
    steps[1:] += 1e-4 * 4.0 * sources[:-1, :, 3]
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    got = expectancy(opens, closes, sources, USUAL, sigma=1e-4 * sigma)
    truth = 4.0 * sum(0.95**i for i in range(15)) * sources[-6_000:, :, 3]
    for level in (5.0, 20.0):
        there = sigma[-6_000:] == level
        said = got.edge_bps[-6_000:, :, 1][there]
        slope = (said * truth[there]).sum() / (said**2).sum()  # of the true edge on the stated one: Mincer and Zarnowitz
        assert slope == pytest.approx(1.0, abs=0.2)


def test_a_claim_s_factor_is_the_weighted_slope_of_statsmodels_with_the_prior_as_an_observation() -> None:
    rng = np.random.default_rng(17)
    claim, share = rng.normal(0.0, 1.0, 400), rng.dirichlet(np.ones(4), 400)
    came = claim * np.array([1.5, 1.0, 0.5, 0.1])[share.argmax(1)] + rng.normal(0.0, 1.0, 400)
    xx, xy = (share * claim[:, None] ** 2).sum(0), (share * (claim * came)[:, None]).sum(0)
    got = np.empty(4)
    class_factors(xx, xy, 400.0, 2.0, 50.0, (1.0, 1.0, 0.5, 0.25), got)
    size = math.sqrt(50.0 * xx.sum() / 400.0)

    def slope(weight: Floats, prior: float) -> float:
        rows, weights = np.append(claim, size), np.append(weight / 2.0, 1.0)
        return float(sm.WLS(np.append(came, size * prior), rows, weights=weights).fit().params[0])

    common = slope(np.ones(400), 1.0)
    expected = [np.clip(slope(share[:, c], q * common), 0.0, 2.0) for c, q in enumerate((1.0, 1.0, 0.5, 0.25))]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_usual_volatility_is_the_geometric_mean_so_far_and_classes_are_by_octaves() -> None:
    sigma = np.array([0.5, np.nan, 2.0, 0.0, 8.0, 4.0])
    state = Usual(np.zeros(1), np.zeros(1, np.int64))
    got = [usual_volatility(x, 0, 1_000, state) for x in sigma]
    known = np.where(sigma > 0, sigma, np.nan)
    np.testing.assert_allclose(got, np.exp(pd.Series(np.log(known)).expanding().mean()))
    state = Usual(np.zeros(1), np.zeros(1, np.int64))
    late = [usual_volatility(x, 0, 2, state) for x in (1.0, 4.0, 16.0)]  # from the third on with a weight of a half
    np.testing.assert_allclose(late, [1.0, 2.0, math.sqrt(2.0 * 16.0)])
    out = np.empty(4)
    expected: list[tuple[float, list[float]]] = [
        (0.1, [1, 0, 0, 0]), (0.5, [1, 0, 0, 0]), (1.0, [0, 1, 0, 0]), (2**1.25, [0, 0, 0.75, 0.25]), (9.0, [0, 0, 0, 1]),
        (0.0, [0, 1, 0, 0]), (np.nan, [0, 1, 0, 0]),
    ]  # fmt: skip
    for times, shares in expected:
        volatility_classes(3.0 * times, 3.0, out)
        np.testing.assert_allclose(out, shares, atol=1e-12)


def test_a_source_without_weight_and_one_that_is_unknown_say_nothing() -> None:
    opens, closes, sources = planted(10, 3_000, 2, 5.0 * ONE)
    silent = expectancy(opens, closes, sources, USUAL._replace(source_weights=tuple(1.0 - ONE)))
    assert (silent.slope_by_source[..., 3] == 0.0).all()
    gone = sources.copy()
    gone[..., 3] = np.nan
    without = expectancy(opens, closes, gone, USUAL._replace(source_weights=tuple(1.0 - ONE)))
    for a, b in zip(silent, without, strict=True):
        np.testing.assert_array_equal(a, b)
    alone = expectancy(opens, closes, sources, USUAL._replace(source_weights=tuple(ONE)))
    assert np.abs(alone.slope_by_source[-1, :, 3]).min() > 10.0
    assert (np.delete(alone.slope_by_source[-1], 3, axis=-1) == 0.0).all()


def test_permuting_the_symbols_permutes_every_bit() -> None:
    rng = np.random.default_rng(11)
    opens, closes, sources = planted(12, 700, 7, 3.0 * ONE)
    order = rng.permutation(7)
    whole = expectancy(opens, closes, sources, USUAL)
    moved = expectancy(opens[:, order].copy(), closes[:, order].copy(), sources[:, order].copy(), USUAL)
    for a, b in zip(whole, moved, strict=True):
        np.testing.assert_array_equal(a[:, order], b)


def test_an_outage_forgets_nothing_and_teaches_nothing() -> None:
    opens, closes, sources = planted(10, 2_000, 1, 3.0 * ONE)
    valid = np.ones(closes.shape, np.int64)
    valid[1_000:1_900] = 0
    got = expectancy(opens, closes, sources, USUAL, valid=valid)
    for j, h in enumerate(USUAL.horizons):
        seen = got.effective_observations[1_016 : 1_900 + h, 0, j]  # from the first solution in the gap on
        assert (seen == seen[0]).all()
    assert got.effective_observations[1_990, 0, 0] > got.effective_observations[1_899, 0, 0]


def test_a_cold_start_has_no_edge_and_no_experience_and_a_stated_belief_has_both() -> None:
    opens, closes, sources = planted(11, 3, 1, 0.0)
    score = np.full(closes.shape, 0.5)
    cold = expectancy(opens, closes, sources, USUAL, score=score)
    assert (cold.edge_bps == 0.0).all()
    assert (cold.effective_observations == 0.0).all()
    assert (cold.edge_std_bps > 0.0).all()
    belief = expectancy(opens, closes, sources, USUAL._replace(prior_slope_bps=60.0), score=score)
    np.testing.assert_allclose(belief.edge_bps[0, 0], 30.0 * np.sqrt(np.array([5, 15, 15]) / 15.0))
    assert (belief.effective_observations == USUAL.prior_strength).all()


def test_effective_observations_stay_within_what_forgetting_allows() -> None:
    opens, closes, sources = planted(12, 2_000, 1, 0.0)
    got = expectancy(opens, closes, sources, USUAL._replace(forget_halflife=20.0))
    most = 20.0 / math.log(2.0) + 1.0
    assert (got.effective_observations <= most).all()
    assert got.effective_observations[-1, 0, 0] == pytest.approx(most, rel=0.05)


def test_no_future_bar_is_used() -> None:
    opens, closes, sources = planted(13, 300, 2, 3.0)
    whole = expectancy(opens, closes, sources, USUAL)
    for cut in (50, 51, 200):
        part = expectancy(opens[:cut].copy(), closes[:cut].copy(), sources[:cut].copy(), USUAL)
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[:cut], b)


def test_the_design_effect_is_one_for_independent_symbols_and_their_number_for_equal_ones() -> None:
    y = np.random.default_rng(14).normal(size=(4_000, 6))
    assert design_effect(float((y.sum(1) ** 2).sum()), float((y**2).sum()), 6) == pytest.approx(1.0, abs=0.1)
    same = y[:, :1] * np.ones((1, 6))
    assert design_effect(float((same.sum(1) ** 2).sum()), float((same**2).sum()), 6) == pytest.approx(6.0)
    assert design_effect(0.0, 0.0, 6) == 6.0


def test_relative_weights_are_one_for_the_heaviest() -> None:
    np.testing.assert_allclose(relative_weights(np.array([[0.2, 0.8], [0.4, 0.6]])), [3.0 / 7.0, 1.0])
    np.testing.assert_allclose(relative_weights(np.zeros((2, 3))), np.ones(3))
