"""The plan: the stages of a Hamilton graph, sorted once and called directly."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from dataflows.layer import SCHEDULES
from dataflows.panel import is_log, is_record, walk
from dataflows.runtime.compile import fingerprint
from drivers.engine.loop.generate import StepStage
from drivers.graph.external import EXTERNAL, STATIC
from drivers.graph.field_flow import fields_read
from drivers.graph.field_reads import NOTES, Path
from drivers.graph.inventory import layer_nodes
from drivers.graph.layers import SUFFIX, Delayed, LayerNode, PlanError

STACK: Final = 12
"""How wide a stack is, about, for who counts memory: sources, horizons, order sizes."""


class Plan:
    """What to call, in which order, with what.

    modules: those that hold the layers. configs: configuration records by the name layers take them under. delayed: the
    feedback edges by name. variant: values for layers that exist in variants. only: run these nodes alone; everything
    else that they take comes in as recorded values (`recorded_inputs`), also what a delayed edge brings from a layer that does
    not run (`recorded_delayed`: the log of the instant before). Delayed values of an epoch keep their place in the arena.
    steps: the step stage of another plan with the same step layers: it is not generated, and not compiled, again.
    """

    def __init__(
        self,
        modules: Sequence[ModuleType],
        configs: Mapping[str, Any],
        delayed: Mapping[str, Delayed],
        *,
        variant: Mapping[str, str] | None = None,
        only: Collection[str] | None = None,
        steps: StepStage | None = None,
    ) -> None:
        self._variant = dict(variant or {})

        def of_modules(**how: Any) -> Plan:
            return Plan(modules, delayed=delayed, **how)

        self._of_modules = of_modules  # a function, since modules cannot be copied, and a plan can
        every = layer_nodes(modules, variant or {})
        names = {n.name for n in every}
        unknown = sorted(set(only or ()) - names)
        if unknown:
            raise PlanError(f"{', '.join(unknown)}: not a layer of this graph")
        self.nodes: dict[str, LayerNode] = {n.name: n for n in every if only is None or n.name in only}
        self.configs = dict(configs)
        edges = {k: v for k, v in delayed.items() if any(k in n.params for n in self.nodes.values())}
        self.recorded_delayed = {k: v for k, v in edges.items() if v.delay == "bar" and v.source in names - self.nodes.keys()}
        self.delayed = {k: v for k, v in edges.items() if k not in self.recorded_delayed}
        self.stage: dict[str, list[LayerNode]] = {s: [n for n in self.nodes.values() if n.schedule == s] for s in SCHEDULES}
        self.hints: dict[str, Any] = {p: t for n in self.nodes.values() for p, t in n.hints.items()}
        self.annotations: dict[str, Any] = {n.name: n.returns for n in self.nodes.values()}
        taken = {p for n in self.nodes.values() for p in n.params}
        self.recorded_inputs = sorted(p for p in taken if p in names and p not in self.nodes)
        self._refuse_unknown_inputs(taken, {*names, *self.recorded_delayed})
        for name, edge in self.recorded_delayed.items():
            if not is_log(self.hints[name]):
                raise PlanError(f"{name} is no log: what {edge.source} said an instant ago cannot be handed in; run both")
        own = {k: v for k, v in self.configs.items() if k in taken}
        self.steps = steps if steps is not None else StepStage(self.stage["step"], own, self.delayed)
        wide = EXTERNAL.keys() - STATIC
        asked = {p for n in self.stage["epoch"] for p in n.params}
        epoch = {n.name for n in self.stage["epoch"]}
        self.epoch_needs = {
            p: self._read_by_epoch_layers(p) for p in sorted(asked) if (p in names or p in wide) and p not in epoch
        }
        self.held = {k for k, edge in self.delayed.items() if edge.when is not None and self._is_off(*edge.when)}
        """Delayed values that hold what they started with, since a switch of the configuration is 0."""
        self.behind_epochs = {k for k, edge in self.delayed.items() if edge.delay == "epoch" and k not in self.held}
        """Delayed values that epoch layers move, and the columnar layers behind them."""
        self.behind_epochs.update(self.behind(*self.behind_epochs))
        given = (taken & wide - {"clock"}) | set(self.recorded_inputs)
        columnar = [n.name for n in self.stage["columnar"]]
        self._codes: dict[str, str] = {}
        NOTES.keep()
        self.market = [p for p in (*columnar, *sorted(given)) if not is_log(self.type_of(p))]

    def _is_off(self, config: str, key: str) -> bool:
        return bool(getattr(self.configs.get(config), key, 1) == 0)

    def behind(self, *names: str) -> list[str]:
        """The columnar layers that depend on a value within the bar, in graph order. names: delayed values, inputs, layers."""
        reached = set(names)
        for n in self.stage["columnar"]:
            if not reached.isdisjoint(n.params):
                reached.add(n.name)
        return [n.name for n in self.stage["columnar"] if n.name in reached]

    def part(self, only: Collection[str], variant: Mapping[str, str] | None = None) -> Plan:
        """A plan of some of the layers, with the same configurations; all else that they take comes in as recorded values.

        Where it has all step layers of this one, both run the same compiled loop. variant: forms to take instead of its own.
        """
        forms = {**self._variant, **(variant or {})}
        shared = self.steps if forms == self._variant and {n.name for n in self.stage["step"]} <= {*only} else None
        return self._of_modules(configs=self.configs, variant=forms, only=only, steps=shared)

    def _refuse_unknown_inputs(self, taken: Collection[str], names: Collection[str]) -> None:
        for p in sorted(taken):
            known = p in names or p in self.configs or p in self.delayed or p in EXTERNAL or p.endswith(SUFFIX)
            if not known:
                takers = ", ".join(n.name for n in self.nodes.values() if p in n.params)
                raise PlanError(
                    f"{takers} takes {p}, which is no layer, configuration, delayed edge or external input; "
                    f"known beside the layers: {', '.join([*EXTERNAL, *self.delayed, *self.configs])}"
                )

    def _read_by_epoch_layers(self, name: str) -> frozenset[Path]:
        """The leaves of a value that epoch layers read: what an epoch keeps of it. A log is kept whole."""
        annotation = self.type_of(name)
        every = {path for path, _ in walk(annotation)}
        if is_log(annotation) or not is_record(annotation):
            return frozenset(every)
        read: set[Path] = set()
        for node in self.stage["epoch"]:
            if name in node.params:
                own = dict(zip(node.params, inspect.signature(node.fn).parameters, strict=True))[name]
                read |= fields_read(node.fn, own, annotation)
        return frozenset(read)

    def type_of(self, name: str) -> Any:
        """The annotation of a layer's output, or of an input that a layer takes."""
        return self.annotations[name] if name in self.annotations else self.hints[name]

    def width(self, dims: Mapping[str, int]) -> int:
        """How many numbers of a bar a chunk holds: what goes in, and what the layers return, logs apart.

        dims: lengths of "N", "D" and "table". What a step layer shows within the bar only is not held.
        """
        lengths = {"K": STACK, **dims}
        found = 0
        for name in {*self.nodes, *self.recorded_inputs, *(EXTERNAL.keys() - STATIC)} & {*self.nodes, *self.hints}:
            schedule = self.nodes[name].schedule if name in self.nodes else ""
            if schedule == "epoch" or is_log(self.type_of(name)):
                continue
            for _, kind in walk(self.type_of(name)):
                if not {"static", "log"} & {*kind.axes} and (kind.recorded or schedule != "step"):
                    found += math.prod(lengths[axis] for axis in kind.axes)
        return found

    @property
    def states(self) -> list[str]:
        """Every carry and delayed value, in arena order: those of the step stage first, as its source numbers them."""
        every = dict.fromkeys([*self.steps.states, *(p for n in self.nodes.values() for p in n.params)])
        return [p for p in every if p.endswith(SUFFIX) or p in self.delayed]

    def owner(self, state: str) -> LayerNode | None:
        """The layer whose carry this is; None for a delayed value."""
        return self.nodes.get(state.removesuffix(SUFFIX)) if state.endswith(SUFFIX) else None

    @functools.cached_property
    def stacked(self) -> frozenset[str]:
        """Layers of whole chunks that return stacks: how wide those are is known when the layer has run."""
        chunked = [*self.stage["columnar"], *self.stage["post"]]
        return frozenset(n.name for n in chunked if any("K" in kind.axes for _, kind in walk(n.returns)))

    def code_of(self, node: LayerNode) -> str:
        """Hash of a layer's code, kernels and all that it freezes included; the same wherever the code stands. Taken once: a
        process does not change its code."""
        if node.name not in self._codes:
            self._codes[node.name] = fingerprint(node.fn, modules=False)
        return self._codes[node.name]
