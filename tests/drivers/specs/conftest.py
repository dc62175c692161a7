"""A project of the user's own, in a folder of the test's."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.project.locate import Project, locate
from drivers.specs.config_files import begin


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a new project."""
    folder = tmp_path_factory.mktemp("shipped")
    return {name: (folder / name).read_bytes() for name in begin(folder)}


@pytest.fixture
def project(shipped: dict[str, bytes], tmp_path: Path) -> Project:
    """A new project without a history."""
    for name, content in shipped.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return locate(tmp_path)


def held(project: Project) -> dict[str, bytes]:
    """Every file of the project and its content, the history left out."""
    return {
        str(path.relative_to(project.root)): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file() and ".stratoquant" not in path.parts
    }


def everything(project: Project) -> dict[str, bytes]:
    """Every file, the history included."""
    return {str(path): path.read_bytes() for path in sorted(project.root.rglob("*")) if path.is_file()}


def write_spec(project: Project, text: str, name: str = "mine") -> str:
    """A spec file in the project; its name."""
    (project.specs / f"{name}.yaml").write_text(f"name: {name}\nabout: a test\n{text}\n")
    return name
