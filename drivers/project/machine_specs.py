"""Machine specs: named, reviewed changes of one domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import Project, defaults
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean


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
        raise ProjectError(f"there is no machine spec {spec!r}; {did_you_mean(spec, known_specs(project))}")
    try:
        made = MachineSpec(**read_yaml(path))
    except ValidationError as error:
        raise ProjectError(f"{path}: {_wrong_in_spec(error)}") from None
    if made.name != path.stem:
        raise ProjectError(
            f"{path}: name is {made.name}, which is not the file's; give both one name, so that it can be found."
        )
    if made.domain not in config_records():
        raise ProjectError(f"{path}: there is no domain {made.domain!r}; {did_you_mean(made.domain, config_records())}")
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
        return f"{place} is not a key of a machine spec; {did_you_mean(place, MachineSpec.model_fields)}"
    if first["type"] == "missing":
        return f"{place} is missing: {field.description if field else ''}."
    return f"{place} is {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}."
