"""L67 against a slow and obvious implementation, and on planted truths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dataflows.data.config import DataConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l67_expectancy import l67_expectancy
from dataflows.fusion.types import Ensemble, Expectancy, K, Signals
from dataflows.panel import Floats, Ints
from tests.dataflows.fusion.world import market, regimes, returns
from tests.support import run_columnar

GAPS = DataConfig(max_gap=2)
SHORT = FusionConfig(horizons=(1, 3, 5, 12), prior_strength=10.0, forget_halflife=20.0)


def expectancy(
    opens: Floats,
    closes: Floats,
    score: Floats,
    config: FusionConfig = SHORT,
    *,
    label: Ints | None = None,
    valid: Ints | None = None,
    sigma: Floats | None = None,
    sources: Floats | None = None,
) -> Expectancy:
    shape = closes.shape
    got: Expectancy = run_columnar(
        l67_expectancy,
        {
            "l0_market_feed": market(opens, closes, valid),
            "l1_regime": regimes(np.zeros(shape, np.int64) if label is None else label),
            "l2_returns_volatility": returns(np.full(shape, 1e-3) if sigma is None else sigma),
            "l7_ensemble": Ensemble(score, np.repeat(score[..., None] / K, K, axis=-1)),
            "l66_signal_matrix": Signals(np.repeat(score[..., None], K, axis=-1) if sources is None else sources),
        },
        {"data": GAPS, "fusion": config},
    )
    return got


def ridge(
    samples: list[tuple[float, float, float]], prior: float, config: FusionConfig, prior_yy: float
) -> tuple[float, float, float]:
    """Slope, its standard deviation and the effective observations: all samples (x, y, weight), oldest first, solved at once.

    The prior enters as one made-up row of the least-squares problem.
    """
    later = 0.0
    rows = []
    for x, y, weight in reversed(samples):
        rows.append((x, y, weight * 0.5 ** (later / config.forget_halflife)))
        later += weight
    xs, ys, w = np.array(rows, float).reshape(-1, 3).T
    strength = config.prior_strength
    effective = w.sum()
    typical = (strength * config.prior_score**2 + (w * xs * xs).sum()) / (strength + effective)
    design = np.append(np.sqrt(w) * xs, math.sqrt(strength * typical))
    target = np.append(np.sqrt(w) * ys, math.sqrt(strength * typical) * prior)
    slope = float(np.linalg.lstsq(design[:, None], target, rcond=None)[0][0])
    squares = ((target - design * slope) ** 2).sum()
    variance = (strength * prior_yy + squares) / (strength + effective)
    return slope, math.sqrt(variance / (design**2).sum()), effective


def slow(
    opens: Floats, closes: Floats, valid: Ints, score: Floats, sources: Floats, label: Ints, sigma: Floats, config: FusionConfig
) -> Expectancy:
    """One symbol. Keeps every sample, looks each one up again at every bar, and solves anew."""
    bars = len(score)
    out = [np.full((bars, width), np.nan) for width in (4, 4, 4, K)]
    for t in range(bars):
        if label[t] < 0:
            continue
        pools: list[list[tuple[int, float]]] = []  # per horizon: (bar, return) of the samples that count at t
        for h in config.horizons:
            pool = []
            for s in range(t - h + 1):
                end = s + h
                if label[s] != label[t] or np.isnan(score[s]):
                    continue
                if not (valid[s] and valid[s + 1] and valid[end]):
                    continue
                if (valid[s + 1 : end + 1] == 0).sum() > GAPS.max_gap:
                    continue
                pool.append((s, 1e4 * (closes[end] / opens[s + 1] - 1.0)))
            pools.append(pool)
        for j, h in enumerate(config.horizons):
            prior = config.prior_slope_bps * math.sqrt(h / config.horizons[2])
            if not np.isnan(score[t]):
                samples = [(score[s], y, 1.0 / h) for s, y in pools[j]]
                slope, std, effective = ridge(samples, prior, config, (1e4 * sigma[t]) ** 2 * h)
                out[0][t, j] = max(slope, 0.0) * score[t]
                out[1][t, j] = std * abs(score[t])
                out[2][t, j] = effective + (config.prior_strength if config.prior_slope_bps > 0 else 0.0)
        for k in range(K):
            h = config.horizons[2]
            samples = [(sources[s, k], y, 1.0 / h) for s, y in pools[2] if not np.isnan(sources[s, k])]
            out[3][t, k] = ridge(samples, 0.0, config, 0.0)[0]
    return Expectancy(*out)


@pytest.mark.parametrize("slope", [0.0, 40.0])
def test_it_equals_a_slow_regression_that_keeps_every_sample(slope: float) -> None:
    rng = np.random.default_rng(5)
    bars = 220
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 2e-3, bars)))
    opens = np.append(closes[0], closes[:-1]) * np.exp(rng.normal(0.0, 2e-4, bars))
    valid = (rng.random(bars) > 0.08).astype(np.int64)
    valid[100:109] = 0
    opens[104:109] = np.nan
    closes[104:109] = np.nan
    score = np.where(rng.random(bars) < 0.05, np.nan, rng.uniform(-1.0, 1.0, bars))
    sources = np.where(rng.random((bars, K)) < 0.1, np.nan, rng.uniform(-1.0, 1.0, (bars, K)))
    label = np.repeat(rng.integers(-1, 2, bars // 20), 20)
    sigma = np.exp(rng.normal(-6.5, 0.3, bars))
    config = SHORT._replace(prior_slope_bps=slope)
    fast = expectancy(
        opens[:, None],
        closes[:, None],
        score[:, None],
        config,
        label=label[:, None],
        valid=valid[:, None],
        sigma=sigma[:, None],
        sources=sources[:, None],
    )
    for a, b in zip(fast, slow(opens, closes, valid, score, sources, label, sigma, config), strict=True):
        np.testing.assert_allclose(a[:, 0], b, rtol=1e-9, atol=1e-9)


def planted(seed: int, bars: int, symbols: int, edge_bps: Any, *, sigma_bps: float = 10.0, memory: float = 0.95) -> Any:
    """Opens, closes and a score that moves slowly; each bar's return has mean edge_bps * score of the close before it."""
    rng = np.random.default_rng(seed)
    score = np.empty((bars, symbols))
    score[0] = rng.normal(0.0, 0.3, symbols)
    for t in range(1, bars):
        score[t] = memory * score[t - 1] + math.sqrt(1.0 - memory**2) * rng.normal(0.0, 0.3, symbols)
    score = np.clip(score, -1.0, 1.0)
    steps = 1e-4 * rng.normal(0.0, sigma_bps, (bars, symbols))
    steps[1:] += 1e-4 * edge_bps * score[:-1]
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    return opens, closes, score


