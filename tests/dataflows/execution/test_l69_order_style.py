from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l69_order_style import l69_order_style
from dataflows.execution.types import LIMIT, MARKET, POST_ONLY, Style
from dataflows.fusion.types import Cost
from dataflows.kernels.passage import touch_chance
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import NORMAL, UNKNOWN, SpreadDepth, Tradeability
from dataflows.risk.types import EXIT, VERDICTS
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.loop import approval
from tests.dataflows.execution.support import CONFIG, NAN, instruments, plainly, same_bits
from tests.support import filled

compiled = kernel(l69_order_style)
OFFSET = CONFIG._replace(style_offset_bps=1.5)


def style(
    spread: float = 10.0,
    mid: float = 100.0,
    liquid: int = NORMAL,
    fn: Any = l69_order_style,
    sigma: float = 1.0,
    fees: tuple[float, float] = (0.0, 0.0),
    **about: Any,
) -> Style:
    book = filled(SpreadDepth, (1,), NAN, mid=np.array([mid]), spread_bps=np.array([spread]))
    tradeable = filled(
        Tradeability, (1,), 1.0, liquidity_class=np.array([liquid]), slippage_bps=np.zeros((1, 3)), max_safe_notional=np.ones(1)
    )
    cost = filled(Cost, (1,), 0.0, spread_bps=np.array([spread]))
    weight = about.pop("target_weight", 0.2)
    given = approval([weight], **{"horizon": 60.0, "edge_bps": 20.0, **about})
    returns = filled(Returns, (1,), NAN, sigma=np.array([sigma]))
    facts = instruments(1, taker_fee_bps=[fees[0]], maker_fee_bps=[fees[1]])
    got: Style = fn(given, returns, book, tradeable, cost, facts, OFFSET)
    return got


def test_the_wider_the_spread_beside_the_edge_that_goes_by_the_more_patient() -> None:
    # lost in 3 of 60 bars: 20 * 3 / 60 = 1 bps; volatility of 1 a bar: the limit is as good as filled
    assert style(spread=3.9).type[0] == MARKET
    assert style(spread=7.9).type[0] == LIMIT
    got = style(spread=8.1)
    assert (got.type[0], got.limit_offset_bps[0], got.lifetime[0]) == (POST_ONLY, 1.5, 3.0)
    assert style(spread=8.1, edge_bps=-40.0).type[0] == LIMIT, "the edge of a short is as good"
    assert style(spread=7.9, freshness=0.1, edge_bps=200.0).type[0] == LIMIT


def test_what_the_maker_does_not_pay_is_saved_too() -> None:
    assert style(spread=0.1, fees=(5.0, 2.0)).type[0] == LIMIT, "0.05 + 3 bps against a loss of 1"
    assert style(spread=0.1, fees=(5.0, -1.0)).type[0] == POST_ONLY, "a rebate counts as well"
    assert style(spread=0.1, fees=(2.0, 5.0)).type[0] == MARKET, "a maker's fee above the taker's is none saved"


def test_a_limit_that_will_not_be_reached_saves_nothing() -> None:
    near = {"spread": 40.0, "edge_bps": 20.0}
    assert style(**near, sigma=0.01).type[0] == POST_ONLY
    assert style(**near, sigma=1e-5).type[0] == MARKET
    assert style(**near, sigma=NAN).type[0] == MARKET


@pytest.mark.parametrize("distance", [0.0, 1e-3, 2.5e-3])
def test_the_chance_and_what_it_is_worth_are_those_of_a_simulated_walk(distance: float) -> None:
    """20,000 walks of three bars in 400 steps each: how often the limit is reached, and what waiting costs against the mid."""
    sigma, bars, taker, maker = 1e-3, 3, 5e-4, 2e-4
    rng = np.random.default_rng(3)
    walks = np.cumsum(rng.standard_normal((20_000, 400 * bars)) * sigma / math.sqrt(400.0), axis=1)
    reached = (walks <= -distance).any(axis=1)
    chance = touch_chance(distance, sigma, bars)
    assert reached.mean() == pytest.approx(chance, abs=0.03)
    # buyers at the limit pay -distance + maker; who was not reached buys at the end, half a spread above where the mid then is
    waited = np.where(reached, -distance + maker, walks[:, -1] + distance + taker).mean()
    saved = (distance + taker) - waited
    assert saved == pytest.approx(chance * (distance + taker - maker), abs=6e-5)


@pytest.mark.parametrize(
    "about",
    [
        {"verdict": EXIT},
        {"reduce_only": 1},
        {"target_weight": 0.0},
        {"urgency": 0.95},
        {"urgency": NAN},
        {"mid": NAN},
        {"spread": NAN},
        {"liquid": UNKNOWN},
        {"edge_bps": NAN},
        {"freshness": NAN},
        {"horizon": NAN},
    ],
)
def test_exits_urgency_and_whatever_is_unknown_go_to_the_market(about: dict[str, Any]) -> None:
    got = style(**{"spread": 50.0, **about})
    assert (got.type[0], got.limit_offset_bps[0], got.lifetime[0]) == (MARKET, 0.0, 0.0)


NUMBERS = st.sampled_from([0.0, 0.1, 1.0, 50.0, -3.0, 1e300, NAN, math.inf, -math.inf])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_exit_is_never_passive_and_no_offset_is_unknown_whatever_comes(data: st.DataObject) -> None:
    about = {
        k: data.draw(NUMBERS, k)
        for k in ("spread", "mid", "sigma", "edge_bps", "freshness", "horizon", "urgency", "target_weight")
    }
    verdict, reduce_only = data.draw(st.integers(0, len(VERDICTS) - 1)), data.draw(st.integers(0, 1))
    plain = style(fn=plainly(l69_order_style), verdict=verdict, reduce_only=reduce_only, **about)
    assert same_bits(plain, style(fn=compiled, verdict=verdict, reduce_only=reduce_only, **about))
    if verdict == EXIT or reduce_only or about["target_weight"] == 0.0:
        assert plain.type[0] == MARKET
    assert 0.0 <= plain.limit_offset_bps[0] < math.inf
    assert 0.0 <= plain.lifetime[0] < math.inf
