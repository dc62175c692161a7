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


def test_weights_are_mixed_by_the_probabilities_of_the_regimes() -> None:
    rng = np.random.default_rng(2)
    values = rng.uniform(-1.0, 1.0, (*SHAPE, K))
    weights = rng.dirichlet(np.ones(K), 5)
    regime = random_regime(np.random.default_rng(1), SHAPE)
    p = np.stack([regime.calm, regime.trend_up, regime.trend_down, regime.high_vol, regime.chaotic], axis=-1)
    tilt = np.array([1.0, 2.0, 0.5, 0.0, *np.ones(K - 4)])
    tilted = weights * tilt / (weights * tilt).sum(axis=1, keepdims=True)
    got = run(values, SourceWeights(weights), Policy(np.ones(1), tilt))
    np.testing.assert_allclose(got.contributions, (p @ tilted) * values, atol=1e-12)


def test_the_score_rises_with_every_source() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(-0.9, 0.9, (*SHAPE, K))
    weights = SourceWeights(rng.dirichlet(np.ones(K), 5))
    before = run(values, weights).score
    for k in range(K):
        raised = values.copy()
        raised[..., k] += 0.05
        assert (run(raised, weights).score > before).all()


def test_missing_data_only_weakens() -> None:
    values = np.full((*SHAPE, K), 0.6)
    values[..., 2] = np.nan
    np.testing.assert_allclose(run(values).score, 0.6 * (K - 1) / K)


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
    np.testing.assert_allclose(got.contributions, values * np.array(relative) / sum(relative), atol=1e-12)
    alone = run(values, config=FusionConfig(source_weights=(*[0.0] * (K - 1), 1.0)))
    np.testing.assert_allclose(alone.score, values[..., K - 1], atol=1e-12)


@pytest.mark.parametrize("tilt", [0.0, -1.0, np.nan])
def test_a_tilt_that_leaves_nothing_spreads_evenly(tilt: float) -> None:
    values = np.full((*SHAPE, K), 0.4)
    got = run(values, EVEN, Policy(np.ones(1), np.full(K, tilt)))
    np.testing.assert_allclose(got.contributions, 0.4 / K)
