"""The flame graph: widths are shares of the whole, and parts lie above what they are parts of."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.flame import ROW, WIDTH, Box, drawn

SVG = "{http://www.w3.org/2000/svg}"


def test_boxes_are_as_wide_as_their_share_and_lie_above_their_whole() -> None:
    run = Box("run", 10.0, [Box("engine", 6.0, [Box("a & b", 4.0), Box("c", 2.0)]), Box("results", 4.0)])
    boxes = {}
    for group in ET.fromstring(drawn(run)).iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        boxes[title.text.partition(":")[0]] = [float(rect.attrib[key]) for key in ("x", "y", "width")]
        assert "%" in title.text
    assert boxes.keys() == {"run", "engine", "a & b", "c", "results"}
    for name, left, share, depth in (
        ("run", 0.0, 1.0, 0),
        ("engine", 0.0, 0.6, 1),
        ("a & b", 0.0, 0.4, 2),
        ("c", 0.4, 0.2, 2),
        ("results", 0.6, 0.4, 1),
    ):
        assert boxes[name] == pytest.approx([left * WIDTH, (3 - depth) * ROW, share * WIDTH], abs=0.5)
