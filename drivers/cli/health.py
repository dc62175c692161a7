"""`stratoquant health`: is this installation fit to run?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drivers.cli.common import Failed, debug_of, project_of
from drivers.cli.say import say, say_json, say_rendered

if TYPE_CHECKING:
    from drivers.health import HealthReport

_STYLE: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_WIDTH: Final = 120  # of what goes into a file or a pipe


def _age(text: str | None) -> str | None:
    from drivers.health.context import AgeError, parse_age

    try:
        if text is not None:
            parse_age(text, 1)
    except AgeError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def health(
    context: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder of market data to look into. May be given again. Without it: the sample market.",
        ),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="AGE",
            callback=_age,
            help="Fail when a symbol's newest bar is older than this: 90m, 2h, 1d or 5bars. Without it the data count "
            "as a recording: their age is reported and is never a failure.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the smoke run.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, and nothing else, on stdout.")] = False,
) -> None:
    """Check everything that a run depends on, and advise how to fix what is wrong.

    The checks cover versions, modules and drawing tools; configuration, machine specs and wiring; market data, their age
    and their clock; the cache of machine code; disk space; and a smoke run, which sends a small simulated market through
    the whole engine and compares each domain with its boundary model.

    Each finding is ok, warn or fail. Exit code 0: nothing failed. 1: something failed. 2: the command was misused.

    With --json: {"ok": true, "checks": [{"name", "status", "detail", "advice", "seconds"}, ...]}. status is ok, warn or fail;
    detail is the finding; advice is what to do, or "". A check may have several entries. ok is true when the exit code is 0.

    The checks take some ten seconds. If the layers are not compiled on this machine, the smoke run compiles them first, for
    about a minute on two cores. CI can run the same checks as a module: python -P -m drivers.health_check.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from drivers.health import Context, check_health
    from drivers.text.terminal import Terminal

    asked = Context(folder=project_of(context), data=tuple(data or ()), max_age=max_age)
    asked.project  # noqa: B018  # a --project that is none is misuse, and no finding
    told = Terminal(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal, redirect_stdout=False) as progress:
        task = progress.add_task("")

        def on_check(doing: str, done: int, total: int) -> None:
            progress.update(task, description=doing, completed=done, total=total)

        report = check_health(asked, quick=quick, debug=debug_of(context), on_check=on_check)
    if json:
        say_json(report.as_dict(strict=strict))
    else:
        _show(report)
    if not report.holds(strict=strict):
        raise Failed(_refusal(report, strict))


def _show(report: HealthReport) -> None:
    """A line a finding, below it what to do."""
    from rich.table import Table
    from rich.text import Text

    from drivers.text.terminal import Terminal

    console = Terminal()
    if not console.is_terminal:
        console = Terminal(width=_WIDTH)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    before = ""
    for finding in report.findings:
        said = Text(finding.detail)
        if finding.advice:
            said.append(f"\n{finding.advice}", style="italic" if console.is_terminal else "")
        grid.add_row(Text(finding.status, style=_STYLE[finding.status]), "" if finding.name == before else finding.name, said)
        before = finding.name
    with console.capture() as printed:
        console.print(grid)
    say_rendered("\n".join(line.rstrip() for line in printed.get().splitlines()))
    say(report.verdict)


def _refusal(report: HealthReport, strict: bool) -> str:
    """Which checks are at fault, in one sentence."""
    wrong = ("fail", "warn") if strict else ("fail",)
    names = dict.fromkeys(f.name for f in report.findings if f.status in wrong)
    return f"Not fit to run: {', '.join(names)}."
