"""Every command that a page quotes exists, with the options, the choices and the number of arguments that it is quoted with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from typer.exceptions import TyperException

from drivers.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELLIPSIS = {"...", "…"}


def quoted(text: str) -> Iterator[tuple[str, bool]]:
    """The command lines of a page, each with whether it is whole: one of a block is, one in a sentence may lack arguments."""
    fence = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
    for block in fence.finditer(text):
        for line in re.sub(r"\\\n *", "", block[2]).splitlines():
            if line.strip().startswith("stratoquant "):
                yield line.split(" # ")[0].strip(), True
    for code in re.findall(r"`(stratoquant [^`]+)`", fence.sub("", text)):
        yield code.replace("\\|", "|"), False


def choices(parameter: Any) -> set[str]:
    """The words that a parameter takes; empty where it takes any."""
    annotation = parameter.type_descriptor.annotation
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Enum)]
    return {str(word.value) for kind in kinds for word in kind}


def fault(line: str, whole: bool) -> str | None:
    """What is wrong with a command line, if anything; nothing runs and no path need exist."""
    words = shlex.split(re.sub(r"[\[\]]", " ", line) if not whole else line)[1:]
    command: Any = typer.main.get_command(app)
    context = type(command).context_class(command, info_name="stratoquant")
    while True:
        parser = command.make_parser(context)
        try:
            given, rest, _ = parser.parse_args([word for word in words if word not in ELLIPSIS])
        except TyperException as error:
            return error.format_message()
        for parameter in command.params:
            value, allowed = given.get(parameter.name), choices(parameter)
            if allowed and isinstance(value, str) and not set(value.split("|")) <= allowed:
                return f"{parameter.name} is not {value}"
            if whole and value is None and parameter.required and not hasattr(command, "commands"):
                return f"{parameter.name} is missing"
        if not hasattr(command, "commands"):
            return f"{rest[0]} is one argument too many" if rest and whole else None
        if not rest or (not whole and rest[0].isupper()):
            return None if not whole else "a command is missing"
        if rest[0] not in command.commands:
            return f"there is no command {rest[0]}"
        command, words = command.commands[rest[0]], rest[1:]
        context = type(command).context_class(command, parent=context, info_name=rest[0])


LINES = sorted(
    {(page.relative_to(ROOT).as_posix(), *each) for page in PAGES for each in quoted(page.read_text(encoding="utf-8"))}
)


def test_the_pages_quote_commands() -> None:
    assert len(LINES) > 60
    assert len({page for page, _, _ in LINES}) > 10


@pytest.mark.parametrize(("page", "line", "whole"), LINES)
def test_a_quoted_command_exists(page: str, line: str, whole: bool) -> None:
    assert fault(line, whole) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stratoquant grpah -o graph.svg", "there is no command grpah"),
        ("stratoquant graph --layr L4", "--layr"),
        ("stratoquant graph --path L0", "--path"),
        ("stratoquant stream --data x --speed slow", "speed is not slow"),
        ("stratoquant domain run", "is missing"),
        ("stratoquant health twice", "twice is one argument too many"),
        ("stratoquant domain", "a command is missing"),
    ],
)
def test_a_wrong_one_is_found(line: str, says: str) -> None:
    assert says in (fault(line, whole=True) or "")
