"""The configuration of a run: files, then the machine spec, then overrides."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from dataflows.config import ACCOUNT, ConfigError, default_written, file_keys, model_of, resolve, shares_of_account, spans_of
from dataflows.spans import MINUTES, BarClock
from drivers.files.yaml_edit import written
from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import Project
from drivers.project.machine_specs import MachineSpec
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean

Configs = dict[str, Any]
"""Domain to its configuration record (a NamedTuple of numbers)."""


_FIRST: Final = ("data", "execution")
"""Domains that say what others need: the higher timeframes, and the account."""


def load_configs(
    project: Project,
    overrides: Sequence[str] = (),
    spec: MachineSpec | None = None,
    clock: BarClock | None = MINUTES,
) -> Configs:
    """The configuration of every domain: its file, then the machine spec, then the overrides (`domain.key=value`).

    What none of them gives takes its default. clock: of the data, at which times become bars; None before the data are open:
    everything but the bounds of times is then checked. Raises ConfigError or ProjectError naming file, key, value and bound.
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
    account = ACCOUNT
    for domain in sorted(records, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST)):
        path = project.config / f"{domain}.yml"
        own = [(source, extra) for source, wanted, extra in changes if wanted == domain]
        values = read_yaml(path) if path.is_file() else {}
        resolved[domain] = _under(records[domain], values, str(path), own, clock, account)
        if domain == "data" and clock is not None:
            if resolved[domain].pace != 1.0:
                clock = clock._replace(pace=resolved[domain].pace)
                resolved[domain] = _under(records[domain], values, str(path), own, clock, account)
            clock = clock._replace(timeframes=resolved[domain].timeframes)
            facts = {"bars_a_day": clock.day, "minutes_a_bar": clock.seconds / 60, "days_a_year": clock.days_a_year}
            resolved[domain] = resolved[domain]._replace(**facts)
        if domain == "execution":
            account = resolved[domain].start_cash
    return {domain: resolved[domain] for domain in records}


def _under(
    record: type[tuple[Any, ...]],
    values: dict[str, Any],
    path: str,
    changes: Sequence[tuple[str, dict[str, Any]]],
    clock: BarClock | None,
    account: float,
) -> Any:
    """The record of a file under all changes at once: two keys that only fit together may come in any order."""
    for source, given in ((path, values), *changes):
        _refuse_facts(record, given, source)
    made = resolve(record, values, source=path, clock=clock, account=account)
    if not changes:
        return made
    together = dict(values)
    for _, extra in changes:
        together.update(extra)
    try:
        return resolve(record, together, source=" ".join(source for source, _ in changes), clock=clock, account=account)
    except ConfigError:
        for source, extra in changes:  # which of them is it?
            values = {**values, **extra}
            resolve(record, values, source=source, clock=clock, account=account)
        raise


def _refuse_facts(record: type[tuple[Any, ...]], values: Mapping[str, Any], source: str) -> None:
    for key in values:
        if key in record._fields and key not in file_keys(record):  # type: ignore[attr-defined]
            raise ConfigError(f"{source}: {key} is a fact of the data, which the data set says; remove the key.")


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


def config_text(record: type[tuple[Any, ...]], values: Mapping[str, Any], *, title: str) -> str:
    """A configuration file: one `key: value  # unit: meaning` a line, in the order of the record; defaults without a value."""
    lines = [f"# {title}"]
    for key in file_keys(record):
        unit, about = explained(record, key)
        lines.append(f"{key}: {written(values.get(key, default_written(record, key)))}  # {unit}: {about}")
    return "\n".join(lines) + "\n"


def as_written(record: Any, key: str) -> str:
    """A value as a file says it; of times, where the value is not the default, their bars."""
    value = getattr(record, key)
    usual = default_written(type(record), key)
    return written(usual if value == record._field_defaults.get(key) else value)


def explained(record: Any, key: str) -> tuple[str, str]:
    """Unit and meaning of a key of a configuration class."""
    info = model_of(record).model_fields[key]
    extra = info.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    span = spans_of(record).get(key)
    if span is not None:
        unit = f"time, {span.least:g} {unit} or more" if span.least > 1 else "time"
    elif key in shares_of_account(record):
        unit = "of execution.start_cash"
    return unit, info.description or ""


def _refuse_stray_files(project: Project, records: Mapping[str, object]) -> None:
    if not project.config.is_dir():
        return
    for path in sorted(project.config.glob("*.y*ml")):
        if path.suffix != ".yml" or path.stem not in records:
            known = [f"{name}.yml" for name in records]
            raise ProjectError(f"{path} is the configuration of no domain; {did_you_mean(path.name, known)}")
