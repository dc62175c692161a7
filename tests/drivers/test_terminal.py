"""Everything that is printed goes through the few functions that make text harmless."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.table import Table

from drivers.text.terminal import Terminal

DRIVERS = Path(__file__).parents[2] / "drivers"
THE_FUNCTIONS = {"cli/say.py", "text/terminal.py"}


def test_nothing_is_printed_around_them() -> None:
    for path in sorted(DRIVERS.rglob("*.py")):
        name, code = path.relative_to(DRIVERS).as_posix(), path.read_text(encoding="utf-8")
        if name in THE_FUNCTIONS:
            continue
        around = re.findall(r"\bConsole\(|typer\.s?echo\(|typer\.style\(|^\s*print\(", code, flags=re.MULTILINE)
        assert not around, f"{name}: {around}; use drivers.cli.say or drivers.text.terminal"


RENDERERS = {"web/page.py", "pine/render.py"}
"""Those that render templates: the pages, and the Pine scripts, whose strings have an escape and tests of their own."""


def test_every_page_is_rendered_by_the_one_function_that_escapes() -> None:
    for path in sorted(DRIVERS.rglob("*.py")):
        if path.relative_to(DRIVERS).as_posix() not in RENDERERS:
            code = path.read_text(encoding="utf-8")
            assert "Markup(" not in code and "jinja2" not in code, path
    templates = list((DRIVERS / "web" / "templates").glob("*.j2"))
    assert templates and not [p for p in templates if re.search(r"\|\s*safe|autoescape", p.read_text(encoding="utf-8"))]


def test_no_script_of_a_page_makes_markup_of_data() -> None:
    """One place makes elements from markup: the legend of the graph, of our own words and colours."""
    made = {
        path.name: len(re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", path.read_text(encoding="utf-8")))
        for path in (DRIVERS / "web" / "static").glob("*.js")
    }
    assert {name: n for name, n in made.items() if n} == {"graph.js": 1}


@pytest.mark.parametrize("name", ["[/]", "[red]X[/red]", "[link=file:///etc]x[/link]", ":dog:"])
def test_a_terminal_prints_a_hostile_name_in_a_table_as_it_is(name: str) -> None:
    file = io.StringIO()
    grid = Table("symbol", title=name)
    grid.add_row(name)
    Terminal(file=file, width=80).print(grid)
    assert file.getvalue().count(name) == 2
