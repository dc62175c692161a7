"""Differences in colour where the terminal has it, plain elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from drivers.specs.difference import Mark

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "head": {"bold": True},
    "old": {"fg": typer.colors.RED},
    "new": {"fg": typer.colors.GREEN},
}


def painted(pieces: Iterable[tuple[str, Mark]]) -> str:
    """A line of pieces, each old, new, a heading or none of them. `typer.echo` takes the colours off for a file or a pipe."""
    return "".join(typer.style(text, **_STYLES[mark]) if mark else text for text, mark in pieces)
