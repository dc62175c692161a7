"""The outputs of one bar as two flat arrays, float64 and int64, and the records that look into them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np

from dataflows.panel import Floats, Ints, leaves, rebuild, walk
from dataflows.runtime.compile import fixed_kernel

nb: Any = numba  # its own annotations leave out what a compiler's user needs


def whole(flat: Any) -> Any:
    """A copy."""
    return flat.copy()


@functools.cache
def copier(dtype: str) -> Any:
    """`whole`, compiled for float64 or int64. It keeps Python's lock: another thread takes longer to give it back than this to
    copy a bar."""
    return fixed_kernel(whole, ((nb.float64 if dtype == "f8" else nb.int64)[::1],), nogil=False)


class Leaf(NamedTuple):
    """Where one array of a node's output lies: `start` to `stop` of the flat array of its dtype, of that shape."""

    node: str
    path: tuple[str, ...]
    dtype: str
    start: int
    stop: int
    shape: tuple[int, ...]


class Layout:
    """Where every array of the outputs lies. Leaves of one dtype and shape are neighbours, nodes in the order given.

    annotations: by node, what it returns; no logs. samples: values of one bar, by node. A leaf that is None in its sample has
    no place, and stays None.
    """

    def __init__(self, annotations: Mapping[str, Any], samples: Mapping[str, Any]) -> None:
        self.annotations = dict(annotations)
        found: dict[tuple[str, tuple[int, ...]], list[tuple[str, tuple[str, ...]]]] = {}
        self.paths = {name: [path for path, _ in walk(annotation)] for name, annotation in annotations.items()}
        for name, annotation in annotations.items():
            for (path, kind), value in zip(walk(annotation), leaves(samples[name]), strict=True):
                if value is not None:
                    found.setdefault((kind.dtype, np.shape(value)), []).append((name, path))
        self.size = {"f8": 0, "i8": 0}
        self.leaves: dict[tuple[str, tuple[str, ...]], Leaf] = {}
        for (dtype, shape), own in found.items():
            for name, path in own:
                start = self.size[dtype]
                self.size[dtype] = start + int(np.prod(shape))
                self.leaves[name, path] = Leaf(name, path, dtype, start, self.size[dtype], shape)

    def empty(self) -> tuple[Floats, Ints]:
        """Room for one bar."""
        return np.zeros(self.size["f8"]), np.zeros(self.size["i8"], np.int64)

    def view(self, leaf: Leaf | None, f8: Floats, i8: Ints) -> Any:
        """The array of a leaf, as a view."""
        if leaf is None:
            return None
        flat: Any = f8 if leaf.dtype == "f8" else i8
        return flat[leaf.start : leaf.stop].reshape(leaf.shape)

    def record(self, name: str, f8: Floats, i8: Ints) -> Any:
        """What a node returned, as views."""
        parts = (self.view(self.leaves.get((name, path)), f8, i8) for path in self.paths[name])
        return rebuild(self.annotations[name], parts)

    def of(self, name: str) -> list[Leaf]:
        """The leaves of a node, in order."""
        return [self.leaves[name, path] for path in self.paths[name] if (name, path) in self.leaves]


class FlatValues(Mapping[str, Any]):
    """Outputs by node, of which each is made when it is asked for. others: what has no place in the flat arrays, logs.

    order: the names, in graph order.
    """

    def __init__(self, layout: Layout, f8: Floats, i8: Ints, others: Mapping[str, Any], order: Sequence[str]) -> None:
        self.layout, self.f8, self.i8 = layout, f8, i8
        self._order = order
        self._made = dict(others)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            if name not in self.layout.paths:
                raise KeyError(name)
            self._made[name] = self.layout.record(name, self.f8, self.i8)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self.layout.paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)
