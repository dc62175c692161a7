"""L73: what renews a signal, and that nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l73_signal_decay import l73_signal_decay
from dataflows.fusion.types import K, Signals
from dataflows.panel import Floats
from dataflows.pattern.types import PatternConsensus
from tests.support import filled, run_columnar

CONFIG = FusionConfig(decay_halflife_bars=10.0, decay_step=0.05)
HALF = 0.5 ** (1.0 / 10.0)


def freshness(signal: Any, leader: Any = 0) -> Floats:
    """Of one symbol all of whose sources say the same."""
    path = np.asarray(signal, float)[:, None]
    leaders = np.broadcast_to(np.asarray(leader), len(path))[:, None].astype(np.int64).copy()
    consensus = filled(PatternConsensus, path.shape, 0.5, dominant=leaders, votes=np.zeros((*path.shape, 24)))
    inputs = {"l50_pattern_consensus": consensus, "l66_signal_matrix": Signals(np.repeat(path[..., None], K, axis=-1))}
    got: Floats = run_columnar(l73_signal_decay, inputs, {"fusion": CONFIG}).freshness[:, 0]
    return got


def test_it_falls_by_its_half_life_while_nothing_renews_it() -> None:
    got = freshness([0.0, 0.3, *[0.3] * 30])
    assert got[0] == 0.0
    np.testing.assert_allclose(got[1:], HALF ** np.arange(31))
    fading = freshness(np.linspace(0.9, 0.1, 60))
    assert (np.diff(fading) < 0.0).all()
    creeping = freshness([0.3, *[0.34, 0.30] * 20])
    assert (np.diff(creeping) < 0.0).all()  # less than a step is no news


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_what_renews_it(side: float) -> None:
    assert freshness(side * np.array([0.3, 0.2, 0.1, 0.16]))[-1] == 1.0  # rises a step above its weakest
    assert freshness(side * np.array([0.3, 0.3, 0.36]))[-1] == 1.0
    assert freshness(side * np.array([0.3, 0.3, -0.06]))[-1] == 1.0  # takes the other side
    assert freshness(side * np.array([0.3, 0.3, -0.04]))[-1] < 1.0  # not yet
    assert freshness(side * np.array([0.3, -0.04, 0.02]))[-1] == 1.0


def test_a_new_leading_pattern_renews_it_and_the_same_or_none_does_not() -> None:
    got = freshness(np.full(6, 0.3), [0, 28, 28, 0, 28, 33])
    assert (got[[1, 4, 5]] == 1.0).all()
    assert (got[[2, 3]] < 1.0).all()


def test_nothing_ages_while_every_source_is_unknown() -> None:
    got = freshness([0.3, 0.3, np.nan, np.nan, 0.3])
    assert np.isnan(got[2:4]).all()
    assert got[4] == pytest.approx(HALF**2)


@given(st.lists(st.one_of(st.floats(-1.0, 1.0), st.just(float("nan"))), min_size=1, max_size=60))
def test_it_lies_in_zero_to_one(signal: list[float]) -> None:
    got = freshness(signal)
    known = np.isfinite(np.asarray(signal))
    np.testing.assert_array_equal(np.isfinite(got), known)
    assert ((got[known] >= 0.0) & (got[known] <= 1.0)).all()
