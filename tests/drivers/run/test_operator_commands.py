"""The operator file: its commands, lines that are refused, and lines that are appended while a stream runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.run.operator_commands import OperatorCommand, OperatorFile, OperatorFileError, parse

NOON = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("2026-03-01T12:00 HALT", OperatorCommand(NOON, 1, 0.0, "f:1")),
        ("2026-03-01T12:00:00Z flatten  # all of it", OperatorCommand(NOON, 2, 0.0, "f:1")),
        ("2026-03-01T13:00+01:00 RELEASE", OperatorCommand(NOON, 3, 0.0, "f:1")),
        ("REBASE", OperatorCommand(None, 4, 0.0, "f:1")),
        ("CASH_FLOW -5000.5", OperatorCommand(None, 5, -5000.5, "f:1")),
        ("", None),
        ("  # a comment", None),
    ],
)
def test_a_line_gives_time_and_command(line: str, command: OperatorCommand | None) -> None:
    assert parse(line, "f:1") == command


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("STOP", "f:1: STOP is not an operator command; write HALT, FLATTEN, RELEASE, REBASE or CASH_FLOW AMOUNT"),
        ("FLATEN", "f:1: FLATEN is not an operator command; did you mean FLATTEN?"),
        ("2026-03-01T12:00", "f:1: there is a time but no command"),
        ("12:00 HALT", "f:1: '12:00' is not a time; write 2026-03-01 or 2026-03-01T12:00"),
        ("HALT BTC", "f:1: HALT takes no argument, but the line goes on with BTC"),
        ("CASH_FLOW", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW nan", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW 0", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW 5 000", "f:1: CASH_FLOW needs an amount"),
    ],
)
def test_a_line_that_cannot_be_understood_says_what_would_do(line: str, why: str) -> None:
    with pytest.raises(OperatorFileError, match=why):
        parse(line, "f:1")


def test_a_operator_filegives_its_commands_by_time_and_then_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "operator.txt"
    path.write_text("2026-03-01T12:01 RELEASE\n\n2026-03-01T12:00 HALT")
    refused: list[str] = []
    operator_file = OperatorFile(path, refused.append)
    assert [(c.code, c.where) for c in operator_file.timed] == [(1, "operator.txt:3"), (3, "operator.txt:1")]
    assert operator_file.appended() == []
    with path.open("a") as file:
        file.write("\nFLATTEN\nFLATEN\n2026-03-01T11:00 REBASE\nHAL")
    assert [(c.code, c.where) for c in operator_file.appended()] == [(2, "operator.txt:4")]
    assert [c.code for c in operator_file.timed] == [4, 1, 3]
    assert refused == ["operator.txt:5: FLATEN is not an operator command; did you mean FLATTEN?"]
    with path.open("a") as file:  # the rest of the line
        file.write("T\n")
    assert [(c.code, c.where) for c in operator_file.appended()] == [(1, "operator.txt:7")]


def test_a_command_without_a_time_that_was_there_before_is_refused(tmp_path: Path) -> None:
    """Else the HALT of last week would stop today's stream."""
    path = tmp_path / "operator.txt"
    path.write_text("HALT\n")
    with pytest.raises(
        OperatorFileError, match=r"operator.txt:1: HALT has no time\. Write 2026-03-01T12:00 before it, or append the line"
    ):
        OperatorFile(path, print)
