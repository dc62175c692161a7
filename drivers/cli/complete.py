"""What the Tab key offers beside commands and options: names of layers, domains and machine specs."""

from __future__ import annotations

from collections.abc import Iterable


def layers(incomplete: str) -> list[str]:
    """Layers by name, or by id where an id is begun."""
    from drivers.graph.wiring import load
    from drivers.project.locate import locate

    entries = load(locate(None).wiring).layers
    names = [*entries, *(entry.id for entry in entries.values())] if incomplete[:1] == "L" else list(entries)
    return _from(names, incomplete)


def domains(incomplete: str) -> list[str]:
    """Domains."""
    from drivers.graph.wiring import load
    from drivers.project.locate import locate

    return _from(load(locate(None).wiring).domains, incomplete)


def specs(incomplete: str) -> list[str]:
    """Machine specs of the project."""
    from drivers.project.locate import locate
    from drivers.project.machine_specs import known_specs

    return _from(known_specs(locate(None)), incomplete)


def _from(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
