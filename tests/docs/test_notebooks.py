"""The notebooks of the site run from first cell to last in an empty folder, and show what they put out."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from docs.notebook_outputs import executed

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) > 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_puts_out_what_it_is_kept_with(path: Path, tmp_path: Path) -> None:
    """The kinds of output, cell by cell; numbers move with the layers: `python -P docs/notebook_outputs.py` makes them anew."""
    again, kept = code_of(executed(path, tmp_path)), code_of(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in kept] == list(range(1, len(kept) + 1))
    kinds = [[sorted(each.get("data", {"text": 1})) for cell in cells for each in cell.outputs] for cells in (kept, again)]
    assert kinds[0] == kinds[1] and len(kinds[0]) > 5
    assert all(len(a.outputs) == len(b.outputs) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_no_folder_of_the_machine_that_ran_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"file://|/tmp/|/home/|/root/|\\u001b", text)
