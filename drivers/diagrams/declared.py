"""What the source files of the layers declare, read without importing them: a picture needs no compiler.

A file `dataflows/<domain>/l<id>_*.py`, or `layers/<domain>/l<id>_*.py` of a project, is one layer. The parameters of its
function under `@layer` are its edges. Hamilton expands the same: tests/drivers/diagrams/test_declared.py compares the two.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dataflows
from drivers.project.locate import Project
from drivers.project.own_layers import PACKAGE, own_layer_files

_HOME = Path(dataflows.__file__).parent


class GraphError(ValueError):
    """The graph cannot be shown as asked. The message names the layer, file or option, and what to do."""


class Declared(NamedTuple):
    """A layer, as its file has it."""

    name: str
    layer_id: str
    domain: str
    schedule: str
    cross_sectional: bool
    parameters: tuple[str, ...]  # as the function names them, its `carry` and configurations included
    title: str  # first line of the file's docstring
    method: str  # the function's docstring
    module: str
    file: Path
    line: int
    code: str  # the whole file


def declared_layers(variants: Mapping[str, str], project: Project | None = None) -> dict[str, Declared]:
    """Every layer under these variants by node name, in order of domain and id. project: whose own layers count too.

    Raises GraphError for a file that is not Python, and ProjectError as `own_layer_files`.
    """
    files = [(path, "dataflows") for path in sorted(_HOME.glob("*/l*.py"))]
    files += [] if project is None else [(path, PACKAGE) for path in own_layer_files(project)]
    found = [layer for path, package in files for layer in _in_file(path, package, variants)]
    return {layer.name: layer for layer in sorted(found, key=lambda d: (d.domain, int(d.layer_id[1:])))}


def configured_domains() -> frozenset[str]:
    """The domains that have a configuration: a parameter of that name is no edge."""
    return frozenset(path.parent.name for path in _HOME.glob("*/config.py"))


def _in_file(path: Path, package: str, variants: Mapping[str, str]) -> list[Declared]:
    if not re.fullmatch(r"l\d{1,3}_\w+", path.stem):
        return []
    code = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise GraphError(f"{path}, line {error.lineno}: {error.msg}; the graph cannot be read until it is Python.") from None
    found = []
    for fn in tree.body:
        if not isinstance(fn, ast.FunctionDef):
            continue
        calls = {d.func.id: d for d in fn.decorator_list if isinstance(d, ast.Call) and isinstance(d.func, ast.Name)}
        if "layer" not in calls or any(variants.get(k) != v for k, v in _keywords(calls.get("variant")).items()):
            continue
        said = _keywords(calls["layer"])
        layer_id: Any = ast.literal_eval(calls["layer"].args[0]) if calls["layer"].args else said["layer_id"]
        found.append(
            Declared(
                fn.name.partition("__")[0],
                layer_id,
                path.parent.name,
                said.get("schedule", "columnar"),
                said.get("cross_sectional", False),
                tuple(a.arg for a in (*fn.args.posonlyargs, *fn.args.args, *fn.args.kwonlyargs)),
                _title(ast.get_docstring(tree) or fn.name, layer_id),
                ast.get_docstring(fn) or "",
                f"{package}.{path.parent.name}.{path.stem}",
                path,
                min(d.lineno for d in fn.decorator_list),
                code,
            )
        )
    return found


def _keywords(call: ast.Call | None) -> dict[str, Any]:
    """What a decorator says, without the functions that it names."""
    said = [] if call is None else [k for k in call.keywords if not isinstance(k.value, (ast.Name, ast.Attribute))]
    return {k.arg: ast.literal_eval(k.value) for k in said if k.arg is not None}


def _title(docstring: str, layer_id: str) -> str:
    line = docstring.strip().splitlines()[0].removeprefix(f"{layer_id}:").strip()
    return line[:1].upper() + line[1:]
