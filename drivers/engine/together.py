"""Columnar layers side by side: on a long chunk, layers that do not wait for each other run on all cores.

Kernels hold no lock, a layer moves its own memory and nothing else, and its inputs are read only: so the bits are those of one
layer after the other. A short chunk is not worth the hand-over (some 30 us a layer) and runs in graph order.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Final

from drivers.engine.nodes import LayerNode

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
    return ThreadPoolExecutor(cores(), thread_name_prefix="layers")


def run_layers(nodes: Sequence[LayerNode], values: dict[str, Any], size: int, on_layer: Callable[[str], None]) -> None:
    """Runs layers that are in graph order, and adds what they return to `values`. size: bars times symbols.

    Raises what a layer raises, when those under way are done; of several, that of the first in graph order.
    """
    if size < LEAST or cores() == 1:
        for node in nodes:
            on_layer(node.name)
            values[node.name] = node.fn(*[values[p] for p in node.params])
        return
    place = {node.name: i for i, node in enumerate(nodes)}
    takers: dict[str, list[LayerNode]] = {node.name: [] for node in nodes}
    missing = {node.name: {p for p in node.params if p in place} for node in nodes}
    for node in nodes:
        for p in missing[node.name]:
            takers[p].append(node)
    under_way: dict[Future[Any], LayerNode] = {}

    def begin(node: LayerNode) -> None:
        on_layer(node.name)
        under_way[_pool().submit(node.fn, *[values[p] for p in node.params])] = node

    for node in nodes:
        if not missing[node.name]:
            begin(node)
    while under_way:
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        if any(future.exception() is not None for future in done):
            wait(under_way)
            failed = [f for f in under_way if f.exception() is not None]
            min(failed, key=lambda f: place[under_way[f].name]).result()
        ready: list[LayerNode] = []
        for future in done:
            made = under_way.pop(future)
            values[made.name] = future.result()
            for taker in takers[made.name]:
                missing[taker.name].discard(made.name)
                if not missing[taker.name]:
                    ready.append(taker)
        for node in sorted(ready, key=lambda n: place[n.name]):
            begin(node)
