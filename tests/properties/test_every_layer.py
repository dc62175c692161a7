"""What holds of every layer of the graph, also of one that is added tomorrow: it is under these tests the moment it exists."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Observations
from dataflows.panel import fields_of, is_record, kind_of, leaves
from dataflows.pattern.types import PatternSignal
from dataflows.runtime import scratch
from drivers.engine.building import boundaries
from drivers.engine.chunk import Chunk, cut
from drivers.engine.engine import Engine
from drivers.engine.guards import validate_run
from drivers.graph.wiring import load
from drivers.project.locate import defaults
from drivers.validation.apart import single_symbol_layers
from tests.properties.graph import PERMUTATION, differs, engine_of, flat, guards_of, node_differs, permuted, plan_of, run
from tests.properties.market import instruments, market

PLAN = plan_of()
LAYERS = list(PLAN.nodes)
COLUMNAR = [n.name for n in PLAN.stage["columnar"]]
SINGLE = [n.name for n in PLAN.stage["columnar"] if not n.cross_sectional]
APART = single_symbol_layers(PLAN)
BEHIND = [name for name in SINGLE if name not in APART]
"""Layers that see one symbol at a time, and take of a layer that sees several: what reaches them of another comes from there."""

RANDOM_CUTS = tuple(sorted(np.random.default_rng(5).integers(1, 2400, 60).tolist()))
ONE_BAR_CUTS = tuple(range(300, 420)) + tuple(range(890, 910)) + tuple(range(1780, 1860)) + (2399,)
CHUNKINGS = {"thirds": (800, 1600), "random": RANDOM_CUTS, "one-bar stretches": ONE_BAR_CUTS}


@functools.cache
def reference(symbols: int) -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(symbols), 5), market(symbols=symbols)))


@functools.cache
def chunked(symbols: int, chunking: str) -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(symbols), 5), market(symbols=symbols), CHUNKINGS[chunking]))


def test_the_reference_market_makes_the_account_side_work() -> None:
    """A property of an account that never moves proves nothing."""
    found = reference(3)
    assert len(found["l90_fills"]["id"]) > 30
    assert (found["l4_risk_gate"]["verdict"] != 0).mean() > 0.01
    assert np.ptp(found["l97_ledger"]["equity"]) > 0.0
    assert (found["l1_regime"]["label"] == 4).any()


@pytest.mark.parametrize("layer", [n.name for n in PLAN.nodes.values() if n.returns is PatternSignal])
def test_every_pattern_occurs_in_the_reference_market(layer: str) -> None:
    assert reference(3)[layer]["active"].any()


@pytest.mark.parametrize("chunking", list(CHUNKINGS))
@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_output_is_the_same_however_the_bars_are_cut(layer: str, symbols: int, chunking: str) -> None:
    if layer not in reference(symbols):
        pytest.fail(f"{layer} produced nothing")
    assert not node_differs(reference(symbols)[layer], chunked(symbols, chunking)[layer])


@pytest.mark.parametrize("layer", [n.name for n in PLAN.nodes.values() if n.schedule in ("columnar", "post")])
def test_no_output_is_a_view_of_a_carry(layer: str) -> None:
    """The next chunk would change it; and compiled code that is lent a carry says that nobody owns such an array."""
    engine, outputs = _first_day()
    for leaf in leaves(outputs[layer]):
        assert not np.may_share_memory(leaf, engine.arena.f8)
        assert not np.may_share_memory(leaf, engine.arena.i8)
        assert isinstance(leaf, float | int) or leaf.flags.owndata or leaf.base is not None


@functools.cache
def _first_day() -> tuple[Engine, dict[str, Any]]:
    engine = engine_of(PLAN, instruments(3), 5)
    return engine, run(engine, market(symbols=3))[0].values


@pytest.mark.parametrize("layer", LAYERS)
def test_output_is_the_same_however_the_bars_are_cut_with_12_symbols(layer: str) -> None:
    assert not node_differs(_twelve(())[layer], _twelve((1, 2, 3, 150, 151, 400, 401, 599))[layer])


@functools.cache
def _twelve(cuts: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(12), 5), market(600, 12, before_midnight=500), cuts))


@functools.cache
def _stream() -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(3), 5), market(symbols=3), range(2400)))


@pytest.mark.parametrize("layer", LAYERS)
def test_stream_equals_batch(layer: str) -> None:
    assert not node_differs(reference(3)[layer], _stream()[layer])


@functools.cache
def _restored(at: int) -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(3), 5), market(symbols=3), restore_at=at))


@pytest.mark.parametrize("at", [1, 137, 900, 1801, 2399])
def test_restored_from_a_checkpoint_equals_never_stopped(at: int) -> None:
    for layer in LAYERS:
        assert not node_differs(reference(3)[layer], _restored(at)[layer]), layer


@functools.cache
def _plain() -> dict[str, dict[str, Any]]:
    return flat(PLAN, run(engine_of(PLAN, instruments(3), 5, compiled=False), cut(market(symbols=3), Observations, 0, 1900)))


@pytest.mark.parametrize("layer", [n.name for n in PLAN.stage["step"]])
def test_the_compiled_step_loop_equals_plain_python(layer: str) -> None:
    short = flat(PLAN, run(engine_of(PLAN, instruments(3), 5), cut(market(symbols=3), Observations, 0, 1900)))
    assert not node_differs(short[layer], _plain()[layer])


def test_a_block_that_is_too_small_for_an_instant_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit comes from the heap, in the middle of a layer."""
    monkeypatch.setattr(scratch, "_LEAST", 600)
    monkeypatch.setattr(scratch, "_MOST", 0)
    scratch._STATE[:] = 0
    found = flat(PLAN, run(engine_of(PLAN, instruments(3), 5), cut(market(symbols=3), Observations, 0, 1900)))
    assert scratch._STATE[scratch._WORST] > 0
    for node in PLAN.stage["step"]:
        assert not node_differs(found[node.name], _plain()[node.name]), node.name
    scratch._STATE[:] = 0


