"""What holds for every layer of the domain: any cutting of the bars, any order of the symbols, holes, compiled as plain."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dataflows.fusion
import dataflows.kernels
from dataflows.fusion.types import Agreement, K, SizeSuggestion
from dataflows.panel import fields_of, leaves
from dataflows.runtime.compile import python_of
from tests.dataflows.fusion.world import CONFIGS, everything
from tests.support import carry_of, layers_of, run_columnar

NAMES = [fn.__name__ for fn in layers_of("fusion")]
SMALL = CONFIGS["fusion"]._replace(signal_halflife_bars=40.0, horizons=(2, 5, 7, 20), success_horizon_bars=7, cost_seed_bars=10)
SETTINGS = {**CONFIGS, "fusion": SMALL}


def layer_of(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"dataflows.fusion.{name}"), name)
    return found


def inputs_of(fn: Callable[..., Any], seed: int, bars: int = 300, symbols: int = 3) -> dict[str, Any]:
    world = everything(seed, bars, symbols)
    rng = np.random.default_rng(seed + 1)
    world["l72_agreement"] = Agreement(
        rng.random((bars, symbols)), rng.random((bars, symbols)), rng.integers(-1, K, (bars, symbols))
    )
    world["l75_size_suggestion"] = SizeSuggestion(rng.random((bars, symbols)) * 0.2)
    return {p: world[p] for p in inspect.signature(fn).parameters if p in world}


def same(a: Any, b: Any) -> None:
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_output_is_the_same_however_the_bars_are_cut(name: str, symbols: int) -> None:
    fn = layer_of(name)
    inputs = inputs_of(fn, 7, symbols=symbols)
    whole = run_columnar(fn, inputs, SETTINGS)
    rng = np.random.default_rng(3)
    same(whole, run_columnar(fn, inputs, SETTINGS, cuts=range(1, 300)))
    same(whole, run_columnar(fn, inputs, SETTINGS, cuts=rng.integers(1, 300, 12).tolist()))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("l3_action_proposal", "l67_expectancy")])
def test_symbols_do_not_see_each_other(name: str) -> None:
    fn = layer_of(name)
    inputs = inputs_of(fn, 11)
    hints = inspect.get_annotations(fn, eval_str=True)

    def only(value: Any, annotation: Any, n: int) -> Any:
        if hasattr(annotation, "_fields"):
            return annotation(*[only(v, t, n) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
        axes = next((m.axes for m in annotation.__metadata__ if hasattr(m, "axes")), ())
        if axes == ("static", "N"):
            return value[n : n + 1]
        return np.ascontiguousarray(value[:, n : n + 1]) if "N" in axes else value

    whole = run_columnar(fn, inputs, SETTINGS)
    for n in range(3):
        alone = run_columnar(fn, {k: only(v, hints[k], n) for k, v in inputs.items()}, SETTINGS)
        same(only(whole, hints["return"], n), alone)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_left_as_they_were_and_outputs_are_no_views_of_the_carry(name: str) -> None:
    fn = layer_of(name)
    inputs = inputs_of(fn, 13, bars=50)
    before = [leaf.copy() for v in inputs.values() for leaf in leaves(v)]
    carry = carry_of(fn, 3, SETTINGS)
    out = run_columnar(fn, inputs, SETTINGS, carry=carry)
    assert not any(np.shares_memory(x, y) for x in leaves(out) for y in leaves(carry) if carry is not None)
    for leaf, was in zip([x for v in inputs.values() for x in leaves(v)], before, strict=True):
        np.testing.assert_array_equal(leaf, was)


@pytest.mark.parametrize("name", NAMES)
def test_compiled_is_plain_to_the_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = layer_of(name)
    inputs = inputs_of(fn, 17, bars=120)
    compiled = run_columnar(fn, inputs, SETTINGS)
    for package in (dataflows.fusion, dataflows.kernels):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            home = importlib.import_module(module.name)
            for key, value in list(vars(home).items()):
                if hasattr(value, "py_func"):
                    monkeypatch.setattr(home, key, python_of(value))
    with np.errstate(all="ignore"):
        same(compiled, run_columnar(fn, inputs, SETTINGS))


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_where_nothing_at_all_is_known(name: str) -> None:
    fn = layer_of(name)
    hints = inspect.get_annotations(fn, eval_str=True)
    inputs = inputs_of(fn, 19, bars=20)

    def unknown(value: Any, annotation: Any) -> Any:
        if hasattr(annotation, "_fields"):
            return annotation(*[unknown(v, t) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
        if not any(hasattr(m, "axes") for m in annotation.__metadata__):
            return value
        return np.full_like(value, np.nan) if value.dtype == np.float64 else np.full_like(value, -1)

    out = run_columnar(fn, {k: unknown(v, hints[k]) for k, v in inputs.items()}, SETTINGS)
    for leaf in leaves(out):
        assert not np.isinf(leaf).any()
