"""Names from data are no markup: a symbol called `[/]` used to end a finished run with an error."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]


def test_every_console_of_the_drivers_takes_text_as_it_is() -> None:
    made = [call for path in (ROOT / "drivers").rglob("*.py") for call in re.findall(r"\bConsole\([^)]*", path.read_text())]
    assert len(made) > 10
    assert all("markup=False" in call for call in made)


@pytest.mark.parametrize("name", ["[/]", "[red]X[/red]", "[link=file:///etc]x[/link]"])
def test_such_a_console_prints_a_hostile_name_in_a_table_as_it_is(name: str) -> None:
    file = io.StringIO()
    grid = Table("symbol", title=name)
    grid.add_row(name)
    Console(markup=False, file=file, width=80).print(grid)
    assert file.getvalue().count(name) == 2
