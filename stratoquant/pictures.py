"""The graph of layers as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from drivers.diagrams import dot
from drivers.diagrams.model import read_model
from drivers.diagrams.picture import source
from drivers.diagrams.selection import selected
from drivers.project.locate import locate
from stratoquant.arguments import path_of


@dataclass(frozen=True)
class Picture:
    """A picture of the graph. dot: its source in the DOT language. A notebook shows it."""

    title: str
    dot: str

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes it as .svg, .png or .dot, by the extension of the name."""
        out = Path(path).expanduser()
        dot.write(out, self.dot)
        return out

    def _repr_svg_(self) -> str:
        return dot.render(self.dot, "svg").decode()

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"


def graph(
    *,
    domain: str | None = None,
    layer: str | None = None,
    up: int = 1,
    down: int = 1,
    path: tuple[str, str] | None = None,
    project: str | PathLike[str] | None = None,
) -> Picture:
    """The graph of layers: all of it, one domain, the surroundings of a layer, or the paths from one layer to another.

    up, down: with layer, the steps towards the market data and towards the orders. project: a folder with a wiring of your own.
    Raises ValueError for names that do not exist and for more than one of domain, layer and path.
    """
    given = [name for name, value in (("domain", domain), ("layer", layer), ("path", path)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"graph takes one of domain, layer and path; {' and '.join(given)} were given")
    model = read_model(locate(path_of(project)))
    shown = selected(model, domain_=domain, layer=layer, up=up, down=down, path=path)
    return Picture(shown.title, source(model, shown))
