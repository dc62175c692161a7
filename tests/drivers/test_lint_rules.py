"""No file of `dataflows` holds what gives other bits compiled than plain, or chunk against chunk, or does I/O."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest
from numba.core.dispatcher import Dispatcher

from dataflows.runtime.compile import python_of
from tests.drivers.lint_walk import allocations, compiled_functions, crowded_calls, slips
from tests.properties.graph import plan_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dataflows").rglob("*.py"))

EXEMPT: Final[dict[str, str]] = {
    "dataflows/runtime/compile.py": "it makes @kernel out of numba's own",
}
"""File to the reason why the rules do not hold for it."""


def test_the_exemptions_are_counted() -> None:
    assert len(EXEMPT) == 1
    assert all((ROOT / name).is_file() for name in EXEMPT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_of_dataflows_slips(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name in EXEMPT:
        assert slips(path.read_text()), f"{name} needs no exemption any more"
        return
    found = "\n".join(f"{name}:{line}: {message}" for line, message in slips(path.read_text()))
    assert not found, f"\n{found}"


def kernel(body: str) -> str:
    return f"@kernel\ndef _k(x, y, state):\n    return {body}\n"


def step(body: str) -> str:
    return f'@layer("L91", schedule="step")\ndef l91_x(x, y):\n    """Doc."""\n    return {body}\n'


def columnar(body: str) -> str:
    return f'@layer("L12")\ndef l12_x(x, y):\n    """Doc."""\n    return {body}\n'


COMPILED = [
    ("np.sum(x)", "sums in pairs"),
    ("x.sum()", "sums in pairs"),
    ("np.mean(x)", "sums in pairs"),
    ("np.std(x)", "sums in pairs"),
    ("np.nansum(x, axis=-1)", "sums in pairs"),
    ("sum(x)", "compensated from Python 3.12"),
    ("x**2.0", "write x * x"),
    ("np.power(x, 2.0)", "write x * x"),
    ("math.pow(x, 2.0)", "write it out"),
    ("x @ y", "is BLAS"),
    ("np.dot(x, y)", "is BLAS"),
    ("np.tanh(x)", "use math.tanh"),
    ("round(x)", "math.floor"),
    ("np.round(x)", "math.floor"),
    ("np.argsort(x)", 'kind="mergesort"'),
    ("x.argsort()", 'kind="mergesort"'),
    ('np.argsort(x, kind="quicksort")', 'kind="mergesort"'),
    ("np.cumsum(x)", "rolling_sum"),
]


@pytest.mark.parametrize(("body", "message"), COMPILED)
@pytest.mark.parametrize("where", [kernel, step])
def test_a_trap_in_compiled_code_is_found(where: object, body: str, message: str) -> None:
    assert callable(where)
    source = where(body)
    (found,) = slips(source)
    assert message in found.message
    assert found.line == source.count("\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("np.sum(x, axis=0)", "over any axis but the last"),
        ("x.mean()", "over any axis but the last"),
        ("np.tanh(x)", "tanh_panel"),
        ("x @ y", "is BLAS"),
        ("np.einsum('tn,n->t', x, y)", "write the loop"),
        ("x**2", "write x * x"),
    ],
)
def test_a_trap_in_a_columnar_layer_is_found(body: str, message: str) -> None:
    (found,) = slips(columnar(body))
    assert message in found.message


def test_a_field_of_a_record_in_a_loop_over_bars_is_found() -> None:
    source = (
        "@kernel\ndef _k(x, state):\n    for t in range(3):\n        while x < state.low[t]:\n            x += state.a.b[t]\n"
    )
    assert [(found.line, found.message.partition(" ")[0]) for found in slips(source)] == [
        (4, "state.low[...]"),
        (5, "state.a.b[...]"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "@kernel\ndef _k(x, state):\n    low = state.low\n    for t in range(x.shape[0]):\n        x[t] = low[t]\n",
        "@kernel\ndef _k(x, all):\n    for t in range(3):\n        one = pick(all, t)\n        x[t] = one.low[t]\n",
        "@kernel\ndef _k(x, state):\n    for n in range(state.low.shape[0]):\n        x[n] = 0.0\n    return state.low[0]\n",
    ],
)
def test_a_field_that_is_taken_out_above_or_made_in_the_loop_is_left_alone(source: str) -> None:
    assert slips(source) == []


@pytest.mark.parametrize(
    "source",
    [
        kernel("math.tanh(x) * math.exp(y) + x * x"),
        kernel('np.argsort(x, kind="mergesort")'),
        step("x + y"),
        columnar("np.sum(x, axis=-1)"),
        columnar("np.log(x) + np.where(np.isnan(x), y, np.clip(x, 0.0, 1.0))"),
        "def test_oracle(x):\n    return np.sum(x) ** 2\n",
    ],
)
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert slips(source) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = open('a')", "open() is I/O"),
        ("print(1)", "print() is I/O"),
        ("from dataflows.risk.l4_risk_gate import l4_risk_gate", "layers meet in the graph"),
        ("from dataflows.risk import l4_risk_gate", "layers meet in the graph"),
        ("import numba as nb\n@nb.njit(cache=True)\ndef _f(x): return x", "use @kernel"),
        ("from numba import njit", "use @kernel"),
        ("from numba.core.registry import CPUDispatcher", "use @kernel"),
    ],
)
def test_a_trap_anywhere_in_a_file_is_found(source: str, message: str) -> None:
    assert message in slips(source)[0].message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import numpy as np\n\nX = np.cumsum([1.0])\n", "`numpy.cumsum` is banned"),
        ("import numpy as np\n\nX = np.random.default_rng(1)\n", "`numpy.random` is banned"),
        ("import pandas as pd\n\nX = pd.read_parquet('x')\n", "`pandas.read_parquet` is banned"),
        ("import time\n\nX = time.time()\n", "`time.time` is banned"),
        ("from datetime import UTC, datetime\n\nX = datetime.now(UTC)\n", "`datetime.datetime.now` is banned"),
        ("from datetime import datetime\n\nX = datetime.now()\n", "DTZ005"),
        ("from pathlib import Path\n\nX = open(Path('x'))\n", "PTH123"),
    ],
)
def test_ruff_refuses_what_a_pure_layer_may_not_do(source: str, message: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "-"]
    command += ["--stdin-filename", "dataflows/risk/planted.py"]
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    assert message in done.stdout


def test_a_driver_may_read_the_clock() -> None:
    source = "from datetime import UTC, datetime\n\nX = datetime.now(UTC)\n"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "-", "--stdin-filename", "drivers/planted.py"]
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("np.zeros(x)", "fresh(n, value)"),
        ("np.empty((2, x))", "fresh(n, value)"),
        ("np.full(x, 1.0)", "fresh(n, value)"),
        ("y.copy()", "copied(row)"),
    ],
)
def test_a_step_layer_that_takes_from_the_heap_is_found(body: str, message: str) -> None:
    (found,) = slips(step(body))
    assert message in found.message
    assert slips(kernel(body)) == []  # panels are made once a chunk


def test_no_kernel_that_a_step_layer_calls_takes_from_the_heap() -> None:
    found = []
    for node in plan_of().stage["step"]:
        for fn in reached(node.fn):
            source, first = inspect.getsourcelines(fn)
            for line, message in allocations(ast.parse(textwrap.dedent("".join(source)))):
                found.append(f"{inspect.getsourcefile(fn)}:{first + line - 1}: {node.layer_id} calls {fn.__name__}: {message}")
    assert not found, "\n" + "\n".join(found)


def reached(fn: Any) -> set[Any]:
    """The kernels that a function calls, and those that they call."""
    called: set[Any] = set()
    todo = [fn]
    while todo:
        code, names = todo[-1].__code__, todo.pop().__globals__
        for kernel_ in (names[n] for n in code.co_names if isinstance(names.get(n), Dispatcher)):
            if python_of(kernel_) not in called:
                called.add(python_of(kernel_))
                todo.append(python_of(kernel_))
    return called


def test_the_kernels_of_a_step_layer_are_found_through_those_that_call_them() -> None:
    fills = next(n for n in plan_of().stage["step"] if n.layer_id == "L90")
    assert {"in_path", "fill", "close_out", "report"} <= {fn.__name__ for fn in reached(fills.fn)}


def test_what_a_domain_takes_from_another_is_its_types_alone() -> None:
    """Layers take values from the graph; what they import of another domain is the shape of those values, and codes."""
    allowed = {"types"}
    found = []
    for path in FILES:
        home = path.parent.name
        for node in ast.walk(ast.parse(path.read_text())):
            match = re.fullmatch(r"dataflows\.(\w+)\.(\w+)", node.module or "") if isinstance(node, ast.ImportFrom) else None
            if (
                match
                and (ROOT / "dataflows" / match[1]).is_dir()
                and match[1] not in (home, "kernels", "runtime")
                and match[2] not in allowed
            ):
                found.append(
                    f"{path.relative_to(ROOT)}:{node.lineno}: imports {match[0]}; another domain gives its types alone"
                )
    assert not found, "\n" + "\n".join(found)


def test_no_call_of_a_compiled_function_can_be_mixed_up() -> None:
    """A swap of two panels among many arguments passes mypy, numba and the guards."""
    files = [*FILES, *sorted((ROOT / "drivers").rglob("*.py"))]
    compiled = {name for path in files for name in compiled_functions(path.read_text())}
    assert {"propose", "kinematic_state"} <= compiled
    lines = [
        f"{path.relative_to(ROOT)}:{line}: {message}"
        for path in files
        for line, message in crowded_calls(path.read_text(), compiled)
    ]
    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("_k(a, b, c, d, e, f, g, h, i)", "_k() takes 9 arguments by position"),
        ("module._k(a, b, c, d, e, f, g, h, i, last=j)", "_k() takes 9 arguments by position"),
        ("_k(*panels)", "_k(*...) hides which argument is which"),
    ],
)
def test_a_call_that_can_be_mixed_up_is_found(call: str, message: str) -> None:
    source = kernel("x") + f"y = {call}\n"
    (found,) = crowded_calls(source, compiled_functions(source))
    assert found.line == source.count("\n")
    assert message in found.message


@pytest.mark.parametrize(
    "call", ["_k(a, b, c, d, e, f, g, h)", "_k(a, b, c, d, e, f, g, h, last=i)", "other(a, b, c, d, e, f, g, h, i)"]
)
def test_a_call_that_names_its_arguments_is_left_alone(call: str) -> None:
    source = kernel("x") + f"y = {call}\n"
    assert list(crowded_calls(source, compiled_functions(source))) == []
