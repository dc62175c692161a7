"""L9, L10, L59, L61, L62: against pandas, a slow and obvious book, and truths that were planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from dataflows.data.config import DataConfig
from dataflows.data.types import Flow, Market
from dataflows.kernels import window
from dataflows.kinematics.types import Returns
from dataflows.microstructure import imbalance, order_flow, trade_flow
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.l9_book_imbalance import l9_book_imbalance
from dataflows.microstructure.l10_trade_pressure import l10_trade_pressure
from dataflows.microstructure.l59_price_impact import l59_price_impact
from dataflows.microstructure.l61_flow_toxicity import l61_flow_toxicity
from dataflows.microstructure.l62_order_flow_imbalance import l62_order_flow_imbalance
from dataflows.microstructure.types import TradePressure
from dataflows.panel import leaves
from dataflows.runtime.compile import python_of
from tests.dataflows.microstructure.markets import bars_only, instruments, random_book, with_book
from tests.support import carry_of, filled, run_columnar

K = MicrostructureConfig()
IMPACT_FORGET, FLOW_FORGET = 0.5 ** (1.0 / K.impact_halflife_bars), 0.5 ** (1.0 / K.flow_halflife_bars)
CONFIGS: dict[str, Any] = {"microstructure": K, "data": DataConfig()}
BARS = 1200


def _book_layer(market: Market, cuts: Any = ()) -> Any:
    facts = instruments(market.bars.close.shape[1], feed=1)
    seen = run_columnar(l8_spread_depth, {"l0_market_feed": market, "instruments": facts}, CONFIGS)
    return run_columnar(l9_book_imbalance, {"l0_market_feed": market, "l8_spread_depth": seen}, CONFIGS, cuts=cuts)


def _flowing(seed: int = 1, known: bool = True, shape: tuple[int, int] = (BARS, 2)) -> tuple[Market, Returns]:
    """Bars whose returns follow their signed volume, with quiet and unknown ones among them."""
    rng = np.random.default_rng(seed)
    volume = rng.lognormal(2.0, 1.0, shape)
    volume[::17] = 0.0
    bought = volume * rng.beta(2.0, 2.0, shape)
    r = 1e-4 * np.sign(2 * bought - volume) * np.sqrt(np.abs(2 * bought - volume)) + rng.normal(0.0, 2e-4, shape)
    close = 100.0 * np.exp(np.cumsum(r, axis=0))
    valid = np.ones(shape, np.int64)
    valid[300:320, 0] = 0
    unknown = np.full(shape, np.nan)
    market = bars_only(close, close, close, volume, valid)
    sides = (
        filled(Flow, shape, np.nan, buy_volume=bought, sell_volume=volume - bought) if known else filled(Flow, shape, np.nan)
    )
    returns = filled(Returns, shape, np.nan, r_1=np.where(valid == 1, r, unknown), z=np.where(valid == 1, r / 3e-4, unknown))
    return market._replace(flow=sides), returns


def _flow_layers(market: Market, returns: Returns, cuts: Any = (), **contract: Any) -> dict[str, Any]:
    facts = instruments(market.bars.close.shape[1], feed=0, **contract)
    values: dict[str, Any] = {"l0_market_feed": market, "l2_returns_volatility": returns, "instruments": facts}
    for fn, taken in (
        (l10_trade_pressure, ("l0_market_feed", "l2_returns_volatility")),
        (l59_price_impact, ("l0_market_feed", "l2_returns_volatility", "l10_trade_pressure", "instruments")),
        (l61_flow_toxicity, ("l0_market_feed", "l10_trade_pressure")),
        (l62_order_flow_imbalance, ("l0_market_feed", "l2_returns_volatility", "l10_trade_pressure")),
    ):
        values[fn.__name__] = run_columnar(fn, {name: values[name] for name in taken}, CONFIGS, cuts=cuts)
    return values


def test_the_imbalance_is_that_of_a_slow_and_obvious_book() -> None:
    book = random_book(np.random.default_rng(2), (300, 2))
    got = _book_layer(with_book(*book))
    bid, ask = book[1], book[3]
    np.testing.assert_allclose(got.top, (bid[:, :, 0] - ask[:, :, 0]) / (bid[:, :, 0] + ask[:, :, 0]), rtol=1e-12)
    weights = K.imbalance_decay ** np.arange(bid.shape[2])
    bids, asks = bid @ weights, ask @ weights
    np.testing.assert_allclose(got.weighted, (bids - asks) / (bids + asks), rtol=1e-9)
    alpha = 1.0 - 0.5 ** (1.0 / K.imbalance_halflife_bars)
    smoothed = pd.DataFrame(got.weighted).ewm(alpha=alpha, adjust=False).mean()
    np.testing.assert_allclose(got.smoothed, smoothed, rtol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_bid_and_ask_exchanged_flip_the_sign(seed: int) -> None:
    bid_price, bid_size, ask_price, ask_size = random_book(np.random.default_rng(seed), (30, 2))
    got = _book_layer(with_book(bid_price, bid_size, ask_price, ask_size))
    other = _book_layer(with_book(bid_price, ask_size, ask_price, bid_size))
    for a, b in zip(got, other, strict=True):
        np.testing.assert_allclose(a, -b, rtol=1e-9, atol=1e-9)
        assert (np.abs(a) <= 1.0).all() or a is got.microprice_offset_bps


def test_a_book_that_is_not_whole_has_no_imbalance_and_its_average_holds() -> None:
    bid_price, bid_size, ask_price, ask_size = random_book(np.random.default_rng(3), (40, 1))
    ask_price[20:25] = np.nan  # one-sided
    bid_price[30:33] = ask_price[30:33] + 1.0  # crossed
    got = _book_layer(with_book(bid_price, bid_size, ask_price, ask_size))
    for a, b in ((20, 25), (30, 33)):
        assert np.isnan(got.top[a:b]).all() and np.isnan(got.weighted[a:b]).all()
        assert (got.smoothed[a:b] == got.smoothed[a - 1]).all()


def test_pressure_is_pandas_decayed_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    market, returns = _flowing()
    got = _flow_layers(market, returns)["l10_trade_pressure"]
    on = market.quality.valid[:, 0] == 1
    volume, bought = (pd.Series(x[:, 0])[on] for x in (market.bars.volume, market.flow.buy_volume))
    signed = 2.0 * bought - volume
    np.testing.assert_allclose(got.signed_volume[on, 0], signed, rtol=1e-9, atol=1e-9)
    assert np.isnan(got.signed_volume[~on, 0]).all()
    alpha = 1.0 - 0.5 ** (1.0 / K.pressure_halflife_bars)

    def decayed(x: pd.Series[float]) -> Any:
        total, out = 0.0, []
        for v in x:
            total = (1.0 - alpha) * total + v
            out.append(total)
        return np.array(out)

    pressure = decayed(signed) / np.where(decayed(volume) > 0.0, decayed(volume), np.inf)
    np.testing.assert_allclose(got.pressure[on, 0], pressure, rtol=1e-9, atol=1e-12)
    rolling = pd.Series(pressure).rolling(K.pressure_window_bars)
    z = (pressure - rolling.mean()) / rolling.std(ddof=0)
    np.testing.assert_allclose(got.pressure_z[on, 0], z, rtol=1e-6, atol=1e-9)
    both = got.buy_intensity[on, 0] + got.sell_intensity[on, 0]
    assert np.median(both[300:]) == pytest.approx(1.0, rel=0.15)  # usual bars


def test_without_sides_volume_is_classified_by_the_bar_s_move() -> None:
    market, returns = _flowing(known=False)
    got = _flow_layers(market, returns)["l10_trade_pressure"]
    on = market.quality.valid == 1
    expected = market.bars.volume * (2.0 * norm.cdf(returns.z) - 1.0)
    np.testing.assert_allclose(got.signed_volume[on], expected[on], rtol=1e-9, atol=1e-9)
    assert (got.proxied == 1).all()
    assert (_flow_layers(*_flowing())["l10_trade_pressure"].proxied == 0).all()


def test_what_would_be_the_return_itself_is_no_impact_and_no_order_flow() -> None:
    """Classified by the move, signed volume explains the move: r2 would be 0.6 and more on a walk with no impact at all."""
    shape = (BARS, 2)
    rng = np.random.default_rng(31)
    r, volume = rng.normal(0.0, 3e-4, shape), rng.lognormal(2.0, 1.0, shape)
    close, valid = 100.0 * np.exp(np.cumsum(r, axis=0)), np.ones(shape, np.int64)
    market = bars_only(close, close, close, volume, valid)._replace(flow=filled(Flow, shape, np.nan))
    got = _flow_layers(market, filled(Returns, shape, np.nan, r_1=r, z=r / 3e-4))
    signed, state = got["l10_trade_pressure"].signed_volume * close, carry_of(l59_price_impact, 2, CONFIGS).sums
    taken = trade_flow.impact(r, volume * close, signed, valid, IMPACT_FORGET, K.impact_least_bars, state)
    assert (taken[2][-1] > 0.6).all()
    impact, order = got["l59_price_impact"], got["l62_order_flow_imbalance"]
    for panel in (impact.lambda_sqrt, impact.r2, *order):
        assert np.isnan(panel).all()
    weight = IMPACT_FORGET ** np.arange(BARS - 1, -1, -1.0)
    expected = (weight @ (np.abs(r) / (volume * close))) / weight.sum()
    np.testing.assert_allclose(impact.amihud[-1], expected, rtol=1e-9)
    assert np.isfinite(got["l61_flow_toxicity"].vpin[-1]).all()  # whose method the classification is


def test_one_sided_flow_presses_fully_and_is_fully_toxic() -> None:
    market, returns = _flowing()
    volume = market.bars.volume + 1.0
    sides = market.flow._replace(buy_volume=volume, sell_volume=0.0 * volume)
    got = _flow_layers(market._replace(flow=sides, bars=market.bars._replace(volume=volume)), returns)
    assert (got["l10_trade_pressure"].pressure[100:] == 1.0).all()
    assert np.nanmin(got["l61_flow_toxicity"].vpin[-1]) == pytest.approx(1.0)


def test_a_planted_impact_is_found_within_three_standard_errors() -> None:
    rng = np.random.default_rng(5)
    trials, truth, noise = 200, 3e-6, 1e-3
    signed = rng.normal(0.0, 1e5, (2000, trials))
    r = truth * np.sign(signed) * np.sqrt(np.abs(signed)) + rng.normal(0.0, noise, signed.shape)
    state = carry_of(l59_price_impact, trials, CONFIGS).sums
    slope, _, r2 = trade_flow.impact(r, np.abs(signed) + 1e5, signed, np.ones(signed.shape, np.int64), 0.998, 60.0, state)
    weight = 0.998 ** np.arange(1999, -1, -1.0)
    error = noise * np.sqrt((weight**2) @ np.abs(signed)) / (weight @ np.abs(signed))
    t = (slope[-1] - truth) / error
    assert (np.abs(t) < 3.0).mean() > 0.98
    assert abs(t.mean()) < 0.3 and 0.85 < t.std() < 1.15
    assert ((r2[-1] > 0.0) & (r2[-1] < 1.0)).all()


def test_the_impact_is_weighted_least_squares_through_the_origin() -> None:
    market, returns = _flowing()
    values = _flow_layers(market, returns)
    got = values["l59_price_impact"]
    taught = (market.quality.valid[:, 1] == 1) & (market.bars.volume[:, 1] > 0.0)
    signed = (values["l10_trade_pressure"].signed_volume * market.bars.close)[taught, 1]
    r, notional = returns.r_1[taught, 1], (market.bars.volume * market.bars.close)[taught, 1]
    x = np.sign(signed) * np.sqrt(np.abs(signed))
    weight = IMPACT_FORGET ** np.arange(len(r) - 1, -1, -1.0)
    assert got.lambda_sqrt[-1, 1] == pytest.approx((weight @ (x * r)) / (weight @ (x * x)), rel=1e-9)
    assert got.amihud[-1, 1] == pytest.approx((weight @ (np.abs(r) / notional)) / weight.sum(), rel=1e-9)
    assert got.r2[-1, 1] == pytest.approx((weight @ (x * r)) ** 2 / ((weight @ (x * x)) * (weight @ (r * r))), rel=1e-9)


def test_a_day_without_volume_changes_nothing() -> None:
    market, returns = _flowing(shape=(600 + 1440, 1))
    market.bars.volume[600:] = 0.0
    market.flow.buy_volume[600:] = 0.0
    market.flow.sell_volume[600:] = 0.0
    got = _flow_layers(market, returns)
    for panel in got["l59_price_impact"]:
        assert (panel[600:] == panel[599]).all()
    assert len(np.unique(got["l61_flow_toxicity"].vpin[600:])) == 1


def test_the_toxicity_of_even_bars_is_the_mean_of_their_imbalances() -> None:
    shape = (400, 1)
    rng = np.random.default_rng(6)
    share = rng.random(shape)
    volume = np.full(shape, 50.0)
    state = carry_of(l61_flow_toxicity, 1, CONFIGS).buckets
    vpin = trade_flow.toxicity(volume, (2.0 * share - 1.0) * volume, np.ones(shape, np.int64), 2.0, 1440.0, state)
    pairs = np.abs((2.0 * share[:, 0] - 1.0).reshape(-1, 2).mean(axis=1))  # a bucket is two bars
    expected = pd.Series(pairs).rolling(K.toxicity_buckets).mean()
    np.testing.assert_allclose(vpin[1::2, 0], expected, rtol=1e-9)


def _with_ofi(seed: int = 9, slope: float = 0.0, shape: tuple[int, int, int] = (900, 2, 4)) -> tuple[Market, Returns]:
    """A book whose levels' flows share a common part, and returns that follow it by a bar."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 1.0, shape[:2])
    loads = np.array([1.0, 0.7, 0.4, 0.2])
    market, _ = _flowing(seed, shape=shape[:2])
    ofi = 10.0 * (common[:, :, None] * loads + 0.1 * rng.normal(0.0, 1.0, shape))
    r = slope * np.vstack([np.zeros((1, shape[1])), common[:-1]]) + 1e-4 * rng.normal(0.0, 1.0, shape[:2])
    book = market.book._replace(ofi=ofi, has_feed=np.ones(shape[:2], np.int64))
    everywhere = market.quality._replace(valid=np.ones(shape[:2], np.int64))
    return market._replace(book=book, quality=everywhere), filled(Returns, shape[:2], np.nan, r_1=r, z=r / 1e-4)


