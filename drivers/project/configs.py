"""The configuration of a run: files, then the machine spec, then overrides."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from dataflows.config import ConfigError, model_of, resolve
from drivers.files.yaml_edit import written
from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import Project
from drivers.project.machine_specs import MachineSpec
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean

Configs = dict[str, Any]
"""Domain to its configuration record (a NamedTuple of numbers)."""


def load_configs(project: Project, overrides: Sequence[str] = (), spec: MachineSpec | None = None) -> Configs:
    """The configuration of every domain: its file, then the machine spec, then the overrides (`domain.key=value`).

    What none of them gives takes its default. Raises ConfigError or ProjectError naming file, key, value and bound.
    """
    records = config_records()
    _refuse_stray_files(project, records)
    changes: list[tuple[str, str, dict[str, Any]]] = []
    if spec is not None:
        changes.append((f"spec {spec.name}", spec.domain, dict(spec.config)))
    for text in overrides:
        domain, key, value = parse_override(text)
        changes.append((f"--set {text}", domain, {key: value}))
    resolved: Configs = {}
    for domain, record in records.items():
        path = project.config / f"{domain}.yml"
        values = read_yaml(path) if path.is_file() else {}
        resolved[domain] = resolve(record, values, source=str(path))
        own = [(source, extra) for source, wanted, extra in changes if wanted == domain]
        if own:
            resolved[domain] = _changed(record, values, own)
    return resolved


def _changed(record: type[tuple[Any, ...]], values: dict[str, Any], changes: Sequence[tuple[str, dict[str, Any]]]) -> Any:
    """The record under all changes at once: two keys that only fit together may come in any order."""
    together = dict(values)
    for _, extra in changes:
        together.update(extra)
    try:
        return resolve(record, together, source=" ".join(source for source, _ in changes))
    except ConfigError:
        for source, extra in changes:  # which of them is it?
            values = {**values, **extra}
            resolve(record, values, source=source)
        raise


def parse_override(text: str) -> tuple[str, str, Any]:
    """(domain, key, value) of `domain.key=value`; the value is YAML: `0.5`, `[5, 15, 60]`.

    Raises ConfigError saying how it is written, or which domain was meant.
    """
    name, equals, value = text.partition("=")
    domain, dot, key = name.strip().partition(".")
    if not (equals and dot and domain and key):
        raise ConfigError(f"--set {text}: write domain.key=value, for example --set risk.gross=0.5")
    if domain not in config_records():
        raise ConfigError(f"--set {text}: there is no domain {domain!r}; {did_you_mean(domain, config_records())}")
    try:
        return domain, key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: {value!r} is not a value; write a number, or a list as [5, 15, 60]") from None


def title_of(domain: str, record: type[tuple[Any, ...]]) -> str:
    """What a domain's file is, in one line."""
    about = inspect.cleandoc(record.__doc__ or "").partition("\n\n")[0]
    return f"{domain}: {' '.join(about.split())}"


def config_text(record: Any, *, title: str) -> str:
    """A configuration file: one `key: value  # unit: meaning` a line, in the order of the record."""
    lines = [f"# {title}"]
    for key, value in record._asdict().items():
        unit, about = explained(type(record), key)
        lines.append(f"{key}: {written(value)}  # {unit}: {about}")
    return "\n".join(lines) + "\n"


def explained(record: Any, key: str) -> tuple[str, str]:
    """Unit and meaning of a key of a configuration class."""
    info = model_of(record).model_fields[key]
    extra = info.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else "", info.description or ""


def _refuse_stray_files(project: Project, records: Mapping[str, object]) -> None:
    if not project.config.is_dir():
        return
    for path in sorted(project.config.glob("*.y*ml")):
        if path.suffix != ".yml" or path.stem not in records:
            known = [f"{name}.yml" for name in records]
            raise ProjectError(f"{path} is the configuration of no domain; {did_you_mean(path.name, known)}")
