"""L7: parts that add up, monotone, mixed by probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l7_ensemble import l7_ensemble
from dataflows.fusion.types import Ensemble, K, Policy, Signals, SourceWeights
from dataflows.panel import Floats
from tests.dataflows.fusion.world import EVEN, NEUTRAL, holes, random_regime, regimes
from tests.support import run_columnar

SHAPE = (60, 3)


def run(
    values: Floats,
    weights: SourceWeights = EVEN,
    policy: Policy = NEUTRAL,
    seed: int = 1,
    config: FusionConfig = FusionConfig(),  # noqa: B008
) -> Ensemble:
    regime = random_regime(np.random.default_rng(seed), values.shape[:2])
    got: Ensemble = run_columnar(
        l7_ensemble,
        {"l1_regime": regime, "l66_signal_matrix": Signals(values), "source_weights": weights, "policy": policy},
        {"fusion": config},
    )
    return got


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_contributions_add_up_to_the_score_which_stays_in_range(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = holes(rng, rng.uniform(-1.0, 1.0, (*SHAPE, K)), share)
    weights = SourceWeights(rng.dirichlet(np.full(K, 0.3), 5))
    policy = Policy(np.ones(1), rng.choice([0.0, 0.5, 1.0, 3.0, -1.0, np.nan, np.inf], K))
    got = run(values, weights, policy, seed)
    known = np.isfinite(values).any(axis=-1)
    np.testing.assert_array_equal(np.isfinite(got.score), known)
    np.testing.assert_array_equal(np.isfinite(got.contributions).all(axis=-1), known)
    np.testing.assert_allclose(got.contributions.sum(axis=-1)[known], got.score[known], atol=1e-12)
    assert (np.abs(got.score[known]) <= 1.0).all()


def shared(values: Floats, weights: Floats, halflife: float = FusionConfig().signal_halflife_bars) -> Floats:
    """Weights (T, N, K) of sources, over the sum of their squared correlations in the bars before, made to sum to 1."""
    out = np.empty_like(values)
    bars, symbols, width = values.shape
    for n in range(symbols):
        for t in range(bars):
            past = np.nan_to_num(values[:t, n])
            gram = (past * 0.5 ** (np.arange(t, 0, -1)[:, None] / halflife)).T @ past
            size = np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
            corr = np.divide(gram, size, out=np.eye(width), where=size > 0.0)
            some = weights[t, n] > 0.0
            w = weights[t, n] / np.maximum((corr[:, some] ** 2).sum(axis=1), 1.0)
            w *= np.isfinite(values[: t + 1, n]).any(axis=0)
            out[t, n] = w / w.sum()
    return out


def test_weights_are_mixed_by_the_probabilities_and_shared_by_what_the_sources_have_in_common() -> None:
    rng = np.random.default_rng(2)
    values = holes(rng, rng.uniform(-1.0, 1.0, (*SHAPE, K)))
    values[:20, :, 3] = np.nan  # heard of for the first time on bar 20
    weights = rng.dirichlet(np.ones(K), 5)
    regime = random_regime(np.random.default_rng(1), SHAPE)
    p = np.stack([regime.calm, regime.trend_up, regime.trend_down, regime.high_vol, regime.chaotic], axis=-1)
    tilt = np.array([1.0, 2.0, 0.5, 0.0, *np.ones(K - 4)])
    tilted = weights * tilt / (weights * tilt).sum(axis=1, keepdims=True)
    got = run(values, SourceWeights(weights), Policy(np.ones(1), tilt))
    np.testing.assert_allclose(got.contributions, shared(values, p @ tilted) * np.nan_to_num(values), atol=1e-10)


def planted(seed: int, bars: int = 6000, noise: float = 0.0) -> Floats:
    """One symbol: the first three sources say the same, up to noise, the others have nothing in common."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1.0, 1.0, (bars, 1, K))
    values[..., 1:3] = (1.0 - noise) * values[..., :1] + noise * values[..., 1:3]
    return values


