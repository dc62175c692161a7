from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l88_order_slicing import l88_order_slicing, slicing_pays, trade_fraction
from dataflows.execution.types import LIMIT, MARKET, Ledger, Slice, Style
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import Tradeability
from dataflows.risk.types import APPROVED, EXIT, HOLD, REDUCED, REJECTED, VERDICTS
from dataflows.runtime.compile import kernel, python_of
from tests.dataflows.execution.loop import approval
from tests.dataflows.execution.support import CONFIG, NAN, carry, clock, instruments, market, plainly, same_bits
from tests.support import filled

compiled = kernel(l88_order_slicing)
EXACT = CONFIG._replace(headroom=0.0, slice_bars=1)


class Slicer:
    def __init__(self, config: Any = EXACT, fn: Any = l88_order_slicing, **facts: Any) -> None:
        self.facts = instruments(1, **facts)
        self.config, self.fn, self.carry, self.t = config, fn, carry(l88_order_slicing, 1, config), 0

    def __call__(
        self,
        weight: float,
        held: float = 0.0,
        *,
        mark: float = 100.0,
        equity: float = 100_000.0,
        volume: float = 1e6,
        close: float = 100.0,
        safe: float = 1e12,
        passive: bool = False,
        sigma: float = 0.5,  # so that spreading an order pays
        is_bar: int = 1,
        **about: Any,
    ) -> Slice:
        self.t += 1
        ledger = filled(
            Ledger, (1,), 0.0, position=np.array([held]), mark=np.array([mark]), unit_value=np.array([mark])
        )._replace(equity=equity)
        tradeable = filled(Tradeability, (1,), 0.0, slippage_bps=np.zeros((1, 3)), max_safe_notional=np.array([safe]))
        style = Style(np.array([LIMIT if passive else MARKET]), np.zeros(1), np.zeros(1))
        got: Slice = self.fn(
            market(self.t, [(close, close, close, close, volume)]),
            filled(Returns, (1,), NAN, sigma=np.array([sigma])),
            approval([weight], **about),
            tradeable,
            style,
            ledger,
            self.facts,
            clock(self.t, is_bar=is_bar),
            self.config,
            self.carry,
        )
        return got


def test_the_quantity_is_target_times_equity_over_mark_less_the_position() -> None:
    got = Slicer()(0.2, 50.0)
    assert (got.quantity[0], got.remaining[0], got.reduce_only[0]) == (150.0, 150.0, 0)
    assert Slicer()(-0.2).quantity[0] == -200.0


def test_headroom_is_left_by_entries() -> None:
    assert Slicer(EXACT._replace(headroom=0.02))(0.2).quantity[0] == pytest.approx(196.0)


def test_no_trade_inside_the_band_and_an_unchanged_target_makes_no_churn() -> None:
    assert Slicer()(0.2, 185.0).quantity[0] == 0.0
    assert Slicer()(0.2, 215.0).quantity[0] == 0.0
    assert Slicer()(0.2, 170.0).quantity[0] == 30.0
    assert Slicer()(0.2, 230.0).quantity[0] == -30.0


def test_crumbs_are_not_begun() -> None:
    config = EXACT._replace(least_entry=0.005)
    assert Slicer(config)(0.0049).quantity[0] == 0.0
    assert Slicer(config)(0.0051).quantity[0] == pytest.approx(5.1)
    assert Slicer(config)(0.0, 2.0).quantity[0] == -2.0, "an exit is never too small"


def test_no_slice_is_a_crumb() -> None:
    config = CONFIG._replace(headroom=0.0, slice_bars=3, least_entry=0.005)  # a crumb is less than 5 units here
    s, held, slices = Slicer(config), 0.0, []
    for _ in range(4):
        slices.append(float(s(0.012, held).quantity[0]))
        held += slices[-1]
    assert held == pytest.approx(12.0) and slices[2:] == [0.0, 0.0]
    assert all(x >= 5.0 for x in slices[:2]), "what would be left for a third slice goes with the second"
    s = Slicer(config)
    assert s(0.006).quantity[0] == pytest.approx(6.0), "too little to be spread at all"
    s = Slicer(config)
    held = float(s(0.1).quantity[0])
    assert s((held + 0.01) / 1000.0, held).quantity[0] == 0.0, "the target came down to what is held, but for a crumb"
    assert Slicer(config)(0.02, volume=10.0).quantity[0] == pytest.approx(1.0), "thin markets take what they take"


