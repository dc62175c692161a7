"""Lines of a log as columns: what several lines of one form say, fact by fact.

The text of a line is what its facts put into it, one after the other. It is made a column at a time: a fact that is one of few
has its text from a table, and all numbers of a column are encoded at once. Nothing is made per line but the line.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from dataflows.panel import Ints
from drivers.text.inert import json_text, json_texts

MOST_TEXTS: Final = 4096
"""Texts that a table keeps: few codes come, and they come often."""

AT_ONCE: Final = 512
"""Values of one call of the encoder, and lines of one of the file: a tenth of a millisecond, for which a bar may wait."""


class Event(NamedTuple):
    """One line to be: when, what, whether a person should look at it, and the rest."""

    time: int  # UTC ns
    name: str
    fields: dict[str, Any]
    warns: bool = False


class What(NamedTuple):
    """What a line tells, and whether a person should look at it."""

    name: str
    warns: bool = False

    @property
    def level(self) -> str:
        """The log's word for that."""
        return "warning" if self.warns else "info"


class Fact(Protocol):
    """What a column of lines says. It is given keys, one a line."""

    name: str

    def texts_of(self, keys: Sequence[Any]) -> Iterable[str]:
        """What it puts into each line: `, "name": value`, or nothing where the line does not have it."""

    def values_of(self, keys: Sequence[Any]) -> Iterable[Any]:
        """The value of each line as JSON has it; None where the line does not have it."""


class OneOf(dict[Hashable, str]):
    """A fact that is one of few. value: what a key stands for. As a mapping: the text of each key that has come."""

    def __init__(self, name: str, value: Callable[[Any], Any]) -> None:
        super().__init__()
        self.name, self.value = name, value

    def __missing__(self, key: Any) -> str:
        if len(self) >= MOST_TEXTS:
            self.clear()
        value = self.value(key)
        text = self[key] = "" if value is None else fact_text(self.name, value)
        return text

    def texts_of(self, keys: Sequence[Any]) -> Iterable[str]:
        """As `Fact` says."""
        return map(self.__getitem__, keys)

    def values_of(self, keys: Sequence[Any]) -> Iterable[Any]:
        """As `Fact` says."""
        return map(self.value, keys)


class Stated:
    """A fact whose keys are its values: numbers or texts; None where a line does not have it."""

    def __init__(self, name: str) -> None:
        self.name, self._head = name, f", {json_text(name)}: "

    def texts_of(self, keys: Sequence[Any]) -> Iterable[str]:
        """As `Fact` says. Raises ValueError for a number that JSON does not have."""
        head = self._head
        for first in range(0, len(keys), AT_ONCE):
            for text in json_texts(keys[first : first + AT_ONCE]):
                yield head + text if text != "null" else ""

    def values_of(self, keys: Sequence[Any]) -> Iterable[Any]:
        """As `Fact` says."""
        return keys


def fact_text(name: str, value: Any) -> str:
    """What one value puts into a line."""
    return f", {json_text(name)}: {json_text(value)}"


class Lines(NamedTuple):
    """Lines of one form, in order of time.

    bar: (L,) which of the bars each is about. column: (L,) which symbol; None of lines about all. what, facts: of each line.
    """

    bar: Ints
    column: Ints | None
    what: Sequence[What]
    facts: Sequence[tuple[Fact, Sequence[Any]]]

    def events(self, time: Ints) -> Iterator[Event]:
        """The same one by one. time: of the bars."""
        names = [fact.name for fact, _ in self.facts]
        rows = zip(*(fact.values_of(keys) for fact, keys in self.facts), strict=True)
        for at, (name, warns), row in zip(time[self.bar].tolist(), self.what, rows, strict=True):
            yield Event(at, name, {k: v for k, v in zip(names, row, strict=True) if v is not None}, warns)