USUAL = FusionConfig(horizons=(5, 15, 30, 60))


def test_a_planted_edge_is_found_and_a_shuffled_one_is_not() -> None:
    opens, closes, score = planted(1, 12_000, 8, 5.0)
    found = expectancy(opens, closes, score, USUAL, sigma=np.full(score.shape, 1e-3))
    t = found.edge_bps[-1] / found.edge_std_bps[-1] * np.sign(score[-1])[:, None]
    assert (t[:, 0] > 3.0).all()
    assert (found.effective_observations[-1, :, 0] > 100.0).all()
    # what one bar's edge adds up to over 5 bars while the score decays, less the prior's share n / (n + strength)
    truth = 5.0 * sum(0.95**i for i in range(5))
    slope = np.median(found.edge_bps[-1, :, 0] / score[-1])
    n = found.effective_observations[-1, 0, 0]
    assert slope == pytest.approx(truth * n / (n + USUAL.prior_strength), rel=0.25)

    rng = np.random.default_rng(2)
    moves = rng.permutation(np.diff(np.log(closes), axis=0, prepend=np.log(closes[:1])))
    shuffled = 100.0 * np.exp(np.cumsum(moves, axis=0))
    none = expectancy(np.vstack([shuffled[:1], shuffled[:-1]]), shuffled, score, USUAL, sigma=np.full(score.shape, 1e-3))
    worth = np.abs(none.edge_bps[2000::1000] / none.edge_std_bps[2000::1000])
    assert (worth[-1] < 2.0).all()
    assert (worth < 2.0).mean() > 0.97


def test_its_standard_error_is_honest_on_pure_noise() -> None:
    """Over many worlds without an edge, slope over its standard deviation is no wider than a standard normal."""
    opens, closes, score = planted(3, 4_000, 60, 0.0)
    none = expectancy(opens, closes, score, USUAL)
    z = none.edge_bps[-1] / none.edge_std_bps[-1] * np.sign(score[-1])[:, None]  # clipped at 0 from below
    assert (z >= 0.0).all()
    assert np.isfinite(none.edge_std_bps).all()
    for j in range(4):
        assert (z[:, j] > 1.0).mean() < 0.25  # one-sided 16 percent for a standard normal
        assert (z[:, j] > 2.0).mean() < 0.06


