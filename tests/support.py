"""How a test runs one layer by itself: start state from the annotations, inputs cut into chunks, outputs joined."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dataflows.carry import start_state
from dataflows.panel import Kind, fields_of, is_record, kind_of
from drivers.graph.inventory import layer_nodes
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.domains import config_records
from drivers.project.locate import defaults


@functools.cache
def layers_of(domain: str) -> tuple[Callable[..., Any], ...]:
    """The functions of a domain's layers as the graph has them, each after all that it takes."""
    nodes = layer_nodes(layer_modules(), load(defaults().wiring).variants)
    return tuple(node.fn for node in nodes if node.domain == domain)


def takes(fn: Callable[..., Any]) -> list[str]:
    """What a layer takes by name: other layers, inputs and delayed values, but neither settings nor its own memory."""
    return [name for name in inspect.signature(fn).parameters if name != "carry" and name not in config_records()]


def carry_of(fn: Callable[..., Any], n_symbols: int, configs: Mapping[str, Any], *, depth: int = 10, slots: int = 8) -> Any:
    """The start state of a layer's carry; None when it has none."""
    hints = typing.get_type_hints(fn, include_extras=True)
    if "carry" not in hints:
        return None
    taken = {k: v for k, v in configs.items() if k in hints}
    return start_state(hints["carry"], {"N": n_symbols, "D": depth, "table": slots}, taken, where=f"{fn.__name__}.carry")


def cut(value: Any, annotation: Any, a: int, b: int) -> Any:
    """Rows a to b of a panel or of a record of panels; what is static stays."""
    if is_record(annotation):
        return annotation(*[cut(v, t, a, b) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
    kind = kind_of(annotation)
    return value if "static" in kind.axes else np.ascontiguousarray(value[a:b])


def row(value: Any, annotation: Any, t: int) -> Any:
    """The row of instant t, as a step layer sees it: arrays (N,), floats and ints."""
    if is_record(annotation):
        return annotation(*[row(v, f, t) for v, f in zip(value, fields_of(annotation).values(), strict=True)])
    kind: Kind = kind_of(annotation)
    if "static" in kind.axes:
        return value
    got = value[t]
    return got if kind.axes else (float(got) if kind.dtype == "f8" else int(got))


def join(parts: Sequence[Any], annotation: Any) -> Any:
    """Outputs of successive chunks as one."""
    if is_record(annotation):
        return annotation(*[join([p[i] for p in parts], t) for i, t in enumerate(fields_of(annotation).values())])
    return np.concatenate(parts)


def run_columnar(
    fn: Callable[..., Any],
    inputs: Mapping[str, Any],
    configs: Mapping[str, Any],
    *,
    cuts: Iterable[int] = (),
    carry: Any = None,
    depth: int = 10,
) -> Any:
    """Runs a columnar layer over panels, cut at `cuts`. inputs: parameter name to panel or record (delayed values as they are)."""
    hints = typing.get_type_hints(fn, include_extras=True)
    first = next(leaf for name, value in inputs.items() for leaf in _panels(value, hints[name]))
    bars, symbols = first.shape[:2]
    state = carry if carry is not None else carry_of(fn, symbols, configs, depth=depth)
    edges = sorted({0, bars, *cuts})
    parts = []
    for a, b in pairwise(edges):
        kwargs: dict[str, Any] = {}
        for name in hints:
            if name == "return":
                continue
            if name == "carry":
                kwargs[name] = state
            elif name in configs:
                kwargs[name] = configs[name]
            else:
                kwargs[name] = cut(inputs[name], hints[name], a, b) if _has_time(hints[name]) else inputs[name]
        parts.append(fn(**kwargs))
    return join(parts, hints["return"])


def _has_time(annotation: Any) -> bool:
    if is_record(annotation):
        return any(_has_time(t) for t in fields_of(annotation).values())
    try:
        return "static" not in kind_of(annotation).axes
    except TypeError:
        return False  # a delayed value: annotated with Axes, not with a Kind


def _panels(value: Any, annotation: Any) -> Iterable[Any]:
    if is_record(annotation):
        for v, t in zip(value, fields_of(annotation).values(), strict=True):
            yield from _panels(v, t)
    elif _has_time(annotation) and kind_of(annotation).axes:
        yield value


def filled(annotation: Any, shape: tuple[int, ...], value: float = 0.0, **over: Any) -> Any:
    """A record of panels all of one value, some fields given: `filled(Regime, (100, 2), label=labels)`.

    shape: (T, N) for panels, (N,) for rows; stacked fields must be given.
    """
    made = []
    for name, t in fields_of(annotation).items():
        if name in over:
            made.append(over[name])
        elif is_record(t):
            made.append(filled(t, shape, value))
        else:
            kind = kind_of(t)
            if not kind.axes:
                scalar = len(shape) == 1
                given = value if kind.dtype == "f8" or value == value else 0
                made.append((float if kind.dtype == "f8" else int)(given) if scalar else np.full(shape[:1], given, kind.numpy))
            elif kind.axes == ("N",):
                made.append(np.full(shape, value if kind.dtype == "f8" or value == value else 0, kind.numpy))
            elif kind.axes == ("static", "N"):
                made.append(np.full(shape[-1:], value if kind.dtype == "f8" or value == value else 0, kind.numpy))
            else:
                made.append(np.full((*shape, 1), value, kind.numpy))
    return annotation(*made)
