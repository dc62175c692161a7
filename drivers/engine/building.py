"""A plan and its boundary models, from the wiring."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from dataflows.boundary import Boundary
from drivers.engine.plan import Plan
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import Wiring
from drivers.project.locate import Project


def boundaries(wiring: Wiring) -> dict[str, type[Boundary]]:
    """The boundary model of every domain that names one."""
    found: dict[str, type[Boundary]] = {}
    for name, domain in wiring.domains.items():
        if domain.boundary:
            module, _, attribute = domain.boundary.rpartition(".")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def make_plan(wiring: Wiring, configs: Mapping[str, Any], project: Project | None = None) -> Plan:
    """The plan of the enabled layers. project: whose own layers run beside the package's."""
    disabled = [name for name, entry in wiring.layers.items() if not entry.enabled]
    return Plan(layer_modules(project, without=disabled), configs, wiring.delayed_edges(), variant=wiring.variants)
