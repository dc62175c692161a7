"""Which variants of layers exist, as their functions declare them."""

from __future__ import annotations

import dataflows.layer  # noqa: F401  # isort: skip  (before Hamilton: or it imports all that it has extensions for)
from hamilton import graph_utils

from drivers.graph.modules import layer_modules
from drivers.graph.network import variants_of
from drivers.project.locate import Project

Variants = dict[str, dict[str, list[tuple[str, str]]]]
"""Name of a variant to its values, and for each value the (domain, layer) that it chooses."""


def known_variants(project: Project | None = None) -> Variants:
    """From `@variant(venue="sim")` over the function `l90_fills__sim`: {"venue": {"sim": [("execution", "l90_fills")]}}.

    project: whose own layers count too.
    """
    found: Variants = {}
    for module in layer_modules(project):
        domain = module.__name__.split(".")[-2]
        for _, fn in graph_utils.find_functions(module):
            layer, _, value = fn.__code__.co_name.partition("__")
            for name in variants_of(fn):
                found.setdefault(name, {}).setdefault(value, []).append((domain, layer))
    return found
