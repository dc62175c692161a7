"""The domains of the graph, and the class of each domain's configuration."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from typing import Any, Final

import dataflows
from drivers.project.errors import ProjectError

_NO_DOMAINS: Final = ("kernels", "runtime")


def domains() -> tuple[str, ...]:
    """The folders of `dataflows` that hold layers, by name."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(dataflows.__path__) if m.ispkg and m.name not in _NO_DOMAINS))


@functools.cache
def config_records() -> dict[str, type[tuple[Any, ...]]]:
    """Domain to the class of its configuration; domains without a `config.py` are left out."""
    found: dict[str, type[tuple[Any, ...]]] = {}
    for domain in domains():
        name = f"dataflows.{domain}.config"
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        records = [v for k, v in vars(module).items() if k.endswith("Config") and getattr(v, "__module__", "") == name]
        if len(records) != 1:
            raise ProjectError(f"dataflows/{domain}/config.py has {len(records)} classes named ...Config; it must have one.")
        found[domain] = records[0]
    return found
