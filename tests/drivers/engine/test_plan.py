"""What the plan refuses, and in which words; and what the generated loop passes to a step layer."""

from __future__ import annotations

import gc
import linecache
import sys
import types
from typing import NamedTuple

import pytest
from numba.core.runtime import _nrt_python, rtsys

from dataflows.data.types import Observations
from dataflows.layer import LayerError
from dataflows.runtime import scratch
from drivers.engine.engine import Engine, EngineError
from drivers.engine.loop.layer_types import LayerCompileError, compile_once
from drivers.engine.plan import Plan
from drivers.graph.field_reads import used_paths
from drivers.graph.layers import Delayed, PlanError
from tests.drivers.engine import toy
from tests.drivers.engine.conftest import DELAYED, piece, run, toy_data, toy_engine, toy_plan

HEAD = """
from __future__ import annotations
from typing import Annotated, NamedTuple
import numpy as np
from dataflows.carry import *
from dataflows.data.types import Clock, Observations
from dataflows.layer import layer
from dataflows.panel import *
"""


def module(name: str, body: str) -> types.ModuleType:
    """A module of layers out of source."""
    made = types.ModuleType(f"tests.drivers.planted_{name}")
    sys.modules[made.__name__] = made
    file = f"<{made.__name__}>"
    text = HEAD + body
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), made.__dict__)
    return made


def plan(name: str, body: str, delayed: dict[str, Delayed] | None = None) -> Plan:
    return Plan([module(name, body)], {}, delayed or {})


FEED = '''
@layer("L1")
def l1_a(observations: Observations) -> Panel:
    """a"""
    return observations.close
'''


def test_a_cycle_within_a_bar_is_refused_with_its_edges() -> None:
    body = '''
@layer("L1")
def l1_a(l2_b: Panel) -> Panel:
    """a"""
    return l2_b

@layer("L2")
def l2_b(l1_a: Panel) -> Panel:
    """b"""
    return l1_a
'''
    with pytest.raises(
        PlanError, match="l1_a > l2_b > l1_a is a cycle within one bar; declare one of its edges under `delayed`"
    ):
        plan("cycle", body)


def test_two_records_of_one_name_are_refused() -> None:
    body = """
class Twin(NamedTuple):
    x: Panel
First = Twin
class Twin(NamedTuple):
    y: Panel
Second = Twin

@layer("L1")
def l1_a(observations: Observations) -> First:
    '''a'''
    return First(observations.close)

@layer("L2")
def l2_b(l1_a: First) -> Second:
    '''b'''
    return Second(l1_a.x)
"""
    with pytest.raises(PlanError, match="two records called Twin"):
        plan("twins", body)


def test_an_edge_whose_ends_disagree_about_the_kind_is_refused() -> None:
    body = (
        FEED
        + '''
@layer("L2")
def l2_b(l1_a: Annotated[Floats, Kind("f8", ("N", "K"))]) -> Panel:
    """b"""
    return l1_a[:, :, 0]
'''
    )
    with pytest.raises(
        PlanError, match=r"L2 l2_b takes l1_a as float64 \(T, N, K\), but l1_a returns float64 \(T, N\); make the two agree"
    ):
        plan("kinds", body)


def test_a_columnar_layer_that_takes_a_step_layer_is_refused() -> None:
    body = (
        FEED
        + '''
@layer("L2", schedule="step")
def l2_b(l1_a: Panel) -> Panel:
    """b"""
    return l1_a.copy()

@layer("L3")
def l3_c(l2_b: Panel) -> Panel:
    """c"""
    return l2_b
'''
    )
    with pytest.raises(PlanError, match="L3 l3_c is columnar and takes l2_b, which is step and runs after it"):
        plan("late", body)


