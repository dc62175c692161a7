"""What a unit of a contract is worth: hand-computed values of a future and of an inverse perpetual, and what holds for all."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.kernels.contract import average_of, booked, loss_of, notional_of

PRICES = st.floats(1e-3, 1e6)
SIZES = st.floats(1e-3, 1e3)


def test_a_future_of_fifty_gains_fifty_a_point() -> None:
    assert notional_of(4_000.0, 50.0, 0) == 200_000.0
    assert 3.0 * (booked(4_010.0, 50.0, 0) - booked(4_000.0, 50.0, 0)) == 1_500.0


def test_an_inverse_contract_of_a_hundred_dollars_settles_in_coins() -> None:
    """1,000 contracts of 100 dollars, bought at 50,000 and sold at 40,000: 2 coins of notional, and half a coin lost."""
    assert 1_000.0 * notional_of(50_000.0, 100.0, 1) == 2.0
    assert 1_000.0 * (booked(40_000.0, 100.0, 1) - booked(50_000.0, 100.0, 1)) == pytest.approx(-0.5)


def test_an_inverse_position_has_the_harmonic_mean_of_its_prices() -> None:
    assert average_of(10.0, 100.0, 30.0, 200.0, 0) == 175.0
    assert average_of(10.0, 100.0, 30.0, 200.0, 1) == pytest.approx(160.0)  # 40 / (0.1 + 0.15)
    assert average_of(-10.0, 100.0, -30.0, 200.0, 1) == pytest.approx(160.0)


def test_an_inverse_contract_loses_more_than_its_price_when_long_and_less_when_short() -> None:
    assert loss_of(0.2, 1.0, 0) == loss_of(0.2, -1.0, 0) == 0.2
    assert loss_of(0.2, 1.0, 1) == pytest.approx(0.25)
    assert loss_of(0.2, -1.0, 1) == pytest.approx(1.0 / 6.0)
    assert loss_of(1.0, 1.0, 1) == math.inf
    assert math.isnan(loss_of(math.nan, -1.0, 1))


@given(PRICES, PRICES, SIZES, st.sampled_from([0, 1]))
def test_the_profit_of_a_unit_has_the_sign_of_its_price_s_move(a: float, b: float, size: float, inverse: int) -> None:
    made = booked(b, size, inverse) - booked(a, size, inverse)
    exact = Fraction(size) * ((1 / Fraction(a) - 1 / Fraction(b)) if inverse else (Fraction(b) - Fraction(a)))
    scale = notional_of(a, size, inverse) + notional_of(b, size, inverse)
    assert made == pytest.approx(float(exact), abs=1e-14 * scale)
    assert made * (b - a) >= 0.0


@given(PRICES, SIZES, PRICES, SIZES, st.sampled_from([0, 1]))
def test_units_at_their_average_price_are_booked_as_they_were(p: float, q: float, x: float, r: float, inverse: int) -> None:
    average = average_of(q, p, r, x, inverse)
    apart = q * booked(p, 3.0, inverse) + r * booked(x, 3.0, inverse)
    assert (q + r) * booked(average, 3.0, inverse) == pytest.approx(apart, rel=1e-12)
    assert min(p, x) * (1.0 - 1e-12) <= average <= max(p, x) * (1.0 + 1e-12)


@given(st.floats(0.0, 0.99), PRICES, st.sampled_from([-1.0, 1.0]))
def test_the_loss_is_that_of_the_booked_value(distance: float, price: float, side: float) -> None:
    for inverse in (0, 1):
        there = price * (1.0 - side * distance)
        if there <= 0.0:
            continue
        lost = side * (booked(price, 2.0, inverse) - booked(there, 2.0, inverse)) / notional_of(price, 2.0, inverse)
        assert loss_of(distance, side, inverse) == pytest.approx(lost, rel=1e-9, abs=1e-12)