def test_a_broken_cap_is_mended_inside_the_band_too_and_far_enough_not_to_come_again() -> None:
    got = Slicer(EXACT._replace(headroom=0.02))(0.2, 201.0, verdict=REDUCED)
    assert (got.quantity[0], got.reduce_only[0]) == (pytest.approx(-5.0), 1)
    held = Slicer(EXACT._replace(headroom=0.02))(0.2, 200.0 * (1 + 1e-12), verdict=HOLD, reduce_only=1)
    assert held.quantity[0] == 0.0, "a target that is the position, but for rounding, is held"


@pytest.mark.parametrize("about", [{"verdict": EXIT}, {"weight": 0.0}, {"weight": -0.2}])
@pytest.mark.parametrize(
    "world", [{}, {"mark": NAN, "close": NAN}, {"equity": -1.0}, {"volume": NAN}, {"safe": NAN}, {"is_bar": 0}]
)
def test_an_exit_closes_all_at_once_whatever_is_known(about: dict[str, Any], world: dict[str, Any]) -> None:
    about = {"weight": 0.2, **about}
    got = Slicer(CONFIG)(about.pop("weight"), 123.456, **about, **world)
    assert (got.quantity[0], got.reduce_only[0]) == (-123.456, 1)


@pytest.mark.parametrize(
    "about",
    [
        {"equity": 0.0},
        {"equity": NAN},
        {"mark": NAN},
        {"close": NAN},
        {"volume": NAN},
        {"volume": 0.0},
        {"safe": NAN},
        {"safe": math.inf},
        {"verdict": REJECTED},
        {"verdict": HOLD},
        {"reduce_only": 1},
        {"weight": NAN},
        {"is_bar": 0},
    ],
)
def test_nothing_unknown_or_unapproved_is_entered(about: dict[str, Any]) -> None:
    about = {"weight": 0.2, **about}
    assert Slicer()(about.pop("weight"), 10.0, **about).quantity[0] == 0.0


def test_an_entry_is_capped_by_average_volume_and_by_the_safe_notional() -> None:
    assert Slicer()(0.2, volume=500.0).quantity[0] == pytest.approx(50.0)
    assert Slicer()(0.2, safe=3000.0).quantity[0] == pytest.approx(30.0)
    s = Slicer(EXACT._replace(slice_volume_bars=1.0))
    s(0.0, volume=400.0)
    assert s(0.2, volume=0.0).quantity[0] == pytest.approx(20.0), "the average, not this bar"


def test_the_trajectory_is_that_of_almgren_and_chriss() -> None:
    bars, kappa, whole = 10, 0.3, 1000.0
    left = whole
    for j in range(1, bars + 1):
        left -= left * trade_fraction(bars - j + 1, kappa)
        assert left == pytest.approx(whole * math.sinh(kappa * (bars - j)) / math.sinh(kappa * bars), abs=1e-9)
    assert trade_fraction(4, 0.0) == 0.25
    assert python_of(trade_fraction)(7, 0.2) == trade_fraction(7, 0.2)


def test_slices_add_up_to_the_approved_quantity_and_never_pass_it() -> None:
    s = Slicer(CONFIG._replace(slice_bars=4, headroom=0.0))
    held, slices = 0.0, []
    for _ in range(8):
        slices.append(float(s(0.2, held).quantity[0]))
        held += slices[-1]
        assert held <= 200.0 * (1 + 1e-12)
    assert held == pytest.approx(200.0)
    assert slices[0] > slices[1] > slices[2] > slices[3] > 0.0
    assert slices[4:] == [0.0] * 4


def test_an_order_is_spread_where_that_saves_more_impact_than_it_loses_edge() -> None:
    """2,500 of a bar of 10,000 in even thirds: impact of 0.02 * sqrt(0.25) = 100 bps falls to 100 / sqrt(3), 42.3 bps are saved;
    the thirds wait 0, 1 and 2 bars, one on average. So an edge that fades by more than 42.3 bps a bar goes at once."""
    config = EXACT._replace(slice_bars=3, slice_kappa=0.0)
    saved = 100.0 * (1.0 - 1.0 / math.sqrt(3.0))

    def first(lost: float, **world: Any) -> float:
        world = {"equity": 250_000.0 / 0.2, "volume": 1e4, "sigma": 0.02, **world}
        big = config._replace(participation=1.0)
        return float(Slicer(big)(0.2, edge_bps=60.0 * lost, horizon=60.0, freshness=1.0, **world).quantity[0])

    assert first(saved - 0.1) == pytest.approx(2_500.0 / 3.0)
    assert first(saved + 0.1) == pytest.approx(2_500.0)
    assert first(0.5 * saved, sigma=0.0101) == pytest.approx(2_500.0 / 3.0), "half the volatility saves half"
    assert first(0.5 * saved, sigma=0.0099) == pytest.approx(2_500.0)
    assert first(0.0, sigma=NAN) == pytest.approx(2_500.0), "unknown impact saves nothing"


