"""The JSON schema of machine specs, by which editors complete and check keys, values and variants as they are typed.

`specs/schema.json` is written from the models by `stratoquant config regenerate`; a spec names it in its first line:
`# yaml-language-server: $schema=schema.json`.
"""

from __future__ import annotations

import json
from typing import Any

from dataflows.config import default_written, file_keys, model_of
from dataflows.spans import PATTERN
from drivers.graph.variants import known_variants
from drivers.project.configs import explained
from drivers.project.domains import config_records
from drivers.project.machine_specs import MachineSpec


def schema_text() -> str:
    """The schema as it stands in `specs/schema.json`."""
    return json.dumps(spec_schema(), indent=2, ensure_ascii=False) + "\n"


def spec_schema() -> dict[str, Any]:
    """The machine spec's own keys; below `config`, `enabled` and `variants` what belongs to the spec's domain, and no more."""
    schema = MachineSpec.model_json_schema()
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    schema["title"] = "StratoQuant machine spec"
    schema["properties"]["domain"]["enum"] = list(config_records())
    for info in schema["properties"].values():
        info.pop("title", None)
    schema["allOf"] = [
        {"if": {"properties": {"domain": {"const": domain}}}, "then": {"properties": _of_domain(domain, record)}}
        for domain, record in config_records().items()
    ]
    return schema


def _of_domain(domain: str, record: type[tuple[Any, ...]]) -> dict[str, Any]:
    keys: dict[str, Any] = model_of(record).model_json_schema()["properties"]
    keys = {key: keys[key] for key in file_keys(record)}
    for key, info in keys.items():
        info.pop("title", None)
        info["description"] = ": ".join(explained(record, key))
        info.pop("unit", None)
        several = isinstance(default_written(record, key), tuple)
        if info.pop("time", None) is not None:
            keys[key] = _or_text(info, PATTERN, several=several)
        if info.pop("of_account", None) is not None:
            keys[key] = _or_text(info, r"^\d+(\.\d+)?%$", several=several)
    choices = {
        name: {"enum": sorted(values)}
        for name, values in known_variants().items()
        if any(home == domain for chosen in values.values() for home, _ in chosen)
    }
    return {
        "config": _only(keys),
        # by their form, not by name: a new layer must leave every generated file as it is
        "enabled": {"patternProperties": {r"^l\d{1,3}_\w+$": {"type": "boolean"}}, "additionalProperties": False},
        "variants": _only(choices),
    }


def _or_text(info: dict[str, Any], pattern: str, *, several: bool) -> dict[str, Any]:
    """The schema of a key that is a time or a share: text of that pattern or a list of it, or else what its number may be."""
    bars = {k: v for k, v in info.items() if k not in ("description", "default")}
    time: dict[str, Any] = {"type": "string", "pattern": pattern}
    if several:
        time = {"type": "array", "items": time, "minItems": 1}
    return {"description": info["description"], "anyOf": [time, bars]}


def _only(properties: dict[str, Any]) -> dict[str, Any]:
    return {"properties": properties, "additionalProperties": False}
