"""Where the wiring, the configuration and the machine specs of a run come from.

A project is a folder with `wiring_master.yaml`, `config/` and `specs/`: the one named by --project, else the current folder
when it is one, else the package's own defaults. What a named folder lacks is taken from the package. `layers/` holds layers of
the project's own; their code is imported only from a folder that was named (`drivers.project.own_layers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from drivers.files.transaction import repair
from drivers.project.errors import ProjectError

WIRING = "wiring_master.yaml"
_PACKAGE = Path(__file__).parents[1]
SHIPPED = _PACKAGE / "defaults"


@dataclass(frozen=True)
class Project:
    """The files that a run is configured by.

    layers: the folder of the project's own layers, None without one. named: the user named this folder, so that code in it may
    be imported.
    """

    root: Path
    wiring: Path
    config: Path
    specs: Path
    layers: Path | None = None
    named: bool = False


def defaults() -> Project:
    """The package's own files: inside an installed wheel, or at the root of the repository."""
    root = SHIPPED if (SHIPPED / WIRING).is_file() else _PACKAGE.parent
    return Project(root, root / WIRING, root / "config", root / "specs")


def locate(folder: Path | None = None) -> Project:
    """The project in `folder`; without one the current folder if it has wiring and configuration, else the package's own.

    Raises ProjectError when a named folder is none or holds nothing of a project.
    """
    own = defaults()
    named = folder is not None
    if folder is None:
        here = Path.cwd()
        if not ((here / WIRING).is_file() and (here / "config").is_dir()):
            return own
        folder = here
    if not folder.is_dir():
        raise ProjectError(f"{folder} is not a folder; --project takes one with {WIRING}, config/ or specs/.")
    if not any((folder / name).exists() for name in (WIRING, "config", "specs")):
        raise ProjectError(f"{folder} has neither {WIRING} nor config/ nor specs/; --project takes a folder with one of them.")
    repair(folder)
    return Project(
        folder,
        folder / WIRING if (folder / WIRING).is_file() else own.wiring,
        folder / "config" if (folder / "config").is_dir() else own.config,
        folder / "specs" if (folder / "specs").is_dir() else own.specs,
        folder / "layers" if (folder / "layers").is_dir() else None,
        named,
    )


def with_layers(project: Project, of: Project) -> Project:
    """The project with the own layers of another one: a run keeps its wiring and configuration, but no code."""
    return replace(project, layers=of.layers, named=of.named)
