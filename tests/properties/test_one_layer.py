"""What holds of every layer, for one layer on the part of the graph above it: seconds instead of minutes.

`make test-layer L=l12_regression_slope_short` chooses the layer. `test_every_layer.py` proves the same, and more, of the whole graph.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Observations
from drivers.engine.chunk import cut
from drivers.engine.plan import Plan
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from tests.layer_tests import CHOSEN, upstream_of
from tests.properties.graph import BELIEF, PERMUTATION, differs, engine_of, flat, node_differs, permuted, run
from tests.properties.market import instruments, market

LAYER = os.environ.get(CHOSEN, "l12_regression_slope_short")
BARS = 600


@functools.cache
def plan() -> Plan:
    """The layer and what it needs."""
    project, wiring = defaults(), load(defaults().wiring)
    above = upstream_of(LAYER)
    modules = layer_modules(without=[name for name in wiring.layers if name not in above])
    return Plan(modules, load_configs(project, BELIEF), wiring.delayed_edges(), variant=wiring.variants, only=above)


@functools.cache
def data() -> Observations:
    return market(BARS, 3, before_midnight=500)


def outputs(cuts: Sequence[int] = (), **more: Any) -> dict[str, Any]:
    return flat(plan(), run(engine_of(plan(), instruments(3), 5), data(), cuts, **more))[LAYER]


@functools.cache
def reference() -> dict[str, Any]:
    return outputs()


def test_the_layer_gives_something() -> None:
    known = [np.isfinite(x).any() for x in reference().values() if x.dtype.kind == "f" and x.size]
    assert any(known) or not known


@pytest.mark.parametrize(
    "cuts", [(200, 400), (1, 2, 3, 150, 151, 499, 501, 599), tuple(range(BARS))], ids=["thirds", "odd", "stream"]
)
def test_output_is_the_same_however_the_bars_are_cut(cuts: tuple[int, ...]) -> None:
    assert not node_differs(reference(), outputs(cuts))


@pytest.mark.parametrize("at", [1, 137, 501])
def test_restored_from_a_checkpoint_equals_never_stopped(at: int) -> None:
    assert not node_differs(reference(), outputs(restore_at=at))


def test_permuting_the_symbols_permutes_the_output() -> None:
    node = plan().nodes[LAYER]
    if node.cross_sectional or node.schedule != "columnar":
        pytest.skip("one symbol's output may depend on the others")
    facts = instruments(3)
    engine = engine_of(plan(), permuted(facts, type(facts)), 5)
    found = flat(plan(), run(engine, permuted(data(), Observations)))[LAYER]
    for field, x in reference().items():
        assert not differs(x[:, PERMUTATION] if x.ndim > 1 else x, found[field]), field


def test_values_before_a_bar_do_not_depend_on_what_follows() -> None:
    early = flat(plan(), run(engine_of(plan(), instruments(3), 5), cut(data(), Observations, 0, 400)))[LAYER]
    if plan().nodes[LAYER].schedule in ("columnar", "step") and all(len(x) == BARS for x in reference().values()):
        assert not node_differs({field: x[:400] for field, x in reference().items()}, early)


def test_the_layer_is_documented() -> None:
    assert len(inspect.getdoc(plan().nodes[LAYER].fn) or "") > 80
