"""Versions, modules and tools with something wrong planted in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import dataflows
import drivers
from drivers.diagrams import dot
from drivers.health import installation
from drivers.web import vendor
from tests.drivers.health.planted import found, wrong


def test_the_libraries_of_this_environment_are_in_range() -> None:
    assert wrong("versions") == []


def test_a_library_out_of_range_is_named_with_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    real = installation.version
    monkeypatch.setattr(installation, "version", lambda name: "0.1" if name == "networkx" else real(name))
    (finding,) = found("versions")
    assert (finding.status, finding.detail) == ("fail", "networkx is 0.1; stratoquant needs networkx>=3.4.")
    assert finding.advice == 'Install it: pip install "networkx>=3.4"'


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = installation.version

    def version(name: str) -> str:
        if name == "networkx":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(installation, "version", version)
    assert wrong("versions") == [("fail", "networkx is not installed; stratoquant needs networkx>=3.4.")]


def test_a_python_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.platform, "python_version", lambda: "3.8.1")
    ((status, detail),) = wrong("versions")
    assert status == "fail"
    assert detail.startswith("Python is 3.8.1; stratoquant needs ")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder whose modules are taken for ones of dataflows; there are no others."""
    folder = tmp_path / "dataflows"
    folder.mkdir()
    monkeypatch.setattr(dataflows, "__path__", [str(folder)])
    monkeypatch.setattr(drivers, "__path__", [])
    yield folder
    sys.modules.pop("dataflows.sound", None)


@pytest.mark.parametrize(
    ("source", "sentence", "advice"),
    [
        ("x = 1 / 0\n", "dataflows.planted cannot be imported: ZeroDivisionError: division by zero.", "planted.py:1."),
        (
            "\nx = = 1\n",
            "dataflows.planted cannot be imported: SyntaxError: invalid syntax (planted.py, line 2).",
            "planted.py:2.",
        ),
        ("raise SystemExit(3)\n", "dataflows.planted cannot be imported: SystemExit: 3.", "planted.py:1."),
        (
            "import no_such_library.part\n",
            "dataflows.planted cannot be imported: ModuleNotFoundError: No module named 'no_such_library'.",
            "Install the package that holds no_such_library, or take its import out of {place}:1.",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_its_error_and_its_line(
    few: Path, source: str, sentence: str, advice: str
) -> None:
    (few / "planted.py").write_text(source)
    (few / "sound.py").write_text("")
    (finding,) = found("modules")
    assert (finding.status, finding.detail) == ("fail", sentence)
    assert finding.advice.endswith(advice.format(place=few / "planted.py"))


def test_modules_that_need_a_broken_one_are_counted_and_not_listed(few: Path) -> None:
    (few / "planted.py").write_text("x = 1 / 0\n")
    for name in ("a_first", "later"):
        (few / f"{name}.py").write_text("import dataflows.planted\n")
    assert wrong("modules") == [
        (
            "fail",
            "dataflows.planted cannot be imported: ZeroDivisionError: division by zero; nor can what needs it (2 modules).",
        )
    ]


def test_a_package_that_cannot_be_imported_does_not_hide_the_modules_beside_it(few: Path) -> None:
    for name in ("first", "second"):
        (few / name).mkdir()
        (few / name / "__init__.py").write_text("raise ValueError('planted')\n")
    assert wrong("modules") == [
        ("fail", "dataflows.first cannot be imported: ValueError: planted."),
        ("fail", "dataflows.second cannot be imported: ValueError: planted."),
    ]


def test_where_no_picture_can_be_drawn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def render(source: str, kind: str) -> bytes:
        if kind == "png":
            raise dot.DotError("a PNG needs a font, and this machine has none")
        return b"<svg/>"

    monkeypatch.setattr(dot, "render", render)
    finding = found("tools")[0]
    assert (finding.status, finding.detail) == (
        "warn",
        "A graph cannot be drawn as PNG: a PNG needs a font, and this machine has none.",
    )
    assert "font" in finding.advice


def test_javascript_that_is_not_there_is_fetched_by_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot, "render", lambda source, kind: b"")
    monkeypatch.setattr(vendor, "is_complete", lambda: False)
    finding = found("tools")[-1]
    assert finding.status == "warn"
    assert finding.detail.startswith("The pages' JavaScript is not there or of another version: ")
    assert finding.advice == "python -P -m drivers.web.vendor"
