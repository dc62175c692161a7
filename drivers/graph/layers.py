"""What a layer is to whoever handles the graph, and the type of everything that travels between layers."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dataflows.layer import EARLY

SUFFIX = "__carry"


class PlanError(ValueError):
    """The graph cannot be run as it stands. The message names layer and edge."""


class Delayed(NamedTuple):
    """A declared feedback edge: the value of `source` (of its `field`, where one is named) comes round after `delay`."""

    source: str
    field: str | None
    delay: str  # "bar" or "epoch"
    when: tuple[str, str] | None = None  # configuration and key of a switch: while that is 0, the start value holds


class LayerNode(NamedTuple):
    """One layer of the graph."""

    name: str
    layer_id: str
    domain: str
    schedule: str
    cross_sectional: bool
    fn: Callable[..., Any]
    params: tuple[str, ...]  # node and input names, in the function's own order
    hints: dict[str, Any]  # type of each of `params`
    returns: Any
    form: str = ""  # "sim" of `l90_fills__sim`; empty where the layer has one form
    early: Early | None = None  # of an epoch layer


class Early(NamedTuple):
    """What takes the bars of an epoch before it ends (`early` of `dataflows.layer.layer`)."""

    fn: Callable[..., None]
    params: tuple[str, ...]  # as those of the layer


def layer_node(node: Any, fn: Callable[..., Any]) -> LayerNode:
    """The layer that Hamilton's node of a function is."""
    hints = typing.get_type_hints(fn, include_extras=True)
    names = list(inspect.signature(fn).parameters)

    def own(parameters: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{node.name}{SUFFIX}" if p == "carry" else p for p in parameters)

    params, early = own(names), getattr(fn, EARLY, None)
    return LayerNode(
        node.name,
        node.tags["layer"],
        node.tags["domain"],
        node.tags["schedule"],
        node.tags["cross_sectional"] == "True",
        fn,
        params,
        {q: hints[p] for p, q in zip(names, params, strict=True)},
        hints["return"],
        fn.__code__.co_name.partition("__")[2],
        None if early is None else Early(early, own(inspect.signature(early).parameters)),
    )
