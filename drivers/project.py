"""Where the wiring, the configuration and the machine specs of a run come from, and what they say together.

A project is a folder with `wiring_master.yaml`, `config/` and `specs/`: the one named by --project, else the current folder
when it is one, else the package's own defaults. What a named folder lacks is taken from the package.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import dataflows
from dataflows.config import ConfigError, model_of, resolve
from drivers.changes import repair
from drivers.yaml_text import written

Configs = dict[str, Any]
"""Domain to its configuration record (a NamedTuple of numbers)."""

WIRING = "wiring_master.yaml"
_PACKAGE = Path(__file__).parent
SHIPPED = _PACKAGE / "defaults"


class ProjectError(ValueError):
    """A project's folder or one of its files cannot be used. The message names it and says what to do."""


@dataclass(frozen=True)
class Project:
    """The files that a run is configured by."""

    root: Path
    wiring: Path
    config: Path
    specs: Path


def defaults() -> Project:
    """The package's own files: inside an installed wheel, or at the root of the repository."""
    root = SHIPPED if (SHIPPED / WIRING).is_file() else _PACKAGE.parent
    return Project(root, root / WIRING, root / "config", root / "specs")


def locate(folder: Path | None = None) -> Project:
    """The project in `folder`; without one the current folder if it has wiring and configuration, else the package's own.

    Raises ProjectError when a named folder is none or holds nothing of a project.
    """
    own = defaults()
    if folder is None:
        here = Path.cwd()
        if not ((here / WIRING).is_file() and (here / "config").is_dir()):
            return own
        folder = here
    if not folder.is_dir():
        raise ProjectError(f"{folder} is not a folder; --project takes one with {WIRING}, config/ or specs/.")
    if not any((folder / name).exists() for name in (WIRING, "config", "specs")):
        raise ProjectError(f"{folder} has neither {WIRING} nor config/ nor specs/; --project takes a folder with one of them.")
    repair(folder)
    return Project(
        folder,
        folder / WIRING if (folder / WIRING).is_file() else own.wiring,
        folder / "config" if (folder / "config").is_dir() else own.config,
        folder / "specs" if (folder / "specs").is_dir() else own.specs,
    )


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice: PyYAML takes the last without a word."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"{key} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises ProjectError naming file and line when it cannot be read, is not YAML, gives a key twice or is not a mapping.
    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ProjectError(f"{path}: {(error.strerror or str(error)).lower()}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ProjectError(f"{path}{line}: {getattr(error, 'problem', None) or 'not YAML'}.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ProjectError(f"{path} holds a {type(loaded).__name__}; it must be a mapping of keys to values.")
    return loaded


def domains() -> tuple[str, ...]:
    """The folders of `dataflows` that hold layers, by name."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(dataflows.__path__) if m.ispkg and m.name != "kernels"))


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


class MachineSpec(BaseModel):
    """A named, reviewed change of one domain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="as it is called on the command line")
    domain: str = Field(description="whose configuration it changes")
    about: str = Field(description="what it is for, shown wherever its results appear")
    config: dict[str, Any] = Field(default_factory=dict, description="keys of config/<domain>.yml and their values")
    enabled: dict[str, bool] = Field(default_factory=dict, description="layers of the domain to switch on or off")
    variants: dict[str, str] = Field(default_factory=dict, description="method variants, as in wiring_master.yaml")


def load_spec(project: Project, spec: str) -> MachineSpec:
    """The machine spec of that name in `specs/` (of the project, else of the package), or in that file.

    Raises ProjectError when there is none, or it is malformed.
    """
    candidates = [Path(spec), *(folder / f"{spec}.yaml" for folder in _spec_folders(project))]
    path = next((p for p in candidates if p.is_file()), None)
    if path is None:
        raise ProjectError(f"there is no machine spec {spec!r}; {_near(spec, known_specs(project), 'known specs')}")
    try:
        made = MachineSpec(**read_yaml(path))
    except ValidationError as error:
        raise ProjectError(f"{path}: {_wrong_in_spec(error)}") from None
    if made.name != path.stem:
        raise ProjectError(
            f"{path}: name is {made.name}, which is not the file's; give both one name, so that it can be found."
        )
    if made.domain not in config_records():
        raise ProjectError(f"{path}: there is no domain {made.domain!r}; {_near(made.domain, config_records(), 'domains')}")
    return made


def known_specs(project: Project) -> list[str]:
    """The names of the machine specs in `specs/` of the project and of the package."""
    return sorted({path.stem for folder in _spec_folders(project) if folder.is_dir() for path in folder.glob("*.yaml")})


def _spec_folders(project: Project) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((project.specs, defaults().specs)))


def _wrong_in_spec(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    field = MachineSpec.model_fields.get(str(first["loc"][0]))
    if first["type"] == "extra_forbidden":
        return f"{place} is not a key of a machine spec; {_near(place, MachineSpec.model_fields, 'keys')}"
    if first["type"] == "missing":
        return f"{place} is missing: {field.description if field else ''}."
    return f"{place} is {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}."


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
        raise ConfigError(f"--set {text}: there is no domain {domain!r}; {_near(domain, config_records(), 'domains')}")
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
            raise ProjectError(f"{path} is the configuration of no domain; {_near(path.name, known, 'files')}")


def _near(wrong: str, known: Iterable[str], what: str) -> str:
    names = list(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"did you mean {close[0]}?" if close else f"{what}: {', '.join(names) or 'none'}."
