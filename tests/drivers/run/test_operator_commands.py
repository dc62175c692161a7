"""The operator's file: what it says, what it cannot say, and what is appended while a stream runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.run.operator_commands import Word, WordError, WordFile, parse

NOON = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("2026-03-01T12:00 HALT", Word(NOON, 1, 0.0, "f:1")),
        ("2026-03-01T12:00:00Z flatten  # all of it", Word(NOON, 2, 0.0, "f:1")),
        ("2026-03-01T13:00+01:00 RELEASE", Word(NOON, 3, 0.0, "f:1")),
        ("REBASE", Word(None, 4, 0.0, "f:1")),
        ("CASH_FLOW -5000.5", Word(None, 5, -5000.5, "f:1")),
        ("", None),
        ("  # a comment", None),
    ],
)
def test_a_line_says_when_and_what(line: str, word: Word | None) -> None:
    assert parse(line, "f:1") == word


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("STOP", "f:1: STOP is no word of the operator; say HALT, FLATTEN, RELEASE, REBASE or CASH_FLOW AMOUNT"),
        ("FLATEN", "f:1: FLATEN is no word of the operator; did you mean FLATTEN?"),
        ("2026-03-01T12:00", "f:1: a time and no word"),
        ("12:00 HALT", "f:1: 12:00 is not a time; write 2026-03-01T12:00"),
        ("HALT BTC", "f:1: HALT takes nothing beside it, not BTC"),
        ("CASH_FLOW", "f:1: say how much comes in, or goes out"),
        ("CASH_FLOW nan", "f:1: say how much comes in, or goes out"),
        ("CASH_FLOW 0", "f:1: say how much comes in, or goes out"),
        ("CASH_FLOW 5 000", "f:1: say how much comes in, or goes out"),
    ],
)
def test_a_line_that_cannot_be_understood_says_what_would_do(line: str, why: str) -> None:
    with pytest.raises(WordError, match=why):
        parse(line, "f:1")


def test_a_file_gives_its_words_by_time_and_then_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("2026-03-01T12:01 RELEASE\n\n2026-03-01T12:00 HALT")
    refused: list[str] = []
    words = WordFile(path, refused.append)
    assert [(w.operator, w.where) for w in words.timed] == [(1, "words.txt:3"), (3, "words.txt:1")]
    assert words.appended() == []
    with path.open("a") as file:
        file.write("\nFLATTEN\nFLATEN\n2026-03-01T11:00 REBASE\nHAL")
    assert [(w.operator, w.where) for w in words.appended()] == [(2, "words.txt:4")]
    assert [w.operator for w in words.timed] == [4, 1, 3]
    assert refused == ["words.txt:5: FLATEN is no word of the operator; did you mean FLATTEN?"]
    with path.open("a") as file:  # the rest of the line
        file.write("T\n")
    assert [(w.operator, w.where) for w in words.appended()] == [(1, "words.txt:7")]


def test_a_word_without_a_time_that_was_there_before_is_refused(tmp_path: Path) -> None:
    """Else the HALT of last week would stop today's stream."""
    path = tmp_path / "words.txt"
    path.write_text("HALT\n")
    with pytest.raises(
        WordError, match=r"words.txt:1: HALT has no time\. Write 2026-03-01T12:00 before it, or append the line"
    ):
        WordFile(path, print)
