"""The map in docs/architecture.md, and the navigation of the site, against the tree."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BUILT = ("reference/commands.md", "reference/configuration.md")
"""Pages that the build of the site writes."""


def on_the_map() -> dict[str, set[str]]:
    """The names below `dataflows/` and `drivers/` on the map."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"## Where things are\n\n```\n(.*?)```", text, re.DOTALL)
    assert block is not None
    found: dict[str, set[str]] = {}
    top = ""
    for line in block[1].splitlines():
        indent, name = re.fullmatch(r"( *)(\S+) .*", line).groups()  # type: ignore[union-attr]
        if not indent:
            top = name.rstrip("/")
        elif len(indent) == 2:
            found.setdefault(top, set()).add(name.rstrip("/"))
    return found


def in_the_tree(top: str) -> set[str]:
    folders = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
    return folders | {path.name for path in (ROOT / top).glob("*.py") if path.name != "__init__.py"}


def test_every_folder_and_module_is_on_the_map_and_no_other() -> None:
    assert on_the_map() == {top: in_the_tree(top) for top in ("dataflows", "drivers")}


def test_every_page_is_in_the_navigation_and_exists() -> None:
    lines = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(lines[lines.index("\nnav:") :])["nav"]
    listed = set(re.findall(r"[\w/-]+\.(?:md|ipynb)", str(nav)))
    there = {str(path.relative_to(DOCS)) for kind in ("md", "ipynb") for path in DOCS.rglob(f"*.{kind}")}
    assert listed - set(BUILT) == there - set(BUILT)
