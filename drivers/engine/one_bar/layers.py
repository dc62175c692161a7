"""Columnar layers in the form that compiled code calls: whole, and not only the kernels that they call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import numba

from dataflows.runtime.compile import inner_kernel
from dataflows.runtime.made import MadeOnce, NotNativeError
from drivers.engine.loop.layer_types import compile_once
from drivers.engine.one_bar.places import disagreement
from drivers.graph.layers import LayerNode

nb: Any = numba  # its own annotations leave out what a compiler's user needs


@functools.cache
def native_form(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The same function for the compiler: what it calls that is plain Python is compiled with it."""
    codes = [fn.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    names = {name for code in codes for name in code.co_names}
    called = {name: fn.__globals__[name] for name in names if isinstance(fn.__globals__.get(name), FunctionType)}
    ours = {name: inner_kernel(native_form(x)) for name, x in called.items() if x.__module__.partition(".")[0] == "dataflows"}
    ours |= {name: x.native for name in names if isinstance(x := fn.__globals__.get(name), MadeOnce)}
    if not ours:
        return fn
    made = FunctionType(fn.__code__, {**fn.__globals__, **ours}, fn.__name__, fn.__defaults__, fn.__closure__)
    made.__qualname__, made.__module__, made.__kwdefaults__ = fn.__qualname__, fn.__module__, fn.__kwdefaults__
    return made


def native_layer(node: LayerNode, takes: tuple[Any, ...]) -> Any:
    """The layer compiled for arguments of these types; the same one for every plan.

    Raises NotNativeError for a layer that numba cannot compile as a whole, or that returns something else than it declares.
    """
    layer = compile_once(native_form(node.fn), inner_kernel)
    try:
        layer.compile(takes)
    except (nb.core.errors.NumbaError, NotImplementedError, AssertionError) as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise NotNativeError(" ".join(said[1:3] or said)) from error
    wrong = disagreement(layer.overloads[takes].signature.return_type, node.returns)
    if wrong:
        raise NotNativeError(wrong)
    return layer
