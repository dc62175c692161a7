"""The settings that are compared: a grid from the command line or a file, and the adaptive parts one by one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drivers.evaluation.errors import EvaluationError
from drivers.project.configs import Configs
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean

AS_CONFIGURED: Final = "as configured"
_OPENING: Final = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class AdaptivePart:
    """What an ablation switches over. name: in words. key: its switch, `domain.key`, 0 is off. on: what switches it on."""

    name: str
    key: str
    on: int = 1


PARTS: Final = (
    AdaptivePart("source weights (L6)", "meta.adapt_sources"),
    AdaptivePart("pattern weights (L65)", "meta.adapt_patterns"),
    AdaptivePart("regime thresholds (L65)", "meta.adapt_thresholds"),
    AdaptivePart("policy (L82)", "rl.policy"),
)


@dataclass(frozen=True)
class Setting:
    """overrides: `domain.key=value`, as typed after --set. part: of an ablation, which it switches over, and to what."""

    name: str
    overrides: tuple[str, ...] = ()
    part: AdaptivePart | None = None
    switched_on: bool = False


def split_values(text: str) -> list[str]:
    """The values in `0.5,1.0` or `[5, 15],[10, 30]`: commas within brackets and quotes separate none."""
    parts, quote = [""], ""
    depth: list[str] = []
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in _OPENING:
            depth.append(_OPENING[c])
        elif depth and c == depth[-1]:
            depth.pop()
        elif c == "," and not depth:
            parts.append("")
            continue
        parts[-1] += c
    return [part.strip() for part in parts]


def typed(options: Sequence[str]) -> dict[str, list[str]]:
    """{`domain.key`: values as text} of `domain.key=v1,v2` as typed after --set."""
    found: dict[str, list[str]] = {}
    for option in options:
        key, equals, text = option.partition("=")
        values = split_values(text)
        if not equals or not key.strip() or not all(values):
            raise EvaluationError(f"--set {option}: write domain.key=value,value, for example --set risk.gross=0.5,1.0")
        if key.strip() in found:
            raise EvaluationError(f"--set {key.strip()} is given twice; give all of its values at once, separated by commas")
        found[key.strip()] = values
    return found


def read_file(path: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
    """(`grid`, `settings`) of a YAML file: values to combine by key, and named settings of their own."""
    if not path.is_file():
        raise EvaluationError(f"--grid {path}: there is no such file")
    about = read_yaml(path)
    for name, value in about.items():
        if name not in ("grid", "settings"):
            raise EvaluationError(f"{path}: there is no {name!r}; {did_you_mean(str(name), ['grid', 'settings'])}")
        if not isinstance(value, dict) or not value:
            raise EvaluationError(f"{path}: {name} is no mapping; docs/how-to/evaluate.md shows one")
    grid: dict[str, list[str]] = {}
    for key, values in about.get("grid", {}).items():
        if not isinstance(values, list) or not values:
            raise EvaluationError(f"{path}: grid: {key} is {values!r}; give a list of values, for example [0.5, 1.0]")
        grid[str(key)] = [_text(value) for value in values]
    named: dict[str, dict[str, str]] = {}
    for name, changes in about.get("settings", {}).items():
        if not isinstance(changes, dict) or not changes:
            raise EvaluationError(f"{path}: settings: {name} is {changes!r}; give keys and values, for example risk.gross: 0.5")
        named[str(name)] = {str(key): _text(value) for key, value in changes.items()}
    return grid, named


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def combined(grid: Mapping[str, Sequence[str]], named: Mapping[str, Mapping[str, str]] | None = None) -> list[Setting]:
    """Settings: the configuration as it is, every combination of the grid, and those with a name."""
    made = [Setting(AS_CONFIGURED)]
    if grid:
        for values in itertools.product(*grid.values()):
            overrides = tuple(f"{key}={value}" for key, value in zip(grid, values, strict=True))
            made.append(Setting(" ".join(overrides), overrides))
    for name, changes in (named or {}).items():
        made.append(Setting(name, tuple(f"{key}={value}" for key, value in changes.items())))
    twice = next((s.name for i, s in enumerate(made) if s.name in {other.name for other in made[:i]}), None)
    if twice is not None:
        raise EvaluationError(f"two settings are called {twice!r}; give each a name of its own")
    return made


def ablation(configs: Configs) -> list[Setting]:
    """The configuration with each adaptive part switched over: off where it is on, on where it is off."""
    made = []
    for part in PARTS:
        domain, _, key = part.key.partition(".")
        if domain in configs and hasattr(configs[domain], key):
            on = bool(getattr(configs[domain], key))
            override = f"{part.key}={0 if on else part.on}"
            made.append(Setting(f"{part.name} {'off' if on else 'on'}", (override,), part, not on))
    return made
