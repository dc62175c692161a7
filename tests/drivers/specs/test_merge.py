"""Two changes of one text are put together where they touch different lines, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.specs.merge import merged

BASE = "a\nb\nc\nd\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("a\nB\nc\nd\n", BASE, "a\nB\nc\nd\n"),
        ("A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"),
        ("a\nB\nc\nd\n", "a\nb\nC\nd\n", "a\nB\nC\nd\n"),
        ("a\nb\nc\n", "new\na\nb\nc\nd\n", "new\na\nb\nc\n"),
        ("a\nB\nc\nd\n", "a\nB\nc\nD\n", "a\nB\nc\nD\n"),
        ("a\nB\nc\nd\n", "a\nX\nc\nd\n", None),
        ("a\nc\nd\n", "a\nX\nc\nd\n", None),
        ("a\nnew\nb\nc\nd\n", "a\nother\nb\nc\nd\n", None),
    ],
)
def test_changes_that_do_not_meet_are_put_together(ours: str, theirs: str, both: str | None) -> None:
    assert merged(BASE, ours, theirs) == both
    assert merged(BASE, theirs, ours) == both


LINES = st.lists(st.sampled_from("abcd"), max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(LINES, LINES)
def test_one_change_alone_is_that_change(base: str, other: str) -> None:
    assert merged(base, base, other) == merged(base, other, base) == merged(base, other, other) == other


@given(LINES, st.sampled_from(["x", "y"]), st.sampled_from(["p", "q"]))
def test_changes_of_two_halves_are_always_put_together(half: str, ours: str, theirs: str) -> None:
    base = f"{half}1\nmiddle\n2\n"
    assert merged(base, base.replace("1", ours), base.replace("2", theirs)) == f"{half}{ours}\nmiddle\n{theirs}\n"
