"""The gallery: every pattern of the graph is on its page, its pictures are small and whole, and they show what happened."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gallery
from benchmarks.candles import Picture, draw, price_text, ticks, together
from dataflows.pattern.types import PatternSignal
from drivers.feeds.simulate import default_symbols, simulate
from drivers.graph.inventory import layer_nodes
from drivers.graph.layers import LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.locate import defaults

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation" / "pattern-gallery.md"
PICTURES = sorted((DOCS / "pictures" / "patterns").glob("*.svg"))
LARGEST = 30_000


def patterns() -> list[LayerNode]:
    """The patterns of the graph."""
    return [n for n in layer_nodes(layer_modules(), load(defaults().wiring).variants) if n.returns is PatternSignal]


@pytest.mark.parametrize("node", patterns(), ids=lambda node: node.layer_id)
def test_every_pattern_has_its_section_its_sentence_and_its_picture(node: LayerNode) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"{{#{node.layer_id.lower()}}}")[2].partition("\n## ")[0]
    assert section, f"{node.layer_id} is not on the page; python -m benchmarks.gallery writes it anew"
    assert len(section.strip().splitlines()[0]) > 40
    assert f"../pictures/patterns/{node.name}.svg" in section
    assert DOCS / "pictures" / "patterns" / f"{node.name}.svg" in PICTURES


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_small_whole_and_loads_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    root = ET.fromstring(text)
    kinds = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert kinds.count("title") == kinds.count("desc") == 1 and kinds.count("path") > 5
    assert not {"image", "script", "style", "use", "a"} & set(kinds)
    assert not re.search(r"\bnan\b", text)


def test_the_page_names_source_and_licence() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "github.com/typhonun/DcaTpStrategy" in text and "MIT licence" in text


def drawing(side: int = 1, void: float = 99.0) -> Picture:
    """Forty candles that rise by one each."""
    close = 100.0 + np.arange(40.0)
    minute = 60_000_000_000
    return Picture("T", "S", minute * np.arange(1, 41), close - 1.0, close + 0.5, close - 1.5, close, 10.0, 20.0, side, void)


def test_prices_lie_where_they_belong() -> None:
    text = draw(drawing())
    wick = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", text)
    tops = [float(top) for _, top, _ in wick][:40]
    assert tops == sorted(tops, reverse=True)  # higher prices are higher up
    assert all(float(bottom) > float(top) for _, top, bottom in wick[:40])


@pytest.mark.parametrize(("side", "mark"), [(1, "l-6 11h12z"), (-1, "l-6 -11h12z"), (0, "l5 -5 5 5 -5 5z")])
def test_the_mark_points_the_pattern_s_way(side: int, mark: str) -> None:
    marks = {"l-6 11h12z", "l-6 -11h12z", "l5 -5 5 5 -5 5z"}
    text = draw(drawing(side))
    assert [m for m in marks if m in text] == [mark]


def test_a_refuting_price_far_away_is_told_in_words() -> None:
    assert "void beyond 1 ↓" in draw(drawing(void=1.0)) and "↓" not in draw(drawing(void=110.0))


def test_candles_are_pandas_resampled_bars() -> None:
    x = np.array([3.0, np.nan, 1.0, 2.0, np.nan, np.nan])
    groups = np.array([0, 0, 0, 1, 2, 2])
    for how, expected in (("first", [3, 2]), ("last", [1, 2]), ("max", [3, 2]), ("min", [1, 2]), ("sum", [4, 2])):
        np.testing.assert_array_equal(together(x, groups, how), [*expected, np.nan])


def test_ticks_are_round_and_prices_have_the_digits_that_tell_them_apart() -> None:
    assert ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert price_text(104_238.4, 1000.0) == "104,238" and price_text(2.31617, 0.04) == "2.316"


def test_a_gallery_of_a_simulated_market_draws_what_its_run_says(tmp_path: Path) -> None:
    simulate(tmp_path / "market", seed=2, symbols=default_symbols(2), days=3, start="2024-01-01", book=False, trades=False)
    tape = gallery.Tape(gallery.setting(tmp_path / "market"))
    drawn = gallery.draw_all(tape, tuple(tape.setting.patterns), tmp_path)
    assert len(drawn) > 12
    for layer in drawn:
        found = tape.best(layer)
        assert found is not None
        signal = tape.signal(layer)
        assert signal.active[found.row : found.ends, found.symbol].all()
        assert (signal.side[found.row : found.ends, found.symbol] == found.side).all()
        assert (signal.age[found.row : found.ends, found.symbol] >= 0.0).all()
        text = (tmp_path / f"{tape.setting.patterns[layer].name}.svg").read_text(encoding="utf-8")
        assert f"confidence {found.confidence:.2f}" in text and "simulated" not in text
    page = gallery.page(tape, drawn, "pictures")
    assert all(f"## {layer} " in page for layer in tape.setting.patterns)
