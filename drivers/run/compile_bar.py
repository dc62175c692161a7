"""The progress of compiling, in one bar that is weighted by cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from rich.progress import Progress

from drivers.engine.engine import Engine
from drivers.engine.interrupts import deferred
from drivers.engine.plan import Plan
from drivers.run.compile_cost import Costs
from drivers.run.precompile import compile_all, compile_single_bars

TICK_SECONDS: Final = 0.25
LOAD_SHARE: Final = 0.03
"""What loading the machine code costs beside compiling it."""
CREEP: Final = 0.9
"""By how much of the costliest kernel that is left the bar may be ahead."""


class CompileBar:
    """How far compiling is, by what kernels cost (compile_cost.py), whoever compiles them.

    Between two kernels the bar goes on at the pace so far, by less than the costliest kernel that is left.
    """

    def __init__(self, plan: Plan, progress: Progress) -> None:
        costs = Costs(plan.nodes, plan.stacked)
        self._kernels, self._layers = costs.kernels, costs.layers
        self._left = dict(costs.kernels)
        self._whole = sum(costs.kernels.values())
        self._loads = LOAD_SHARE * self._whole / (len(plan.nodes) + 1)
        self._loaded, self._shown = 0.0, 0.0
        self._progress, self._lock = progress, Lock()
        self._begun = self._moved = time.monotonic()
        self._task = progress.add_task("Compiling", total=1.0)

    def compiling(self, name: str) -> None:
        """A layer's turn has come."""
        self._progress.update(self._task, description=f"Compiling {name}")

    def kernel(self, name: str) -> None:
        """A kernel has been compiled."""
        self._take([name])

    def layer(self, name: str) -> None:
        """All kernels of a layer have been compiled or loaded."""
        self._take(self._layers.get(name, ()))

    def loading(self, name: str) -> None:
        """A layer is loaded."""
        self._progress.update(self._task, description=f"Loading {name}")
        self._take(self._layers.get(name, ()), self._loads)

    def _take(self, kernels: Iterable[str], loads: float = 0.0) -> None:
        with self._lock:
            done = sum(self._left.pop(kernel, 0) for kernel in kernels)
            self._loaded += loads
            if done or loads:
                self._moved = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Shows where compiling is by now."""
        with self._lock:
            now = time.monotonic()
            done = self._whole - sum(self._left.values())
            pace = done / max(now - self._begun, 1.0)
            ahead = min(pace * (now - self._moved), CREEP * max(self._left.values(), default=0))
            self._shown = max(self._shown, (done + self._loaded + ahead) / (self._whole * (1.0 + LOAD_SHARE)))
            self._progress.update(self._task, completed=min(self._shown, 0.999))

    @contextmanager
    def ticking(self) -> Iterator[CompileBar]:
        """While this holds, the bar moves by itself; afterwards it is gone."""
        over = Event()

        def tick() -> None:
            while not over.wait(TICK_SECONDS):
                self.tick()

        ticker = Thread(target=tick, daemon=True)
        with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined
            ticker.start()
        try:
            yield self
        finally:
            over.set()
            ticker.join()
            self._progress.remove_task(self._task)


def warm_up(engine: Engine, project: Path | None, progress: Progress) -> None:
    """Compiles every layer, or loads it from the cache, with a bar."""
    with CompileBar(engine.plan, progress).ticking() as bar:
        compile_all(engine, project, bar)


class _SingleBars:
    """How far the native form of single bars is, by layers."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._all = [node.name for stage in ("columnar", "post") for node in plan.stage[stage]]
        self._done: set[str] = set()
        self._progress, self._lock = progress, Lock()
        self.task = progress.add_task("Compiling for single bars", total=len(self._all) + 1, even=False)

    def compiling(self, name: str) -> None:
        """A layer's turn has come."""
        self._progress.update(self.task, description=f"Compiling {name} for single bars")

    def kernel(self, name: str) -> None:
        """A part of a layer has been compiled."""

    def layer(self, name: str) -> None:
        """A layer has been compiled."""
        with self._lock:
            self._done.add(name)
            self._progress.update(self.task, completed=len(self._done))

    def loading(self, name: str) -> None:
        """A layer is loaded, and compiled where nobody has done it."""
        self.layer(name)


def warm_up_single_bars(engine: Engine, project: Path | None, progress: Progress) -> None:
    """Compiles the native form of single bars, or loads it from the cache, with a bar: for a stream, after `warm_up`."""
    bar = _SingleBars(engine.plan, progress)
    compile_single_bars(engine, project, bar)
    progress.remove_task(bar.task)
