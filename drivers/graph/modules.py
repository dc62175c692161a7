"""The modules that hold layers: every `dataflows/<domain>/l<id>_*.py`, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import dataflows


def layer_modules(*, without: Collection[str] = ()) -> list[ModuleType]:
    """The modules of all layers, by domain and then by layer id; those of the layers named in `without` are left out.

    A file is one layer and bears its node's name, so that no file needs to be read to leave one out.
    """
    domains = sorted(package.name for package in pkgutil.iter_modules(dataflows.__path__) if package.ispkg)
    return [
        importlib.import_module(f"dataflows.{domain}.{name}")
        for domain in domains
        for name in layer_names(domain)
        if name not in without
    ]


def layer_names(domain: str) -> list[str]:
    """The layers of a domain by layer id, disabled ones too. Nothing is imported."""
    found = []
    for module in pkgutil.iter_modules([str(Path(root) / domain) for root in dataflows.__path__]):
        match = re.fullmatch(r"l(\d{1,3})_\w+", module.name)
        if match:
            found.append((int(match[1]), module.name))
    return [name for _, name in sorted(found)]
