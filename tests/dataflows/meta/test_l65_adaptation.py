"""L65 against SciPy, statsmodels and NumPy, on records that are planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kurtosis, norm, skew
from statsmodels.stats.multitest import multipletests

from dataflows.carry import start_state
from dataflows.kernels.selection import counted, neighbours
from dataflows.meta.config import MetaConfig
from dataflows.meta.selection import ReturnMoments, add_returns, chances, rejected, sharpe_chance, switch
from dataflows.meta.thresholds import Trail, follow, largest_of, measured, normal_cdf, quantile, volatility_score
from dataflows.meta.types import FIRST_VOTE, ROWS, Adaptation
from dataflows.panel import Floats, leaves
from dataflows.pattern.types import PATTERNS
from dataflows.regime.config import RegimeConfig
from dataflows.regime.types import CALM, HIGH_VOL, TREND, TREND_DOWN, TREND_UP, VOLATILITY, RegimeThresholds
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from tests.dataflows.meta.world import MINUTE, START, plan_of

USUAL = MetaConfig()
EPOCHS = 60


def test_the_probabilistic_sharpe_ratio_of_the_paper() -> None:
    """Bailey and Lopez de Prado (2012): 24 months, Sharpe 0.458 a month, skewness -2.448, kurtosis 10.164."""
    assert sharpe_chance(0.458, -2.448, 10.164, 24.0) == pytest.approx(0.91336, abs=2e-4)
    assert sharpe_chance(0.0, 0.0, 3.0, 100.0) == 0.5
    assert np.isnan(sharpe_chance(1.0, 0.0, 3.0, 1.0))


def test_chances_are_those_of_scipys_moments() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_t(5, (EPOCHS, PATTERNS)) + rng.normal(0.0, 0.2, PATTERNS)
    x[rng.random(x.shape) < 0.3] = 0.0  # epochs without a position
    x[:, 7] = 0.0
    x[5:, 8] = 0.0  # a record that is too short
    state = start_state(ReturnMoments, {}, {})
    for row in x:
        add_returns(row, state)
    got = chances(state, 20.0)
    for k in range(PATTERNS):
        own = x[x[:, k] != 0.0, k]
        if len(own) < 20:
            assert np.isnan(got[k])
            continue
        sharpe = own.mean() / own.std(ddof=1)
        spread = 1.0 - skew(own) * sharpe + (kurtosis(own, fisher=False) - 1.0) / 4.0 * sharpe**2
        assert got[k] == pytest.approx(norm.cdf(sharpe * np.sqrt((len(own) - 1) / spread)), rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, 24, elements=st.floats(0.0, 1.0)), st.integers(0, 20), st.floats(0.01, 0.4))
def test_what_is_rejected_is_what_statsmodels_rejects(p: Floats, unknown: int, rate: float) -> None:
    tested = p.copy()
    tested[:unknown] = np.nan
    got = rejected(tested, rate)
    assert not got[:unknown].any()
    wanted = multipletests(p[unknown:], rate, method="fdr_bh")[0]
    threshold = np.sort(p[unknown:]) <= rate * np.arange(1, 25 - unknown) / (24 - unknown)
    margin = np.abs(np.sort(p[unknown:]) - rate * np.arange(1, 25 - unknown) / (24 - unknown)).min()
    if margin > 1e-12:  # on the line itself the two may round to different sides
        np.testing.assert_array_equal(got[unknown:] > 0.0, wanted)
        assert (got.sum() > 0.0) == threshold.any()


def test_a_pattern_that_loses_is_switched_off_and_on_again_when_it_earns() -> None:
    state, on = start_state(ReturnMoments, {}, {}), np.ones(PATTERNS)
    rng = np.random.default_rng(1)
    history = []
    for e in range(400):
        x = rng.normal(0.0, 1.0, PATTERNS)
        x[3] += -1.0 if e < 60 else 1.0
        add_returns(x, state)
        switch(chances(state, 20.0), USUAL.pattern_off, USUAL.pattern_on, on)
        history.append(on[3])
    assert all(w == 1.0 for w in history[:19]), "nothing changes before the record is long enough"
    assert history[59] == 0.0 and history[-1] == 1.0


def false_alarms(trials: int, epochs: int) -> float:
    """The share of pattern-epochs in which a pattern that earns nothing is off."""
    off = 0.0
    for i in range(trials):
        rng = np.random.default_rng(i)
        state, on = start_state(ReturnMoments, {}, {}), np.ones(PATTERNS)
        for _ in range(epochs):
            add_returns(rng.normal(0.0, 1.0, PATTERNS), state)
            switch(chances(state, 20.0), USUAL.pattern_off, USUAL.pattern_on, on)
            off += (on == 0.0).mean()
    return off / trials / epochs


def test_of_patterns_that_earn_nothing_few_are_off() -> None:
    """On noise at most `pattern_off` of the pattern-epochs are spent off, repeated looks included."""
    assert false_alarms(10, 365) <= USUAL.pattern_off


@pytest.mark.long
def test_of_patterns_that_earn_nothing_few_are_off_in_two_years() -> None:
    assert false_alarms(200, 730) <= USUAL.pattern_off


def off_on_shuffled(trials: int, epochs: int, bars: int = 24) -> tuple[float, float]:
    """The share of pattern-epochs that are off, where votes say the next return and where the returns are shuffled.

    Returns have heavy tails and volatility that comes in spells; half of the patterns vote with the next return more often than
    not, half against it; votes last, and agree with each other.
    """
    shares = np.zeros(2)
    for i in range(trials):
        rng = np.random.default_rng(i)
        n = epochs * bars
        spell = np.exp(0.5 * np.repeat(rng.standard_normal(epochs), bars))
        returns = 1e-3 * spell * rng.standard_t(4, n)
        side = np.where(np.arange(PATTERNS) % 2 == 0, 1.0, -1.0)
        common = rng.standard_normal((n, 1))
        raw = 0.25 * side * np.sign(returns)[:, None] + 0.5 * common + rng.standard_normal((n, PATTERNS))
        votes = np.where(np.abs(raw) > 1.0, np.sign(raw), 0.0)
        for j, series in enumerate((returns, rng.permutation(returns))):
            made = (votes * series[:, None]).reshape(epochs, bars, PATTERNS).sum(axis=1)
            state, on = start_state(ReturnMoments, {}, {}), np.ones(PATTERNS)
            for row in made:
                add_returns(row, state)
                switch(chances(state, float(USUAL.least_epochs)), USUAL.pattern_off, USUAL.pattern_on, on)
                shares[j] += (on == 0.0).mean() / trials / epochs
    return float(shares[0]), float(shares[1])


def test_on_shuffled_returns_few_patterns_are_off() -> None:
    true, shuffled = off_on_shuffled(60, 365)
    assert shuffled <= USUAL.pattern_off and 0.3 < true < 0.6, "half of the patterns lose as long as nothing is shuffled"


@pytest.mark.long
def test_on_shuffled_returns_few_patterns_are_off_in_two_years() -> None:
    assert off_on_shuffled(300, 730)[1] <= USUAL.pattern_off


# ---- thresholds


@settings(max_examples=100, deadline=None)
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-9.0, 9.0)), st.floats(0.0, 1.0))
def test_quantiles_are_numpys(x: Floats, q: float) -> None:
    assert quantile(np.append(x, np.nan), q) == pytest.approx(np.quantile(x, q), rel=1e-9, abs=1e-9)


def test_small_functions_are_scipys_and_numpys() -> None:
    for x in (-3.0, -0.2, 0.0, 1.7):
        assert normal_cdf(x) == pytest.approx(norm.cdf(x), rel=1e-12)
    for score in (-1.0, 0.3, 2.0, 0.0):
        assert volatility_score(percentile_of(score)) == pytest.approx(score, abs=1e-12)
    assert largest_of(np.array([1.0, -3.0, np.nan, np.inf])) == 3.0 and np.isnan(largest_of(np.full(1, np.nan)))


MEANS = np.array([-0.5, 1.2, 1.8, 8.0])


def percentile_of(score: Any) -> Any:
    """L1's `vol_percentile` of a score."""
    return 1.0 / (1.0 + np.exp(-1.702 * score))


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 300), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=3),
)
def test_the_neighbours_of_a_quantile_are_those_of_sorted_values(x: Floats, places: list[float]) -> None:
    x = np.concatenate((x, x[: len(x) // 2], [0.0, -0.0]))  # with ties
    for above, below in ((-np.inf, np.inf), (-1.0, 1.0), (0.0, 1e-300)):
        counts, kept = counted(x, above, below), np.sort(x[(above < x) & (x < below)])
        assert counts.sum() == len(kept)
        for q in places:
            low, high, part = neighbours(x, above, below, counts, q)
            at = q * (len(kept) - 1)
            if len(kept) == 0:
                assert np.isnan([low, high, part]).all()
                continue
            assert low == kept[int(at)] and high == kept[min(int(at) + 1, len(kept) - 1)] and part == at - int(at)


def test_what_is_measured_is_numpys_quantiles_of_scores() -> None:
    rng = np.random.default_rng(7)
    scores, trend, z = rng.standard_normal((3, 5000))
    percentile = percentile_of(scores)
    percentile[:4], trend[:3], z[:2] = (np.nan, 0.0, 1.0, np.nan), (np.nan, np.inf, -np.inf), (np.nan, np.inf)
    got = measured(percentile, trend, 7.5, z, MEANS)
    sizes = np.abs(trend[3:]) / 7.5
    wanted = (
        np.quantile(scores[4:], norm.cdf(-0.5)),
        np.quantile(scores[4:], norm.cdf(1.2)),
        np.quantile(sizes, 2.0 * norm.cdf(1.8) - 1.0),
        np.abs(z[2:]).max(),
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-9)
    assert np.isnan(measured(np.ones(3), np.full(3, np.nan), 7.5, np.full(3, np.inf), MEANS)).all()


def followed(scale: float, epochs: int, largest: float = 8.0) -> list[Floats]:
    rng = np.random.default_rng(2)
    state = start_state(Trail, {}, {"meta": USUAL})
    found = []
    for _ in range(epochs):
        volatility, trend = percentile_of(scale * rng.standard_normal(3000)), 7.5 * scale * rng.standard_normal(3000)
        follow(measured(volatility, trend, 7.5, np.array([-largest]), MEANS), MEANS, 0.1, 0.5, state)
        found.append(state.shifts.copy())
    return found


def test_where_scores_are_what_they_were_meant_to_be_nothing_moves() -> None:
    assert np.abs(followed(1.0, 50)[-1]).max() < 0.05


def test_thresholds_follow_what_the_market_is_by_steps_and_within_bounds() -> None:
    moved = followed(1.3, 60, largest=40.0)
    assert not moved[18].any() and np.ptp(moved[19]) > 0.0, "the record has to be long enough"
    assert (np.abs(np.diff(moved, axis=0)) <= 0.1 + 1e-12).all()
    wanted = np.clip(0.3 * MEANS[:3], -0.5, 0.5)
    np.testing.assert_allclose(moved[-1][:3], wanted, atol=0.06)
    assert moved[-1][3] == pytest.approx(0.5), "a crash is never further off than the bound"
    assert followed(1.0, 60, largest=0.1)[-1][3] == pytest.approx(1.0 / 1.5 - 1.0)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (25, 4), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_whatever_is_measured_thresholds_stay_within_their_bounds(x: Floats) -> None:
    state = start_state(Trail, {}, {"meta": USUAL})
    for row in x:
        before = state.shifts.copy()
        follow(row, MEANS, 0.1, 0.5, state)
        assert (np.abs(state.shifts) <= 0.5).all() and (np.abs(state.shifts - before) <= 0.1 + 1e-12).all()


# ---- the layer


def epochs_of(*overrides: str, count: int = 40, bars: int = 30) -> list[Adaptation]:
    """What L65 returns over so many epochs of a market whose volatility is a third wider than meant, with one pattern losing."""
    from dataflows.data.types import Clock

    plan = plan_of("l6_performance_monitor", "l65_adaptation", overrides=overrides)
    node = plan.nodes["l65_adaptation"]
    configs = plan.configs
    carry = start_state(node.hints["l65_adaptation__carry"], {"N": 2}, configs)
    rng = np.random.default_rng(5)
    found = []
    performance = start_performance()
    for _ in range(count):
        scores = 1.33 * rng.standard_normal((bars, 2))
        blank = np.zeros((bars, 2))
        regime = blanks(plan, "l1_regime", bars)._replace(
            vol_percentile=percentile_of(scores), trend_t=RegimeConfig().trend_scale * scores[::-1]
        )
        returns = blanks(plan, "l2_returns_volatility", bars)._replace(z=blank + 3.0)
        paper = np.zeros(ROWS)
        paper[FIRST_VOTE : FIRST_VOTE + PATTERNS] = rng.normal(0.0, 1.0, PATTERNS)
        paper[FIRST_VOTE + 2] -= 1.5
        performance = performance._replace(paper=performance.paper._replace(epoch_return_bps=paper))
        one = np.ones(bars, np.int64)
        clock = Clock(START + MINUTE * np.arange(1, bars + 1), one, 0 * one, np.zeros(bars), 0 * one, 0 * one)
        given = {"l1_regime": regime, "l2_returns_volatility": returns, "l6_performance_monitor": performance, "clock": clock}
        found.append(node.fn(*[given.get(p, configs.get(p, carry)) for p in node.params]))
    return found


def blanks(plan: Any, name: str, bars: int) -> Any:
    from drivers.engine.chunk import blank_value

    return blank_value(plan.type_of(name), bars, {"N": 2, "D": 1, "K": 1}, np.arange(bars))


def start_performance() -> Any:
    from dataflows.meta.types import Performance

    return start_state(Performance, {"N": 2}, {"meta": USUAL})


def test_advice_is_in_force_where_it_may_be() -> None:
    by_default, on, off = epochs_of(), epochs_of("meta.adapt_thresholds=1"), epochs_of("meta.adapt_patterns=0")
    for made in (by_default, on, off):
        assert made[-1].advice.pattern_weights[2] == 0.0 and made[-1].advice.high_volatility[0] == pytest.approx(1.6, abs=0.15)
    assert by_default[-1].pattern_weights.weights[2] == 0.0 and off[-1].pattern_weights.weights[2] == 1.0
    assert not by_default[-1].regime_thresholds.mean_shift.any() and by_default[-1].regime_thresholds.crash_factor[0] == 1.0
    shift = on[-1].regime_thresholds.mean_shift
    assert shift[HIGH_VOL, VOLATILITY] == pytest.approx(on[-1].advice.high_volatility[0] - 1.2)
    assert shift[CALM, VOLATILITY] < 0.0 < shift[TREND_UP, TREND] == -shift[TREND_DOWN, TREND]
    assert on[-1].regime_thresholds.crash_factor[0] * 8.0 == pytest.approx(on[-1].advice.crash_sigma[0])


def test_changes_are_counted() -> None:
    made = epochs_of("meta.adapt_thresholds=1")
    assert all(a.changed == 0 for a in made[:19])
    for before, after in zip(made, made[1:], strict=False):
        shifts = [m.advice for m in (before, after)]
        own = sum(a != b for a, b in zip(leaves(shifts[0])[2:], leaves(shifts[1])[2:], strict=True))
        own += int((before.pattern_weights.weights != after.pattern_weights.weights).sum())
        assert after.changed == own


def test_a_configured_weight_is_the_weight_of_a_pattern_that_is_on() -> None:
    half = "meta.pattern_weights=[" + ", ".join(["0.5"] * PATTERNS) + "]"
    made = epochs_of(half)
    assert made[0].pattern_weights.weights.tolist() == [0.5] * PATTERNS
    assert made[-1].pattern_weights.weights[2] == 0.0


def test_contradicting_settings_are_named() -> None:
    assert "pattern_weights has 3 numbers" in next(USUAL._replace(pattern_weights=(1.0,) * 3).problems())
    assert "pattern_on is 0.01" in next(USUAL._replace(pattern_on=0.01).problems())


def test_configured_thresholds_hold_from_the_first_bar_and_while_they_are_not_adapted() -> None:
    """`meta.threshold_shifts`: what L1 gets before the first epoch ends is what L65 gives afterwards."""
    shifts = "meta.threshold_shifts=[-0.2, 0.3, 0.1, 0.25]"
    made = epochs_of(shifts)
    config = load_configs(defaults(), (shifts,))["meta"]
    first = start_state(RegimeThresholds, {}, {"meta": config})
    for adaptation in made:
        for start, held in zip(leaves(first), leaves(adaptation.regime_thresholds), strict=True):
            np.testing.assert_array_equal(start, held)
    assert first.mean_shift[CALM, VOLATILITY] == -0.2 and first.mean_shift[HIGH_VOL, VOLATILITY] == 0.3
    assert first.mean_shift[TREND_UP, TREND] == 0.1 == -first.mean_shift[TREND_DOWN, TREND]
    assert first.crash_factor[0] == 1.25
    assert "threshold_shifts has 2 numbers" in next(USUAL._replace(threshold_shifts=(0.0, 0.0)).problems())
    assert "crash threshold -1 times" in next(USUAL._replace(threshold_shifts=(0.0, 0.0, 0.0, -2.0)).problems())
