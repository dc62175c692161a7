"""What the site is given beside the pages in docs/: the reference, made from the code each time, so that it is never stale.

MkDocs calls these functions while it builds (mkdocs.yml, `hooks`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import typer.cli
import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from drivers.cli.main import app
from drivers.diagrams.model import read_model
from drivers.diagrams.page import write_page
from drivers.feeds.description import Description
from drivers.project.locate import defaults
from drivers.report.reference import write_reference
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import open_run
from drivers.venues.description import VenueRules


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds reference/: the configuration, the graph's pictures, and every command's help."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        write_reference(defaults(), made)
        for path in sorted(p for p in made.rglob("*") if p.is_file()):
            files.append(File.generated(config, f"reference/{path.relative_to(made)}", content=path.read_bytes()))
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    for name, content in sample().items():
        files.append(File.generated(config, f"sample/{name}", content=content))
    return files


def sample() -> dict[str, bytes]:
    """The report of the built-in sample market, as `make run` makes it, and the graph with that run's values."""
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(run_batch(RunRequest(out=Path(folder) / "sample", trial=False)).out)
        write_page(Path(folder) / "graph.html", read_model(defaults()), defaults(), run=run)
        return {path.name: path.read_bytes() for path in (run.folder / "report.html", Path(folder) / "graph.html")}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the keys of dataset.yml and of a venue's file where a page asks for them."""
    return markdown.replace("DATASET_KEYS", keys_of(Description)).replace("VENUE_KEYS", keys_of(VenueRules))


def keys_of(model: type[BaseModel]) -> str:
    """The keys of a file as a table, from the model that reads them."""
    rows = ["| key | default | says |", "|---|---|---|"]
    own = [name for name in model.model_fields if name in model.__annotations__]
    for name in [*own, *(n for n in model.model_fields if n not in own)]:
        field = model.model_fields[name]
        default = "" if field.is_required() or field.default in (None, "") else f"`{field.default}`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(rows)


def commands() -> str:
    """Every command with its options, as --help has them."""
    command: Any = typer.main.get_command(app)
    context = type(command).context_class(command, info_name="stratoquant")
    return typer.cli.get_docs_for_click(obj=command, ctx=context, name="stratoquant", title="Commands")
