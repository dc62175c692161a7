from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import HigherBars
from dataflows.risk.config import RiskConfig
from dataflows.risk.l78_correlation import l78_correlation
from dataflows.risk.types import VolForecast
from tests.dataflows.risk.accounts import MODES, clock, market, row, run
from tests.support import carry_of

RISK = RiskConfig()._replace(correlation_halflife=40, correlation_shrink=0.0)


class Bars:
    """Successive closes of 15-bars, and what the layer makes of them. A close of NaN: that 15-bar did not close."""

    def __init__(self, n, mode="compiled", risk=RISK):
        self.n, self.mode, self.risk = n, mode, risk
        self.carry = carry_of(l78_correlation, n, {"risk": risk})

    def __call__(self, close, is_bar=1):
        close = np.asarray(close, float)
        bars = row(HigherBars, self.n, close=close, closed=(~np.isnan(close)).astype(np.int64))
        sigma = np.full(self.n, 0.03)
        inputs = {
            "l0_market_feed": market(self.n)._replace(bars_15=bars),
            "l76_volatility_forecast": VolForecast(sigma, sigma, sigma),
            "clock": clock(is_bar=is_bar),
        }
        out = run(l78_correlation, self.mode, **inputs, risk=self.risk, carry=self.carry)
        return out._replace(correlation=out.correlation.copy())


def prices(bars, n, seed=1, common=0.7):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((bars, 1))
    r = 0.002 * (math.sqrt(common) * shared + math.sqrt(1 - common) * rng.standard_normal((bars, n)))
    return 100.0 * np.exp(np.cumsum(r, axis=0))


@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_exponentially_weighted_correlation_of_pandas(mode):
    p = prices(150, 3)
    bars = Bars(3, mode)
    for x in p:
        out = bars(x)
    r = pd.DataFrame(np.diff(np.log(p), axis=0))
    weight = 0.5 ** (np.arange(len(r))[::-1] / 40)
    moment = (r.to_numpy() * weight[:, None]).T @ r.to_numpy()  # of returns about 0, not about their mean
    want = moment / np.sqrt(np.outer(np.diag(moment), np.diag(moment)))
    np.testing.assert_allclose(out.correlation, want, rtol=1e-12)
    assert out.mean_correlation == pytest.approx(want[np.tril_indices(3, -1)].mean())
    eigenvalues = np.linalg.eigvalsh(want)
    assert out.effective_bets == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def test_a_planted_correlation_is_found():
    bars = Bars(2, risk=RISK._replace(correlation_halflife=2000))
    for x in prices(8000, 2, common=0.6):
        out = bars(x)
    assert out.correlation[0, 1] == pytest.approx(0.6, abs=0.03)
    assert out.effective_bets == pytest.approx(2 / (1 + 0.6**2), abs=0.05)


def test_shrinkage_goes_to_the_common_mean_and_leaves_it_where_it_is():
    p = prices(150, 4, seed=3)
    plain, half = Bars(4), Bars(4, risk=RISK._replace(correlation_shrink=0.5))
    for x in p:
        a, b = plain(x), half(x)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(b.correlation[off], 0.5 * a.correlation[off] + 0.5 * a.mean_correlation)
    assert b.mean_correlation == a.mean_correlation


def test_it_is_unknown_until_most_of_a_half_life_is_known():
    bars = Bars(2)
    known = [not np.isnan(bars(x).correlation[0, 1]) for x in prices(60, 2)]
    assert known.index(True) == 36  # 36 returns of the last 40 are known: 4 are not


def test_a_symbol_that_goes_missing_is_unknown_and_the_others_are_not():
    p = prices(200, 3)
    p[120:126, 2] = np.nan  # 7 returns: 6 unknown and the one that reaches over them
    bars = Bars(3)
    for x in p[:140]:
        out = bars(x)
    assert np.isnan(out.correlation[2]).all() and np.isnan(out.correlation[:, 2]).all()
    assert np.isfinite(out.correlation[:2, :2]).all() and out.correlation[0, 0] == 1.0
    for x in p[140:]:
        out = bars(x)
    assert np.isfinite(out.correlation).all()


def test_a_symbol_that_does_not_move_is_unknown():
    p = prices(100, 2)
    p[:, 1] = 50.0
    bars = Bars(2)
    for x in p:
        out = bars(x)
    assert np.isnan(out.correlation[0, 1]) and out.correlation[0, 0] == 1.0
    assert math.isnan(out.mean_correlation) and out.effective_bets == 1.0


def test_nothing_moves_between_bars_nor_where_no_15_bar_closes():
    bars = Bars(2)
    for x in prices(60, 2):
        out = bars(x)
    before = [a.copy() for a in bars.carry]
    for other in (bars([1.0, 900.0], is_bar=0), bars([math.nan, math.nan])):
        np.testing.assert_array_equal(other.correlation, out.correlation)
    for a, b in zip(before, bars.carry, strict=True):
        np.testing.assert_array_equal(a, b)


hostile_prices = st.one_of(st.floats(1e-3, 1e6), st.sampled_from([math.nan, math.inf, 0.0, -1.0, 5e-324, 1e308]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(hostile_prices, min_size=4, max_size=4), min_size=10, max_size=60), st.sampled_from([0.0, 0.2, 1.0]))
def test_the_known_block_is_symmetric_and_positive_semidefinite_whatever_is_missing_and_compiled_is_plain(closes, shrink):
    risk = RISK._replace(correlation_halflife=10, correlation_unknown=0.5, correlation_shrink=shrink)
    one, twin = Bars(4, "plain", risk), Bars(4, "compiled", risk)
    for x in closes:
        out, other = one(x), twin(x)
        np.testing.assert_array_equal(out.correlation, other.correlation)
        assert out.mean_correlation == other.mean_correlation or math.isnan(out.mean_correlation)
        c = out.correlation
        known = ~np.isnan(np.diag(c))
        block = c[np.ix_(known, known)]
        assert np.isnan(c[~known]).all() and not np.isnan(block).any()
        if known.any():
            assert (block == block.T).all() and (np.diag(block) == 1.0).all() and (np.abs(block) <= 1.0).all()
            assert np.linalg.eigvalsh(block).min() >= -1e-9
            assert 1.0 <= out.effective_bets <= known.sum() * (1 + 1e-9)
