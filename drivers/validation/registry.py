"""What a property is, and how it says that it does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from drivers.engine.chunk import Outputs
from drivers.validation.trial import Stretch, Trial


class Broken(Exception):
    """A property does not hold. The message is one sentence: layer, field, symbol and bar, and what is wrong there."""


class NothingToTest(Exception):
    """A property has nothing to say of a stretch. The message is one sentence: why."""


class Tested(NamedTuple):
    """What a property was tested on: bars, and how many numbers in how many columns were compared."""

    bars: int = 0
    values: int = 0
    columns: int = 0


Along: TypeAlias = Callable[[Outputs], Tested]
"""Takes the outputs of one chunk of the run after another. Raises Broken."""


@dataclass(frozen=True)
class Property:
    """Something that holds of every run, whatever the data.

    name: in a few words. means: what it means for the user, in a sentence. needs: the layers without which there is nothing to
    test. along: begins a test that sees every chunk of a run; on: tests a stretch. One of the two is given.
    """

    name: str
    means: str
    needs: tuple[str, ...]
    along: Callable[[Trial], Along] | None = None
    on: Callable[[Stretch], Tested] | None = None


def along_the_run(name: str, means: str, *needs: str) -> Callable[[Callable[[Trial], Along]], Property]:
    """Makes a property of a function: given the trial, it returns what takes the outputs of each chunk."""
    return lambda begin: Property(name, means, needs, along=begin)


def on_stretches(name: str, means: str, *needs: str) -> Callable[[Callable[[Stretch], Tested]], Property]:
    """Makes a property of a function that tests one stretch."""
    return lambda test: Property(name, means, needs, on=test)
