"""The graph of layers as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from drivers.diagrams import dot, selection
from drivers.diagrams.model import read_model
from drivers.diagrams.picture import source
from drivers.files.atomic import write_atomic, write_atomic_bytes
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
        form = out.suffix.lower()
        if form == ".dot":
            write_atomic(out, self.dot)
        elif form in (".svg", ".png"):
            write_atomic_bytes(out, dot.render(self.dot, "png" if form == ".png" else "svg"))
        else:
            raise ValueError(f"{out} is none of .svg, .png, .dot")
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
    if domain is not None:
        shown = selection.domain(model, domain)
    elif layer is not None:
        shown = selection.around(model, layer, up=up, down=down)
    elif path is not None:
        shown = selection.paths(model, *path)
    else:
        shown = selection.all_layers(model)
    return Picture(shown.title, source(model, shown))
