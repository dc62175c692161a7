"""What the commands print beside tables: sentences, JSON, and differences in colour. Nothing in it can steer a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import typer

from drivers.text.inert import json_text, shown

if TYPE_CHECKING:
    from drivers.specs.difference import Mark

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "head": {"bold": True},
    "old": {"fg": typer.colors.RED},
    "new": {"fg": typer.colors.GREEN},
}


def say(text: str, *, err: bool = False) -> None:
    """A line, or several. err: on stderr."""
    typer.echo(shown(text), err=err)


def say_pieces(pieces: Iterable[tuple[str, Mark]]) -> None:
    """A line of pieces, each old, new, a heading or none of them; in colour on a terminal, plain in a file or a pipe."""
    typer.echo("".join(typer.style(shown(text), **_STYLES[mark]) if mark else shown(text) for text, mark in pieces))


def say_json(value: Any, *, indent: int | None = 2, default: Callable[[Any], Any] | None = None) -> None:
    """A value as JSON; NaN and infinities are null."""
    from drivers.files.json_values import json_values

    typer.echo(json_text(json_values(value), indent=indent, default=default))


def say_rendered(text: str) -> None:
    """What a `Terminal` has rendered, its colours in it."""
    typer.echo(text)
