"""`python -m benchmarks.flame [--days 365] [-o docs/pictures/year.svg]`: where a run's processor time goes, as a flame graph.

Profilers do not see into machine code of numba, so this is drawn from the run's own clocks: each stage, each columnar and post
layer by the thread that ran it, what is written, and what is around. The step stage is one compiled loop and has no parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import cases
from benchmarks.setup import DAY_BARS

WIDTH, ROW, LEAST = 1200, 26, 3.0
"""Pixels: of the picture, of a row, and the width from which on a box has its name."""
COLOURS: Final[Mapping[str, str]] = {"engine": "#4c78a8", "results": "#59a14f", "around": "#b07aa1"}
RESULTS: Final = ("results", "Parquet, its thread", "log lines", "summary", "report")
AROUND: Final = ("market layers, their thread", "learning layers", "engine, rest")
"""Stages of the engine in which columnar and post layers run; the rest of them is between the layers."""


class Box(NamedTuple):
    """A box and those above it. seconds: of the processor, those of its parts included."""

    name: str
    seconds: float
    parts: Sequence[Box] = ()


def measured(days: int) -> Box:
    """A run over so many days of one symbol."""
    bars = days * DAY_BARS
    stages = cases.stages(bars)
    layers = {name: ns * bars / 1e9 for name, ns in cases.layer_times(1, bars).items()}
    columnar = [Box(name.replace("_", " "), seconds) for name, seconds in sorted(layers.items(), key=lambda item: -item[1])]
    engine = [
        Box("columnar and post layers", sum(layers.values()), columnar),
        Box("step stage", stages["step stage"]),
        Box("ends of epochs", stages["ends of epochs"]),
        Box("guards", stages["guards"]),
        Box("between layers", max(0.0, sum(stages[name] for name in AROUND) - sum(layers.values()))),
    ]
    results = [Box(name, stages[name]) for name in RESULTS]
    top = [
        Box("engine", sum(box.seconds for box in engine), engine),
        Box("results", sum(box.seconds for box in results), results),
        Box("prepare", stages["prepare"]),
    ]
    return Box(f"{days} days of one symbol", sum(box.seconds for box in top), top)


def drawn(root: Box) -> str:
    """The flame graph as SVG; each box says its name and share when it is pointed at."""
    boxes: list[str] = []

    def put(box: Box, x: float, depth: int, colour: str) -> None:
        width = box.seconds / root.seconds * WIDTH
        said = f"{box.name}: {box.seconds:.2f} s, {box.seconds / root.seconds:.1%}"
        y = (3 - depth) * ROW
        if width >= 0.2:
            fits = int((width - 6) / 6.5)
            name = said if len(said) <= fits else box.name[:fits]
            text = f'<text x="{x + 3:.1f}" y="{y + 17}">{escape(name)}</text>' if width >= LEAST * 8 else ""
            rect = f'<rect x="{x:.1f}" y="{y}" width="{max(0.2, width - 0.4):.1f}" height="{ROW - 1}" fill="{colour}"/>'
            boxes.append(f"<g><title>{escape(said)}</title>{rect}{text}</g>")
        for part in box.parts:
            put(part, x, depth + 1, COLOURS.get(part.name, COLOURS["around"]) if depth == 0 else colour)
            x += part.seconds / root.seconds * WIDTH

    put(root, 0.0, 0, COLOURS["around"])
    style = 'font-family="sans-serif" font-size="12" fill="#fff"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {4 * ROW}" {style}>{"".join(boxes)}</svg>\n'


def main() -> None:
    """Measures and draws."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="of the market that is run")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/pictures/year.svg"))
    asked = parser.parse_args()
    asked.out.write_text(drawn(measured(asked.days)), encoding="utf-8")
    print(f"{asked.out}: {asked.days} days.")


if __name__ == "__main__":
    main()