@given(st.floats(1e-6, 1.0), st.integers(1, 20), st.floats(0.0, 5.0), st.floats(1e-5, 0.1), st.floats(0.0, 0.01))
def test_slicing_pays_by_the_sum_over_its_slices(part: float, bars: int, kappa: float, sigma: float, lost: float) -> None:
    slices, left = [], 1.0
    for j in range(bars):
        slices.append(left * trade_fraction(bars - j, kappa))
        left -= slices[-1]
    at_once = sigma * math.sqrt(part)
    spread = sum(f * sigma * math.sqrt(part * f) for f in slices)
    net = at_once - spread - lost * sum(j * f for j, f in enumerate(slices))
    if abs(net) > 1e-12:
        assert slicing_pays(part, bars, kappa, sigma, lost) == (net > 0.0)
    assert not slicing_pays(part, bars, kappa, sigma, NAN)


def test_an_entry_waits_for_its_closes_in_a_row_and_an_exit_does_not() -> None:
    s = Slicer(EXACT._replace(entry_closes=3))
    assert [s(0.2).quantity[0] for _ in range(3)] == [0.0, 0.0, 200.0]
    s = Slicer(EXACT._replace(entry_closes=3))
    approved = [(0.2, {}), (0.2, {}), (0.2, {"verdict": HOLD}), (0.2, {}), (0.2, {}), (0.2, {})]
    assert [s(w, **about).quantity[0] for w, about in approved] == [0.0] * 5 + [200.0], "a close without approval begins anew"
    s = Slicer(EXACT._replace(entry_closes=2))
    assert [s(w).quantity[0] for w in (0.2, -0.2, -0.2)] == [0.0, 0.0, -200.0], "so does the other side"
    assert s(0.0, -200.0).quantity[0] == 200.0


def test_a_passive_order_is_not_spread_and_an_urgent_one_goes_at_once() -> None:
    config = CONFIG._replace(headroom=0.0)
    assert Slicer(config)(0.2, passive=True).quantity[0] == 200.0
    assert Slicer(config)(0.2, urgency=1.0).quantity[0] == 200.0


WILD = st.sampled_from([0.0, 1.0, -0.3, 0.2, 100.0, -250.0, 1e-9, NAN, math.inf, -math.inf])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_for_any_input_the_result_lies_between_the_position_and_what_is_approved(data: st.DataObject) -> None:
    a, b = Slicer(CONFIG, compiled), Slicer(CONFIG, plainly(l88_order_slicing))
    for _ in range(4):
        weight, held = data.draw(WILD), data.draw(st.sampled_from([0.0, 10.0, -250.0, 1e-9]))
        about = {k: data.draw(WILD, k) for k in ("mark", "equity", "volume", "close", "safe")}
        verdict = data.draw(st.integers(0, len(VERDICTS) - 1))
        more: dict[str, Any] = {"verdict": verdict, "reduce_only": data.draw(st.integers(0, 1)), "urgency": data.draw(WILD)}
        x, y = a(weight, held, **about, **more), b(weight, held, **about, **more)
        assert same_bits(x, y)
        assert same_bits(a.carry, b.carry)
        q = float(x.quantity[0])
        assert math.isfinite(q)
        after = held + q
        if q == 0.0:
            continue
        if held * q < 0.0:
            assert after * held >= 0.0, "a reduction never flips"
            assert x.reduce_only[0] == 1
            continue
        approved = weight * about["equity"] / about["mark"]
        assert verdict in (APPROVED, REDUCED)
        assert abs(after) <= abs(approved) * (1 + 1e-12)
        assert after * approved > 0.0


def test_slices_are_at_least_what_the_venue_takes() -> None:
    """20,000 of equity's worth in three slices would be 67 units each; the venue takes 150 units, or 12,000 of notional."""
    spread = EXACT._replace(slice_bars=3, slice_kappa=0.0)
    assert Slicer(spread, lot_size=[90.0])(0.2).quantity[0] == pytest.approx(90.0)
    assert Slicer(spread, lot_size=[150.0])(0.2).quantity[0] == pytest.approx(200.0), "150 now would leave 50, too little"
    assert Slicer(spread, min_notional=[12_000.0])(0.2).quantity[0] == pytest.approx(200.0), (
        "120 now would leave 80, too little"
    )
    assert Slicer(spread, min_notional=[9_000.0])(0.2).quantity[0] == pytest.approx(90.0)
    assert Slicer(spread, lot_size=[500.0])(0.2).quantity[0] == pytest.approx(200.0), (
        "goes on as it is, and L89 drops it by name"
    )
