"""Which machine specs were applied to a project, when, by whom, and which of them still are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drivers.files.transaction import Entry, history
from drivers.project.machine_specs import MachineSpec


class Step(NamedTuple):
    """A machine spec that was applied."""

    number: int
    time: str
    who: str
    version: str
    spec: MachineSpec
    undone: str | None  # when it was taken back

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self._asdict(), "spec": self.spec.model_dump()}


def steps(folder: Path) -> list[Step]:
    """Every spec that was ever applied, oldest first."""
    entries = history(folder)
    undone = {entry.about["undoes"]: str(entry.about["time"]) for entry in entries if entry.about["kind"] == "undo"}
    return [
        Step(
            entry.number,
            str(entry.about["time"]),
            str(entry.about["who"]),
            str(entry.about["version"]),
            MachineSpec(**entry.about["spec"]),
            undone.get(entry.number),
        )
        for entry in entries
        if entry.about["kind"] == "apply"
    ]


def applied(folder: Path) -> list[Entry]:
    """The records of the specs that are applied and not taken back, oldest first: the last is the next to be taken back."""
    stack: dict[int, Entry] = {}
    for entry in history(folder):
        if entry.about["kind"] == "apply":
            stack[entry.number] = entry
        elif entry.about["kind"] == "undo":
            stack.pop(entry.about["undoes"], None)
    return list(stack.values())


def in_force(folder: Path, configs: Mapping[str, Any]) -> list[MachineSpec]:
    """The applied specs of which at least one key still has the value that they gave it."""
    specs = [MachineSpec(**entry.about["spec"]) for entry in applied(folder)]
    return [spec for spec in specs if _holds(spec, configs)]


def _holds(spec: MachineSpec, configs: Mapping[str, Any]) -> bool:
    record = configs[spec.domain]
    values = [(getattr(record, key, None), value) for key, value in spec.config.items()]
    return not values or any(has == (tuple(value) if isinstance(value, list) else value) for has, value in values)
