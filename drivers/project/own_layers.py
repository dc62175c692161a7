"""Layers of a user's project: `DIR/layers/<domain>/l<id>_<name>.py`, with ids above L100.

Their code runs only when the user names the project (`--project DIR`). A project that was merely found in the current folder is
read, but none of its code is imported. Every Python file must lie in `DIR/layers` itself: a link could lead to code elsewhere.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Final

from drivers.project.domains import domains
from drivers.project.errors import ProjectError
from drivers.project.locate import Project

PACKAGE: Final = "layers"
"""The package that own layers are imported as; a test in the project's folder imports them by the same name."""
FIRST_ID: Final = 101


def own_layer_files(project: Project) -> list[Path]:
    """The files of a project's own layers, by domain and layer id. Nothing is imported.

    Raises ProjectError for a link, a folder that is no domain, an id that is not above L100, and when the project has layers
    but was not named by the user.
    """
    folder = project.layers
    if folder is None:
        return []
    if not project.named:
        raise ProjectError(
            f"{folder} holds layers, and their code runs only when you name the project; add `--project {project.root}` before "
            "the command if you trust that code."
        )
    inside = folder.resolve()
    if folder.is_symlink():
        raise ProjectError(f"{folder} is a link; own layers must lie in the project's folder itself.")
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.resolve().is_relative_to(inside):
            raise ProjectError(f"{path} is a link; own layers must lie in {folder} itself.")
        match = re.fullmatch(r"l(\d{1,3})_\w+\.py", path.name)
        if match is None:
            continue
        if path.parent.parent != folder or path.parent.name not in domains():
            raise ProjectError(
                f"{path} is not in the folder of a domain; move it to {folder}/DOMAIN/ ({', '.join(domains())})."
            )
        if int(match[1]) < FIRST_ID:
            raise ProjectError(f"{path}: ids up to L100 belong to the package; give this layer an id from L{FIRST_ID} to L999.")
        found.append((path.parent.name, int(match[1]), path))
    return [path for *_, path in sorted(found)]


def own_layer_modules(project: Project, *, without: Collection[str] = ()) -> list[ModuleType]:
    """The modules of a project's own layers, imported; those named in `without` are left out.

    Raises as `own_layer_files`, and ProjectError for a file that cannot be imported.
    """
    files = [path for path in own_layer_files(project) if path.stem not in without]
    if not files:
        return []
    assert project.layers is not None
    _make_package(project.layers.resolve())
    return [_imported(path) for path in files]


def _make_package(folder: Path) -> None:
    """`layers` is this folder. The modules of another project's folder are dropped."""
    present = sys.modules.get(PACKAGE)
    if present is not None and list(map(str, getattr(present, "__path__", ()))) == [str(folder)]:
        return
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    package = ModuleType(PACKAGE, "Layers of the project that the user named.")
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package
    importlib.invalidate_caches()


def _imported(path: Path) -> ModuleType:
    try:
        return importlib.import_module(f"{PACKAGE}.{path.parent.name}.{path.stem}")
    except ProjectError:
        raise
    except Exception as error:  # whatever the user's code raises while it is imported
        reason = " ".join(str(error).split()) or "no reason given"
        raise ProjectError(f"{path} cannot be imported: {type(error).__name__}: {reason}") from error
