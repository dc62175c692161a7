"""`config/*.yml` written from the models, with the user's values and comments kept; and a project of one's own to begin with.

A file has one line a key, in the model's order: `key: value  # unit: meaning`, below one line that says what the file is.
What is the user's: every value, as it is written; every comment on lines of its own, which stays above the key that it stands
above; a comment behind a value that does not begin with the key's unit, which goes above it. What is not: the rest.
A key that the model does not have is refused by name and never dropped: it may be a value that somebody relies on.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dataflows.config import default_written, file_keys, model_of, shares_of_account, spans_of
from dataflows.runtime.kept import kept, sources
from dataflows.spans import MINUTES, BarClock
from drivers.files.transaction import Files, change, read
from drivers.files.yaml_edit import end_of, written
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import config_text, explained, load_configs, title_of
from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import WIRING, Project, defaults
from drivers.project.own_layers import own_layer_files
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean


def regenerated(project: Project) -> tuple[Files, Files]:
    """The files of a project that are not as the models have them: as they are, and as they would be.

    Raises ConfigError or ProjectError naming an unknown key (with the one that was meant), a value out of range, a stray file.
    """
    load_configs(project)
    config = project.root / "config"
    wanted: dict[str, str] = {}
    for domain, record in config_records().items():
        content = read(config / f"{domain}.yml")
        wanted[f"config/{domain}.yml"] = fresh_text(domain, record, None if content is None else content.decode())
    if (project.root / "specs").is_dir():
        from drivers.specs.schema import schema_text  # looks at every layer

        wanted["specs/schema.json"] = schema_text()
    before = {name: read(project.root / name) for name in wanted}
    stale = {name: text.encode() for name, text in wanted.items() if text.encode() != before[name]}
    return {name: before[name] for name in stale}, dict(stale)


def beginnings(folder: Path) -> Files:
    """What a folder lacks of a project: the shipped wiring, a configuration of defaults, the example specs and their schema."""
    own = defaults()
    wanted: Files = {WIRING: read(own.wiring)}
    for domain, record in config_records().items():
        wanted[f"config/{domain}.yml"] = fresh_text(domain, record, None).encode()
    if not (folder / "specs").is_dir():
        wanted |= {f"specs/{path.name}": read(path) for path in sorted(own.specs.glob("*.yaml"))}
    from drivers.specs.schema import schema_text

    wanted["specs/schema.json"] = schema_text().encode()
    return {name: content for name, content in wanted.items() if not (folder / name).exists()}


def fresh_text(domain: str, record: type[tuple[Any, ...]], text: str | None) -> str:
    """A domain's file as the model has it, with the values and the comments of `text`. Its keys must be the model's."""
    fresh = config_text(record, {}, title=title_of(domain, record)).splitlines()
    if text is None:
        return "\n".join(fresh) + "\n"
    parts = _parts(text, f"# {domain}: ")
    made: list[str] = [fresh[0], *(line for line in parts.top if not line.startswith(parts.title))]
    for key, line in zip(file_keys(record), fresh[1:], strict=True):
        part = parts.keys.get(key)
        if part is None:
            made.append(line)
            continue
        unit, about = explained(record, key)
        comment = f"# {unit}: {about}"
        made += part.above
        made += [own for c in part.behind if (own := _own_comment(c, comment, f"# {unit}: "))]
        made.append(f"{key}: {part.value}  {comment}")
    made += parts.end
    return "\n".join(made) + "\n"


class _Part(NamedTuple):
    above: list[str]  # comments and empty lines on lines of their own
    value: str
    behind: list[str]  # comments on the lines of the value


class _Parts(NamedTuple):
    title: str  # what the line begins with that says what the file is
    top: list[str]  # what stands at the top and belongs to no key
    keys: dict[str, _Part]
    end: list[str]


def _parts(text: str, title: str) -> _Parts:
    lines = text.splitlines()
    root = yaml.compose(text)
    if root is None:
        return _Parts(title, list(_spoken(lines)), {}, [])
    keys: dict[str, _Part] = {}
    next_line = 0
    for key, value in root.value:
        stop = end_of(value)
        last = text.count("\n", 0, stop)
        inside = [_comment(line) for line in lines[value.start_mark.line : last]]
        behind = _comment(text[stop:].partition("\n")[0])
        keys[key.value] = _Part(
            list(_spoken(lines[next_line : key.start_mark.line])),
            _value(text[value.start_mark.index : stop], value),
            [comment for comment in (*inside, behind) if comment],
        )
        next_line = max(next_line, last + 1)
    top: list[str] = []
    first = next(iter(keys), None)
    if first is not None:
        above = keys[first].above
        ends = max(
            (i + 1 for i, line in enumerate(above) if not line), default=int(above[:1] != [] and above[0].startswith(title))
        )
        top, keys[first] = above[:ends], keys[first]._replace(above=above[ends:])
    return _Parts(title, top, keys, list(_spoken(lines[next_line:])))


def _spoken(lines: list[str]) -> Iterator[str]:
    """Comments and empty lines; not the marks between documents."""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            yield line.strip()


def _comment(line: str) -> str:
    """The comment on a line; values are numbers, so that no # stands within one."""
    found = re.search(r"(?:^|\s)(#.*)$", line)
    return found[1].strip() if found else ""


