"""What is printed: text as it is, with nothing in it that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from drivers.text.inert import shown


class Terminal(Console):
    """A console of rich that takes no text for markup, emoji or control sequences: names come from data."""

    def __init__(self, *, stderr: bool = False, **more: Any) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, **more)

    def render_str(self, text: str, **more: Any) -> Text:
        """Cells and titles, escaped before their width is measured."""
        return super().render_str(shown(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that is printed, whatever it is made of; rich's own control segments pass."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))
