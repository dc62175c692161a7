"""Which fields of a record a layer reads, from its bytecode: to parse sources would take most of a plan's time."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import pathlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from dataflows.panel import is_record, walk
from dataflows.runtime.compile import python_of
from dataflows.runtime.kept import Notes, sources
from drivers.graph.layers import LayerNode

Path = tuple[str, ...]
HERE: Final = pathlib.Path(__file__).parent


def used_paths(fn: Callable[..., Any], parameter: str, record: Any) -> set[Path]:
    """Which leaves of `record` the function reads through `parameter`; all of them where it hands the record on."""
    every = [path for path, _ in walk(record)]
    read = chains(fn, parameter)
    return {p for p in every for c in read if p[: len(c)] == c[: len(p)]}


def reads(node: LayerNode, parameter: str) -> frozenset[Path]:
    """The leaves that a layer reads of one of its parameters; all where it hands the record on."""
    hint = node.hints[parameter]
    if not is_record(hint):
        return frozenset({()})
    own = dict(zip(node.params, node.fn.__code__.co_varnames, strict=False))[parameter]
    return frozenset(used_paths(node.fn, own, hint))


def _about() -> str:
    how = b"".join((HERE / name).read_bytes() for name in ("field_reads.py", "field_flow.py"))
    return f"field reads {hashlib.sha256(how).hexdigest()} {sources()} {sys.implementation.cache_tag}"


NOTES: Final = Notes(_about)
"""What was found out about the package's own layers; `NOTES.keep()` after a plan is made."""


def noted(fn: Callable[..., Any], parameter: str, what: str, make: Callable[[], Iterable[Path]]) -> set[Path]:
    """Some paths that a function reads through a parameter: out of the notes, where it is of the package."""
    plain = inspect.unwrap(python_of(fn))
    if not plain.__module__.startswith("dataflows.") or "<locals>" in plain.__qualname__:
        return set(make())
    name = f"{what} {plain.__module__}.{plain.__qualname__} {parameter}"
    return {tuple(path) for path in NOTES.get(name, lambda: sorted(make()))}


@functools.cache
def chains(fn: Callable[..., Any], parameter: str) -> frozenset[Path]:
    """Every `parameter.a.b` in the function, as (a, b); the empty chain where the parameter itself is handed on."""
    found = noted(fn, parameter, "chains", lambda: set(_in_code(inspect.unwrap(python_of(fn)).__code__, parameter)))
    return frozenset({()}) if () in found else frozenset(found)


def _in_code(code: types.CodeType, name: str) -> Iterator[Path]:
    """What follows each load of a name: in the code, and in the functions within it."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    shared = {*code.co_cellvars, *code.co_freevars}  # with functions within; a LOAD_FAST of one only hands its cell on
    for i, step in enumerate(steps):
        loaded = tuple(x for x in _loaded(step) if step.opname.startswith("LOAD_DEREF") or x not in shared)
        if name in loaded[:-1]:  # of two names that are loaded at once, what follows is about the last
            yield ()
        if loaded and loaded[-1] == name:
            chain = []
            for after in steps[i + 1 :]:
                if after.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                chain.append(str(after.argval))
            yield tuple(chain)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _in_code(constant, name)


def _loaded(step: dis.Instruction) -> tuple[str, ...]:
    """The names that an instruction loads, in order."""
    if step.opname == "STORE_FAST_LOAD_FAST":  # Python 3.13 joins the two
        return (step.argval[1],)
    if step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
        return step.argval if isinstance(step.argval, tuple) else (step.argval,)
    return ()
