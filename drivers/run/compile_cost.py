"""What layers cost to compile, known before: the length of the bytecode of their kernels.

numba's time for a kernel follows the length of its code closely enough (correlation 0.85 over the 390 kernels of the layers) to
say who should begin with what, and how far compiling is. No table of measured times would stay true.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any, Final

from drivers.engine.loop.generate import STEP_LOOP
from drivers.graph.layers import LayerNode

GUARDS: Final = "the guards"
LOOP_SHARE, GUARDS_SHARE = 0.05, 0.02  # of what all kernels cost: the length of these two is not that of their bytecode


def name_of(fn: Any) -> str:
    """What a kernel goes by, in every process."""
    return f"{fn.__module__}.{fn.__qualname__}"


def kernels_of(node: LayerNode) -> dict[str, int]:
    """The kernels that a layer consists of, by name, and how long their bytecode is."""
    found: dict[str, int] = {}
    packages = {"dataflows", node.fn.__module__.partition(".")[0]}
    seen: set[int] = set()

    def walk(fn: Any) -> None:
        if id(fn) in seen:
            return
        seen.add(id(fn))
        codes = [fn.__code__]
        for code in codes:
            codes += [c for c in code.co_consts if isinstance(c, CodeType)]
        names = {name for code in codes for name in code.co_names}
        for x in [*(fn.__globals__[n] for n in names if n in fn.__globals__), *(c.cell_contents for c in fn.__closure__ or ())]:
            bare = getattr(x, "py_func", x)
            if isinstance(bare, FunctionType) and bare.__module__.partition(".")[0] in packages:
                walk(bare)
                if bare is not x:
                    found[name_of(bare)] = _length(bare)

    walk(node.fn)
    if node.schedule == "step":
        found[name_of(node.fn)] = _length(node.fn)
    return found


def _length(fn: Any) -> int:
    codes = [fn.__code__]
    for code in codes:
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
    return sum(len(code.co_code) for code in codes)


class Costs:
    """The kernels of a plan, and the order in which to compile its layers.

    kernels: cost by name. layers: the names of each layer's kernels, and of the step loop and the guards, which count as one.
    """

    def __init__(self, nodes: Mapping[str, LayerNode], stacked: frozenset[str]) -> None:
        own = {name: kernels_of(node) for name, node in nodes.items()}
        self.kernels = {kernel: cost for kernels in own.values() for kernel, cost in kernels.items()}
        self.layers = {name: frozenset(kernels) for name, kernels in own.items()}
        whole = sum(self.kernels.values())
        for name, share in ((STEP_LOOP, LOOP_SHARE), (GUARDS, GUARDS_SHARE)):
            self.kernels[name] = max(1, int(share * whole))
            self.layers[name] = frozenset([name])
        self._nodes, self._stacked = nodes, stacked

    def costliest_first(self) -> list[str]:
        """The account side first, since its loop waits for all of it; then by cost, where a layer that says how wide the stacks
        of others are counts for these too. The loop stands behind the costliest two: by then its layers are compiled."""
        costs = {name: sum(self.kernels[kernel] for kernel in kernels) for name, kernels in self.layers.items()}
        tail = dict(costs)
        for node in reversed([*self._nodes.values()]):
            for p in self._stacked.intersection(node.params):
                tail[p] = max(tail[p], costs[p] + tail[node.name])
        steps = [name for name, node in self._nodes.items() if node.schedule == "step"]
        others = [*self._nodes.keys() - {*steps}, GUARDS]
        ordered = [sorted(names, key=lambda name: (-tail[name], name)) for names in (steps, others)]
        return [*ordered[0], *ordered[1][:2], *([STEP_LOOP] if steps else []), *ordered[1][2:]]
