"""L2: returns and volatilities against pandas, TA-Lib, arch-free formulas and planted truths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from dataflows.data.types import Market
from dataflows.kinematics import volatility
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.types import Returns
from dataflows.kinematics.volatility import Z_MOST, returns_and_volatility, z_score
from dataflows.panel import leaves
from tests.dataflows.data.observed import hole, instruments, market, observe, walk
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.support import run_columnar

K = KinematicsConfig(volatility_halflife_slow=200)


def _run(seen: Market, *, tick: float = 0.0, cuts: Any = (), k: KinematicsConfig = K) -> Returns:
    inputs = {"l0_market_feed": seen, "instruments": instruments(seen.bars.close.shape[1], tick)}
    made: Returns = run_columnar(l2_returns_volatility, inputs, {"kinematics": k}, cuts=cuts)
    return made


def _bars(seen: Market, n: int) -> Any:
    """The valid bars of symbol n, by row."""
    frame = pd.DataFrame({k: getattr(seen.bars, k)[:, n] for k in ("open", "high", "low", "close")})
    return frame[seen.quality.valid[:, n] == 1]


@pytest.fixture(scope="module")
def ragged() -> Market:
    """Two symbols, a short gap in one and a long one in the other."""
    return market(hole(hole(observe(walk(1500)), slice(300, 303), 0), slice(700, 760), 1), tick=0.0)


@pytest.fixture(scope="module")
def whole(ragged: Market) -> Returns:
    return _run(ragged)


def test_the_same_however_the_bars_are_cut(ragged: Market, whole: Returns) -> None:
    for cuts in (range(1, 1500), [1, 59, 60, 61, 302, 731]):
        for a, b in zip(leaves(whole), leaves(_run(ragged, cuts=cuts)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_compiled_and_plain_python_give_the_same_bits(ragged: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    short = market(hole(observe(walk(300)), slice(100, 103)), tick=0.0)
    args = (short.bars, short.bars_60, short.quality.valid, short.quality.listed, short.quality.outlier)
    args += (np.full(2, 0.01), 60, 100, 60, 3, 0.25, 10.0)
    assert_plain_is_compiled(returns_and_volatility, args, l2_returns_volatility, K, monkeypatch, volatility)


def test_returns_are_differences_of_log_close_over_valid_bars(ragged: Market, whole: Returns) -> None:
    for n in range(2):
        close = np.log(_bars(ragged, n)["close"])
        for lag, panel in ((1, whole.r_1), (5, whole.r_5), (15, whole.r_15), (60, whole.r_60)):
            expected = (close - close.shift(lag)).reindex(range(1500))
            np.testing.assert_allclose(panel[:, n], expected, rtol=1e-9, atol=1e-14)


def test_sigma_is_pandas_ewm_of_squared_returns_after_its_seed(ragged: Market, whole: Returns) -> None:
    for n in range(2):
        r = np.log(_bars(ragged, n)["close"]).diff().dropna()
        for h, panel in ((60, whole.sigma), (200, whole.sigma_slow)):
            seeded = pd.concat([pd.Series([(r[:h] ** 2).mean()], index=[r.index[h - 1]]), r[h:] ** 2])
            sigma = np.sqrt(seeded.ewm(halflife=h, adjust=False).mean()).reindex(range(1500)).ffill()
            np.testing.assert_allclose(panel[:, n], sigma, rtol=1e-10)


def test_a_bad_print_counts_for_ten_volatilities_and_is_soon_forgotten() -> None:
    """One close ten times the price: the recursion by hand, with the flagged returns bounded."""
    close = walk(1200, 1)
    bad = close.copy()
    bad[600] *= 10.0
    clean, slip = (market(observe(x), tick=0.0) for x in (close, bad))
    assert np.flatnonzero(slip.quality.outlier[:, 0]).tolist() == [600, 601]
    r = np.diff(np.log(bad[:, 0]))
    for half, name in ((60, "sigma"), (200, "sigma_slow")):
        alpha, mean, expected = 1.0 - 0.5 ** (1.0 / half), np.mean(r[:half] ** 2), []
        for t in range(half, len(r)):
            square = min(r[t] ** 2, 100.0 * mean) if t + 1 in (600, 601) else r[t] ** 2
            mean += alpha * (square - mean)
            expected.append(np.sqrt(mean))
        np.testing.assert_allclose(getattr(_run(slip), name)[half + 1 :, 0], expected, rtol=1e-10)
    one, other = _run(clean), _run(slip)
    for name in ("sigma", "sigma_slow", "atr", "atr_60"):
        assert getattr(other, name)[-1, 0] < 1.5 * getattr(one, name)[-1, 0]
    np.testing.assert_allclose(other.r_1[1:, 0], r, atol=1e-13)  # what was observed stays what it is


def test_a_crash_whose_bars_are_all_flagged_is_learned_within_bars() -> None:
    rng = np.random.default_rng(3)
    steps = np.where(np.arange(700) < 600, 1e-3, 5e-2) * rng.normal(size=700)
    seen = market(observe(100.0 * np.exp(np.cumsum(steps))[:, None]), tick=0.0)
    assert seen.quality.outlier[600:620].sum() > 10
    assert _run(seen).sigma[620, 0] > 1.5e-2


def test_range_volatilities_are_their_published_formulas(ragged: Market, whole: Returns) -> None:
    for n in range(2):
        b: Any = np.log(_bars(ragged, n))
        hl2 = ((b["high"] - b["low"]) ** 2).iloc[1:]  # the window begins with the first return
        oc2 = ((b["close"] - b["open"]) ** 2).iloc[1:]
        parkinson = np.sqrt(hl2.rolling(60).mean() / (4 * np.log(2)))
        garman_klass = np.sqrt((0.5 * hl2 - (2 * np.log(2) - 1) * oc2).rolling(60).mean())
        u, d, c = b["high"] - b["open"], b["low"] - b["open"], b["close"] - b["open"]
        o = (b["open"] - b["close"].shift()).iloc[1:]
        rs = (u * (u - c) + d * (d - c)).iloc[1:]
        k = 0.34 / (1.34 + 61 / 59)
        yang_zhang = np.sqrt(o.rolling(60).var() + k * c.iloc[1:].rolling(60).var() + (1 - k) * rs.rolling(60).mean())
        for panel, expected in (
            (whole.parkinson, parkinson),
            (whole.garman_klass, garman_klass),
            (whole.yang_zhang, yang_zhang),
        ):
            np.testing.assert_allclose(panel[:, n], expected.reindex(range(1500)).ffill(), rtol=1e-7)


def test_atr_meets_talibs(ragged: Market, whole: Returns) -> None:
    for n in range(2):
        b = _bars(ragged, n)
        theirs = pd.Series(talib.ATR(b["high"].to_numpy(), b["low"].to_numpy(), b["close"].to_numpy(), 14), b.index)
        late = b.index[20 * 14 :]
        np.testing.assert_allclose(whole.atr[late, n], theirs[late], rtol=1e-6)


def test_atr_60_is_of_closed_60_bars() -> None:
    seen = market(observe(walk(60 * 400, 1)), tick=0.0)
    got = _run(seen).atr_60[:, 0]
    at = seen.bars_60.closed[:, 0] == 1
    h = seen.bars_60
    theirs = talib.ATR(h.high[at, 0], h.low[at, 0], h.close[at, 0], 14)
    np.testing.assert_allclose(got[at][280:], theirs[280:], rtol=1e-6)
    changes = np.flatnonzero(np.diff(got[60 * 20 :]) != 0.0) + 60 * 20 + 1
    assert at[changes].all()


def test_every_estimator_finds_a_planted_volatility() -> None:
    rng = np.random.default_rng(8)
    steps = rng.normal(0.0, 1e-3 / np.sqrt(50), (3000, 50))
    path = 100.0 * np.exp(np.cumsum(steps.ravel())).reshape(3000, 50)
    close = path[:, -1:]
    open_ = np.vstack([[[100.0]], close[:-1]])
    high = np.maximum(path.max(axis=1, keepdims=True), open_)
    low = np.minimum(path.min(axis=1, keepdims=True), open_)
    got = _run(market(observe(close, open=open_, high=high, low=low), tick=0.0))
    for name, tolerance in (
        ("sigma", 0.05),
        ("sigma_slow", 0.05),
        ("parkinson", 0.15),
        ("garman_klass", 0.2),
        ("yang_zhang", 0.15),
    ):
        # range volatilities are biased low where a bar holds only 50 steps (Garman and Klass 1980)
        assert np.nanmean(getattr(got, name)) == pytest.approx(1e-3, rel=tolerance)


@pytest.mark.parametrize("tick", [0.0, 0.01])
def test_an_unchanged_price_has_no_return_and_the_floor_as_volatility(tick: float) -> None:
    flat = np.full((400, 1), 50.0)
    got = _run(market(observe(flat, high=flat, low=flat), tick=tick), tick=tick)
    floor = 0.25 * tick / 50.0
    for panel in (got.sigma[60:], got.sigma_slow[200:], got.parkinson[60:], got.garman_klass[60:], got.yang_zhang[60:]):
        assert (panel == floor).all()
    assert (got.sigma_floor == floor).all()
    assert (got.atr[14:] == 0.25 * tick).all()
    for panel in (got.r_1[1:], got.r_5[5:], got.r_15[15:], got.r_60[60:], got.z[61:]):
        assert (panel == 0.0).all()


def test_z_is_the_return_over_the_sigma_before(whole: Returns) -> None:
    for n in range(2):
        sigma = pd.Series(whole.sigma[:, n]).shift()
        np.testing.assert_allclose(whole.z[:, n], whole.r_1[:, n] / sigma, rtol=1e-13)


def test_z_of_a_move_out_of_nothing_is_bounded() -> None:
    assert [z_score(1e-9, 0.0), z_score(-1e-9, 0.0), z_score(0.0, 0.0), z_score(5.0, 1e-9)] == [Z_MOST, -Z_MOST, 0.0, Z_MOST]


def test_nothing_is_learned_from_filled_or_unknown_bars(ragged: Market, whole: Returns) -> None:
    for name in Returns._fields:
        panel = getattr(whole, name)
        for gap, n in ((slice(300, 303), 0), (slice(700, 760), 1)):
            if name.startswith("r_") or name == "z":
                assert np.isnan(panel[gap, n]).all()
            elif name != "atr_60":
                assert (panel[gap, n] == panel[gap.start - 1, n]).all()


def test_nothing_reaches_across_a_new_listing() -> None:
    seen = observe(walk(400, 1))
    seen.listed[200:300] = 0
    got = _run(market(seen, tick=0.0))
    assert np.isnan(got.r_1[200:301]).all() and np.isfinite(got.r_1[301:]).all()
    assert np.isnan(got.r_5[200:305]).all() and np.isnan(got.r_60[200:360]).all() and np.isfinite(got.r_60[360:]).all()


def test_powers_of_two_in_price_change_nothing_without_dimension() -> None:
    seen = observe(walk(400))
    values = seen._asdict()
    for name in ("open", "high", "low", "close"):
        values[name] = values[name] * 2.0**7
    a, b = _run(market(seen), tick=0.01), _run(market(type(seen)(**values), tick=1.28), tick=1.28)
    for name in Returns._fields:
        factor = 2.0**7 if name.startswith("atr") else 1.0
        np.testing.assert_array_equal(getattr(a, name) * factor, getattr(b, name))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"trend_short_spans": (21, 8, 55)}, "trend_short_spans"),
        ({"momentum_medium_skip": 240}, "momentum_medium_skip"),
        ({"volatility_halflife": 2000}, "volatility_halflife"),
        ({"alignment_weights": (0.0,) * 4}, "alignment_weights"),
        ({"state_leave": 0.5}, "state_leave"),
    ],
)
def test_contradicting_keys_are_named(change: dict[str, Any], word: str) -> None:
    assert not list(KinematicsConfig().problems())
    assert any(word in p for p in KinematicsConfig()._replace(**change).problems())
