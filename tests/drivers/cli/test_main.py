"""How the command line fails, and how fast it helps."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dataflows.config import ConfigError
from drivers.cli.main import run_command
from drivers.engine.checkpoint import CheckpointError
from drivers.engine.engine import EngineError
from drivers.engine.loop.layer_types import LayerCompileError
from drivers.engine.promises import BoundaryError
from drivers.graph.layers import PlanError
from drivers.project.errors import ProjectError
from drivers.run.request import RunRequest
from drivers.store.errors import StoreError, TakenError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Requests that reach the drivers, in place of running them."""
    requests: list[RunRequest] = []
    _stand_in(monkeypatch, lambda request: requests.append(request))
    return requests


def _stand_in(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    for name, function in (
        ("drivers.run.batch", "run_batch"),
        ("drivers.run.stream", "run_stream"),
        ("drivers.cli.outcome", "show"),
    ):
        module = ModuleType(name)
        setattr(module, function, run if function != "show" else lambda result: None)
        monkeypatch.setitem(sys.modules, name, module)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "numba", "hamilton", "pydantic", "pyarrow", "networkx", "rich.console")
    code = f"import sys, drivers.cli.main; sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ("run", "stream", "wiring", "layers", "data"):
        assert f"  {command} " in out


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["stream"],
        ["layers"],
        ["wiring"],
        ["wiring", "check"],
        ["wiring", "sync"],
        ["data", "simulate"],
        ["data", "check"],
        ["config"],
        ["config", "init"],
        ["config", "regenerate"],
        ["config", "show"],
        ["adapt", "show"],
        ["adapt", "diff"],
        ["adapt", "freeze"],
        ["adapt", "revert"],
        ["domain", "apply"],
        ["domain", "undo"],
        ["domain", "history"],
        ["domain", "specs"],
    ],
)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*command, "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ([], "stratoquant [OPTIONS] COMMAND [ARGS]..."),
        (["layers"], "stratoquant layers [OPTIONS] [LAYER]"),
        (["report"], "stratoquant report [OPTIONS] RUN..."),
        (["explain"], "stratoquant explain [OPTIONS] RUN ORDER | SYMBOL TIME"),
        (["domain", "run"], "stratoquant domain run [OPTIONS] NAME"),
        (["pine"], "stratoquant pine [OPTIONS] COMMAND [ARGS]..."),
    ],
)
def test_help_shows_what_is_typed_and_no_types_of_the_program(
    command: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"Usage: {usage}"
    assert not re.search(r"<(str|path|int|float|list)\b", out)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("stratoquant ex", ["explain", "exchange"]),
        ("stratoquant layers l66", ["l66_signal_matrix"]),
        ("stratoquant graph --layer L100", ["L100"]),
        ("stratoquant domain run kin", ["kinematics"]),
        ("stratoquant run --spec own", ["own_signal"]),
        ("stratoquant explain --tr", ["--trace"]),
    ],
)
def test_the_tab_key_offers_commands_options_and_names(
    words: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_STRATOQUANT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as done:
        run_command([])
    assert not done.value.code
    assert capsys.readouterr().out.split() == offered


def test_the_completion_script_of_the_shell_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of which shell, typer finds out by the processes above this one."""
    for shell, mark in (("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete --command")):
        monkeypatch.setattr("shellingham.detect_shell", lambda shell=shell: (shell, f"/bin/{shell}"))
        with pytest.raises(SystemExit):
            run_command(["--show-completion"])
        said = capsys.readouterr().out
        assert "_STRATOQUANT_COMPLETE" in said and mark in said


def test_a_path_keeps_its_letters_in_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "Some" / "FOLDER")
    for line in (["report", place], ["explain", place, "A-4"], ["run", "--data", place], ["explain", "x", "A-4", "-o", place]):
        assert run_command(line) == 2
        assert place in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["rum"], "stratoquant: there is no command 'rum'; did you mean run?"),
        (["wiring", "chek"], "stratoquant wiring: there is no command 'chek'; did you mean check?"),
        (["run", "--dta", "x"], "stratoquant run: there is no option --dta; did you mean --data?"),
        (["--projekt", "x"], "stratoquant: there is no option --projekt; did you mean --project?"),
        (["run", "--seed", "-1"], "'--seed': it must be greater than or equal to 0"),
        (["run", "--seed", "many"], "stratoquant run: invalid value for '--seed'"),
        (["run", "--start", "yesterday"], "'yesterday' is not a time; write 2026-03-01 or 2026-03-01T12:00 (UTC)"),
        (["run", "--symbols", ","], "no symbol is named; write --symbols A,B"),
        (["stream", "--speed", "slow"], "stratoquant stream: invalid value for '--speed': 'slow' is not one of"),
        (["stream", "--checkpoint", "nowhere/c.npz"], "there is no folder nowhere to leave it in"),
        (["data", "simulate"], "stratoquant data simulate: missing argument"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_misuse_is_one_sentence_and_exit_code_2(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_run_asks_the_driver_for_what_was_typed(asked: list[RunRequest], tmp_path: Path) -> None:
    line = ["--project", str(tmp_path), "run", "--data", "d", "--out", "o", "--overwrite", "--symbols", "B, A"]
    line += ["--start", "2026-03-01", "--end", "2026-03-02T12:30+02:00", "--set", "risk.gross=0.5", "--set", "data.depth=3"]
    line += ["--spec", "prior_belief", "--seed", "9"]
    assert run_command(line) == 0
    assert asked == [
        RunRequest(
            data=Path("d"),
            out=Path("o"),
            symbols=("B", "A"),
            start=1_772_323_200_000_000_000,
            end=1_772_447_400_000_000_000,
            overrides=("risk.gross=0.5", "data.depth=3"),
            spec="prior_belief",
            project=tmp_path,
            overwrite=True,
            seed=9,
        )
    ]


def test_stream_asks_the_driver_for_what_was_typed(asked: list[RunRequest]) -> None:
    assert run_command(["stream", "--data", "d", "--speed", "realtime", "--checkpoint", "c.npz"]) == 0
    assert asked == [RunRequest(data=Path("d"), speed="realtime", checkpoint=Path("c.npz"))]


def test_without_options_the_defaults_are_those_of_the_request(asked: list[RunRequest]) -> None:
    run_command(["run"])
    run_command(["stream"])
    assert asked == [RunRequest(), RunRequest()]


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (
            ConfigError("config/risk.yml: gross is -1;\n  input should be above 0."),
            "config/risk.yml: gross is -1; input should be above 0.",
            2,
        ),
        (StoreError("the disk is full: free some space"), "the disk is full: free some space", 1),
        (TakenError("runs/x holds the results of a run already"), "runs/x holds the results of a run already", 2),
        (EngineError("bar A is not later than B;\n time must move on"), "bar A is not later than B; time must move on", 1),
        (
            BoundaryError("a.b of X is -1; the data boundary says >= 0\n{report}\n"),
            "a.b of X is -1; the data boundary says >= 0",
            1,
        ),
        (LayerCompileError("L9 l9_x (l9_x.py:3) does not compile"), "L9 l9_x (l9_x.py:3) does not compile", 1),
        (PlanError("l9_x takes y, which is no layer"), "l9_x takes y, which is no layer", 2),
        (CheckpointError("the checkpoint does not fit: a.b was 1, is 2"), "the checkpoint does not fit: a.b was 1, is 2", 2),
        (ProjectError("there is no machine spec 'x'"), "there is no machine spec 'x'", 2),
        (ValueError("the checkpoint is at the end"), "the checkpoint is at the end", 2),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "bars.csv"), "bars.csv: no such file or directory.", 2),
        (OSError(errno.ENOSPC, "No space left on device", "ledger.parquet"), "ledger.parquet: no space left on device.", 1),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero (stratoquant --debug shows where)", 1),
        (KeyboardInterrupt(), "Stopped.", 130),
    ],
)
def test_an_error_is_one_sentence(
    error: BaseException, said: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(request: RunRequest) -> None:
        raise error

    _stand_in(monkeypatch, fail)
    assert run_command(["run"]) == code
    assert capsys.readouterr() == ("", f"{said}\n")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: RunRequest) -> None:
        raise ConfigError("gross is -1")

    _stand_in(monkeypatch, fail)
    with pytest.raises(ConfigError):
        run_command(["--debug", "run"])
    with pytest.raises(ConfigError):
        run_command(["--project", "x", "--debug", "run"])
    assert run_command(["run", "--data", "--debug"]) == 2  # there it is the value of --data


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_request_in_the_last_moments_changes_no_exit_code(number: str) -> None:
    """It comes while Python takes itself down: what was done is done, and the code says so."""
    told = f"""
import atexit, os, signal
atexit.register(os.kill, os.getpid(), signal.{number})
from drivers.cli.main import main
main(["--version"])
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", told], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
