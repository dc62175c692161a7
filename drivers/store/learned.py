"""What a run learned: the values that its epoch layers put into effect, in `delayed.npz`, for who runs a part of it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from dataflows.panel import Ints, leaves
from drivers.engine.plan import Plan

FILE: Final = "delayed.npz"


class Learned:
    """The delayed values of a run, each as it was from a bar on. A run without epoch layers has none and writes no file."""

    def __init__(self, plan: Plan) -> None:
        self._edges = {p: e for p, e in plan.delayed.items() if e.delay == "epoch" and e.source in plan.nodes}
        self.names = list(self._edges)
        self._times: list[int] = []
        self._parts: dict[str, list[list[Any]]] = {name: [] for name in self.names}

    def add(self, time: int, made: Mapping[str, Any]) -> None:
        """From the bar that closes at `time` (UTC ns) on, what the epoch layers made holds."""
        self._times.append(time)
        for name, edge in self._edges.items():
            value = getattr(made[edge.source], edge.field) if edge.field else made[edge.source]
            self._parts[name].append([np.array(leaf) for leaf in leaves(value)])

    def arrays(self) -> dict[str, Any]:
        """All that was added, for `go_on`."""
        arrays: dict[str, Any] = {"time": np.array(self._times, np.int64)}
        for name, parts in self._parts.items():
            for i, stack in enumerate(zip(*parts, strict=True)):
                arrays[f"{name}.{i}"] = np.stack(stack)
        return arrays

    def go_on(self, arrays: Mapping[str, Any]) -> None:
        """Adds what another had added, from its `arrays`."""
        self._times = arrays["time"].tolist()
        for name in self.names:
            stacks = [arrays[key] for key in arrays if key.rpartition(".")[0] == name]
            self._parts[name] = [[stack[t] for stack in stacks] for t in range(len(self._times))] if stacks else []

    def save(self, folder: Path) -> None:
        """Writes the file, also where no epoch has ended yet: that the run has learned nothing is known then."""
        if not self.names:
            return
        arrays = {**self.arrays(), "names": np.array(self.names)}
        with (folder / FILE).open("wb") as file:
            np.savez_compressed(file, **arrays)


class Relearned:
    """The file read back: puts the values that held at a bar into effect again."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / FILE, allow_pickle=False) as file:
            self._arrays = dict(file)
        self.time: Ints = self._arrays["time"]
        self.names: list[str] = self._arrays["names"].tolist()

    def apply(self, name: str, time: int, value: Any) -> None:
        """Sets `value` (a delayed value in an engine's arena) to what held at the bar that closes at `time`.

        Before the first epoch ended the start value holds, and stays.
        """
        at = int(np.searchsorted(self.time, time, side="right")) - 1
        if at >= 0:
            for i, leaf in enumerate(leaves(value)):
                leaf[...] = self._arrays[f"{name}.{i}"][at]
