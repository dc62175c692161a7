"""The operator file: its commands, lines that are refused, and lines that are appended while a stream runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataflows.risk.types import KILL_REJECTS
from drivers.run.operator_commands import (
    SETTLES,
    OperatorCommand,
    OperatorFile,
    OperatorFileError,
    OperatorInput,
    fields_of,
    parse,
)

SYMBOLS = ("BTC", "ETH-PERP", "ES H6#2")
NOON = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("2026-03-01T12:00 HALT", OperatorCommand(NOON, 1, 0.0, "f:1")),
        ("2026-03-01T12:00:00Z flatten  # all of it", OperatorCommand(NOON, 2, 0.0, "f:1")),
        ("2026-03-01T13:00+01:00 RELEASE", OperatorCommand(NOON, 3, 0.0, "f:1")),
        ("REBASE", OperatorCommand(None, 4, 0.0, "f:1")),
        ("CASH_FLOW -5000.5", OperatorCommand(None, 5, -5000.5, "f:1", about="-5000.5")),
        ("HALT BTC", OperatorCommand(None, 1, 0.0, "f:1", symbol=0, about="BTC")),
        ("2026-03-01T12:00 flatten ETH-PERP", OperatorCommand(NOON, 2, 0.0, "f:1", symbol=1, about="ETH-PERP")),
        ("HALT ES  H6#2 # the second", OperatorCommand(None, 1, 0.0, "f:1", symbol=2, about="ES H6#2")),
        ("RELEASE BTC", OperatorCommand(None, 3, 0.0, "f:1", symbol=0, about="BTC")),
        ("RELEASE latch rejects", OperatorCommand(None, 3, 0.0, "f:1", subject=KILL_REJECTS, about="LATCH REJECTS")),
        ("CANCEL ETH-PERP-52", OperatorCommand(None, 6, 0.0, "f:1", symbol=1, subject=52, about="ETH-PERP-52")),
        ("CANCEL ES H6#2-4", OperatorCommand(None, 6, 0.0, "f:1", symbol=2, subject=4, about="ES H6#2-4")),
        ("", None),
        ("  # a comment", None),
    ],
)
def test_a_line_gives_time_and_command(line: str, command: OperatorCommand | None) -> None:
    assert parse(line, "f:1", SYMBOLS) == command


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("HALT", {"command": "HALT"}),
        ("FLATTEN ETH-PERP", {"command": "FLATTEN", "symbol": "ETH-PERP"}),
        ("RELEASE LATCH EQUITY", {"command": "RELEASE", "latches": ["EQUITY"]}),
        ("CANCEL BTC-52", {"command": "CANCEL", "symbol": "BTC", "order": "BTC-52"}),
        ("CASH_FLOW 5", {"command": "CASH_FLOW", "amount": 5.0}),
    ],
)
def test_a_command_in_the_words_of_the_log(line: str, fields: dict[str, object]) -> None:
    command = parse(line, "f:1", SYMBOLS)
    assert command is not None and fields_of(command.instant(NOON), SYMBOLS) == fields


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("STOP", "f:1: STOP is not an operator command; write HALT, FLATTEN or RELEASE, alone or with a symbol, CANCEL"),
        ("FLATEN", "f:1: FLATEN is not an operator command; did you mean FLATTEN?"),
        ("2026-03-01T12:00", "f:1: there is a time but no command"),
        ("12:00 HALT", "f:1: '12:00' is not a time; write 2026-03-01 or 2026-03-01T12:00"),
        ("REBASE BTC", "f:1: REBASE takes no argument, but the line goes on with BTC"),
        ("HALT BCT", "f:1: BCT is not a symbol of this stream; did you mean BTC?"),
        ("FLATTEN XRPUSDT", r"f:1: XRPUSDT is not a symbol of this stream; there are: BTC, ETH-PERP, ES H6#2\."),
        ("RELEASE REJECTS", "f:1: REJECTS is not a symbol of this stream; write RELEASE LATCH REJECTS"),
        (
            "RELEASE LATCH STALE",
            "f:1: STALE is not a latch; there are: DRAWDOWN, EQUITY, OPERATOR_FLATTEN, OPERATOR_HALT, RECO",
        ),
        ("RELEASE LATCH DRAWDOWNS", r"f:1: DRAWDOWNS is not a latch; did you mean DRAWDOWN\?"),
        ("RELEASE LATCH", "f:1: RELEASE LATCH needs a name: DRAWDOWN"),
        ("CANCEL", "f:1: CANCEL needs the name of an order, as the log gives it: CANCEL BTCUSDT-52"),
        ("CANCEL 52", "f:1: CANCEL needs the name of an order"),
        ("CANCEL BTC-x", "f:1: CANCEL needs the name of an order"),
        ("CANCEL BTC-0", "f:1: CANCEL needs the name of an order"),
        ("CANCEL BTC-4294967296", "f:1: CANCEL needs the name of an order"),
        ("CANCEL LTC-52", "f:1: LTC is not a symbol of this stream"),
        ("CASH_FLOW", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW nan", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW 0", "f:1: CASH_FLOW needs an amount"),
        ("CASH_FLOW 5 000", "f:1: CASH_FLOW needs an amount"),
    ],
)
def test_a_line_that_cannot_be_understood_says_what_would_do(line: str, why: str) -> None:
    with pytest.raises(OperatorFileError, match=why):
        parse(line, "f:1", SYMBOLS)


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def refused() -> list[str]:
    return []


def texts(source: OperatorFile | OperatorInput) -> list[str]:
    return [command.text for command in source.read()]


def test_an_operator_file_gives_its_commands_and_then_what_is_appended(tmp_path: Path, refused: list[str]) -> None:
    path = tmp_path / "operator.txt"
    path.write_text("2026-03-01T12:01 RELEASE\n\n2026-03-01T12:00 HALT")
    source = OperatorFile(path, SYMBOLS, refused.append)
    assert [(c.code, c.where) for c in source.read()] == [(3, "operator.txt:1"), (1, "operator.txt:3")]
    assert source.read() == []
    with path.open("a") as file:
        file.write("\nFLATTEN\nFLATEN\n2026-03-01T11:00 REBASE\nHAL")
    assert [(c.code, c.where) for c in source.read()] == [(2, "operator.txt:4"), (4, "operator.txt:6")]
    assert refused == ["operator.txt:5: FLATEN is not an operator command; did you mean FLATTEN?"]
    with path.open("a") as file:  # the rest of the line
        file.write("T\n")
    assert [(c.code, c.where) for c in source.read()] == [(1, "operator.txt:7")]
    assert len(refused) == 1


@pytest.mark.parametrize("how", ["truncated", "replaced"])
def test_a_file_that_an_editor_saves_is_read_from_its_beginning(tmp_path: Path, refused: list[str], how: str) -> None:
    """Read from the old offset, FLATTEN was swallowed and the RELEASE after it was obeyed."""
    path = tmp_path / "operator.txt"
    path.write_text("# what I said before, at some length\n2026-03-01T12:00 HALT\n")
    source = OperatorFile(path, SYMBOLS, refused.append)
    assert texts(source) == ["2026-03-01T12:00:00.000000000 HALT"]
    if how == "truncated":
        path.write_text("FLATTEN\n")
    else:
        (tmp_path / "other").write_text("FLATTEN\n")
        (tmp_path / "other").replace(path)
    assert texts(source) == ["FLATTEN"]
    with path.open("a") as file:
        file.write("CASH_FLOW 5\nFLATTEN\n")
    assert texts(source) == ["CASH_FLOW 5.0", "FLATTEN"]
    assert refused == []


def test_a_file_that_is_empty_for_a_moment_acts_no_second_time_and_one_that_stays_empty_does(
    tmp_path: Path, refused: list[str]
) -> None:
    path, watch = tmp_path / "operator.txt", Watch()
    path.write_text("")
    source = OperatorFile(path, SYMBOLS, refused.append, now=watch)
    assert texts(source) == []
    path.write_text("HALT\n")
    assert texts(source) == ["HALT"]
    path.write_text("")  # an editor empties the file before it writes it
    assert texts(source) == []
    path.write_text("HALT\n# why\n")
    assert texts(source) == []
    path.write_text("")
    assert texts(source) == []
    watch.now += SETTLES
    assert texts(source) == []
    path.write_text("HALT\n")
    assert texts(source) == ["HALT"]


def test_a_last_line_without_an_end_acts_when_nobody_writes_on(tmp_path: Path, refused: list[str]) -> None:
    path, watch = tmp_path / "operator.txt", Watch()
    path.write_text("")
    source = OperatorFile(path, SYMBOLS, refused.append, now=watch)
    assert texts(source) == []
    path.write_text("FLATTEN")
    assert texts(source) == []
    watch.now += SETTLES
    assert texts(source) == ["FLATTEN"]
    assert texts(source) == []


def test_a_line_that_stays_while_others_are_removed_does_not_act_again_and_the_user_hears_of_it(
    tmp_path: Path, refused: list[str]
) -> None:
    path, watch = tmp_path / "operator.txt", Watch()
    path.write_text("")
    source = OperatorFile(path, SYMBOLS, refused.append, now=watch)
    source.read()
    path.write_text("FLATTEN\nRELEASE\n")
    assert texts(source) == ["FLATTEN", "RELEASE"]
    path.write_text("FLATTEN\n")
    assert texts(source) == []
    watch.now += SETTLES
    assert texts(source) == []
    assert refused == [
        "operator.txt has lost RELEASE; FLATTEN stayed in it and does not act again: append the line once more if it must"
    ]


def test_a_file_that_is_removed_ends_nothing_and_may_come_back(tmp_path: Path, refused: list[str]) -> None:
    path = tmp_path / "operator.txt"
    path.write_text("2026-03-01T12:00 HALT\n")
    source = OperatorFile(path, SYMBOLS, refused.append)
    source.read()
    path.unlink()
    assert texts(source) == [] and texts(source) == []
    assert refused == [f"{path} cannot be read (no such file or directory); the stream goes on"]
    path.write_text("2026-03-01T12:00 HALT\nRELEASE\n")
    assert texts(source) == ["RELEASE"]


def test_at_a_restart_only_what_has_not_acted_acts(tmp_path: Path, refused: list[str]) -> None:
    """Two equal lines of which one has acted; a line without a time, for which the same file was once refused."""
    path = tmp_path / "operator.txt"
    path.write_text("2026-03-01T12:00 HALT\n2026-03-01T12:00 RELEASE\nHALT\nHALT\nFLATTEN\n")
    acted = {"2026-03-01T12:00:00.000000000 HALT": 1, "HALT": 1, "RELEASE": 3}
    assert texts(OperatorFile(path, SYMBOLS, refused.append, acted)) == [
        "2026-03-01T12:00:00.000000000 RELEASE",
        "HALT",
        "FLATTEN",
    ]
    assert refused == []


def test_a_command_without_a_time_that_was_there_before_the_first_start_is_refused(tmp_path: Path) -> None:
    """Else the HALT of last week would stop today's stream."""
    path = tmp_path / "operator.txt"
    path.write_text("HALT\n")
    with pytest.raises(
        OperatorFileError, match=r"operator.txt:1: HALT has no time\. Write 2026-03-01T12:00 before it, or append the line"
    ):
        OperatorFile(path, SYMBOLS, print)


def test_standard_input_gives_each_line_when_it_comes(refused: list[str]) -> None:
    theirs, ours = os.pipe()
    source = OperatorInput(theirs, SYMBOLS, refused.append, {"2026-03-01T12:00:00.000000000 HALT": 1})
    assert texts(source) == []
    os.write(ours, b"2026-03-01T12:00 HALT\nFLATTEN\nREL")
    assert texts(source) == ["FLATTEN"]
    os.write(ours, b"EASE\nNONSENSE\nFLATTEN\nHALT")
    assert texts(source) == ["RELEASE", "FLATTEN"]
    assert len(refused) == 1 and refused[0].startswith("standard input, line 4: NONSENSE is not an operator command")
    os.close(ours)
    assert texts(source) == ["HALT"]
    assert texts(source) == []
    os.close(theirs)
