"""Pictures are drawn with and without Graphviz on the machine."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import graphviz
import pytest

from drivers.diagrams import dot

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def source() -> str:
    graph = graphviz.Digraph(node_attr={"shape": "box"})
    graph.edge("l0_market_feed", "l2_returns_volatility")
    graph.edge("l2_returns_volatility", "l4_risk_gate", label="σ")
    return str(graph.source)


@pytest.fixture
def without_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def titles(picture: bytes, kind: str) -> set[str]:
    root = ElementTree.fromstring(picture)
    return {str(g.findtext(f"{SVG}title")) for g in root.iter(f"{SVG}g") if g.get("class") == kind}


@pytest.mark.usefixtures("without_dot")
def test_without_dot_the_svg_shows_every_node_and_edge(source: str) -> None:
    picture = dot.render(source, "svg")
    assert titles(picture, "node") == {"l0_market_feed", "l2_returns_volatility", "l4_risk_gate"}
    assert titles(picture, "edge") == {"l0_market_feed->l2_returns_volatility", "l2_returns_volatility->l4_risk_gate"}
    assert "σ" in picture.decode()


@pytest.mark.usefixtures("without_dot")
def test_without_dot_the_png_is_a_picture_with_its_text(source: str) -> None:
    try:
        picture = dot.render(source, "png")
    except dot.DotError as error:
        pytest.skip(str(error))  # a machine without any font
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 100
    assert height > 200
    silent = dot.render(source.replace("l0_market_feed", '" "').replace("l4_risk_gate", '"  "'), "png")
    assert len(picture) > len(silent) + 1000


@pytest.mark.usefixtures("without_dot")
def test_a_png_without_any_font_is_refused(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dot, "FONTS", (str(tmp_path),))
    dot._family.cache_clear()
    with pytest.raises(dot.DotError, match="this machine has none; ask for SVG"):
        dot.render(source, "png")
    dot._family.cache_clear()


def test_whatever_is_installed_the_same_nodes_are_drawn(source: str) -> None:
    assert titles(dot.render(source, "svg"), "node") == titles(dot.render_without_dot(source, "svg"), "node")


@pytest.mark.usefixtures("without_dot")
def test_what_is_no_graph_is_refused_in_one_sentence() -> None:
    with pytest.raises(dot.DotError, match="Graphviz cannot draw this"):
        dot.render("digraph { a -> ", "svg")
