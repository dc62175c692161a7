"""Which fields of a record a layer reads in the end: through local names, and in the functions that it calls."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dataflows.panel import fields_of, is_record, unwrap_generic
from drivers.graph.config_reads import called
from drivers.graph.field_reads import Path, noted


def fields_read(fn: Callable[..., Any], parameter: str, record: Any) -> set[Path]:
    """The leaves of `record` that `fn` reads through `parameter`; all that are below a part that cannot be followed."""
    every = list(_leaves(record))
    read = noted(
        fn, parameter, f"parts of {record.__module__}.{record.__qualname__}", lambda: set(_parts(fn, parameter, record, set()))
    )
    known = {_known(record, part) for part in read}
    return {leaf for leaf in every for part in known if leaf[: len(part)] == part[: len(leaf)]}


def _known(record: Any, part: Path) -> Path:
    """A part without what is no field: a property or a method of a record may read any of its fields."""
    for depth, name in enumerate(part):
        if is_record(record) and name not in fields_of(record):
            return part[:depth]
        record = _at(record, (name,))
    return part


def _leaves(record: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of a record's leaves, whatever these are."""
    if is_record(record):
        for name, inner in fields_of(record).items():
            yield from _leaves(unwrap_generic(inner), (*path, name))
    else:
        yield path


def _parts(fn: Any, parameter: str, record: Any, seen: set[tuple[int, str]]) -> Iterator[Path]:
    """The parts of the record that are read, or handed on where nobody can follow."""
    fn = inspect.unwrap(getattr(fn, "py_func", fn))
    if (id(fn), parameter) in seen:
        return
    seen.add((id(fn), parameter))
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    names = _aliases(tree, parameter, record)
    done: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            done.update(
                id(value) for target, value in _pairs(node) if _named(target) in names and _path(value, names) is not None
            )
        elif isinstance(node, ast.Call):
            callee = called(node.func, fn)
            for name, argument in _arguments(node, callee):
                path = _path(argument, names)
                part = None if path is None else _at(record, path)
                if path is not None and is_record(part):
                    done.add(id(argument))
                    for deeper in _parts(callee, name, part, seen):
                        yield (*path, *deeper)
    for node in ast.walk(tree):
        if id(node) in done:
            done.update(id(inner) for inner in ast.walk(node))
            continue
        path = _path(node, names) if isinstance(node, (ast.Name, ast.Attribute)) else None
        if path is not None and isinstance(node.ctx, ast.Load):  # type: ignore[attr-defined]
            done.update(id(inner) for inner in ast.walk(node))
            yield path


def _aliases(tree: ast.AST, parameter: str, record: Any) -> dict[str, Path]:
    """The local names that stand for the record or for a part of it that is a record itself."""
    names: dict[str, Path] = {parameter: ()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node):
                path, name = _path(value, names), _named(target)
                if name and path is not None and is_record(_at(record, path)):
                    names[name] = path
    return names


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to what, tuples taken apart."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value


def _named(target: ast.expr) -> str:
    return target.id if isinstance(target, ast.Name) else ""


def _path(node: ast.AST, names: Mapping[str, Path]) -> Path | None:
    """The part of the record that `name.a.b` is; None where the name stands for none."""
    chain: list[str] = []
    while isinstance(node, ast.Attribute):
        chain.append(node.attr)
        node = node.value
    return (*names[node.id], *reversed(chain)) if isinstance(node, ast.Name) and node.id in names else None


def _at(record: Any, path: Path) -> Any:
    for name in path:
        record = unwrap_generic(fields_of(record).get(name)) if is_record(record) else None
    return record


def _arguments(node: ast.Call, callee: Any) -> Iterator[tuple[str, ast.expr]]:
    """Name of the parameter and value of each argument of a call of ours; none of a call of anything else."""
    if callee is None:
        return
    parameters = list(inspect.signature(callee).parameters)
    yield from zip(parameters, node.args, strict=False)
    yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg is not None)