def test_the_levels_weights_find_their_common_part() -> None:
    market, returns = _with_ofi()
    got = _flow_layers(market, returns)["l62_order_flow_imbalance"]
    np.testing.assert_array_equal(got.ofi, market.book.ofi[:, :, 0])
    flows = market.book.ofi[:, 0]
    weight = np.sqrt(FLOW_FORGET ** np.arange(899, -1, -1.0))[:, None]
    first = np.linalg.svd(weight * flows)[2][0]
    expected = flows @ (first / first.sum())
    np.testing.assert_allclose(got.ofi_integrated[300:, 0], expected[300:], rtol=0.05, atol=0.15)
    rolling = pd.Series(got.ofi_integrated[:, 0]).rolling(K.flow_window_bars)
    z = (got.ofi_integrated[:, 0] - rolling.mean()) / rolling.std(ddof=0)
    np.testing.assert_allclose(got.ofi_z[:, 0], z, rtol=1e-6, atol=1e-8)


def test_flow_that_leads_returns_predicts_them_and_flow_that_does_not_hardly_does() -> None:
    for slope, low, high in ((1e-3, 0.9, 1.0), (0.0, -0.15, 0.15)):
        market, returns = _with_ofi(slope=slope)
        predicted = _flow_layers(market, returns)["l62_order_flow_imbalance"].predicted_bps[:-1]
        known = np.isfinite(predicted)
        assert low < np.corrcoef(predicted[known], returns.r_1[1:][known])[0, 1] < high
        assert known[400:].all()


