from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l89_venue_constraints import l89_venue_constraints
from dataflows.execution.rounding import ceil_to, floor_to
from dataflows.execution.types import DROPS, LIMIT, MARKET, POST_ONLY, Constrained, Ledger, Slice, Style
from dataflows.microstructure.types import SpreadDepth
from dataflows.runtime.compile import kernel, python_of
from tests.dataflows.execution.loop import approval
from tests.dataflows.execution.support import CONFIG, NAN, instruments, market, plainly, same_bits
from tests.support import filled

compiled = kernel(l89_venue_constraints)


def constrain(
    quantity: list[float],
    held: list[float] | None = None,
    *,
    mark: float = 100.0,
    close: float = 100.0,
    mid: float = 100.0,
    spread: float = 4.0,
    type_: int = MARKET,
    offset: float = 0.0,
    reduce_only: int | None = None,
    rank: list[float] | None = None,
    config: Any = CONFIG,
    fn: Any = l89_venue_constraints,
    **facts: Any,
) -> Constrained:
    n = len(quantity)
    position = np.array(held or [0.0] * n)
    q = np.array(quantity, dtype=float)
    reduces = (
        (np.sign(q) == -np.sign(position)).astype(np.int64) * (position != 0.0)
        if reduce_only is None
        else np.full(n, reduce_only)
    )
    ledger = filled(Ledger, (n,), 0.0, position=position, mark=np.full(n, mark), unit_value=np.full(n, mark))
    book = filled(SpreadDepth, (n,), NAN, mid=np.full(n, mid), spread_bps=np.full(n, spread))
    style = Style(np.full(n, type_), np.full(n, offset), np.full(n, 3.0))
    got: Constrained = fn(
        market(1, [(close,) * 4 + (1.0,)] * n),
        approval([0.1] * n, **({"rank": rank} if rank else {})),
        book,
        style,
        Slice(q, q, reduces),
        ledger,
        instruments(n, **{k: np.full(n, v) for k, v in facts.items()}),
        config,
    )
    return got


def why(got: Constrained, s: int = 0) -> str:
    return DROPS[got.dropped[s]]


def test_entries_are_rounded_down_to_a_lot() -> None:
    assert constrain([1.29], lot_size=0.1).quantity[0] == pytest.approx(1.2)
    assert constrain([-1.29], lot_size=0.1).quantity[0] == pytest.approx(-1.2)
    assert constrain([0.3], lot_size=0.1).quantity[0] == pytest.approx(0.3), "0.3 / 0.1 is 2.9999999999999996 in binary"
    got = constrain([0.09], lot_size=0.1)
    assert (got.quantity[0], why(got)) == (0.0, "LOT")


def test_reductions_are_rounded_up_to_a_lot_and_never_past_the_position() -> None:
    assert constrain([-1.21], [5.0], lot_size=0.1).quantity[0] == pytest.approx(-1.3)
    assert constrain([-4.99], [5.0], lot_size=0.1).quantity[0] == -5.0
    assert constrain([7.0], [-5.0], lot_size=0.1).quantity[0] == 5.0


def test_an_exit_is_never_dropped_and_dust_below_a_lot_is_reported() -> None:
    got = constrain([-1.25], [1.25], lot_size=0.1)
    assert (got.quantity[0], got.dust[0], why(got)) == (pytest.approx(-1.2), pytest.approx(0.05), "NONE")
    got = constrain([-0.05], [0.05], lot_size=0.1)
    assert (got.quantity[0], got.dust[0], why(got)) == (0.0, 0.05, "LOT")
    got = constrain([-1.2], [1.2000000000000002], lot_size=0.1, mark=NAN, close=NAN)
    assert got.quantity[0] == -1.2000000000000002, "to the bit, so that the position is 0 after"


def test_the_least_notional_is_for_entries_and_where_no_exemption_is_given() -> None:
    got = constrain([0.9], min_notional=100.0)
    assert (got.quantity[0], why(got)) == (0.0, "MIN_NOTIONAL")
    assert constrain([-0.9], [0.9], min_notional=100.0).quantity[0] == -0.9
    got = constrain([-0.9], [0.9], min_notional=100.0, reduce_only_exempt=0)
    assert (got.quantity[0], got.dust[0], why(got)) == (0.0, 0.9, "MIN_NOTIONAL")
    assert constrain([-0.2], [9.0], min_notional=100.0, reduce_only_exempt=0).quantity[0] == -1.0
    assert constrain([-1.2], [2.0], min_notional=100.0, reduce_only_exempt=0).quantity[0] == -2.0, (
        "the rest could never be closed"
    )


def test_limit_prices_are_the_touch_less_the_offset_on_the_tick_away_from_the_market() -> None:
    got = constrain([1.0], type_=POST_ONLY, spread=4.1, offset=1.0, tick_size=0.01)
    assert (got.price[0], got.type[0], got.lifetime[0]) == (pytest.approx(99.96), POST_ONLY, 3.0)
    assert constrain([-1.0], type_=LIMIT, spread=4.1, tick_size=0.01).price[0] == pytest.approx(100.03)
    got = constrain([1.0])
    assert (got.type[0], math.isnan(got.price[0])) == (MARKET, True)


