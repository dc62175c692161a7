"""The picture in a terminal: a line for each symbol, a sign for each span of time."""

from __future__ import annotations

from typing import Final

import numpy as np
from rich.console import Group
from rich.text import Text

from drivers.feeds.quality.measure import Picture, span_name
from drivers.text.times import utc

_SIGNS: Final = ((0.999, "█", "green"), (0.95, "▓", "green"), (0.5, "▒", "yellow"), (1e-9, "░", "red"), (-1.0, "·", "red"))
_WIDE: Final = 60
_SYMBOLS: Final = 30


def coverage(picture: Picture) -> Group:
    """A line for each symbol: how many of the bars of each span are there, and below it where its book is crossed or old."""
    merge = -(-len(picture.starts) // _WIDE)
    at = np.arange(0, len(picture.starts), merge)
    width = max((len(s.symbol) for s in picture.symbols[:_SYMBOLS]), default=0)
    lines = [
        Text(
            f"bars there, by {span_name(picture.width * merge)}: █ all  ▓ 95 %  ▒ half  ░ few  · none  ! bad book", style="dim"
        )
    ]
    for s in picture.symbols[:_SYMBOLS]:
        expected = np.add.reduceat(s.expected, at)
        missing = np.add.reduceat(s.counts["missing"], at)
        odd = np.add.reduceat(sum((s.counts[m] for m in ("crossed", "no book")), np.zeros_like(s.expected)), at)
        line = Text(f"{s.symbol:<{width}} ")
        for k in range(len(at)):
            share = 1.0 - missing[k] / expected[k] if expected[k] else None
            sign, style = (" ", "") if share is None else next((g, c) for least, g, c in _SIGNS if share >= least)
            line.append(sign, style)
        lines.append(line)
        if odd.any():
            lines.append(Text(" " * (width + 1) + "".join("!" if x else " " for x in odd), style="yellow"))
    if len(picture.symbols) > _SYMBOLS:
        lines.append(Text(f"and {len(picture.symbols) - _SYMBOLS} more symbols: see --html", style="dim"))
    if len(at):
        first, last = utc(int(picture.starts[0])), utc(int(picture.starts[-1]) + picture.width)
        lines.append(Text(f"{' ' * (width + 1)}{first} to {last}", style="dim"))
    return Group(*lines)
