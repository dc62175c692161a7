"""Machine code that a package brings along: used where it fits, and refused where it is damaged, foreign or for another machine."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import pytest

from dataflows.runtime import shipped
from dataflows.runtime.compile import NotCompiledError, kernel, loading_only, shipping_to

pytestmark = pytest.mark.skipif(
    llvmlite.binding.get_process_triple() != shipped.TRIPLE or not shipped.runs_here(), reason=f"needs {shipped.TARGET}, Linux"
)


def tripled(x: float) -> float:
    return x * 3.0


def halved(x: float) -> float:
    return x / 2.0


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package's folder with the machine code of `tripled`, and an empty cache."""
    folder = tmp_path / "machine_code"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "build"))
    with shipping_to(folder):
        assert kernel(tripled)(1.5) == 4.5
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shipped, "FOLDER", folder)
    shipped.usable.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    shipped.usable.cache_clear()


def test_what_the_package_brings_is_not_compiled(brought: Path, tmp_path: Path) -> None:
    with loading_only():
        assert kernel(tripled)(2.0) == 6.0
        with pytest.raises(NotCompiledError):
            kernel(halved)(2.0)
        with pytest.raises(NotCompiledError):  # other types are other machine code
            kernel(tripled)(2)
    assert not (tmp_path / "cache").exists()  # it is loaded where it lies


def test_it_is_linked_into_what_is_compiled_here(brought: Path) -> None:
    inner = kernel(tripled)

    def outer(x: float) -> float:
        return inner(x) + 1.0

    assert kernel(outer)(2.0) == 7.0


def test_changed_code_does_not_find_it(brought: Path) -> None:
    def tripled(x: float) -> float:
        return x * 3.5

    with loading_only(), pytest.raises(NotCompiledError):
        kernel(tripled)(2.0)


@pytest.mark.parametrize("lacking", ["avx2", "fma"])
def test_another_processor_does_not_use_it(brought: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    features = {name: name != lacking for name in shipped.NEEDED}
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: features)
    with loading_only(), pytest.raises(NotCompiledError):
        kernel(tripled)(2.0)


def damaged(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize("change", [damaged, cut, open_to_all, linked])
def test_a_file_that_is_damaged_or_not_the_owners_alone_is_compiled_instead(
    brought: Path, change: Callable[[Path], None]
) -> None:
    (file,) = brought.iterdir()
    change(file)
    with pytest.warns(RuntimeWarning, match="install the package again; compiling"):
        assert kernel(tripled)(2.0) == 6.0


class Hostile:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def test_what_others_may_write_is_never_unpickled(brought: Path, tmp_path: Path) -> None:
    (file,) = brought.iterdir()
    content = pickle.dumps(Hostile(tmp_path / "executed"))
    file.write_bytes(hashlib.sha256(content).digest() + content)
    brought.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="machine code of the package is not used"):
        assert kernel(tripled)(2.0) == 6.0
    assert not (tmp_path / "executed").exists()
