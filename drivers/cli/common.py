"""What the commands share: the global options, how a check fails, how times and lists are typed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from drivers.feeds.source import source_of
from drivers.project.own_process import own_process
from drivers.run.request import RunRequest
from drivers.text.times import parse_utc


class Failed(Exception):
    """A check or a run failed, as its command has already explained or as the message says: exit code 1."""


@dataclass(frozen=True)
class Globals:
    """The options before the command."""

    project: Path | None
    debug: bool = False


def project_of(context: typer.Context) -> Path | None:
    """The folder given as --project."""
    found = context.find_object(Globals)
    return found.project if found is not None else None


def debug_of(context: typer.Context) -> bool:
    """Whether --debug was given."""
    found = context.find_object(Globals)
    return found is not None and found.debug


def utc_ns(text: str | None) -> int | None:
    """UTC nanoseconds of `2026-03-01`, `2026-03-01T12:00` or `2026-03-01T12:00:00Z`; a time without a zone is UTC."""
    if text is None:
        return None
    try:
        return parse_utc(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def names(text: str | None) -> tuple[str, ...] | None:
    """The names in `A,B`; None for all."""
    if text is None:
        return None
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise typer.BadParameter("no symbol is named; write --symbols A,B")
    return found


def request_of(
    context: typer.Context,
    symbols: str | None,
    start: str | None,
    end: str | None,
    overrides: list[str] | None,
    *,
    data: str | None,
    **more: Any,
) -> RunRequest:
    """What a command asks for, from its options as they were typed. more: fields of RunRequest."""
    return RunRequest(
        data=None if data is None else source_of(data),
        symbols=names(symbols),
        start=utc_ns(start),
        end=utc_ns(end),
        overrides=tuple(overrides or ()),
        project=project_of(context),
        **more,
    )


@contextmanager
def needing_live() -> Iterator[None]:
    """Around imports that need the extra `live`. Raises Failed where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Failed(f"{error.name} is not installed; add it with: pip install 'stratoquant[live]'") from None


def started_beside(
    request: RunRequest, command: str, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A command about the results of a stream, in a process of its own. words: its further arguments. environment: None: this
    one."""
    project = ("--project", str(request.project)) if request.project is not None else ()
    started = own_process("drivers.cli.main", *project, command, str(request.out), *words)
    # in a session of its own: Ctrl-C is for the stream
    return subprocess.Popen(started, start_new_session=True, env=environment)


def given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was typed, and is not its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
