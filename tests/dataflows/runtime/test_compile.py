"""The content cache: nothing stale is ever loaded, and a broken cache costs a compilation, not the run.

A package of two files is imported in one process, changed, and imported in the next, over the same cache folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from dataflows.runtime.compile import compilation_frozen, fingerprint, inner_kernel, kernel, python_of
from tests.dataflows.runtime.packages import BEFORE, Outcome, Package

CHANGED: dict[str, tuple[dict[str, tuple[str, str]], float]] = {
    "callee of a callee": ({"callee": ("x + 10.0", "x + 20.0")}, 10.0),
    "constant in another file, by name and as an attribute": ({"callee": ("LIMIT = 1.0", "LIMIT = 2.0")}, 100100.0),
    "tuple in another file": ({"callee": ("(1.0, 2.0)", "(1.0, 3.0)")}, 10000.0),
    "order of a record's fields in another file": (
        {"callee": ("    first: float\n    second: float", "    second: float\n    first: float")},
        0.0,
    ),
    "a record's new field in another file": (
        {"callee": ("    second: float\n", "    second: float\n    third: float = 0.0\n")},
        0.0,
    ),
    "own constant, same size and time of the file": ({"caller": ("+ 0.5", "+ 0.7")}, 0.2),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_change_anywhere_below_a_kernel_is_noticed(package: Package, case: str) -> None:
    change, difference = CHANGED[case]
    package.write(**change)
    after = package.run()
    package.write()
    assert not after.loaded and after.warnings == []
    assert after.value == pytest.approx(BEFORE + difference, abs=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"callee": ('"""Documented."""', '"""Documented otherwise."""')},
        {"callee": ("    return below(x)", "    # why\n\n    return  below( x )")},
    ],
    ids=["docstring", "white space and comment"],
)
def test_what_machine_code_does_not_hold_keeps_the_cache(package: Package, change: dict[str, tuple[str, str]]) -> None:
    package.write(**change)
    after = package.run()
    package.write()
    assert after == Outcome(BEFORE, True, [])


def test_a_changed_version_goes_back_to_its_own_code(package: Package) -> None:
    package.write(callee=("x + 10.0", "x + 30.0"))
    assert package.run().value == BEFORE + 20.0
    package.write()
    assert package.run() == Outcome(BEFORE, True, [])


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("keep", [0, 40])
def test_a_truncated_cache_file_costs_a_compilation(package: Package, suffix: str, keep: int) -> None:
    files = list(package.cache.rglob(f"*{suffix}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:keep])
    got = package.run()
    assert got.value == BEFORE and not got.loaded
    assert any("compiling anew" in w and str(package.cache) in w for w in got.warnings)
    assert package.run() == Outcome(BEFORE, True, [])  # and it is whole again


def test_an_unwritable_cache_folder_costs_the_cache_not_the_run(package: Package, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder can be below a file, whoever asks")
    got = package.run(file / "cache")
    assert got.value == BEFORE and not got.loaded
    assert any("machine code is not kept" in w for w in got.warnings)


@kernel
def _ring(x: Any, i: int) -> float:
    return float(x[i])


@kernel
def _twice(x: Any) -> float:
    return float(x * 2.0)


def test_an_index_past_the_end_is_an_error_and_not_a_neighbours_state() -> None:
    with pytest.raises(IndexError):
        _ring(np.zeros(3), 3)


def test_a_surprising_type_fails_by_name_while_compilation_is_frozen() -> None:
    assert _ring(np.arange(3.0), 1) == 1.0
    strided = np.arange(6.0)[::2]
    with compilation_frozen():
        assert _ring(np.arange(4.0), 2) == 2.0
        with pytest.raises(TypeError, match=r"array\(float64, 1d, A\)"):
            _ring(strided, 1)
    assert _ring(strided, 1) == 2.0


def test_the_plain_function_is_at_hand_and_prints_the_same() -> None:
    assert python_of(_twice)(3.0) == _twice(3.0) == 6.0
    assert python_of(python_of(_twice)) is python_of(_twice)
    assert fingerprint(_twice) == fingerprint(python_of(_twice)) != fingerprint(_ring)


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = "import json; from dataflows.kernels import window as w; from dataflows.runtime.compile import fingerprint as f; "
    code += "print(json.dumps([f(w.rolling_moments), f(w.rolling_sum)]))"
    seeds = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[3],
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert seeds[0] == seeds[1]


def test_code_without_an_entry_from_python_is_never_served_to_a_caller_from_python(tmp_path, monkeypatch):
    """Both forms of one function lie in the cache side by side: the first, called from Python, would end the process."""
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))

    def doubled(x: float) -> float:
        return x * 2.0

    inner_kernel(doubled).compile((numba.float64,))
    assert kernel(doubled)(1.5) == 3.0
    assert len(list(tmp_path.glob("machine-code/*/*.nbc"))) == 2


@kernel
def _shifted(x: int, by: int) -> int:
    return x + by


@kernel
def _calls_with_literals(x: int) -> int:
    return _shifted(x, 1) + _shifted(x, by=2) + _shifted(3, x)


def test_a_kernel_is_compiled_once_and_not_for_each_literal_number() -> None:
    assert _shifted(10, 1) == 11  # its own machine code, also where that of its caller comes from the cache
    assert _calls_with_literals(10) == 36
    assert len(_shifted.overloads) == 1  # type: ignore[attr-defined]
