"""Which configuration keys a layer reads: from its source and from the annotations of its carry."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from dataflows.carry import Axes, Bind
from dataflows.panel import fields_of, is_record, unwrap_generic
from dataflows.runtime.compile import python_of

_DIMENSIONS = frozenset({"N", "D", "table"})


class Read(NamedTuple):
    """One key that a layer reads."""

    domain: str | None  # None: a carry's axis names a key that is in no configuration the layer takes
    key: str
    place: str  # where, for a message


def reads_of(fn: Callable[..., Any], configs: Mapping[str, Any]) -> list[Read]:
    """Every configuration key that layer `fn` reads, whether it exists or not. configs: records or their classes, by name."""
    taken = [p for p in inspect.signature(fn).parameters if p in configs]
    found = [read for p in taken for read in _in_code(fn, p, p, configs, set())]
    carry = typing.get_type_hints(fn, include_extras=True).get("carry")
    if carry is not None:
        found += _in_carry(carry, {p: configs[p] for p in taken}, {}, "carry")
    return list(dict.fromkeys(found))


def _in_code(fn: Any, parameter: str, domain: str, configs: Mapping[str, Any], seen: set[tuple[int, str]]) -> list[Read]:
    """Keys read as `<parameter>.<key>`, also by functions of ours that the whole record is handed to."""
    fn = inspect.unwrap(python_of(fn))
    if (id(fn), parameter) in seen:
        return []
    seen.add((id(fn), parameter))
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
    record = configs[domain]
    keys: list[Read] = []
    explained: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is(node.value, parameter):
            explained.add(id(node.value))
            method = getattr(record, node.attr, None)
            if node.attr not in record._fields and inspect.isroutine(method):
                bare = getattr(method, "__func__", method)
                keys += _in_code(bare, next(iter(inspect.signature(bare).parameters)), domain, configs, seen)
            else:
                keys.append(Read(domain, node.attr, fn.__name__))
        elif isinstance(node, ast.Call):
            callee = called(node.func, fn)
            for position, argument in enumerate(node.args):
                if _is(argument, parameter) and callee is not None:
                    explained.add(id(argument))
                    name = list(inspect.signature(python_of(callee)).parameters)[position]
                    keys += _in_code(callee, name, domain, configs, seen)
            for keyword in node.keywords:
                if _is(keyword.value, parameter) and callee is not None and keyword.arg is not None:
                    explained.add(id(keyword.value))
                    keys += _in_code(callee, keyword.arg, domain, configs, seen)
    loose = any(
        _is(node, parameter) and isinstance(node.ctx, ast.Load) and id(node) not in explained for node in ast.walk(tree)
    )
    if loose:  # handed on in a way that is not followed: it may read anything
        keys += [Read(domain, key, fn.__name__) for key in record._fields]
    return keys


def _is(node: ast.AST, name: str) -> typing.TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id == name


def called(func: ast.expr, fn: Any) -> Any:
    """The function of ours that a call names; None for anything else."""
    target: Any = None
    if isinstance(func, ast.Name):
        target = fn.__globals__.get(func.id)
    elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        target = getattr(fn.__globals__.get(func.value.id), func.attr, None)
    bare = python_of(target) if target is not None else None
    return bare if inspect.isfunction(bare) and not bare.__module__.startswith(("numpy", "numba")) else None


def _in_carry(annotation: Any, taken: Mapping[str, Any], bound: Mapping[str, str | int], place: str) -> list[Read]:
    bound = dict(bound)
    found: list[Read] = []
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Bind):
            bound.update(meta.to)
    bare = unwrap_generic(annotation)
    if is_record(bare):
        for name, inner in fields_of(bare).items():
            found += _in_carry(inner, taken, bound, f"{place}.{name}")
        return found
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Axes):
            for axis in (*meta.names, *([meta.start] if isinstance(meta.start, str) else [])):
                found += _of_axis(axis, taken, bound, place)
    return found


def _of_axis(axis: str | int, taken: Mapping[str, Any], bound: Mapping[str, str | int], place: str) -> list[Read]:
    if isinstance(axis, int):
        return []
    if axis in bound:
        return _of_axis(bound[axis], taken, {k: v for k, v in bound.items() if k != axis}, place)
    if axis in _DIMENSIONS:
        return []
    call = re.fullmatch(r"(?:len|max)\((\S+)\)", axis)
    key = call[1] if call else axis
    head, _, tail = key.partition(".")
    if tail and head in taken:
        return [Read(head, tail, place)]
    homes = [domain for domain, record in taken.items() if key in record._fields]
    return [Read(homes[0] if homes else None, key, place)]


def unread(reads: Iterable[Read], configs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(domain, key) of every key that nothing reads."""
    read = {(r.domain, r.key) for r in reads}
    return [(domain, key) for domain, record in configs.items() for key in record._fields if (domain, key) not in read]
