"""Successive columnar layers of a single bar as one compiled function, generated from the graph as source.

Its layers are called by address, as the step stage's are. What a layer returns goes into a slot that the layers after it read;
at the end everything is copied into the flat arrays.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np

from dataflows.panel import Ints
from dataflows.runtime.compile import kernel
from drivers.engine.loop.address import address_of, by_address
from drivers.engine.loop.records import Lent, is_record, let_go, opener
from drivers.engine.one_bar.flat import Layout
from drivers.engine.one_bar.layers import native_layer
from drivers.engine.one_bar.places import at, copier, lent
from drivers.graph.layers import LayerNode

nb: Any = numba  # its own annotations leave out what a compiler's user needs


class Given(NamedTuple):
    """A value that lies in the frame: its type, and its first word."""

    kind: Any
    first: int


class Native(NamedTuple):
    """One layer that can be called: its compiled form, the types that it takes and returns, and where its arguments come from:
    the name of a layer of the same segment, or a place in the frame."""

    node: LayerNode
    layer: Any
    takes: tuple[Any, ...]
    returns: Any
    sources: tuple[str | Given, ...]


def compiled(node: LayerNode, sources: Sequence[str | Given], returned: Mapping[str, Any]) -> Native:
    """A layer, compiled or loaded. returned: types by name of the layers before it. Raises NotNativeError."""
    takes = tuple(lent(returned[x] if isinstance(x, str) else x.kind) for x in sources)
    layer = native_layer(node, takes)
    return Native(node, layer, takes, layer.overloads[takes].signature.return_type, tuple(sources))


def source_of(natives: Sequence[Native], nodes: Mapping[str, Sequence[str]]) -> str:
    """The source of a segment. nodes: by dtype, the layers that have leaves of it."""
    lines = [
        "# GENERATED from the graph: columnar layers of a single bar",
        f"# {' > '.join(n.node.layer_id for n in natives)}",
        "@kernel",
        "def segment(frame, address, flat_f8, flat_i8, where_f8, where_i8):",
    ]
    for i, native in enumerate(natives):
        name = native.node.name
        given = [f"v_{x}" if isinstance(x, str) else f"at_{i}_{j}(frame, {x.first})" for j, x in enumerate(native.sources)]
        slot = [f"open_{name}()"] if is_record(native.returns) else []
        lines.append(f"    v_{name} = _{name}({', '.join([f'address[{i}]', *slot, *given])})  # {native.node.layer_id}")
    for dtype, own in nodes.items():
        if own:
            lines.append(f"    copy_{dtype}(flat_{dtype}, where_{dtype}, {', '.join(f'v_{name}' for name in own)})")
    lines += [f"    let_go(v_{n.node.name})" for n in natives if is_record(n.returns)]
    return "\n".join([*lines, ""])


class Segment:
    """Layers that run one after the other without Python between them."""

    def __init__(self, natives: Sequence[Native], layout: Layout) -> None:
        self.addresses: Ints = np.array([address_of(n.layer, n.takes) for n in natives], np.int64)
        self.nodes = [n.node for n in natives]
        returned = {n.node.name: lent(n.returns) for n in natives}
        leaves = {d: [x for n in self.nodes for x in layout.of(n.name) if x.dtype == d] for d in ("f8", "i8")}
        own = {d: list(dict.fromkeys(x.node for x in found)) for d, found in leaves.items()}
        self.where = [
            np.array([(x.start, x.stop - x.start) for x in found] or np.empty((0, 2)), np.int64) for found in leaves.values()
        ]
        namespace: dict[str, Any] = {"kernel": kernel, "let_go": let_go}
        for i, n in enumerate(natives):
            for j, x in enumerate(n.sources):
                if not isinstance(x, str):
                    namespace[f"at_{i}_{j}"] = at(f"at_{i}_{j}", x.kind)
            namespace[f"_{n.node.name}"] = by_address(n.node.name, n.returns, n.takes, Lent)
            if is_record(n.returns):
                namespace[f"open_{n.node.name}"] = opener(f"open_{n.node.name}", n.returns, Lent)
        for dtype, element in (("f8", nb.float64), ("i8", nb.int64)):
            given = tuple(returned[name] for name in own[dtype])
            places = [(own[dtype].index(x.node), x.path) for x in leaves[dtype]]
            namespace[f"copy_{dtype}"] = copier(f"copy_{dtype}", element, given, places)
        self.source = source_of(natives, own)
        self._call = _executed(self.source, namespace)

    def run(self, frame: Ints, f8: Any, i8: Any) -> None:
        """Runs the layers of one bar. frame: where they find what they take. f8, i8: where their outputs go."""
        self._call(frame, self.addresses, f8, i8, *self.where)


def _executed(source: str, namespace: Mapping[str, Any]) -> Callable[..., None]:
    name = f"stratoquant_bar_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    module = sys.modules[name] = ModuleType(name)  # numba looks a cached function's module up by name
    module.__dict__.update(namespace)
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
    exec(compile(source, file, "exec"), module.__dict__)
    made: Callable[..., None] = module.__dict__["segment"]
    return made