def test_order_flow_exchanged_flips_the_sign_and_without_a_book_it_is_the_signed_volume() -> None:
    market, returns = _with_ofi()
    mirrored = market._replace(book=market.book._replace(ofi=-market.book.ofi))
    a, b = (_flow_layers(m, returns)["l62_order_flow_imbalance"] for m in (market, mirrored))
    for field in ("ofi", "ofi_integrated", "ofi_z"):
        np.testing.assert_allclose(getattr(a, field), -getattr(b, field), rtol=1e-9, atol=1e-9)
    bare = market._replace(book=market.book._replace(has_feed=np.zeros(returns.r_1.shape, np.int64)))
    values = _flow_layers(bare, returns)
    np.testing.assert_array_equal(values["l62_order_flow_imbalance"].ofi_integrated, values["l10_trade_pressure"].signed_volume)


def test_unknown_bars_teach_nothing_and_the_cut_does_not_matter() -> None:
    market, returns = _flowing()
    whole, bars = _flow_layers(market, returns), _flow_layers(market, returns, cuts=range(1, BARS, 3))
    for name in ("l10_trade_pressure", "l59_price_impact", "l61_flow_toxicity", "l62_order_flow_imbalance"):
        for a, b in zip(leaves(whole[name]), leaves(bars[name]), strict=True):
            np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))
    book = with_book(*random_book(np.random.default_rng(7), (60, 2)))
    for a, b in zip(_book_layer(book), _book_layer(book, cuts=range(1, 60)), strict=True):
        np.testing.assert_array_equal(a, b)
    held: TradePressure = whole["l10_trade_pressure"]
    assert (held.pressure[300:320, 0] == held.pressure[299, 0]).all()