def _value(source: str, node: yaml.Node) -> str:
    """As it is written, if that is one line and stands for itself."""
    plain = "\n" not in source and not re.search(r"[&*!]", source) and source
    block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return source if plain and not block else written(yaml.safe_load(yaml.serialize(node)))


def _own_comment(comment: str, generated: str, begins: str) -> str:
    """What of a comment behind a value is the user's: all that does not begin with the unit, or what was added at its end."""
    if comment.startswith(generated):
        added = comment.removeprefix(generated).strip(" ;,.#")
        return f"# {added}" if added else ""
    return "" if comment.startswith(begins) else comment


def begin(folder: Path) -> list[str]:
    """Puts what a folder lacks of a project there; the names of what was put. Raises ProjectError for the package's folder."""
    if folder.resolve() == defaults().root.resolve():
        raise ProjectError(f"{folder} holds the package's own files; name another folder for a project of your own.")
    files = beginnings(folder)
    if files:
        folder.mkdir(parents=True, exist_ok=True)
        change(folder, dict.fromkeys(files), files, {"kind": "init"})
    return list(files)


class Setting(NamedTuple):
    """One key of the configuration, and all there is to know of it."""

    domain: str
    key: str
    value: Any  # as a file says it: a time, where the key stands for time
    default: Any
    bars: Any  # what layers see: of a time its bars at the clock, of a share the amount; None where it is the value
    bounds: str
    unit: str
    about: str
    layers: tuple[str, ...]  # ids of those that read it

    def row(self) -> tuple[str, ...]:
        """For a table."""
        star = "" if self.value == self.default else "*"
        bars = "" if self.bars is None else f"= {written(self.bars)}"
        return self.key, written(self.value) + star, bars, self.bounds, self.unit, " ".join(self.layers), self.about


def settings(project: Project, domain: str | None = None, clock: BarClock = MINUTES) -> list[Setting]:
    """Every key of every domain, or of one, and the bars that its times are at a clock.

    Raises ProjectError when there is no such domain, and as load_configs does.
    """
    configs = load_configs(project, clock=clock)
    said = {name: read_yaml(path) if (path := project.config / f"{name}.yml").is_file() else {} for name in configs}
    if domain is not None and domain not in configs:
        raise ProjectError(f"there is no domain {domain!r} with settings; {did_you_mean(domain, list(configs))}")
    readers: dict[tuple[str, str], list[str]] = {}
    for reader, key, layer in _readers(project, configs):
        readers.setdefault((reader, key), []).append(layer)
    listed: list[Setting] = []
    for name, made in configs.items():
        record: type[tuple[Any, ...]] = type(made)
        for key in file_keys(record) if domain in (None, name) else ():
            usual, value = default_written(record, key), getattr(made, key)
            timed = key in spans_of(record) or key in shares_of_account(record)
            listed.append(
                Setting(
                    name,
                    key,
                    _as_said(said[name].get(key, usual)) if timed else value,
                    usual,
                    value if timed else None,
                    _bounds(record, key),
                    *explained(record, key),
                    tuple(readers.get((name, key), ())),
                )
            )
    return listed


def _readers(project: Project, configs: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(domain, key, id of a layer that reads it), by id. It takes a second to read all layers, so what it says of the package's
    own is kept in the cache."""

    def found() -> list[tuple[str, str, str]]:
        from drivers.graph.config_reads import reads_of
        from drivers.graph.modules import layer_modules
        from drivers.graph.network import graph_of

        nodes = graph_of(layer_modules(project), variants).values()
        every = {(read.domain, read.key, node.layer_id) for node in nodes for read in reads_of(node.fn, configs) if read.domain}
        return sorted(every, key=lambda read: (int(read[2][1:]), *read))

    variants = load_wiring(project.wiring).variants
    made = found() if own_layer_files(project) else kept(f"readers of settings {sources()} {sorted(variants.items())}", found)
    return [(domain, key, layer) for domain, key, layer in made]


def _as_said(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.cache
def _properties(record: Any) -> dict[str, Any]:
    """The JSON schema of each key of a domain."""
    properties: dict[str, Any] = model_of(record).model_json_schema()["properties"]
    return properties


def _bounds(record: Any, key: str) -> str:
    """As `>= 1, < 2`; of a tuple, those of its elements."""
    schema: dict[str, Any] = _properties(record)[key]
    schema = schema.get("items") or (schema.get("prefixItems") or [schema])[0]
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return ", ".join(f"{sign} {schema[name]:g}" for name, sign in signs.items() if name in schema)
