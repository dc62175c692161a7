"""The reference shows every layer, every setting and every edge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.engine.wiring import load
from drivers.project import defaults, load_configs
from drivers.report.reference import write_reference


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("site")
    return {path.name: path.read_text() for path in write_reference(defaults(), folder)}


def test_every_layer_has_its_place(pages: dict[str, str]) -> None:
    wired = load(defaults().wiring).layers
    assert set(re.findall(r"^### L\d+ `(\w+)`$", pages["layers.md"], flags=re.MULTILINE)) == set(wired)


def test_every_setting_has_its_row(pages: dict[str, str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", pages["configuration.md"], flags=re.MULTILINE)
    assert rows == [key for record in load_configs(defaults()).values() for key in record._fields]


def test_every_domain_with_layers_has_its_picture(pages: dict[str, str]) -> None:
    domains = {entry.domain for entry in load(defaults().wiring).layers.values()}
    assert {f"{domain}.svg" for domain in domains} <= set(pages)
    assert all(f"]({domain}.svg)" in pages["layers.md"] for domain in domains)


def test_every_edge_is_drawn(pages: dict[str, str]) -> None:
    wiring = load(defaults().wiring)
    drawn = set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", pages["graph.svg"]))
    edges = {(i, name) for name, entry in wiring.layers.items() for i in entry.inputs if i in wiring.layers}
    assert edges <= drawn
    assert ("l5_execution_bridge", "l90_fills") in drawn  # the orders, coming round
