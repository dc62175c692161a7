"""The generated scripts in two independent runtimes of Pine, against what Python recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflows.regime.types import CHAOTIC
from drivers.pine.payload import STATES, pack, unpack
from drivers.pine.render import MIRROR, STRATEGY, script
from tests.pine.cases import Case
from tests.pine.runtimes import Runtime, pinets, pynecore

RUNTIMES = [pytest.param(pynecore, id="PyneCore"), pytest.param(pinets, id="PineTS")]
SERIES = {"Return": "return_1", "ATR": "atr", "Volatility": "sigma", "Trend": "trend_z"}
EXACT = {"Chart regime": "chart_regime", "Chart side": "chart_side"}
OK, NO_PAYLOAD, DAMAGED, OTHER_MODEL, OTHER_CLOCK, SHORT_HISTORY = range(6)


@pytest.fixture(params=["sample", "crash"])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.getfixturevalue(request.param)
    return found


def close(runtime: Runtime, chart: np.ndarray, python: np.ndarray) -> bool:
    """Relative 1e-9 in PyneCore; absolute 1e-8 in PineTS, which rounds what it stores."""
    if runtime is pynecore:
        return np.allclose(chart, python, rtol=1e-9, atol=0.0)
    return np.allclose(chart, python, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_chart_s_own_sums_are_python_s_and_nothing_mismatches(runtime: Runtime, case: Case, drawn: Any) -> None:
    found = drawn(runtime, case, MIRROR)
    history = case.exported().settings.history
    warm = np.arange(len(case.rows)) >= history
    held = case.recorded.column["comparable"][case.rows] == 1
    for title, field in SERIES.items():
        chart, python = found.plots[title], case.recorded.column[field][case.rows]
        assert np.isnan(chart[~warm]).all(), f"{title} before the history is whole"
        assert close(runtime, chart[warm & held], python[warm & held]), title
    for title, field in EXACT.items():
        np.testing.assert_array_equal(found.plots[title][warm], case.recorded.column[field][case.rows][warm], title)
    assert [found.last(name) for name in ("Status", "Compared", "Mismatches")] == [OK, case.payload_bars, 0]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_stop_and_target_of_a_position_are_python_s(runtime: Runtime, case: Case, drawn: Any) -> None:
    sample, found = case, drawn(runtime, case, MIRROR)
    for title, field in (("Stop", "stop"), ("Target", "target")):
        chart, python = (x[-sample.payload_bars :] for x in (found.plots[title], sample.recorded.column[field][sample.rows]))
        np.testing.assert_array_equal(np.isnan(chart), np.isnan(python), title)
        held = np.isfinite(python)
        assert 20 < held.sum() < sample.payload_bars
        assert close(runtime, chart[held], python[held]), title
    sides = np.sign(sample.recorded.column["position"][sample.rows])[-sample.payload_bars :]
    np.testing.assert_array_equal(found.plots["Held side"][-sample.payload_bars :], sides)
    assert len(np.unique(found.plots["Stop"][-sample.payload_bars :])) > 5, "the stop trails"


def test_the_sample_has_a_gap_and_a_forced_crash_within_what_is_compared(sample: Case) -> None:
    history = sample.exported().settings.history
    opened = sample.bars.time
    assert (np.diff(opened[-sample.payload_bars :]) > 60).any(), "a gap"
    regimes = sample.recorded.column["chart_regime"][sample.rows]
    assert (regimes[history:] == CHAOTIC).any()
    jump = np.abs(sample.recorded.column["return_1"][sample.rows])[1:] / sample.recorded.column["sigma"][sample.rows][:-1]
    assert (jump[history:] > 8.0).any()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_python_said_stands_beside_it(runtime: Runtime, sample: Case, drawn: Any) -> None:
    found, column = drawn(runtime, sample, MIRROR), sample.recorded.column
    last = slice(len(sample.rows) - sample.payload_bars, None)
    for title, field in (("Python side", "side"), ("Python regime", "regime"), ("Python risk state", "risk_state")):
        np.testing.assert_array_equal(found.plots[title][last], column[field][sample.rows][last], title)
    said = found.plots["Python trend"]
    there = np.isfinite(said)
    assert there.sum() == unpack(sample.exported().payload)["n"]
    assert np.allclose(said[there], column["trend_z"][sample.rows][there], atol=5.1e-7, rtol=0.0)
    fills = {t: price for t, side, price in sample.recorded.fills if side > 0}
    bought = found.plots["Bought"][last]
    expected = np.array([fills.get(int(t), np.nan) for t in sample.bars.time[last]])
    assert np.isfinite(expected).sum() > 3
    np.testing.assert_allclose(bought, expected, rtol=1e-8)


def test_the_tester_holds_what_python_held_but_for_a_few_bars(sample: Case, drawn: Any) -> None:
    """PyneCore simulates the orders of a strategy as TradingView does: at the next open, at stop and limit within the bar."""
    found = drawn(pynecore, sample, STRATEGY)
    assert [found.last(name) for name in ("Status", "Compared", "Mismatches")] == [OK, sample.payload_bars, 0]
    held = np.isfinite(sample.recorded.column["stop"][sample.rows][-sample.payload_bars :]).sum()
    assert found.last("Bars held") == held > 50
    assert found.last("Bars apart") <= 0.02 * held


CORRUPTIONS = {
    "a digit": lambda text: text.replace('"t0":1', '"t0":2', 1),
    "a digit of a row": lambda text: text[: text.index('"s":[[') + 40] + "7" + text[text.index('"s":[[') + 41 :],
    "a sign": lambda text: text.replace(",-", ",", 1),
    "rows swapped": lambda text: _swapped(text),
    "cut off": lambda text: text[:-20],
    "a letter": lambda text: text.replace('"e":', '"e":x', 1),
    "a key lost": lambda text: text.replace('"p":', '"q":', 1),
    "another profile": lambda text: text.replace('"sq":1', '"sq":2', 1),
}


def _swapped(text: str) -> str:
    found = json.loads(text)
    one, two = (json.dumps(row, separators=(",", ":")) for row in found["s"][1:3])
    return text.replace(f"{one},{two}", f"{two},{one}", 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_a_damaged_payload_is_found(runtime: Runtime, name: str, sample: Case, scripts: Path) -> None:
    made = sample.exported()
    damaged = CORRUPTIONS[name](made.payload)
    assert damaged != made.payload
    found = runtime(script(MIRROR, made.settings), sample.bars.last(20), {"Payload": damaged}, scripts)
    assert found.last("Status") == DAMAGED


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_other_settings_another_clock_and_no_payload_are_said(runtime: Runtime, sample: Case, scripts: Path) -> None:
    made = sample.exported()
    source, bars = script(MIRROR, made.settings), sample.bars.last(20)
    head = {**{key: value for key, value in unpack(made.payload).items() if isinstance(value, int)}, "st": 0}
    rows = [unpack(made.payload)[key] for key in "spf"]
    other = pack({**head, "m": head["m"] + 1}, *rows)
    assert runtime(source, bars, {"Payload": other}, scripts).last("Status") == OTHER_MODEL
    five = bars._replace(time=bars.time[0] + 300 * np.arange(len(bars.time)), clock=300)
    assert runtime(source, five, {"Payload": made.payload}, scripts).last("Status") == OTHER_CLOCK
    assert runtime(source, bars, {}, scripts).last("Status") == NO_PAYLOAD


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_short_history_is_said_and_nothing_is_compared(runtime: Runtime, sample: Case, scripts: Path) -> None:
    made = sample.exported()
    found = runtime(made.scripts[MIRROR], sample.bars.last(sample.payload_bars + 200), {}, scripts)
    assert [found.last(name) for name in ("Status", "Compared", "Mismatches")] == [SHORT_HISTORY, 0, 0]
    assert all(np.isnan(found.plots[title]).all() for title in (*SERIES, *EXACT))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_bar_on_which_python_said_something_else_is_counted(runtime: Runtime, sample: Case, scripts: Path) -> None:
    """A payload that is whole and wrong: another side held over a row, another trend at one bar."""
    made = unpack(sample.exported().payload)
    head = {**{key: value for key, value in made.items() if isinstance(value, int)}, "st": made["st"][0]}
    states = [list(row) for row in made["s"]]
    side, trend = STATES.index("chart_side"), STATES.index("trend_z_1e6")
    states[3][side] = -1 if states[3][side] >= 0 else 1
    states[7][trend] += 3
    at = np.cumsum([row[0] for row in states])
    slots = (sample.bars.time - made["t0"]) // 60
    wrong = {int(s) for s in slots if at[3] <= s < at[4]} | {int(at[7])}
    source = script(MIRROR, sample.exported().settings)
    until = np.flatnonzero(slots == at[9])[0] + 1
    bars = sample.bars._replace(**{name: getattr(sample.bars, name)[:until][-3200:] for name in sample.bars._fields[:5]})
    assert (bars.time <= made["t0"]).sum() > 3000, "the history is whole"
    found = runtime(source, bars, {"Payload": pack(head, states, made["p"], made["f"])}, scripts)
    assert found.last("Mismatches") == len(wrong)
    assert {int((t - made["t0"]) // 60) for t in bars.time[found.plots["Different"] == 1]} == wrong


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_hostile_name_is_only_a_name(runtime: Runtime, sample: Case, scripts: Path) -> None:
    name = 'A"\\");plot(1,"Status")//{{ticker}}é'
    found = runtime(script(MIRROR, sample.exported().settings, symbol=name), sample.bars.last(20), {}, scripts)
    assert found.last("Status") == NO_PAYLOAD
    assert runtime is pynecore or found.table[0][0] == f"StratoQuant mirror: {name}"
