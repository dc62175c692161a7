"""Compiled and plain runs of one kernel, with every kernel that it calls plain too."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dataflows.data.config import DataConfig
from dataflows.kernels import arith, order, smooth, window
from dataflows.kinematics import true_range
from dataflows.runtime.compile import python_of
from tests.support import carry_of


def assert_plain_is_compiled(
    fn: Any,
    args: tuple[Any, ...],
    layer: Callable[..., Any],
    config: Any,
    patch: pytest.MonkeyPatch,
    *modules: ModuleType,
    field: str | None = None,
) -> None:
    """Runs the kernel `fn(*args, state)` compiled and as plain Python, each from the layer's start state (or the `field` of it
    that the kernel takes; none where the layer has none); compares the bits of outputs and state."""
    symbols = next(a for x in _flat(args) if getattr(a := x, "ndim", 0) == 2).shape[1]
    states = [carry_of(layer, symbols, {"kinematics": config, "data": DataConfig()}) for _ in range(2)]
    own = [() if s is None else (getattr(s, field) if field else s,) for s in states]
    fast = fn(*args, *own[0])
    for module in (arith, order, smooth, true_range, window, *modules):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                patch.setattr(module, name, python_of(value))
    slow = python_of(fn)(*args, *own[1])
    for a, b in zip(_flat((fast, own[0])), _flat((slow, own[1])), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))


def _flat(value: Any) -> list[Any]:
    return [x for v in value for x in _flat(v)] if isinstance(value, tuple) else [value]