def test_an_input_that_nothing_gives_is_refused_by_name() -> None:
    body = FEED.replace("observations: Observations", "obserwations: Observations").replace(
        "observations.close", "obserwations.close"
    )
    with pytest.raises(
        PlanError, match="l1_a takes obserwations, which is no layer, configuration, delayed edge or external input"
    ):
        plan("misspelt", body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'def l1_a(observations: Observations, window: int = 3) -> Panel:\n    """a"""\n    return observations.close',
            "'window' has a default",
        ),
        ('def l2_a(observations: Observations) -> Panel:\n    """a"""\n    return observations.close', "must begin with 'l1_'"),
        ("def l1_a(observations: Observations) -> Panel:\n    return observations.close", "the docstring is missing"),
        ('def l1_a(observations) -> Panel:\n    """a"""\n    return observations.close', "'observations' has no type"),
        ('def l1_a(observations: Observations):\n    """a"""\n    return observations.close', "the return type is missing"),
    ],
)
def test_a_layer_that_is_declared_wrongly_is_refused_at_import(body: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        module("declared", f'@layer("L1")\n{body}\n')


def _engine(name: str, body: str) -> Engine:
    return Engine(plan(name, FEED + body), ["A"], {})


def test_a_step_layer_that_does_not_compile_is_named_with_its_line() -> None:
    engine = _engine("broken", '''
@layer("L2", schedule="step")
def l2_b(l1_a: Panel) -> Panel:
    """b"""
    return np.ascontiguousarray(sorted({1: 2}, key=str))
''')  # fmt: skip
    with pytest.raises(LayerCompileError, match=r"L2 l2_b \(<tests.drivers.planted_broken>:\d+\) does not compile"):
        engine.warm_up()


def test_a_branch_that_forgets_its_return_is_refused() -> None:
    """numba compiles it to an optional and goes on."""
    engine = _engine("forgets", '''
@layer("L2", schedule="step")
def l2_b(l1_a: Panel) -> float:
    """b"""
    if l1_a[0] > 0.0:
        return 1.0
''')  # fmt: skip
    with pytest.raises(LayerCompileError, match=r"L2 l2_b .* does not return what it declares on every branch: result is"):
        engine.warm_up()


def test_an_int_where_a_float_is_declared_is_refused() -> None:
    engine = _engine("anint", '''
@layer("L2", schedule="step")
def l2_b(l1_a: Panel) -> float:
    """b"""
    return 1
''')  # fmt: skip
    with pytest.raises(LayerCompileError, match=r"result is .*int.*, not float64"):
        engine.warm_up()


def test_an_index_past_the_end_raises_instead_of_writing_into_a_neighbour() -> None:
    engine = _engine("bounds", '''
class OneCarry(NamedTuple):
    x: Zero

@layer("L2", schedule="step")
def l2_b(l1_a: Panel, carry: OneCarry) -> Panel:
    """b"""
    carry.x[l1_a.shape[0]] = 1.0
    return carry.x.copy()
''')  # fmt: skip
    with pytest.raises(IndexError):
        engine.warm_up()
    assert not scratch._STATE[:2].any()  # the loop's block is closed: what Python is handed is its own again


def test_a_layer_is_compiled_for_the_place_of_a_record_and_for_what_it_reads_of_its_configuration() -> None:
    made = toy_plan()
    Engine(made, ["A"], {}).warm_up()
    orders = made.steps.nodes[-1]
    (taken,) = compile_once(orders.fn).overloads.keys()
    kinds = dict(zip(orders.params, taken, strict=True))
    assert kinds["l3_account"].record.fields == ("held", "equity", "bars")
    assert kinds["toy"].record.fields == ("every",)


def test_rows_from_the_heap_are_freed_when_the_loop_ends() -> None:
    """The toy layers return what NumPy made, also as the order log that the next instant reads."""
    engine, data = toy_engine(toy_plan()), toy_data(100, before_midnight=0)
    engine.advance(piece(data, 0, 50))
    gc.collect()  # what tests before have left
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        engine.advance(piece(data, 50, 100))
        gc.collect()
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.mi_alloc > before.mi_alloc
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free


def test_a_row_holds_just_the_fields_that_step_layers_read() -> None:
    stage = toy_plan().steps
    assert "Row_l1_feed = row_class('Row_l1_feed', ('close', 'before'))" in stage.source
    assert "l1_feed__mean" not in stage.source
    assert used_paths(toy.l3_account, "l1_feed", toy.ToyFeed) == {("close",), ("before",)}


def test_a_record_that_is_handed_on_whole_is_passed_whole() -> None:
    def takes(market: Observations) -> object:
        return (market, market.close)

    every = used_paths(takes, "market", Observations)
    assert {p[0] for p in every} == set(Observations._fields)


def test_the_plan_of_some_layers_takes_the_rest_as_recorded_values() -> None:
    only = Plan(
        [toy], {"toy": toy.ToyConfig()}, {"orders": Delayed("l5_orders", None, "bar")}, only={"l3_account", "l5_orders"}
    )
    assert only.recorded_inputs == ["l1_feed", "l2_score"]
    assert list(only.nodes) == ["l3_account", "l5_orders"]


def test_the_generated_source_is_what_a_traceback_shows() -> None:
    engine = toy_engine(toy_plan(), compiled=False)
    file = engine._loop.__code__.co_filename
    assert "def steps(" in "".join(linecache.getlines(file))


def test_a_variant_is_found_under_its_own_name() -> None:
    """Hamilton changes the `__name__` of a function that exists in variants."""
    body = '''
from dataflows.layer import variant

@variant(venue="sim")
@layer("L1")
def l1_a__sim(observations: Observations) -> Panel:
    """simulated"""
    return observations.close

@variant(venue="live")
@layer("L1")
def l1_a__live(observations: Observations) -> Panel:
    """live"""
    return observations.open
'''
    for venue in ("sim", "live"):
        made = Plan([module(f"variant_{venue}", body)], {}, {}, variant={"venue": venue})
        assert made.nodes["l1_a"].fn.__code__.co_name == f"l1_a__{venue}"


def test_a_wide_value_of_a_step_layer_is_refused_unless_it_is_unrecorded() -> None:
    """A matrix a bar does not fit: 200 symbols make 439 MB a day."""
    body = '''
class Wide{name}(NamedTuple):
    matrix: Annotated[Floats, Kind("f8", ("N", "N"){more})]

@layer("L2", schedule="step")
def l2_b(l1_a: Panel) -> Wide{name}:
    """b"""
    return Wide{name}(np.zeros((l1_a.shape[0], l1_a.shape[0])))
'''
    with pytest.raises(PlanError, match=r"L2 l2_b: field matrix has axes .* mark it recorded=False"):
        plan("wide", FEED + body.format(name="A", more=""))
    assert plan("unrecorded", FEED + body.format(name="B", more=", recorded=False")).steps.recorded == []


def test_a_panel_of_another_length_never_reaches_the_unchecked_rows_of_the_loop() -> None:
    body = '''
@layer("L3")
def l3_short(l1_a: Panel) -> Panel:
    """one bar too few"""
    return l1_a[1:]

@layer("L4", schedule="step")
def l4_b(l3_short: Panel) -> Panel:
    """b"""
    return l3_short.copy()
'''
    engine = Engine(plan("short", FEED + body), ["A"], {})
    with pytest.raises(EngineError, match="l3_short has 2 bars, the chunk 3"):
        engine.advance(engine.blank(3))


class Switches(NamedTuple):
    """Keys that an edge may hang on."""

    on: int = 1
    off: int = 0


def plan_with_weights(when: tuple[str, str] | None) -> Plan:
    edges = {**DELAYED, "weights": DELAYED["weights"]._replace(when=when)}
    return Plan([toy], {"toy": toy.ToyConfig(), "switches": Switches()}, edges)


@pytest.mark.parametrize(
    ("when", "waits"), [(None, True), (("switches", "on"), True), (("switches", "off"), False), (("absent", "off"), True)]
)
def test_layers_behind_a_value_that_a_switch_holds_do_not_wait_for_the_end_of_an_epoch(
    when: tuple[str, str] | None, waits: bool
) -> None:
    plan = plan_with_weights(when)
    assert plan.held == (set() if waits else {"weights"})
    assert plan.behind_epochs == ({"weights", "l2_score"} if waits else set())


def test_a_value_that_has_to_hold_may_not_move() -> None:
    engine = toy_engine(plan_with_weights(("switches", "off")))
    now = engine.arena.values["weights"]
    engine.take_delayed("weights", toy.Weights(now.gain.copy(), now.seen.copy()))
    with pytest.raises(EngineError, match=r"weights moved, but switches\.off is 0"):
        run(engine, toy_data())  # over the end of an epoch, which teaches