def _hash() -> str:
    digest = hashlib.sha256()
    found = flat(PLAN, run(engine_of(PLAN, instruments(2), 5), market(900, 2, before_midnight=500)))
    for name in sorted(found):
        for field in sorted(found[name]):
            digest.update(name.encode() + field.encode() + np.ascontiguousarray(found[name][field]).tobytes())
    return digest.hexdigest()


def test_with_the_compiler_off_every_layer_gives_the_same_bits() -> None:
    """All kernels of all stages as plain Python, in a process of their own."""
    code = "from tests.properties.test_every_layer import _hash; print(_hash())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == _hash()


@functools.cache
def _permuted_run() -> dict[str, dict[str, Any]]:
    facts = instruments(3)
    return flat(PLAN, run(engine_of(PLAN, permuted(facts, type(facts)), 5), permuted(market(symbols=3), Observations)))


@pytest.mark.parametrize("layer", SINGLE)
def test_permuting_the_symbols_permutes_the_output(layer: str) -> None:
    for field, x in reference(3)[layer].items():
        wanted = x[:, PERMUTATION] if x.ndim > 1 else x
        assert not differs(wanted, _permuted_run()[layer][field]), field


@pytest.mark.parametrize("layer", ["l97_ledger"])
def test_permuting_the_symbols_leaves_the_account_as_it_is(layer: str) -> None:
    for field in ("equity", "cash", "fees", "realised", "drawdown", "gross"):
        np.testing.assert_allclose(reference(3)[layer][field], _permuted_run()[layer][field], rtol=1e-9, atol=1e-9)


@functools.cache
def _holed() -> dict[str, dict[str, Any]]:
    data = market(symbols=3)
    holed = data._replace(**{f: getattr(data, f).copy() for f in ("open", "high", "low", "close", "volume", "bid_price")})
    for f in ("open", "high", "low", "close", "volume", "bid_price"):
        getattr(holed, f)[700:760, 1] = np.nan
    return flat(PLAN, run(engine_of(PLAN, instruments(3), 5), holed))


@pytest.mark.parametrize("layer", APART)
def test_what_is_unknown_of_one_symbol_never_reaches_another(layer: str) -> None:
    for field, x in reference(3)[layer].items():
        if x.ndim > 1:
            for n in (0, 2):
                assert not differs(x[:, n], _holed()[layer][field][:, n]), f"{field} of symbol {n}"


def _spliced(a: Any, b: Any, annotation: Any, n: int) -> Any:
    """The value a with symbol n as in b."""
    if is_record(annotation):
        return annotation(*[_spliced(x, y, t, n) for x, y, t in zip(a, b, fields_of(annotation).values(), strict=True)])
    axes = kind_of(annotation).axes
    if axes[:1] != ("N",):
        return a
    made = a.copy()
    made[:, n] = b[:, n]
    return made


