"""`stratoquant domain apply`, `undo`, `history` and `specs`: named changes of a domain's configuration and wiring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from drivers.cli.common import Failed, project_of
from drivers.cli.say import say, say_json, say_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.domain_apply import Applied

Spec = Annotated[
    str, typer.Argument(metavar="SPEC", help="A name in specs/ (`stratoquant domain specs` lists them), or a file.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show the lines of the files, as diff -u does.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def apply(context: typer.Context, spec: Spec, dry_run: DryRun = False, diff: Diff = False, json: Json = False) -> None:
    """Apply a machine spec to this project.

    A spec is a named change of one domain: settings, layers switched on or off, variants of methods. The command shows what
    changes and writes config/ and wiring_master.yaml, either all of it or nothing. Every other byte of these files stays as it
    is, comments included. The resulting wiring is checked first: a change that opens a path around the risk gate, or breaks the
    graph, is refused before anything is written. `stratoquant domain undo` reverses the change.

    To run with a spec without applying it: stratoquant run --spec NAME.
    """
    from drivers.domain_apply import apply_spec

    _show(lambda: apply_spec(project_of(context), spec, dry_run=dry_run), dry_run, diff, json)


def undo(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Reverse it even if later edits are lost. The history keeps them.")
    ] = False,
    dry_run: DryRun = False,
    diff: Diff = False,
    json: Json = False,
) -> None:
    """Reverse the last machine spec.

    Repeat the command to reverse the spec before it. Edits that you made since then are kept where the spec changed nothing.
    Where an edit would be lost, the command refuses, unless you give --force.
    """
    from drivers.domain_apply import Applied
    from drivers.specs.apply import carry_out, owned, take_back

    def taken_back() -> Applied:
        project = owned(project_of(context))
        proposal = take_back(project, force=force)
        return Applied(proposal, None if dry_run else carry_out(project, proposal))

    _show(taken_back, dry_run, diff, json)


def history(context: typer.Context, json: Json = False) -> None:
    """List the machine specs that were applied.

    Shows when each was applied and by whom, and whether it was reversed.
    """
    from drivers.project.locate import locate
    from drivers.specs.history import steps

    root = locate(project_of(context)).root
    found = steps(root)
    if json:
        say_json([step.as_json() for step in found])
    elif not found:
        say(f"No machine spec was ever applied in {root}.")
    else:
        rows = [("", "time (UTC)", "by", "spec", "domain", "")]
        rows += [
            (
                str(s.number),
                _minute(s.time),
                s.who,
                s.spec.name,
                s.spec.domain,
                f"taken back {_minute(s.undone)}" if s.undone else "applied",
            )
            for s in found
        ]
        _print_columns(rows)


def specs(context: typer.Context, json: Json = False) -> None:
    """List the known machine specs.

    Shows the specs of the project and of the package: the domain of each, whether it is applied, and its purpose.
    """
    from drivers.project.locate import locate
    from drivers.project.machine_specs import known_specs, load_spec
    from drivers.specs.history import applied

    project = locate(project_of(context))
    on = {entry.about["spec"]["name"] for entry in applied(project.root)}
    found = [load_spec(project, name) for name in known_specs(project)]
    if json:
        say_json([{**spec.model_dump(), "applied": spec.name in on} for spec in found])
        return
    for spec in found:
        say_pieces([(spec.name, "head"), (f"  {spec.domain}{', applied' if spec.name in on else ''}", "")])
        say(f"  {' '.join(spec.about.split())}")


def _show(make: Callable[[], Applied], dry_run: bool, diff: bool, json: bool) -> None:
    from drivers.domain_apply import refusal
    from drivers.specs.candidate import WiringBreaksError

    try:
        done = make()
    except WiringBreaksError as error:
        if json:
            say_json(refusal(error))
        raise Failed(str(error)) from None
    if json:
        say_json(done.as_json(dry_run))
        return
    difference = done.proposal.difference
    lines: Any = ([line] for line in difference.unified()) if diff else difference.lines()
    for line in lines:
        say_pieces(line)
    say(done.sentence(dry_run))


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _print_columns(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
