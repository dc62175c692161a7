"""A batch as Hamilton's lifecycle adapters see it: each day is one execution of the graph, each layer a node of it.

The engine calls the layers itself, side by side and compiled, so that no driver of Hamilton's stands between. What its adapters
are told is what the engine did: when a day is complete they get, for every layer, its inputs and what it returned over that
day. The time that a node takes is therefore not for them to measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dataflows.layer  # noqa: F401  # isort: skip  (before Hamilton: or it imports all that it has extensions for)
from hamilton import driver

from drivers.engine.chunk import Outputs, joined
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.run.assembly import PreparedRun
from drivers.text.times import stamp


class Lifecycle:
    """Tells adapters of a run. name: of the run; an execution's id is `<name>/<day>`."""

    def __init__(self, session: PreparedRun, name: str, adapters: Sequence[Any]) -> None:
        self._plan, self._epoch_ns, self._name = session.plan, session.engine.epoch_ns, name
        built = driver.Builder().with_modules(*layer_modules(session.project))
        self._driver = built.with_config(dict(load(session.project.wiring).variants)).with_adapters(*adapters).build()
        self._epoch: int | None = None
        self._parts: list[Outputs] = []

    def take(self, outputs: Outputs) -> None:
        """The outputs of a chunk; chunks do not straddle days."""
        epoch = (int(outputs.time[0]) - 1) // self._epoch_ns
        if epoch != self._epoch:
            self._end()
            self._begin(epoch, outputs)
        self._parts.append(outputs)

    @property
    def _id(self) -> str:
        return f"{self._name}/{stamp((self._epoch or 0) * self._epoch_ns)[:10]}"

    def _hook(self, name: str, day: str, **about: Any) -> None:
        if self._driver.adapter.does_hook(name, is_async=False):
            self._driver.adapter.call_all_lifecycle_hooks_sync(name, run_id=day, **about)

    def _begin(self, epoch: int, outputs: Outputs) -> None:
        self._epoch = epoch
        layers = [name for name in self._plan.nodes if name in outputs.values or name in outputs.epoch]
        self._hook(
            "pre_graph_execute",
            self._id,
            graph=self._driver.graph,
            final_vars=layers,
            inputs={"clock": outputs.time, **self._plan.configs},
            overrides={},
        )

    def _end(self, error: Exception | None = None) -> None:
        """Ends the day: every layer's inputs and result, then the graph's."""
        if self._epoch is None:
            return
        day, parts = self._id, self._parts
        self._epoch, self._parts = None, []
        results = {name: part for each in parts for name, part in each.epoch.items()}
        for name in parts[0].values if parts else ():
            values = [part.values[name] for part in parts]
            results[name] = values[0] if len(values) == 1 else joined(values, self._plan.annotations[name])
        for name in self._plan.nodes:
            if name in results:
                about = {
                    "node_": self._driver.graph.nodes[name],
                    "kwargs": {p: results[p] for p in self._plan.nodes[name].params if p in results},
                    "task_id": None,
                }
                self._hook("pre_node_execute", day, **about)
                self._hook("post_node_execute", day, **about, success=True, error=None, result=results[name])
        self._hook(
            "post_graph_execute",
            day,
            graph=self._driver.graph,
            success=error is None,
            error=error,
            results=results if error is None else None,
        )

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Ends the last day, with the error where one ends the run."""
        try:
            yield
        except Exception as error:
            self._end(error)
            raise
        self._end()