def test_no_edge_on_a_random_walk_with_bid_ask_bounce() -> None:
    """A reversal score trades against the bounce of the last close. From close to close it would seem to earn money."""
    rng = np.random.default_rng(4)
    bars, symbols = 8_000, 6
    mid = 100.0 * np.exp(np.cumsum(1e-4 * rng.normal(0.0, 3.0, (bars, symbols)), axis=0))
    half = 10e-4
    side = rng.choice([-1.0, 1.0], (2, bars, symbols))
    opens = np.vstack([mid[:1], mid[:-1]]) * (1.0 + half * side[0])
    closes = mid * (1.0 + half * side[1])
    last = np.diff(np.log(closes), axis=0, prepend=np.log(closes[:1]))
    score = np.tanh(-last / 20e-4)
    got = expectancy(opens, closes, score, USUAL)
    worth = np.abs(got.edge_bps[-1] / got.edge_std_bps[-1])
    assert (worth < 2.0).mean() > 0.95
    naive = np.vstack([closes[:1], closes[:-1]])  # entry at the close of s, which nobody can have
    fooled = expectancy(naive, closes, score, USUAL)
    assert (fooled.edge_bps[-1, :, 0] / fooled.edge_std_bps[-1, :, 0] * np.sign(score[-1]) > 5.0).all()


def test_the_edge_rises_with_the_score_and_never_against_it() -> None:
    opens, closes, score = planted(6, 2_000, 1, 3.0)
    before = expectancy(opens, closes, score, USUAL)
    last = []
    for x in np.linspace(-1.0, 1.0, 21):
        other = score.copy()
        other[-1] = x
        last.append(expectancy(opens, closes, other, USUAL).edge_bps[-1, 0])
    assert (np.diff(np.array(last), axis=0) >= 0.0).all()
    np.testing.assert_allclose(np.array(last), -np.array(last)[::-1])  # long and short alike
    assert (before.edge_bps[1000:] * score[1000:, :, None] >= 0.0).all()


def test_a_score_that_is_wrong_gets_no_edge_instead_of_a_negative_one() -> None:
    opens, closes, score = planted(7, 6_000, 2, -3.0)
    got = expectancy(opens, closes, score, USUAL)
    assert (got.edge_bps[-1, :, 0] == 0.0).all()
    assert (got.slope_by_source[-1] < 0.0).all()  # the diagnostic says what is wrong


def test_a_regime_learns_from_its_own_samples_only() -> None:
    opens, closes, score = planted(8, 6_000, 2, 4.0)
    label = np.zeros(score.shape, np.int64)
    label[:] = (np.arange(6_000) // 100 % 2)[:, None]
    edge = np.where(label == 0, 4.0, 0.0)[:-1]
    rng = np.random.default_rng(9)
    steps = 1e-4 * rng.normal(0.0, 6.0, score.shape)
    steps[1:] += 1e-4 * edge * score[:-1]
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    got = expectancy(opens, closes, score, USUAL, label=label)
    slope = got.edge_bps[..., 0] / score
    assert slope[5_850].min() > 2.0 * max(slope[5_950].max(), 1.0)  # 5850: label 0; 5950: label 1
    never = expectancy(opens, closes, score, USUAL, label=np.full(score.shape, -1))
    assert all(np.isnan(x).all() for x in never)


def test_an_outage_forgets_nothing_and_teaches_nothing() -> None:
    opens, closes, score = planted(10, 3_000, 1, 3.0)
    valid = np.ones(score.shape, np.int64)
    valid[2_000:2_900] = 0
    got = expectancy(opens, closes, score, USUAL, valid=valid)
    for j, h in enumerate(USUAL.horizons):
        seen = got.effective_observations[2_000 : 2_900 + h, 0, j]
        assert (seen == seen[0]).all()  # nothing resolves into the gap, and nothing that began in it counts
    assert got.effective_observations[2_990, 0, 0] > got.effective_observations[2_899, 0, 0]


def test_a_cold_start_has_no_edge_and_no_experience_and_a_stated_belief_has_both() -> None:
    opens, closes, score = planted(11, 3, 1, 0.0)
    cold = expectancy(opens, closes, score, USUAL)
    assert (cold.edge_bps == 0.0).all()
    assert (cold.effective_observations == 0.0).all()
    assert (cold.edge_std_bps > 0.0).all()
    belief = expectancy(opens, closes, score, USUAL._replace(prior_slope_bps=60.0))
    np.testing.assert_allclose(belief.edge_bps[0, 0] / score[0, 0], 60.0 * np.sqrt(np.array([5, 15, 30, 60]) / 30.0))
    assert (belief.effective_observations == USUAL.prior_strength).all()


def test_effective_observations_stay_within_what_forgetting_allows() -> None:
    opens, closes, score = planted(12, 3_000, 1, 0.0)
    got = expectancy(opens, closes, score, SHORT)
    most = SHORT.forget_halflife / math.log(2.0) + 1.0
    assert (got.effective_observations <= most).all()
    assert got.effective_observations[-1, 0, 0] == pytest.approx(most, rel=0.05)


def test_no_future_bar_is_used() -> None:
    opens, closes, score = planted(13, 400, 1, 3.0)
    whole = expectancy(opens, closes, score)
    for cut in (50, 51, 200):
        part = expectancy(opens[:cut].copy(), closes[:cut].copy(), score[:cut].copy())
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[:cut], b)
