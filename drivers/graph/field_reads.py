"""Which fields of a record a layer reads, from its source."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from dataflows.panel import walk

Path = tuple[str, ...]


def used_paths(fn: Callable[..., Any], parameter: str, record: Any) -> set[Path]:
    """Which leaves of `record` the function reads through `parameter`; all of them where it hands the record on."""
    every = [path for path, _ in walk(record)]
    read = chains(fn, parameter)
    return {p for p in every for c in read if p[: len(c)] == c[: len(p)]}


@functools.cache
def chains(fn: Callable[..., Any], parameter: str) -> frozenset[Path]:
    """Every `parameter.a.b` in the function, as (a, b); the empty chain where the parameter itself is handed on."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
    except OSError:  # a function with no source file
        return frozenset({()})
    inner: set[int] = set()
    found: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain: list[str] = []
            at: ast.expr = node
            while isinstance(at, ast.Attribute):
                inner.add(id(at))
                chain.append(at.attr)
                at = at.value
            if isinstance(at, ast.Name) and at.id == parameter:
                inner.add(id(at))
                found.add(tuple(reversed(chain)))
    whole = any(
        isinstance(node, ast.Name) and node.id == parameter and isinstance(node.ctx, ast.Load) and id(node) not in inner
        for node in ast.walk(tree)
    )
    return frozenset({()}) if whole else frozenset(found)
