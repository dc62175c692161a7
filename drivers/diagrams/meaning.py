"""What each field that a layer gives means, and the names of its codes.

The types of the layers carry a comment beside each field (`verdict: IntPanel  # a VERDICTS code`). It is the one place where a
field is explained, so it is read from there, and with it the names of the codes.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from dataflows.carry import Axes
from dataflows.panel import Kind, fields_of, is_log, is_record, kind_of
from drivers.graph.columns import carried_kind
from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import load
from drivers.project.locate import Project

_CONSTANT: Final = r"[A-Z][A-Z0-9_]+"
_LISTED: Final = re.compile(rf"{_CONSTANT}(?: \([^)]*\))?(?:, {_CONSTANT}(?: \([^)]*\))?)+")


class Codes(NamedTuple):
    """What the numbers of a field stand for. mask: bit i has the name i; else the value has the name. time: UTC ns."""

    names: dict[int, str]
    mask: bool = False
    time: bool = False


class Leaf(NamedTuple):
    """One field that a layer gives. path: its names from the record inwards; about: the comment beside it."""

    path: tuple[str, ...]
    kind: Kind
    about: str
    codes: Codes | None


class Meaning(NamedTuple):
    """What a layer returns. record: the record's name and its own description; log: its entries vary in number."""

    record: str
    log: bool
    leaves: dict[str, Leaf]  # by dotted path; "" for a bare panel


def meanings(project: Project) -> dict[str, Meaning]:
    """What every layer of a project returns, by node name. Imports all layers."""
    nodes = graph_of(layer_modules(project), load(project.wiring).variants)
    return {name: meaning_of(node.returns) for name, node in nodes.items()}


def meaning_of(annotation: Any) -> Meaning:
    """What a return annotation says."""
    said = annotation.__name__ if is_record(annotation) else ""
    if said and not (annotation.__doc__ or "").startswith(f"{said}("):  # not the text that a NamedTuple gives itself
        said = f"{said}. {inspect.cleandoc(annotation.__doc__ or '')}".strip()
    return Meaning(said, is_log(annotation), {".".join(leaf.path): leaf for leaf in leaves_of(annotation)})


def leaves_of(annotation: Any, path: tuple[str, ...] = (), about: str = "", home: str = "") -> Iterator[Leaf]:
    """Every leaf of what a layer returns, with what the types say of it."""
    if not is_record(annotation):
        yield Leaf(path, _kind(annotation), about, codes_of(about, vars(sys.modules[home])) if home else None)
        return
    comments = comments_of(annotation)
    for name, inner in fields_of(annotation).items():
        yield from leaves_of(inner, (*path, name), comments.get(name, ""), annotation.__module__)


def _kind(annotation: Any) -> Kind:
    """A layer's own kind; that of its columns where it is an epoch layer's array with axes of its own."""
    carried = any(isinstance(meta, Axes) for meta in getattr(annotation, "__metadata__", ()))
    return carried_kind(annotation)[0] if carried else kind_of(annotation)


@functools.cache
def comments_of(record: type[Any]) -> dict[str, str]:
    """The comment beside each field of a record; none for a record whose source is not there."""
    try:
        source = textwrap.dedent(inspect.getsource(record))
    except (OSError, TypeError):
        return {}
    notes = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    body = ast.parse(source).body[0]
    fields = [
        each for each in getattr(body, "body", ()) if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    return {
        field.target.id: " ".join(
            notes[line] for line in range(field.lineno, (field.end_lineno or field.lineno) + 1) if line in notes
        )
        for field in fields
        if isinstance(field.target, ast.Name)
    }


def codes_of(about: str, names: Mapping[str, Any]) -> Codes | None:
    """The codes that a field's comment speaks of; None where it speaks of none. names: those of the module of the record.

    `a VERDICTS code`, `a REGIMES index, -1 unknown`, `bit mask of REASONS: ...` name a tuple of names; `DOWN, SIDEWAYS, UP`
    lists constants; `UTC ns` is a time.
    """
    listed = _LISTED.match(about)
    if listed:
        constants = {name: names.get(name) for name in re.findall(rf"{_CONSTANT}(?=,|$| \()", listed[0])}
        if all(isinstance(value, int) for value in constants.values()):
            return Codes({int(value): name.removesuffix("_SIDE") for name, value in constants.items() if value is not None})
    for name in re.findall(rf"\b{_CONSTANT}\b", about):
        table = names.get(name)
        if isinstance(table, tuple) and table and all(isinstance(word, str) for word in table):
            none = re.search(r"-1:? (\w+)", about)
            extra = {-1: none[1].upper()} if none else {}
            return Codes(extra | dict(enumerate(table)), mask=bool(re.search(r"\bmask\b", about)))
    return Codes({}, time=True) if re.search(r"\bUTC ns\b", about) else None