def test_three_that_say_the_same_count_as_one() -> None:
    late = slice(3000, None)
    got = run(planted(5)).contributions[late, 0]
    together, alone = got[:, :3].sum(axis=1).var(), got[:, 3:].var(axis=0)
    np.testing.assert_allclose(alone, together, rtol=0.1)
    even = planted(5)[late, 0] / K  # what equal weights make of it: nine times the variance
    assert even[:, :3].sum(axis=1).var() > 8.0 * even[:, 3:].var(axis=0).max()


def test_correlated_sources_share_by_the_square_of_their_correlation() -> None:
    """With correlation 0.5 between two of them a source keeps 1 / (1 + 0.25) of its weight."""
    rng = np.random.default_rng(6)
    z = rng.standard_normal((6000, 1, K))
    z[..., 1] = 0.5 * z[..., 0] + np.sqrt(0.75) * z[..., 1]
    values = np.clip(z / 8.0, -1.0, 1.0)
    got = run(values)
    weight = (got.contributions / values)[3000:, 0].mean(axis=0)
    np.testing.assert_allclose(weight[:2] / weight[2:].mean(), 0.8, atol=0.02)


def test_the_score_rises_with_every_source() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(-0.9, 0.9, (*SHAPE, K))
    weights = SourceWeights(rng.dirichlet(np.ones(K), 5))
    before = run(values, weights).score
    for k in range(K):
        raised = values.copy()
        raised[-1, :, k] += 0.05  # what came before decides on the weights
        assert (run(raised, weights).score[-1] > before[-1]).all()


def test_missing_data_only_weakens() -> None:
    values = np.full((*SHAPE, K), 0.6)
    values[30:, :, 2] = np.nan
    got = run(values).score
    np.testing.assert_allclose(got[:30], 0.6)
    assert (got[30:] < 0.59).all()
    assert got[30] == pytest.approx(0.6 * (K - 1) / K)


def test_a_source_that_was_never_known_takes_no_weight() -> None:
    """A data set without a book has the scores of one that does not have that source."""
    values = planted(7, 200)
    without = values.copy()
    without[..., 4] = np.nan
    left_out = FusionConfig(source_weights=tuple(0.0 if k == 4 else 1.0 for k in range(K)))
    np.testing.assert_allclose(run(without).score, run(values, config=left_out).score, atol=1e-12)


def test_an_unknown_regime_gives_no_score() -> None:
    got = run_columnar(
        l7_ensemble,
        {
            "l1_regime": regimes(np.full(SHAPE, -1)),
            "l66_signal_matrix": Signals(np.ones((*SHAPE, K))),
            "source_weights": EVEN,
            "policy": NEUTRAL,
        },
        {"fusion": FusionConfig()},
    )
    assert np.isnan(got.score).all()
    assert np.isnan(got.contributions).all()


def test_configured_weights_multiply_the_learned_ones_and_leave_sources_out() -> None:
    values = np.random.default_rng(4).uniform(-1.0, 1.0, (*SHAPE, K))
    relative = (0.0, 2.0, *[1.0] * (K - 3), 5.0)
    got = run(values, config=FusionConfig(source_weights=relative))
    weights = np.broadcast_to(np.array(relative), values.shape)
    np.testing.assert_allclose(got.contributions, shared(values, weights) * values, atol=1e-10)
    alone = run(values, config=FusionConfig(source_weights=(*[0.0] * (K - 1), 1.0)))
    np.testing.assert_allclose(alone.score, values[..., K - 1], atol=1e-12)


@pytest.mark.parametrize("tilt", [0.0, -1.0, np.nan])
def test_a_tilt_that_leaves_nothing_spreads_evenly(tilt: float) -> None:
    values = np.full((*SHAPE, K), 0.4)
    got = run(values, EVEN, Policy(np.ones(1), np.full(K, tilt)))
    np.testing.assert_allclose(got.contributions, 0.4 / K)
