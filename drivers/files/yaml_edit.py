"""YAML edited where it stands: the values that change are replaced, every other byte stays.

A library that writes YAML anew has opinions on indentation, quotes and line breaks; a person who keeps a file by hand does too.
So the text is only parsed for where its values are, and cut there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Path = tuple[str, ...]
"""The keys that lead to a value, from the outermost."""


class YamlEditError(ValueError):
    """A text is written in a way that cannot be edited in place. The message names the key."""


def written(value: Any) -> str:
    """A value as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**9, sort_keys=False).removesuffix("...\n").strip()
    return text if "\n" not in text else json.dumps(plain)  # YAML reads JSON; a string of several lines


def edited(text: str, values: Mapping[Path, Any], *, order: Sequence[str] = (), notes: Mapping[str, str] | None = None) -> str:
    """The text with each value in its place. A key that is not there yet gets a line.

    order: keys of the outermost mapping, in the order in which new ones come among those that are there (else at the end).
    notes: comments for new ones.
    Raises YamlEditError when a value stands where it cannot be replaced alone (an alias, a merged key).
    """
    wanted = copy.deepcopy(yaml.safe_load(text) or {})
    new = text
    for path, value in values.items():
        _set(wanted, path, list(value) if isinstance(value, tuple) else value)
        new = _edited_once(new, path, value, order, (notes or {}).get(path[-1]))
        if not _says(new, wanted):
            name = ".".join(path)
            raise YamlEditError(f"{name} cannot be changed where it stands (an alias or a merged key?); set it by hand.")
    return new


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return bool(yaml.safe_load(text) == wanted)
    except yaml.YAMLError:
        return False


def _set(values: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = {}
        values = values[key]
    values[path[-1]] = value


def _edited_once(text: str, path: Path, value: Any, order: Sequence[str], note: str | None) -> str:
    root = yaml.compose(text)
    if root is None:
        return _with_line(text, len(text), _line(path, value, 0, note))
    node, key_end = root, 0
    for depth, key in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            raise YamlEditError(f"{'.'.join(path[:depth])} is no mapping; set {'.'.join(path)} by hand.")
        inner = value_of(node, key)
        if inner is None:
            return _inserted(text, node, path[depth:], value, order if depth == 0 else (), note)
        key_end = next(name.end_mark.index for name, _ in node.value if name.value == key)
        node = inner
    start, stop = node.start_mark.index, end_of(node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # it begins on a line of its own, below its key
        behind = text.index(":", key_end) + 1
        comment = text[behind:start].partition("\n")[0].rstrip()
        return f"{text[:behind]} {written(value)}{comment}{text[stop:]}"
    before = "" if start == 0 or text[start - 1] in " \n[{," else " "  # `key:` with nothing behind it
    return text[:start] + before + written(value) + text[stop:]


def _inserted(text: str, node: yaml.MappingNode, path: Path, value: Any, order: Sequence[str], note: str | None) -> str:
    if node.flow_style:
        at = end_of(node.value[-1][1]) if node.value else node.start_mark.index + 1
        return text[:at] + (", " if node.value else "") + _line(path, value, 0, None).rstrip("\n") + text[at:]
    ranks = {key: rank for rank, key in enumerate(order)}
    rank = ranks.get(path[0], len(ranks))
    earlier = [inner for key, inner in node.value if ranks.get(key.value, -1) < rank]
    at = line_end(text, earlier[-1]) if earlier else text.rfind("\n", 0, node.start_mark.index) + 1
    return _with_line(text, at, _line(path, value, node.start_mark.column, note))


def _line(path: Path, value: Any, column: int, note: str | None) -> str:
    for key in reversed(path[1:]):
        value = {key: value}
    return f"{' ' * column}{path[0]}: {written(value)}{f'  # {note}' if note else ''}\n"


def _with_line(text: str, at: int, line: str) -> str:
    return text[:at] + ("\n" if at and text[at - 1] != "\n" else "") + line + text[at:]


def value_of(node: Any, key: str) -> Any:
    """The node of a key's value in a mapping node; None when there is none."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value
    return None


def end_of(node: yaml.Node) -> int:
    """Where the text of a node ends. A block's own mark lies at what follows it, comments included."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def line_end(text: str, node: yaml.Node) -> int:
    """Where the last line of a node ends."""
    newline = text.find("\n", end_of(node))
    return len(text) if newline < 0 else newline + 1
