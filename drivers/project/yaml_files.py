"""Reads a project's YAML files."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from drivers.project.errors import ProjectError

# PyYAML's parser in C, where it was built with it, is ten times as fast as that in Python
PlainLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST: Final = 200
"""Mappings and sequences within each other: the parser in C has no limit, and would end the process."""


def load_plain(text: str, loader: Any) -> Any:
    """YAML whose every value is written out: a few lines of aliases stand for more values than any memory holds.

    loader: a subclass of PlainLoader. Raises yaml.YAMLError, and RecursionError when it is nested deeper than DEEPEST.
    """
    try:
        _refuse(yaml.parse(text, Loader=PlainLoader))
    except yaml.YAMLError:
        _refuse(yaml.parse(text, Loader=yaml.SafeLoader))  # says it in the same words on every machine
        raise
    return yaml.load(text, Loader=loader)


def _refuse(events: Iterable[yaml.Event]) -> None:
    """Raises for an alias, and for what is nested too deep."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem="an alias (*) is not taken; write the value itself", problem_mark=mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


class _Loader(PlainLoader):  # type: ignore[misc]  # one of two, as PyYAML was built
    """YAML that refuses a key given twice: PyYAML takes the last without a word."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"{key} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    made: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return made


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """The value of a text. To read the configuration of many settings, the same files are parsed once."""
    return load_plain(text, _Loader)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises ProjectError naming file and line when it cannot be read, is not YAML, gives a key twice or is not a mapping.
    """
    try:
        loaded = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror.lower() if error.strerror else error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ProjectError(f"{path}{line}: {getattr(error, 'problem', None) or 'not YAML'}.") from None
    except RecursionError:
        raise ProjectError(f"{path} is nested too deep to be read.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ProjectError(f"{path} holds a {type(loaded).__name__}; it must be a mapping of keys to values.")
    return loaded
