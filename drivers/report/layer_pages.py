"""docs/layers/: a page for each domain, from graph and docstrings. `python -P -m drivers.report.layer_pages [docs/layers]`.

The pages are committed, so that a change of a layer is seen in a diff; a test makes them anew and compares. The pictures beside
them in `plots/` are drawn from real data by `python -m benchmarks.layer_plots`; a layer without one has none on its page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from drivers.diagrams.meaning import Meaning, meanings
from drivers.diagrams.model import Field, Input, Layer, Model, detailed, read_model
from drivers.files.atomic import write_atomic
from drivers.project.locate import Project, defaults
from drivers.text.inert import cell_text

PLOTS: Final = "plots"
DRAWN: Final = (
    "The pictures beside the layers show eight hours of BTCUSDT, a perpetual of Binance USD-M futures, in May 2025, by "
    "`python -m benchmarks.layer_plots` under the specification `prior_belief`; the bars are from the repository "
    "[typhonun/DcaTpStrategy](https://github.com/typhonun/DcaTpStrategy), MIT licence."
)
SCHEDULES: Final = {
    "columnar": "columnar: over whole panels",
    "step": "step: bar by bar, the account in view",
    "post": "post: over whole panels, after the steps",
    "epoch": "epoch: once a day",
}


def write_layer_pages(project: Project, folder: Path) -> list[Path]:
    """Writes index.md and <domain>.md for every domain that has layers; returns their paths."""
    model, meant = detailed(read_model(project), project), meanings(project)
    pages = {"index": index_page(model)}
    pages |= {d: domain_page(d, model, meant, folder / PLOTS) for d in model.domains if model.domains[d].layers}
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, lines in pages.items():
        made.append(folder / f"{name}.md")
        write_atomic(made[-1], "\n".join(lines).rstrip() + "\n")
    return made


def index_page(model: Model) -> Iterator[str]:
    """Every layer by id."""
    yield f"# Layers\n\n{len(model.layers)} layers run. [The whole graph](../reference/graph.svg). {DRAWN}\n"
    yield "| id | layer | what it is | domain | runs |\n|---|---|---|---|---|"
    for layer in sorted(model.layers.values(), key=lambda one: one.number):
        where = f"[{layer.domain}]({layer.domain}.md)"
        yield f"| {layer.id} | {link(layer, '')} | {cell_text(layer.title)} | {where} | {layer.schedule} |"


def domain_page(domain: str, model: Model, meant: Mapping[str, Meaning], plots: Path) -> Iterator[str]:
    """The picture of a domain, and each of its layers by id."""
    picture = f"../reference/{domain}.svg"
    yield f"# {domain}\n\n[![The {domain} domain]({picture})]({picture})"
    for name in model.domains[domain].layers:
        yield from _layer(model.layers[name], model, meant[name], plots)


def _layer(layer: Layer, model: Model, meant: Meaning, plots: Path) -> Iterator[str]:
    cross = ", cross-sectional" if layer.cross_sectional else ""
    yield f"\n## {layer.id} {layer.label} {{#{layer.id.lower()}}}\n"
    yield f"{layer.title}\n\n`{layer.module}`; {SCHEDULES[layer.schedule]}{cross}.\n"
    picture = plots / f"{layer.name}.svg"
    if picture.is_file():
        yield f"![{layer.id} on real data]({PLOTS}/{picture.name})\n"
    yield f"{layer.method}\n"
    yield f"**Takes** {', '.join(_input(one, layer, model) for one in layer.inputs) or 'nothing'}.\n"
    takers = sorted((model.layers[e.target] for e in model.edges if e.source == layer.name), key=lambda one: one.number)
    yield f"**Feeds** {', '.join(dict.fromkeys(link(one, layer.domain) for one in takers)) or 'no layer'}.\n"
    details = layer.details
    if details is None:
        return
    yield "| gives | type | meaning |\n|---|---|---|"
    for field in details.gives:
        yield f"| `{field.name or layer.name}` | {_type(field)} | {cell_text(meant.leaves[field.name].about)} |"
    if details.reads:
        yield "\n| reads | value | unit | meaning |\n|---|---|---|---|"
    for key in details.reads:
        yield f"| `{key.domain}.{key.key}` | {key.value} | {cell_text(key.unit)} | {cell_text(key.about)} |"


def _input(taken: Input, layer: Layer, model: Model) -> str:
    if taken.kind == "layer":
        return link(model.layers[taken.name], layer.domain)
    if taken.kind == "delayed":
        edge = next(e for e in model.edges if e.target == layer.name and e.name == taken.name)
        source = model.layers.get(edge.source)
        return f"`{taken.name}` of {link(source, layer.domain) if source else edge.source}, one {edge.delay} late"
    return f"`{taken.name}`"


def link(layer: Layer, domain: str) -> str:
    """A link to a layer's place, from the page of `domain`."""
    page = "" if layer.domain == domain else f"{layer.domain}.md"
    return f"[{layer.id} {layer.label}]({page}#{layer.id.lower()})"


def _type(field: Field) -> str:
    return f"{field.dtype} ({', '.join(field.axes)})" if field.axes else field.dtype


if __name__ == "__main__":
    for path in write_layer_pages(defaults(), Path(sys.argv[1] if len(sys.argv) > 1 else "docs/layers")):
        sys.stdout.write(f"{path}\n")