def test_compiled_kernels_give_the_bits_of_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    market, returns = _flowing(shape=(400, 2))
    nothing = np.full(returns.z.shape, np.nan)
    on = market.quality.valid
    signed = 2.0 * market.flow.buy_volume - market.bars.volume
    size = np.random.default_rng(8).random((400, 2, 4))
    mid, proxied = market.bars.close, np.zeros(on.shape, np.int64)
    calls: list[tuple[Any, tuple[Any, ...], Any, str]] = [
        (trade_flow.pressure, (market.bars.volume, nothing, nothing, returns.z, on, 0.93), l10_trade_pressure, "sums"),
        (trade_flow.impact, (returns.r_1, market.bars.volume, signed, on, 0.99, 20.0), l59_price_impact, "sums"),
        (trade_flow.toxicity, (market.bars.volume, signed, on, 3.0, 100.0), l61_flow_toxicity, "buckets"),
        (order_flow.order_flow, (size, on, signed, returns.r_1, on, 3, 0.99, 20.0), l62_order_flow_imbalance, "flow"),
        (imbalance.book_imbalance, (size, size[:, :, ::-1].copy(), mid, mid, proxied, 0.5, 0.1), l9_book_imbalance, "average"),
    ]
    fast = [fn(*args, getattr(carry_of(layer, 2, CONFIGS, depth=4), field)) for fn, args, layer, field in calls]
    for module in (trade_flow, imbalance, order_flow, window):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, python_of(value))
    for (fn, args, layer, field), expected in zip(calls, fast, strict=True):
        got = python_of(fn)(*args, getattr(carry_of(layer, 2, CONFIGS, depth=4), field))
        for a, b in zip(np.atleast_1d(got) if isinstance(got, np.ndarray) else got, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a).view(np.int64), np.asarray(b).view(np.int64))
