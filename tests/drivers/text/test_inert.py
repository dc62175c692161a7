"""The functions that make text harmless, one for each form of output."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import graphviz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.diagrams.dot import render
from drivers.text.inert import cell_text, dot_text, json_text, json_texts, name_fault, shown, shown_values
from drivers.text.terminal import Terminal

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


def steers(text: str, but: str = "") -> bool:
    return any(unicodedata.category(c) in STEERING and c not in but for c in text)


def test_the_characters_are_those_of_unicode() -> None:
    """An unassigned character that a later Unicode gives to one of these categories may be among them too."""
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if (shown(chr(code), lines=False) != chr(code)) != (category in STEERING):
            assert category == "Cn" or (code, category) == (0x180E, "Cf"), hex(code)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("BTC-USDT Ünïcode 比特币 [/]", "BTC-USDT Ünïcode 比特币 [/]"),
    ],
)
def test_what_steers_is_shown_as_an_escape(text: str, escaped: str) -> None:
    assert shown(text, lines=False) == escaped


@given(ANY_TEXT)
def test_nothing_steers_in_any_form(text: str) -> None:
    assert not steers(shown(text), "\n\t")
    assert not steers(shown(text, lines=False))
    assert not steers(json_text({text: [text]}, indent=2), "\n")
    assert not steers(json.dumps(shown_values({text: [text]}), ensure_ascii=False))
    assert not steers(cell_text(text)) and "|" not in cell_text(text).replace("\\|", "")
    assert not steers(dot_text(text), "\n\t")


@given(ANY_TEXT)
def test_json_is_read_back_as_it_was(text: str) -> None:
    assert json.loads(json_text([text])) == [text]
    assert shown_values({"a": [text, 1.5, None]}) == {"a": [shown(text), 1.5, None]}


@given(st.lists(ANY_TEXT | st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_several_values_at_once_are_written_as_each_alone(values: list[str | float | None]) -> None:
    assert json_texts(values) == [json_text(value) for value in values]


@given(ANY_TEXT)
def test_a_terminal_prints_no_control_whatever_it_is_given(text: str) -> None:
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    grid = Table(text, title=text)
    grid.add_row(Text(text))
    terminal = Terminal(file=file, width=80)
    terminal.print(grid, text, Text(text))
    assert not steers(file.getvalue(), "\n")


@pytest.mark.parametrize("text", ["<b>x</b>", "<TABLE>", '"', "\\N", "a\\lb", "&amp;", "&#60;", "x\\", '"]; evil [label="'])
def test_a_label_of_a_picture_is_drawn_as_it_is(text: str) -> None:
    drawn = graphviz.Digraph()
    drawn.node("a", label=dot_text(text), tooltip=dot_text(text))
    import xml.etree.ElementTree as ET

    root = ET.fromstring(render(drawn.source, "svg"))
    nodes = [g for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"]
    assert len(nodes) == 1
    assert ["".join(t.itertext()) for t in nodes[0].iter("{http://www.w3.org/2000/svg}text")] == [text]


@pytest.mark.parametrize("name", ["[/]", "<script>", '"', "=cmd()", "../x", "A B", "-rf", "比特币", ":dog:", "x" * 64])
def test_a_name_that_shows_may_stand(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "a\u202eb", "a\u200bb", "\ufeffBTC", "x" * 65, "\ud800"])
def test_a_name_that_does_not_show_is_refused(name: str) -> None:
    assert ";" in str(name_fault(name))
