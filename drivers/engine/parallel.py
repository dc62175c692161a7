"""Columnar layers side by side: on a long chunk, layers that do not wait for each other run on all cores.

Kernels hold no lock, a layer moves its own memory and nothing else, and its inputs are read only: so the bits are those of one
layer after the other. A short chunk is not worth the hand-over and runs in graph order.
"""

from __future__ import annotations

import functools
import heapq
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from drivers.engine.interrupts import deferred, safe_point
from drivers.graph.layers import LayerNode

LEAST: Final = 1024
"""Bars times symbols of a chunk from which on layers run side by side."""
MOST: Final = 4
"""Threads: the graph is hardly wider where it matters."""


@functools.cache
def cores() -> int:
    """Cores that this process may use, at most `MOST`; `$STRATOQUANT_THREADS` says otherwise."""
    said = os.environ.get("STRATOQUANT_THREADS", "")
    if said:
        if not said.isdigit() or int(said) < 1:
            raise ValueError(f"STRATOQUANT_THREADS is {said!r}; say how many threads may run layers, 1 or more")
        return int(said)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="layers")


def run_layers(
    nodes: Sequence[LayerNode], values: dict[str, Any], size: int, on_layer: Callable[[str], None], threads: int | None = None
) -> None:
    """Runs layers that are in graph order, and adds what they return to `values`. size: bars times symbols. threads: how many
    take part; None: one a core.

    Raises what a layer raises, when those under way are done; of several, that of the first in graph order.
    """
    threads = threads or cores()
    if size < LEAST or threads == 1:
        for node in nodes:
            safe_point()
            on_layer(node.name)
            values[node.name] = node.fn(*[values[p] for p in node.params])
        return
    work = _Round(nodes, values, on_layer)
    with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined, and the process never ends
        helpers = [_pool().submit(work.take_part) for _ in range(threads - 1)]
        work.take_part()
        for helper in helpers:
            helper.result()
    if work.failed:
        raise work.failed[min(work.failed)]


class _Round:
    """The layers of one chunk, which every thread takes as they become ready, in graph order."""

    def __init__(self, nodes: Sequence[LayerNode], values: dict[str, Any], on_layer: Callable[[str], None]) -> None:
        self.nodes, self.values, self.on_layer = nodes, values, on_layer
        place = {node.name: i for i, node in enumerate(nodes)}
        needs = [{place[p] for p in node.params if p in place} for node in nodes]
        self.takers: list[list[int]] = [[] for _ in nodes]
        for i, own in enumerate(needs):
            for j in own:
                self.takers[j].append(i)
        self.missing = [len(own) for own in needs]
        self.ready = [i for i, left in enumerate(self.missing) if left == 0]  # a heap
        self.left = len(nodes)
        self.failed: dict[int, BaseException] = {}
        self.changed = threading.Condition()

    def take_part(self) -> None:
        """Runs layers until none is left, or one has failed. Whatever goes wrong here, also Ctrl-C, ends the round for all:
        nobody waits for a layer that nobody runs."""
        at = len(self.nodes)
        try:
            while (at := self._next()) < len(self.nodes):
                node = self.nodes[at]
                self._put(at, node.fn(*[self.values[p] for p in node.params]))
        except BaseException as error:
            with self.changed:
                self.failed[at] = error
                self.changed.notify_all()

    def _next(self) -> int:
        """The next layer's place, as soon as one is ready; that after the last where nothing is left to run."""
        with self.changed:
            while not self.ready and self.left > 0 and not self.failed:
                self.changed.wait()
            if self.left == 0 or self.failed:
                return len(self.nodes)
            safe_point()
            at = heapq.heappop(self.ready)
            self.on_layer(self.nodes[at].name)
            return at

    def _put(self, at: int, made: Any) -> None:
        with self.changed:
            self.values[self.nodes[at].name] = made
            self.left -= 1
            for taker in self.takers[at]:
                self.missing[taker] -= 1
                if self.missing[taker] == 0:
                    heapq.heappush(self.ready, taker)
            self.changed.notify_all()
