"""What ruff cannot express: which code of `dataflows` would give other bits compiled than plain, or chunk against chunk."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

REDUCTIONS: Final = frozenset(
    {"sum", "mean", "std", "var", "prod", "average", "nansum", "nanmean", "nanstd", "nanvar", "nanprod", "cumprod", "trace"}
)
UNSTABLE: Final = frozenset({"argsort", "sort", "argpartition", "partition"})
HEAP: Final = frozenset(
    {"empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like", "array", "copy"}
)
COMPILERS: Final = frozenset({"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil"})
POWERS: Final = frozenset({"power", "float_power"})
ALWAYS: Final = {
    "tanh": "np.tanh differs between compiled and plain: use math.tanh, or tanh_panel",
    "einsum": "np.einsum sums in another order for other shapes: write the loop",
    "dot": "np.dot is BLAS and sums in another order for other shapes: write the loop",
    "matmul": "np.matmul is BLAS and sums in another order for other shapes: write the loop",
    "cumsum": "differences of np.cumsum change with the chunking: use rolling_sum",
    "round": "np.round rounds otherwise when compiled: use math.floor(x + 0.5)",
    "rint": "np.rint rounds otherwise when compiled: use math.floor(x + 0.5)",
    "around": "np.around rounds otherwise when compiled: use math.floor(x + 0.5)",
}

MOST_POSITIONAL: Final = 8
"""Arguments that a call of a compiled function may hand over by position: beyond, a swap of two arrays goes unnoticed."""


class Slip(NamedTuple):
    """One place that breaks a rule."""

    line: int
    message: str


def slips(source: str) -> list[Slip]:
    """Every slip in one file of `dataflows`, by line."""
    tree = ast.parse(source)
    found = set(_everywhere(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            kind = _kind(node)
            if kind is not None:
                found.update(_inside(node, looped=kind != "panel"))
            if kind == "step":
                found.update(allocations(node))
            if kind == "kernel":
                found.update(mentions(node))
    return sorted(found)


def allocations(fn: ast.AST) -> Iterator[Slip]:
    """What a step layer, or a kernel that one calls, takes from the heap in every bar."""
    for node in ast.walk(fn):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in HEAP:
            instead = "copied(row)" if node.func.attr == "copy" else "fresh(n, value)"
            yield Slip(node.lineno, f"{node.func.attr}() takes from the heap in every bar: use {instead} of runtime/scratch.py")


def mentions(fn: ast.AST) -> Iterator[Slip]:
    """`record.field[...]` inside of a loop over bars (`for t in ...`), which builds the array anew in each bar, where the record is
    made outside of it."""
    for loop in ast.walk(fn):
        if not (isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and loop.target.id == "t"):
            continue
        inside = [node for part in loop.body for node in ast.walk(part)]
        made = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in inside:
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr != "shape":
                root: ast.expr = node.value
                while isinstance(root, ast.Attribute):
                    root = root.value
                if isinstance(root, ast.Name) and root.id not in made:
                    field = ast.unparse(node.value)
                    yield Slip(
                        node.lineno, f"{field}[...] in a loop over bars: take the array out of its record above, x = {field}"
                    )


def compiled_functions(source: str) -> set[str]:
    """Names of the kernels that a file defines."""
    return {n.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and _kind(n) == "kernel"}


def crowded_calls(source: str, compiled: Collection[str]) -> Iterator[Slip]:
    """Calls of one of the `compiled` functions with more than eight positional arguments, or with a tuple unpacked into them."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        )
        if name not in compiled:
            continue
        if any(isinstance(a, ast.Starred) for a in node.args):
            yield Slip(node.lineno, f"{name}(*...) hides which argument is which: name them")
        elif len(node.args) > MOST_POSITIONAL:
            yield Slip(
                node.lineno, f"{name}() takes {len(node.args)} arguments by position: name them, or group them in a record"
            )


