"""@layer: the only file of `dataflows` that knows Hamilton."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, Literal, TypeVar

from hamilton import node, registry


class _Pandas(ModuleType):
    """Stands in for pandas in Hamilton's modules: it imports pandas when one of them asks for something of it.

    Hamilton names pandas' types in annotations of its own functions, which no layer uses. While it is imported it gets empty
    classes for them: `pandas` itself takes a fifth of a second.
    """

    importing = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if self.importing else getattr(importlib.import_module("pandas"), name)


@contextmanager
def _lightly() -> Iterator[None]:
    """Hamilton imports pandas, and pandera for its own validators, which no layer has. Who needs its validators of pandera
    imports pandera or Hamilton first."""
    pandas = _Pandas("pandas")
    absent = {name: stand_in for name, stand_in in (("pandas", pandas), ("pandera", None)) if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]  # None: Python's own sign of a module that cannot be imported
    try:
        yield
    finally:
        pandas.importing = False
        for name in absent:
            del sys.modules[name]


registry.disable_autoload()  # or it imports every library that it has an extension for, dask and scikit-learn among them
with _lightly():
    from hamilton.function_modifiers import base, config

Schedule = Literal["columnar", "step", "post", "epoch"]
SCHEDULES: Final = ("columnar", "step", "post", "epoch")
EARLY: Final = "__early__"
"""The attribute of a layer's function that has its early form."""

F = TypeVar("F", bound=Callable[..., Any])


class LayerError(ValueError):
    """A layer is declared in a way that the graph cannot use."""


class _Layer(base.NodeExpander):  # type: ignore[misc]  # Hamilton ships no types for its modifiers
    """Tags the node and binds `carry` to the input `<node>__carry`."""

    def __init__(self, layer_id: str, schedule: str, cross_sectional: bool) -> None:
        self.layer_id, self.schedule, self.cross_sectional = layer_id, schedule, cross_sectional

    def validate(self, fn: Callable[..., Any]) -> None:
        pass  # checked when decorated, so that the error comes at import and names the layer

    def expand_node(self, node_: node.Node, config: dict[str, Any], fn: Callable[..., Any]) -> Collection[node.Node]:
        if "carry" in node_.input_types:
            node_ = node_.reassign_inputs(input_names={"carry": f"{node_.name}__carry"})
        tags = {
            "layer": self.layer_id,
            "domain": fn.__module__.split(".")[-2],
            "schedule": self.schedule,
            "cross_sectional": str(self.cross_sectional),
        }
        return [node_.copy_with(tags={**node_.tags, **tags})]


def layer(
    layer_id: str,
    *,
    schedule: Schedule = "columnar",
    cross_sectional: bool = False,
    early: Callable[..., None] | None = None,
) -> Callable[[F], F]:
    """Declares a function to be layer `layer_id` (as "L12") of the graph; the plain function stays callable.

    schedule: when it runs (see docs/explanation). cross_sectional: one symbol's output may depend on another's inputs. early:
    of an epoch layer, what takes the epoch's bars into the carry before it ends, some at a time and in order, so that its last
    bar does not wait for all of them. Its parameters are some of the layer's, `clock` and `carry` among them. It need not have
    taken any: the layer gets all bars, and its carry must say how many have been taken.
    Raises LayerError when the function's name does not begin with the id, a parameter has a default (Hamilton would make it
    optional and a misspelt dependency would go unnoticed), a hint is missing, or the schedule is unknown.
    """

    def decorate(fn: F) -> F:
        name = fn.__code__.co_name
        where = f"{layer_id} {name}"
        if schedule not in SCHEDULES:
            raise LayerError(f"{where}: schedule {schedule!r} is none of {', '.join(SCHEDULES)}")
        if not re.fullmatch(r"L\d{1,3}", layer_id) or not name.startswith(f"l{layer_id[1:]}_"):
            raise LayerError(f"{where}: the function's name must begin with 'l{layer_id[1:]}_'")
        for p in inspect.signature(fn).parameters.values():
            if p.default is not p.empty:
                raise LayerError(f"{where}: parameter {p.name!r} has a default; a layer takes every input from the graph")
            if p.name not in fn.__annotations__:
                raise LayerError(f"{where}: parameter {p.name!r} has no type")
        if "return" not in fn.__annotations__:
            raise LayerError(f"{where}: the return type is missing")
        if early is not None:
            own = set(inspect.signature(early).parameters)
            if schedule != "epoch" or not {"clock", "carry"} <= own <= set(inspect.signature(fn).parameters):
                raise LayerError(
                    f"{where}: the early form takes {', '.join(sorted(own))}; it is for an epoch layer, and takes clock, carry "
                    "and other parameters of it"
                )
        if not inspect.getdoc(fn):
            raise LayerError(f"{where}: the docstring is missing; say shapes, units, range, NaN behaviour and source")
        decorated: F = _Layer(layer_id, schedule, cross_sectional)(fn)
        if early is not None:
            setattr(decorated, EARLY, early)
        return decorated

    return decorate


def variant(**when: str) -> Callable[[F], F]:
    """The function is this layer only under a variant of the wiring, e.g. `variant(venue="sim")`. Its name ends in `__sim`."""
    decorated: Callable[[F], F] = config.when(**when)
    return decorated
