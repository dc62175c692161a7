"""The general properties at other clocks than minutes: seconds, hours, days, and an exchange's hours."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Observations
from dataflows.spans import BarClock
from drivers.engine.building import make_plan
from drivers.engine.plan import Plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from tests.properties.graph import BELIEF, engine_of, flat, guards_of, node_differs, run
from tests.properties.market import instruments, market

CLOCKS = {
    "1s": BarClock(1, 86_400, 604_800),
    "1h": BarClock(3_600, 24, 168),
    "1h XNYS": BarClock(3_600, 7, 35, 251.5),
    "1d": BarClock(86_400, 1, 5, 251.5),
}
BELIEVING = tuple(text for text in BELIEF if "_bars=" not in text and "volatility_halflife_slow" not in text)
SHORT, LONG = 420, 2400


@functools.cache
def plan_at(clock: str) -> Plan:
    project = defaults()
    return make_plan(load(project.wiring), load_configs(project, BELIEVING, clock=CLOCKS[clock]))


def data_at(clock: str, bars: int) -> Observations:
    return market(bars, 2, before_midnight=bars // 2, step=CLOCKS[clock].seconds * 10**9)


def outputs(clock: str, data: Observations, cuts: Any = (), **more: Any) -> dict[str, dict[str, Any]]:
    plan = plan_at(clock)
    epoch = load(defaults().wiring).at_clock(CLOCKS[clock]).epoch_ns
    return flat(plan, run(engine_of(plan, instruments(2), 5, epoch_ns=epoch, guard=guards_of(plan, 2)), data, cuts, **more))


@functools.cache
def reference(clock: str, bars: int) -> dict[str, dict[str, Any]]:
    return outputs(clock, data_at(clock, bars))


def same(a: dict[str, dict[str, Any]], b: dict[str, dict[str, Any]]) -> None:
    found = {layer: why for layer in a if (why := node_differs(a[layer], b[layer]))}
    assert not found


def holds(clock: str, bars: int) -> None:
    whole, data = reference(clock, bars), data_at(clock, bars)
    same(whole, outputs(clock, data, (bars // 3, *range(bars // 2, bars // 2 + 40), bars - 1)))
    at = 2 * bars // 3
    later = {f: np.where(np.arange(bars).reshape(-1, *[1] * (getattr(data, f).ndim - 1)) < at, getattr(data, f), 1.3 * getattr(data, f))
             for f in ("open", "high", "low", "close", "vwap", "volume", "bid_price", "ask_price")}  # fmt: skip
    plan = plan_at(clock)
    other = outputs(clock, data._replace(**later))
    for node in (*plan.stage["columnar"], *plan.stage["step"]):
        for field, x in whole[node.name].items():
            if len(x) == bars:
                assert x[:at].tobytes() == other[node.name][field][:at].tobytes(), (node.name, field)


@pytest.mark.parametrize("clock", list(CLOCKS))
def test_cuts_change_no_bit_and_no_bar_knows_a_later_one(clock: str) -> None:
    holds(clock, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("clock", list(CLOCKS))
def test_the_same_over_more_bars_as_a_stream_and_from_a_checkpoint(clock: str) -> None:
    holds(clock, LONG)
    data = data_at(clock, LONG)
    same(reference(clock, LONG), outputs(clock, data, range(LONG)))
    same(reference(clock, LONG), outputs(clock, data, restore_at=1_501))


@pytest.mark.parametrize("clock", list(CLOCKS))
def test_prices_are_measured_at_every_clock(clock: str) -> None:
    """What needs 400 bars or fewer at a clock of hours and days is known after them; windows of hours have too many seconds."""
    found = reference(clock, SHORT)
    wanted = [("l16_macd_short", "line"), ("l8_spread_depth", "mid")]
    if clock != "1s":
        wanted += [("l2_returns_volatility", "sigma"), ("l2_returns_volatility", "sigma_slow"), ("l63_tradeability", "score")]
        wanted += [("l76_volatility_forecast", "sigma_day"), ("l83_volatility_target", "fraction")]
    for layer, field in wanted:
        assert np.isfinite(found[layer][field][-20:]).mean() > 0.5, (layer, field)
