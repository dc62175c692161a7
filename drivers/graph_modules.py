"""The modules that hold layers: every `dataflows/<domain>/l<id>_*.py`, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection
from types import ModuleType

import dataflows


def layer_modules(*, without: Collection[str] = ()) -> list[ModuleType]:
    """The modules of all layers, by domain and then by layer id; those of the layers named in `without` are left out.

    A file is one layer and bears its node's name, so that no file needs to be read to leave one out.
    """
    found: list[tuple[str, int, str]] = []
    for package in pkgutil.iter_modules(dataflows.__path__):
        if not package.ispkg:
            continue
        home = importlib.import_module(f"dataflows.{package.name}")
        for module in pkgutil.iter_modules(home.__path__):
            match = re.fullmatch(r"l(\d{1,3})_\w+", module.name)
            if match and module.name not in without:
                found.append((package.name, int(match[1]), module.name))
    return [importlib.import_module(f"dataflows.{domain}.{name}") for domain, _, name in sorted(found)]
