from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import unknown_instruments
from dataflows.risk.config import RiskConfig
from dataflows.risk.l85_instrument_cap import l85_instrument_cap
from dataflows.risk.types import LiquidityStress
from tests.dataflows.risk.accounts import HOSTILE, MODES, clock, ledger, liquid, market, run, same
from tests.support import carry_of

RISK = RiskConfig()._replace(cap_volume_bars=5)
any_float = st.one_of(st.sampled_from(HOSTILE), st.floats(0, 1e6))


def dry(bars=1e-9, n=1) -> LiquidityStress:
    """By default a market that is left at once."""
    return LiquidityStress(np.array(np.broadcast_to(np.asarray(bars, float), (n,))), np.zeros(n))


def caps(volumes, mode="plain", risk=RISK, equity=1000.0, valid=None, is_bar=None, liquidity=1, close=100.0, n=1, bars=1e-9):
    carry = carry_of(l85_instrument_cap, n, {"risk": risk})
    out = []
    for i, v in enumerate(volumes):
        inputs = {
            "l0_market_feed": market(n, close=close, volume=v, valid=1 if valid is None else valid[i]),
            "l63_tradeability": liquid(n, liquidity),
            "l79_liquidity_stress": dry(bars, n),
            "l97_ledger": ledger(n, equity=equity),
            "instruments": unknown_instruments(n),
            "clock": clock(is_bar=1 if is_bar is None else is_bar[i]),
        }
        out.append(run(l85_instrument_cap, mode, **inputs, risk=risk, carry=carry).fraction)
    return np.array(out)[:, 0] if n == 1 else np.array(out)


@pytest.mark.parametrize("mode", MODES)
def test_participation_of_the_window_s_notional_over_equity_up_to_the_greatest_fraction(mode):
    got = caps([10, 20, 30, 40, 50, 5, 500], mode)
    want = [0, 0, 0, 0, 0.01 * 150 * 100 / 1000, 0.01 * 145 * 100 / 1000, 0.2]
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_only_valid_bars_count():
    got = caps([10] * 4 + [1e6, math.nan, 10], valid=[1, 1, 1, 1, 0, 1, 1])
    np.testing.assert_allclose(got, [0] * 6 + [0.05])


def test_between_bars_nothing_enters_the_window():
    got = caps([10] * 5 + [1e6, 10], is_bar=[1] * 5 + [0, 1])
    np.testing.assert_allclose(got[4:], [0.05] * 3)


@pytest.mark.parametrize("equity", [0.0, -1.0, math.nan, math.inf])
def test_no_or_unknown_equity_is_zero(equity):
    assert (caps([10] * 6, equity=equity) == 0).all()


def test_no_more_than_can_be_left_in_time_when_the_market_dries_up():
    """10,000 take 12,000 bars, so 100 take 120: a tenth of the equity."""
    assert caps([1e6] * 6, bars=12_000.0)[-1] == pytest.approx(0.1)
    assert caps([1e6] * 6, bars=12_000.0, risk=RISK._replace(max_liquidation_bars=60.0))[-1] == pytest.approx(0.05)
    for unknown in (math.inf, math.nan, 0.0, -1.0):
        assert caps([1e6] * 6, bars=unknown)[-1] == 0.0


def test_unknown_liquidity_is_zero():
    assert (caps([10] * 6, liquidity=-1) == 0).all()


def test_one_symbol_s_unknown_volume_is_its_own():
    got = caps([np.array([10.0, math.nan])] * 6, n=2)
    np.testing.assert_allclose(got[-1], [0.05, 0.0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(any_float, st.integers(0, 1), st.integers(0, 1), st.integers(-1, 2)), min_size=1, max_size=14),
    any_float,
    st.floats(0.01, 1),
    any_float,
)
def test_for_any_input_within_its_range_never_higher_with_thinner_liquidity_and_compiled_is_plain(rows, equity, thin, bars):
    states = {m: carry_of(l85_instrument_cap, 1, {"risk": RISK}) for m in (*MODES, "thin")}
    for volume, valid, is_bar, cls in rows:

        def inputs(k, volume=volume, valid=valid, is_bar=is_bar, cls=cls):
            return {"l0_market_feed": market(volume=volume * k, valid=valid), "l63_tradeability": liquid(liquidity_class=cls),
                    "l79_liquidity_stress": dry(bars / k), "l97_ledger": ledger(equity=equity), "clock": clock(is_bar=is_bar),
                    "instruments": unknown_instruments(1)}  # fmt: skip

        a, b = (run(l85_instrument_cap, m, **inputs(1.0), risk=RISK, carry=states[m]) for m in MODES)
        same(a, b)
        assert 0.0 <= a.fraction[0] <= RISK.max_fraction
        if not equity > 0 or cls == -1:
            assert a.fraction[0] == 0.0
        thinner = run(l85_instrument_cap, "plain", **inputs(thin), risk=RISK, carry=states["thin"])
        if volume < 1e300:
            assert thinner.fraction[0] <= a.fraction[0] * (1 + 1e-9) or volume < 0
