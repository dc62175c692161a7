"""The modules that hold layers, found by their names: every `dataflows/<domain>/l<id>_*.py`, and the layers of the project that
the user named."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import dataflows
from drivers.project.locate import Project
from drivers.project.own_layers import own_layer_modules


def layer_modules(project: Project | None = None, *, without: Collection[str] = ()) -> list[ModuleType]:
    """The modules of all layers, by domain and then by layer id, and after them those of the project's own layers.

    project: None: the package's layers alone. without: names of layers that are left out; a file is one layer and bears its
    node's name, so that such a file is not even read. Raises ProjectError as `own_layer_modules`.
    """
    domains = sorted(package.name for package in pkgutil.iter_modules(dataflows.__path__) if package.ispkg)
    own = [] if project is None else own_layer_modules(project, without=without)
    shipped = [
        importlib.import_module(f"dataflows.{domain}.{name}")
        for domain in domains
        for name in layer_names(domain)
        if name not in without
    ]
    return shipped + own


def layer_names(domain: str) -> list[str]:
    """The package's layers of a domain by layer id, disabled ones too. Nothing is imported."""
    found = []
    for module in pkgutil.iter_modules([str(Path(root) / domain) for root in dataflows.__path__]):
        match = re.fullmatch(r"l(\d{1,3})_\w+", module.name)
        if match:
            found.append((int(match[1]), module.name))
    return [name for _, name in sorted(found)]
