"""Reads a project's YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from drivers.project.errors import ProjectError


class PlainLoader(yaml.SafeLoader):
    """YAML whose every value is written out: a few lines of aliases stand for more values than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuses an alias."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # its stubs lack it
            raise yaml.MarkedYAMLError(problem="an alias (*) is not taken; write the value itself", problem_mark=mark)
        return super().compose_node(parent, index)


class _Loader(PlainLoader):
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
