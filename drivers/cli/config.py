"""`stratoquant config`: the configuration files, and a project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.app import App
from drivers.cli.common import Failed, project_of
from drivers.cli.say import say, say_json, say_pieces

app = App(help="Settings, and a project of your own.")


@app.command("init")
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the project; it is made if need be.")]) -> None:
    """Create a project of your own.

    Writes wiring_master.yaml, config/ with every setting explained, and the example machine specs. Files that exist already are
    not changed. Layers of your own go into layers/<domain>/ of this folder.
    """
    from drivers.specs.config_files import begin

    made = begin(folder)
    for name in made:
        say_pieces([(f"+ {folder / name}", "new")])
    say(
        f"{folder} is a project: work in it, or name it with stratoquant --project {folder} COMMAND."
        if made
        else f"{folder} has all that a project has; nothing is written."
    )


@app.command("regenerate")
def regenerate(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, and write nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and fail when a file is not up to date: for CI.")
    ] = False,
) -> None:
    """Update config/ from the code.

    Writes every key in its place, with its unit and meaning, and with its default where you gave no value. Your values stay
    as you wrote them, and so do your comments: a comment on its own line keeps its place, and a comment behind a value
    moves to the line above it. A key that the code does not have is refused, and the nearest known key is named, since it
    may have been renamed. The command also writes specs/schema.json, which editors use to complete machine specs.
    """
    from drivers.files.transaction import change
    from drivers.specs.apply import owned
    from drivers.specs.config_files import regenerated
    from drivers.specs.difference import unified

    project = owned(project_of(context))
    before, after = regenerated(project)
    for line in unified(before, after):
        say_pieces([line])
    files = ", ".join(after)
    if not after:
        say(f"config/ of {project.root} is up to date.")
    elif check:
        raise Failed(f"Not up to date with the code: {files}. `stratoquant config regenerate` rewrites what differs.")
    elif dry_run:
        say(f"Dry run: {files} would be rewritten; nothing is written.")
    else:
        entry = change(project.root, before, after, {"kind": "regenerate"})
        say(f"Rewritten: {files}. What they were is kept in {entry.folder / 'before'}.")


@app.command("show")
def show(
    context: typer.Context,
    domain: Annotated[str | None, typer.Argument(metavar="DOMAIN", help="Show this domain only.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Show times in bars of this data set; else in minutes' bars.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show every setting.

    Shows value, what layers see of a time in bars, bounds, unit, the layers that read it, and its meaning. A star marks a value
    that is not the default.
    """
    from dataflows.spans import MINUTES
    from drivers.project.locate import locate
    from drivers.specs.config_files import settings

    project, clock = locate(project_of(context)), MINUTES
    if data is not None:
        from drivers.feeds.dataset import open_dataset

        clock = open_dataset(data, venues=project.config / "venues").clock
    found = settings(project, domain, clock)
    if json:
        say_json([setting._asdict() for setting in found])
        return
    for name in dict.fromkeys(setting.domain for setting in found):
        say_pieces([(name, "head")])
        rows = [setting.row() for setting in found if setting.domain == name]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
