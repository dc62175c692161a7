"""YAML edited where it stands: what changes, changes; every other byte stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drivers.files.yaml_edit import YamlEditError, edited, written

TEXT = """\
# a file
a: 1 # one

b:
  c: [1, 2]   # list
  d: {e: x, f: y}  # flow
  # last of b
g:
  - 1
  - 2  # two
h:
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("a",), 2.5, "a: 1 #", "a: 2.5 #"),
        (("b", "c"), (3, 4, 5), "[1, 2] ", "[3, 4, 5] "),
        (("b", "d", "e"), "z", "{e: x,", "{e: z,"),
        (("b", "d", "new"), True, "f: y}", "f: y, new: true}"),
        (("b", "new"), False, "# flow\n", "# flow\n  new: false\n"),
        (("g",), [3], "g:\n  - 1\n  - 2 ", "g: [3] "),
        (("b",), 1, TEXT[TEXT.index("b:") : TEXT.index("  # flow")], "b: 1"),
        (("h",), 1, "h:\n", "h: 1\n"),
        (("new",), 1, "h:\n", "h:\nnew: 1\n"),
        (("new", "inner"), "x", "h:\n", "h:\nnew: {inner: x}\n"),
    ],
)
def test_one_value_changes_and_the_rest_stays(path: tuple[str, ...], value: object, old: str, new: str) -> None:
    assert old in TEXT
    assert edited(TEXT, {path: value}) == TEXT.replace(old, new)


@pytest.mark.parametrize("text", ["", "# only words\n", "# no line end"])
def test_a_file_without_keys_gets_one(text: str) -> None:
    made = edited(text, {("a",): 1}, notes={"a": "unit: what"})
    assert made.endswith("a: 1  # unit: what\n")
    assert yaml.safe_load(made) == {"a": 1}


def test_new_keys_come_in_order_with_their_notes() -> None:
    order = ("x", "a", "y", "b", "z")
    made = edited("a: 1\nb: 2\n", {("z",): 3, ("x",): 1, ("y",): 2}, order=order, notes={"y": "middle"})
    assert made == "x: 1\na: 1\ny: 2  # middle\nb: 2\nz: 3\n"


@pytest.mark.parametrize("text", ["a: &one 1\nb: *one\n", "a: &one 1\nb: *one\nc: 1\n"])
def test_what_cannot_be_changed_alone_is_refused(text: str) -> None:
    with pytest.raises(YamlEditError, match="cannot be changed where it stands"):
        edited(text, {("b",): 3, ("a",): 2})


def test_a_key_below_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(YamlEditError, match=r"a is no mapping; set a\.b by hand"):
        edited("a: 1\n", {("a", "b"): 2})


VALUES = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.lists(st.integers(), max_size=4),
    st.text("ab: #'\"{[\n-", max_size=8),
)


@given(
    start=st.dictionaries(st.sampled_from("abcde"), VALUES),
    changes=st.dictionaries(st.sampled_from("abcdefg"), VALUES),
    flow=st.booleans(),
)
def test_any_value_reads_back(start: dict[str, object], changes: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(start, default_flow_style=flow, sort_keys=False) if start else ""
    assert (yaml.safe_load(edited(text, {(key,): value for key, value in changes.items()})) or {}) == {**start, **changes}


@given(VALUES)
def test_a_written_value_is_one_line_and_reads_back(value: object) -> None:
    assert yaml.safe_load(f"a: {written(value)}") == {"a": value}
    assert "\n" not in written(value)