@functools.cache
def _whole_and_holed() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What every layer takes and gives on bars 700 to 800, the market whole and with a hole in symbol 1; carries as of bar 700."""
    data = market(symbols=3)
    chunk = cut(data, Observations, 700, 800)
    hole = chunk._replace(**{f: getattr(chunk, f).copy() for f in ("open", "high", "low", "close", "volume")})
    for f in ("open", "high", "low", "close", "volume"):
        getattr(hole, f)[:60, 1] = np.nan
    runs, carries = [], {}
    for observed in (chunk, hole):
        engine = engine_of(PLAN, instruments(3), 5)
        engine.advance(Chunk(data.time[:700], {"observations": cut(data, Observations, 0, 700)}))
        values = engine._inputs(Chunk(data.time[700:800], {"observations": observed}), np.ones(100, np.int64))
        carries = {p: copy.deepcopy(v) for p, v in values.items() if p.endswith("__carry")}
        for node in PLAN.stage["columnar"]:
            values[node.name] = node.fn(*[values[p] for p in node.params])
        runs.append(values)
    return runs[0], runs[1], carries


@pytest.mark.parametrize("layer", BEHIND)
def test_a_layer_behind_a_cross_sectional_one_mixes_no_symbols_itself(layer: str) -> None:
    whole, holed, carries = _whole_and_holed()
    node = PLAN.nodes[layer]
    inputs = {
        p: copy.deepcopy(carries[p])
        if p in carries
        else _spliced(whole[p], holed[p], PLAN.hints[p], 1)
        if p in PLAN.nodes
        else whole[p]
        for p in node.params
    }
    made = leaves(node.fn(**{_parameter(node, p): v for p, v in inputs.items()}))
    for x, y in zip(leaves(whole[layer]), made, strict=True):
        if x.ndim > 1:
            for n in (0, 2):
                assert not differs(x[:, n], y[:, n])


@pytest.mark.parametrize("domain", sorted({n.domain for n in PLAN.nodes.values() if n.schedule != "epoch"}))
def test_every_value_is_within_its_domains_boundary(domain: str) -> None:
    models = boundaries(load(defaults().wiring))
    outputs = run(engine_of(PLAN, instruments(3), 5), market(symbols=3))
    for o in outputs:
        validate_run(PLAN, domain, models[domain], o.values)


def test_the_guards_pass_what_the_models_pass() -> None:
    run(engine_of(PLAN, instruments(3), 5, guard=guards_of(PLAN, 3)), market(symbols=3), (100, 101, 102))


@pytest.mark.parametrize("layer", COLUMNAR)
def test_a_layer_changes_none_of_its_inputs_and_repeats_itself(layer: str) -> None:
    """Same inputs and same carry: same outputs, and the inputs as they were."""
    engine: Engine = engine_of(PLAN, instruments(3), 5)
    data = market(symbols=3)
    engine.advance(Chunk(data.time[:500], {"observations": cut(data, Observations, 0, 500)}))
    chunk = Chunk(data.time[500:520], {"observations": cut(data, Observations, 500, 520)})
    values = engine._inputs(chunk, np.ones(20, np.int64))
    for node in PLAN.stage["columnar"]:
        if node.name == layer:
            inputs = {p: copy.deepcopy(values[p]) for p in node.params}
            first = node.fn(**{_parameter(node, p): v for p, v in inputs.items()})
            state = {p: v for p, v in inputs.items() if p.endswith("__carry")}
            for p in node.params:
                if p not in state:
                    assert _same(values[p], inputs[p]), f"{layer} changed its input {p}"
            again = node.fn(**{_parameter(node, p): copy.deepcopy(values[p]) for p in node.params})
            assert _same(first, again), f"{layer} does not repeat itself"
            return
        values[node.name] = node.fn(*[values[p] for p in node.params])


def _parameter(node: Any, p: str) -> str:
    return "carry" if p.endswith("__carry") else p


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return not differs(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_documented(layer: str) -> None:
    """Shapes or units, and what an unknown value does, in words."""
    text = inspect.getdoc(PLAN.nodes[layer].fn) or ""
    assert len(text) > 80
    assert PLAN.nodes[layer].fn.__module__.endswith(layer)
