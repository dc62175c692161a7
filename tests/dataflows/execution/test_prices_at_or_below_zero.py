"""Prices at zero and below, with `price_shift`: cash, equity, fees and settlement against exact books in quoted prices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.types import FILL, REJECTIONS, TAKER
from tests.dataflows.execution.loop import COMPILED, Loop, Step, approval
from tests.dataflows.execution.support import CONFIG, NAN, entries_of, same_bits

SHIFT = 256.0
FREE = CONFIG._replace(slippage_impact=0.0, slippage_default_bps=0.0, slice_bars=1, headroom=0.0, least_entry=0.0, band=0.0)


def bar(quoted: float, before: float | None = None) -> tuple[float, float, float, float, float]:
    """A bar from the close before to this one, as the feed gives it: with the shift."""
    open_ = quoted if before is None else before
    return open_ + SHIFT, max(open_, quoted) + SHIFT + 0.5, min(open_, quoted) + SHIFT - 0.5, quoted + SHIFT, 1e6


class Quoted:
    """Exact books in quoted prices, from the fills alone."""

    def __init__(self, multiplier: float, taker_bps: float, maker_bps: float) -> None:
        self.multiplier, self.bps = Fraction(multiplier), {True: Fraction(taker_bps), False: Fraction(maker_bps)}
        self.cash, self.fees, self.moved = Fraction(100_000), Fraction(0), Fraction(1)
        self.position = Fraction(0)

    def take(self, step: Step) -> None:
        log = step.fills
        for i in range(log.n):
            if log.kind[i] != FILL:
                continue
            quantity, price = Fraction(float(log.quantity[i])), Fraction(float(log.price[i])) - Fraction(SHIFT)
            worth = quantity * price * self.multiplier
            fee = abs(worth) * self.bps[bool(log.liquidity[i] == TAKER)] / 10_000
            assert float(log.fee[i]) == pytest.approx(float(fee), rel=1e-9, abs=1e-9), "a fee is of the size of the notional"
            self.cash, self.fees, self.position = self.cash - worth - fee, self.fees + fee, self.position + quantity
            self.moved += abs(worth)

    def agrees(self, step: Step, close: float) -> None:
        tolerance = 1e-9 * float(self.moved)
        equity = self.cash + self.position * Fraction(close) * self.multiplier
        assert abs(step.ledger.cash - float(self.cash)) <= tolerance
        assert abs(step.ledger.fees - float(self.fees)) <= tolerance
        assert abs(step.ledger.equity - float(equity)) <= tolerance
        assert abs(step.ledger.position[0] - float(self.position)) <= 1e-9 * max(1.0, abs(float(self.position)))
        made = step.ledger.symbol_realised.sum() + step.ledger.unrealised.sum() - step.ledger.fees
        assert abs(step.ledger.equity - 100_000.0 - made) <= tolerance, "gains are of price changes"


prices = st.lists(st.integers(-120 * 64, 160 * 64).map(lambda k: k / 64.0), min_size=4, max_size=24)


@given(
    closes=prices,
    weights=st.lists(st.sampled_from([-0.9, -0.3, 0.0, 0.2, 0.8]), min_size=24, max_size=24),
    multiplier=st.sampled_from([0.5, 1.0, 1000.0]),
    fees=st.sampled_from([(0.0, 0.0), (5.0, 2.0), (7.0, -1.0)]),
    compiled=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_the_account_is_right_whatever_the_sign_of_the_price(
    closes: list[float], weights: list[float], multiplier: float, fees: tuple[float, float], compiled: bool
) -> None:
    facts: dict[str, Any] = {"taker_fee_bps": [fees[0]], "maker_fee_bps": [fees[1]], "multiplier": [multiplier]}
    loop = Loop(1, FREE, spread_bps=0.0, price_shift=[SHIFT], layers=COMPILED if compiled else None, **facts)
    books, before = Quoted(multiplier, *fees), None
    for close, weight in zip(closes, weights, strict=False):
        step = loop([bar(close, before)], approval([weight]))
        books.take(step)
        books.agrees(step, close)
        before = close


def test_a_fall_through_zero_costs_a_long_position_what_the_price_fell() -> None:
    """WTI of May 2020 on 20 April: 18.27 the day before, -37.63 at the close; a contract is 1,000 barrels."""
    loop = Loop(1, FREE, spread_bps=0.0, price_shift=[SHIFT], multiplier=[1000.0], taker_fee_bps=[0.0], maker_fee_bps=[0.0])
    hold = approval([0.9], stop=0.9, take_profit=NAN)
    loop([bar(18.25)], hold)
    step = loop([bar(18.25)], hold)
    held = step.ledger.position[0]
    assert held == pytest.approx(0.9 * 100_000.0 / (1000.0 * (18.25 + SHIFT)), rel=1e-9), "sized by the shifted price"
    step = loop([bar(-37.63, 18.25)], approval([0.9], stop=0.9, take_profit=NAN, active_stop=1.0))
    assert step.ledger.equity == pytest.approx(100_000.0 + 1000.0 * held * (-37.63 - 18.25))
    assert step.ledger.cash == pytest.approx(100_000.0 - 1000.0 * held * 18.25)


def test_a_position_is_settled_at_a_price_below_zero() -> None:
    loop = Loop(1, FREE, spread_bps=0.0, price_shift=[SHIFT], delivery_price=[SHIFT - 37.63], taker_fee_bps=[5.0])
    loop([bar(20.0)], approval([0.1]))
    held = loop([bar(20.0)], approval([0.1], active_stop=1.0)).ledger
    step = loop([(NAN,) * 5], approval([0.1], active_stop=1.0), listed=[0], valid=[0])
    (sold,) = (e for e in entries_of(step.fills) if e["kind"] == FILL)
    assert (REJECTIONS[sold["reason"]], sold["price"], sold["fee"]) == ("DELISTED", SHIFT - 37.63, 0.0)
    assert step.ledger.cash == pytest.approx(held.cash - 37.63 * held.position[0])
    assert step.ledger.equity == step.ledger.cash


def test_margin_is_of_the_shifted_price_and_a_liquidation_is_booked_at_the_quoted_one() -> None:
    """At zero a contract still needs margin; equity is what quoted prices make of it."""
    loop = Loop(
        1, FREE, spread_bps=0.0, price_shift=[SHIFT], maintenance_margin=[0.05], multiplier=[1000.0], taker_fee_bps=[0.0]
    )

    def hold(orders: Any, ledger: Any) -> Any:
        weight = ledger.position[0] * ledger.unit_value[0] / ledger.equity if ledger.position[0] else 5.0
        return approval([weight], stop=0.9, take_profit=NAN, active_stop=1.0)

    loop([bar(20.0)], hold)
    held = loop([bar(20.0)], hold).ledger.position[0]
    assert held == pytest.approx(5.0 * 100_000.0 / (1000.0 * (20.0 + SHIFT)), rel=1e-9)
    safe = loop([bar(0.0, 20.0)], hold).ledger
    assert safe.equity == pytest.approx(100_000.0 - 1000.0 * held * 20.0), (
        "a contract needs 5 % of 256,000 here, and of 0 nothing"
    )
    step = loop([bar(-30.0, 0.0)], hold)
    (closed,) = (e for e in entries_of(step.fills) if e["kind"] == FILL)
    assert (REJECTIONS[closed["reason"]], closed["price"]) == ("LIQUIDATED", SHIFT - 30.5), "at the worst price of the bar"
    assert step.ledger.equity == pytest.approx(100_000.0 - 1000.0 * held * 50.5)


def test_the_compiled_layers_give_the_same_bits_as_the_plain_ones() -> None:
    path = [20.0, 3.25, -12.5, -37.625, 0.0, 8.5, -1.0, 30.0]
    made = []
    for layers in (None, COMPILED):
        loop = Loop(1, price_shift=[SHIFT], taker_fee_bps=[5.0], multiplier=[10.0], layers=layers)
        made.append([loop([bar(p)], approval([w])) for p, w in zip(path, np.resize([0.5, -0.4, 0.0], 8), strict=True)])
    assert sum(step.fills.n for step in made[0]) > 6
    assert all(same_bits(a, b) for a, b in zip(*made, strict=True))