def _kind(fn: ast.FunctionDef) -> str | None:
    """ "kernel"; "step" for step layers, which run compiled as kernels do; "panel" for other layers; None for the rest."""
    for decorator in fn.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        if name in ("kernel", "inner_kernel"):
            return "kernel"
        if name == "layer" and isinstance(decorator, ast.Call):
            schedules = [k.value for k in decorator.keywords if k.arg == "schedule"]
            return "step" if any(isinstance(s, ast.Constant) and s.value == "step" for s in schedules) else "panel"
    return None


def _everywhere(tree: ast.AST) -> Iterator[Slip]:
    """I/O and layers that know layers, wherever in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "input", "print"):
            yield Slip(node.lineno, f"{node.func.id}() is I/O: dataflows has none")
        if isinstance(node, ast.ImportFrom) and node.module and re.fullmatch(r"dataflows\.\w+\.l\d+_\w+", node.module):
            yield Slip(node.lineno, f"imports layer {node.module}: layers meet in the graph, as parameters")
        if isinstance(node, ast.ImportFrom) and node.module and re.fullmatch(r"dataflows\.\w+", node.module):
            for alias in node.names:
                if re.fullmatch(r"l\d+_\w+", alias.name):
                    yield Slip(node.lineno, f"imports layer {alias.name}: layers meet in the graph, as parameters")
        if isinstance(node, ast.Attribute) and node.attr in COMPILERS and _owner(node) in ("nb", "numba"):
            yield Slip(node.lineno, f"numba.{node.attr} has numba's own cache and options: use @kernel")
        if isinstance(node, ast.ImportFrom) and node.module in ("numba", "numba.core.registry", "numba.core.dispatcher"):
            yield Slip(node.lineno, "numba is for dataflows/runtime/compile.py alone: use @kernel")


def _owner(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def _inside(fn: ast.FunctionDef, *, looped: bool) -> Iterator[Slip]:
    """Bit traps. looped: the function runs compiled, so that even a whole reduction differs from its plain form."""
    for node in ast.walk(fn):
        if isinstance(node, ast.BinOp | ast.AugAssign):
            if isinstance(node.op, ast.Pow):
                yield Slip(node.lineno, "** differs between compiled and plain: write x * x, or math.exp(y * math.log(x))")
            if isinstance(node.op, ast.MatMult):
                yield Slip(node.lineno, "@ is BLAS and sums in another order for other shapes: write the loop")
        if isinstance(node, ast.Call):
            yield from _call(node, looped)


def _call(node: ast.Call, looped: bool) -> Iterator[Slip]:
    if isinstance(node.func, ast.Name):
        if node.func.id == "round":
            yield Slip(node.lineno, "round() rounds otherwise when compiled: use math.floor(x + 0.5)")
        if node.func.id == "sum":
            yield Slip(
                node.lineno, "sum() of floats is compensated from Python 3.12 on and plain when compiled: write the loop"
            )
        return
    if not isinstance(node.func, ast.Attribute):
        return
    name, owner = node.func.attr, _owner(node.func)
    if owner == "math":
        if name in ("pow", "fsum"):
            yield Slip(node.lineno, f"math.{name} differs between compiled and plain: write it out")
        return
    if name in ALWAYS:
        yield Slip(node.lineno, ALWAYS[name])
    elif name in POWERS:
        yield Slip(node.lineno, f"np.{name} differs between compiled and plain: write x * x, or math.exp(y * math.log(x))")
    elif name in REDUCTIONS:
        axis = next((k.value for k in node.keywords if k.arg == "axis"), None)
        last = isinstance(axis, ast.UnaryOp) and isinstance(axis.op, ast.USub)  # axis=-1: the last of a C-ordered panel is safe
        if looped:
            yield Slip(node.lineno, f"{name} sums in pairs when plain and in a row when compiled: write the loop")
        elif not last:
            yield Slip(node.lineno, f"{name} over any axis but the last (axis=-1) sums in another order for other chunks")
    elif name in UNSTABLE:
        kind = next((k.value for k in node.keywords if k.arg == "kind"), None)
        if not (isinstance(kind, ast.Constant) and kind.value in ("stable", "mergesort")):
            yield Slip(node.lineno, f'{name} without kind="mergesort" orders ties in any way')
