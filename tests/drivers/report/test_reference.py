"""The reference shows every setting and every edge; each layer has its place on the page of its domain, and no page is stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.report.layer_pages import write_layer_pages
from drivers.report.reference import write_reference

LAYERS = Path(__file__).parents[3] / "docs" / "layers"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("site")
    return {path.name: path.read_text() for path in write_reference(defaults(), folder)}


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("layers")
    (folder / "plots").symlink_to(LAYERS / "plots")  # which layers have a picture is part of the pages
    return {path.name: path.read_text() for path in write_layer_pages(defaults(), folder)}


def test_the_pages_of_the_layers_are_not_stale(layers: dict[str, str]) -> None:
    committed = {path.name: path.read_text() for path in LAYERS.glob("*.md")}
    stale = sorted(name for name in layers.keys() | committed.keys() if layers.get(name) != committed.get(name))
    assert not stale, "`make docs` writes docs/layers anew; commit what it changes"


def test_every_layer_has_its_place_on_the_page_of_its_domain(layers: dict[str, str]) -> None:
    wired = load(defaults().wiring).layers
    for name, entry in wired.items():
        assert (
            len(re.findall(rf"^## {entry.id} .*\{{#{entry.id.lower()}\}}$", layers[f"{entry.domain}.md"], flags=re.MULTILINE))
            == 1
        ), name
        assert f"]({entry.domain}.md#{entry.id.lower()})" in layers["index.md"]


def test_every_setting_has_its_row(pages: dict[str, str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", pages["configuration.md"], flags=re.MULTILINE)
    assert rows == [key for record in load_configs(defaults()).values() for key in record._fields]


def test_every_domain_with_layers_has_its_picture(pages: dict[str, str], layers: dict[str, str]) -> None:
    domains = {entry.domain for entry in load(defaults().wiring).layers.values()}
    assert {f"{domain}.svg" for domain in domains} <= set(pages)
    assert all(f"](../reference/{domain}.svg)" in layers[f"{domain}.md"] for domain in domains)


def test_every_edge_is_drawn(pages: dict[str, str]) -> None:
    wiring = load(defaults().wiring)
    drawn = set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", pages["graph.svg"]))
    edges = {(i, name) for name, entry in wiring.layers.items() for i in entry.inputs if i in wiring.layers}
    assert edges <= drawn
    assert ("l5_execution_bridge", "l90_fills") in drawn  # the orders, coming round
