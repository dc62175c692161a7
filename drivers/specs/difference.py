"""What lies between two states of a project: keys, layers and variants, and the lines of its files."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from drivers.files.transaction import Files
from drivers.project.configs import explained
from drivers.specs.candidate import State

Mark = Literal["", "head", "old", "new"]


class KeyChange(NamedTuple):
    """A configuration key with another value."""

    domain: str
    key: str
    old: Any
    new: Any
    unit: str
    about: str


class LayerChange(NamedTuple):
    """A layer that is switched on or off."""

    layer_id: str
    layer: str
    enabled: bool


class VariantChange(NamedTuple):
    """A layer's other method."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Difference:
    """What changes, in the project's words and in the files'. Printed, it is made to be read."""

    keys: tuple[KeyChange, ...]
    layers: tuple[LayerChange, ...]
    variants: tuple[VariantChange, ...]
    before: Files
    after: Files

    def __bool__(self) -> bool:
        return self.before != self.after

    def __str__(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self.lines())

    def lines(self) -> Iterator[list[tuple[str, Mark]]]:
        """A line a change, in pieces that say which of them is the old and which the new value."""
        for domain in dict.fromkeys(change.domain for change in self.keys):
            yield [(f"config/{domain}.yml", "head")]
            rows = [
                (c.key, _shown(c.old), _shown(c.new), _factor(c.old, c.new), f"{c.unit}: {c.about}")
                for c in self.keys
                if c.domain == domain
            ]
            key, old, new, factor = (max(len(row[i]) for row in rows) for i in range(4))
            for row in rows:
                yield [
                    (f"  {row[0]:<{key}}  ", ""),
                    (f"{row[1]:>{old}}", "old"),
                    (" -> ", ""),
                    (f"{row[2]:<{new}}", "new"),
                    (f"  {row[3]:>{factor}}  {row[4]}", ""),
                ]
        if self.layers or self.variants:
            yield [("wiring_master.yaml", "head")]
        for layer in self.layers:
            words: list[tuple[str, Mark]] = [("on", "old"), (" -> ", ""), ("off", "new")]
            if layer.enabled:
                words = [("off", "old"), (" -> ", ""), ("on", "new")]
            yield [(f"  {layer.layer_id} {layer.layer}  ", ""), *words]
        for variant in self.variants:
            old_new: list[tuple[str, Mark]] = [(variant.old or "none", "old"), (" -> ", ""), (variant.new or "none", "new")]
            yield [(f"  variant {variant.name}  ", ""), *old_new]

    def unified(self) -> Iterator[tuple[str, Mark]]:
        """The files' lines as `diff -u` has them."""
        return unified(self.before, self.after)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "keys": [change._asdict() for change in self.keys],
            "layers": [change._asdict() for change in self.layers],
            "variants": [change._asdict() for change in self.variants],
            "files": [name for name in self.after if self.after[name] != self.before[name]],
        }


def difference(old: State, new: State, before: Files, after: Files) -> Difference:
    """What changes from one state to the other. before, after: the files that make the change."""
    keys = []
    for domain, record in new.configs.items():
        for key, value in record._asdict().items():
            was = getattr(old.configs[domain], key)
            if was != value:
                keys.append(KeyChange(domain, key, was, value, *explained(type(record), key)))
    layers = [
        LayerChange(entry.id, name, entry.enabled)
        for name, entry in new.wiring.layers.items()
        if name in old.wiring.layers and old.wiring.layers[name].enabled != entry.enabled
    ]
    was_taken, is_taken = old.wiring.variants, new.wiring.variants
    variants = [
        VariantChange(name, was_taken.get(name), is_taken.get(name))
        for name in dict.fromkeys([*was_taken, *is_taken])
        if was_taken.get(name) != is_taken.get(name)
    ]
    return Difference(tuple(keys), tuple(layers), tuple(variants), before, after)


def unified(before: Files, after: Files) -> Iterator[tuple[str, Mark]]:
    """The lines of two sets of files as `diff -u` has them, each with what it is."""
    for name, new in after.items():
        old = before.get(name)
        made = difflib.unified_diff(
            (old or b"").decode().splitlines(),
            (new or b"").decode().splitlines(),
            f"a/{name}" if old is not None else "/dev/null",
            f"b/{name}" if new is not None else "/dev/null",
            lineterm="",
        )
        for line in made:
            if line.startswith(("---", "+++", "@@")):
                yield line, "head"
            else:
                yield line, "new" if line.startswith("+") else "old" if line.startswith("-") else ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _factor(old: Any, new: Any) -> str:
    """How many times the old value the new one is, where that says something."""
    if isinstance(old, tuple) or isinstance(new, tuple) or not old or not new or not math.isfinite(new / old):
        return ""
    return f"x{new / old:.3g}"