def test_the_collar_holds_the_price_near_the_mark() -> None:
    assert constrain([1.0], type_=LIMIT, mid=90.0, tick_size=0.1).price[0] == pytest.approx(99.0)
    assert constrain([1.0], type_=LIMIT, mid=110.0, tick_size=0.3).price[0] == pytest.approx(100.8)
    got = constrain([1.0], type_=LIMIT, tick_size=30.0)
    assert (got.quantity[0], why(got)) == (0.0, "UNKNOWN_PRICE"), "no tick lies within the collar"


@pytest.mark.parametrize(
    "about", [{"mark": NAN}, {"close": NAN}, {"mid": NAN, "type_": LIMIT}, {"spread": NAN, "type_": LIMIT}]
)
def test_an_unknown_price_drops_an_entry_and_sends_a_reduction_to_the_market(about: dict[str, Any]) -> None:
    got = constrain([1.0], **about)
    assert (got.quantity[0], why(got)) == (0.0, "UNKNOWN_PRICE")
    got = constrain([-1.0], [2.0], **about)
    assert got.quantity[0] == -1.0
    assert "type_" not in about or (got.type[0], math.isnan(got.price[0])) == (MARKET, True)


def test_the_rate_budget_serves_entries_by_rank_then_name_and_exits_always() -> None:
    tight = CONFIG._replace(rate_orders=4, reserve=0.5)
    got = constrain([1.0, 1.0, 1.0, -1.0, 1.0], [0, 0, 0, 1.0, 0], rank=[1.0, 0.0, 1.0, 9.0, NAN], config=tight)
    assert got.quantity.tolist() == [1.0, 1.0, 0.0, -1.0, 0.0]
    assert [why(got, s) for s in range(5)] == ["NONE", "NONE", "RATE", "NONE", "RATE"]
    got = constrain([-1.0] * 5 + [1.0], [1.0] * 5 + [0.0], config=tight)
    assert got.quantity.tolist() == [-1.0] * 5 + [0.0]


def test_rounding_helpers() -> None:
    for x, step, down, up in [(0.3, 0.1, 3, 3), (0.31, 0.1, 3, 4), (7.0, 0.0, None, None), (7.0, NAN, None, None)]:
        assert floor_to(x, step) == (x if down is None else down * step) == python_of(floor_to)(x, step)
        assert ceil_to(x, step) == (x if up is None else up * step) == python_of(ceil_to)(x, step)


SIZES = st.one_of(st.floats(-50.0, 50.0), st.sampled_from([0.0, NAN, math.inf, 1e-12]))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_is_asked_the_result_is_acceptable_and_no_riskier(data: st.DataObject) -> None:
    lot, tick = data.draw(st.sampled_from([0.0, 0.001, 0.1, 3.0])), data.draw(st.sampled_from([0.0, 0.01, 0.5]))
    least, exempt = data.draw(st.sampled_from([0.0, 100.0])), data.draw(st.integers(0, 1))
    quantity = data.draw(st.lists(SIZES, min_size=3, max_size=3))
    held = data.draw(st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3))
    about: dict[str, Any] = {
        "mark": data.draw(st.sampled_from([100.0, 97.3, NAN])),
        "close": data.draw(st.sampled_from([100.0, NAN])),
        "mid": data.draw(st.sampled_from([100.0, 80.0, NAN])),
        "spread": data.draw(st.sampled_from([0.0, 7.0, NAN])),
        "type_": data.draw(st.sampled_from([MARKET, LIMIT, POST_ONLY])),
        "config": CONFIG._replace(rate_orders=3),
        "lot_size": lot,
        "tick_size": tick,
        "min_notional": least,
        "reduce_only_exempt": exempt,
    }
    got = constrain(quantity, held, fn=compiled, **about)
    assert same_bits(got, constrain(quantity, held, fn=plainly(l89_venue_constraints), **about))
    entries = 0
    for s in range(3):
        q, asked, x = float(got.quantity[s]), quantity[s], held[s]
        assert math.isfinite(q)
        assert got.dust[s] >= 0.0
        if np.sign(asked) == -np.sign(x) != 0:
            assert abs(q) <= abs(x)
            closes = abs(asked) >= abs(x)
            assert abs(q) >= min(abs(asked), abs(x)) - got.dust[s] - 1e-9 * max(lot, 1.0), "never less of a reduction"
            if closes:
                assert abs(q) + got.dust[s] == pytest.approx(abs(x)), "what is not closed is dust"
                assert got.dust[s] < max(lot, 1e-12) or (least and not exempt)
        elif q:
            entries += 1
            assert np.sign(q) == np.sign(asked)
            assert abs(q) <= abs(asked) * (1 + 1e-9)
            assert abs(q) * about["mark"] >= least * (1 - 1e-9)
        if q and lot and abs(q) != abs(x):
            assert abs(q) / lot == pytest.approx(round(abs(q) / lot), abs=1e-6)
        if not math.isnan(got.price[s]):
            assert abs(got.price[s] / about["mark"] - 1.0) <= CONFIG.collar_bps / 1e4 * (1 + 1e-6)
            assert not tick or got.price[s] / tick == pytest.approx(round(got.price[s] / tick), abs=1e-6)
    assert entries <= 2
