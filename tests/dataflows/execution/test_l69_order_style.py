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
from dataflows.microstructure.types import NORMAL, UNKNOWN, SpreadDepth, Tradeability
from dataflows.risk.types import EXIT, VERDICTS
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.loop import approval
from tests.dataflows.execution.support import CONFIG, NAN, plainly, same_bits
from tests.support import filled

compiled = kernel(l69_order_style)
OFFSET = CONFIG._replace(style_offset_bps=1.5)


def style(spread: float = 10.0, mid: float = 100.0, liquid: int = NORMAL, fn: Any = l69_order_style, **about: Any) -> Style:
    book = filled(SpreadDepth, (1,), NAN, mid=np.array([mid]), spread_bps=np.array([spread]))
    tradeable = filled(
        Tradeability, (1,), 1.0, liquidity_class=np.array([liquid]), slippage_bps=np.zeros((1, 3)), max_safe_notional=np.ones(1)
    )
    cost = filled(Cost, (1,), 0.0, spread_bps=np.array([spread]))
    weight = about.pop("target_weight", 0.2)
    got: Style = fn(approval([weight], **{"horizon": 60.0, "edge_bps": 20.0, **about}), book, tradeable, cost, OFFSET)
    return got


def test_the_wider_the_spread_beside_the_edge_that_goes_by_the_more_patient() -> None:
    # lost in 3 of 60 bars: 20 * 3 / 60 = 1 bps
    assert style(spread=1.9).type[0] == MARKET
    assert style(spread=3.9).type[0] == LIMIT
    got = style(spread=4.1)
    assert (got.type[0], got.limit_offset_bps[0], got.lifetime[0]) == (POST_ONLY, 1.5, 3.0)
    assert style(spread=4.1, edge_bps=-40.0).type[0] == LIMIT, "the edge of a short is as good"
    assert style(spread=3.9, freshness=0.1, edge_bps=200.0).type[0] == LIMIT


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
        k: data.draw(NUMBERS, k) for k in ("spread", "mid", "edge_bps", "freshness", "horizon", "urgency", "target_weight")
    }
    verdict, reduce_only = data.draw(st.integers(0, len(VERDICTS) - 1)), data.draw(st.integers(0, 1))
    plain = style(fn=plainly(l69_order_style), verdict=verdict, reduce_only=reduce_only, **about)
    assert same_bits(plain, style(fn=compiled, verdict=verdict, reduce_only=reduce_only, **about))
    if verdict == EXIT or reduce_only or about["target_weight"] == 0.0:
        assert plain.type[0] == MARKET
    assert 0.0 <= plain.limit_offset_bps[0] < math.inf
    assert 0.0 <= plain.lifetime[0] < math.inf
