"""The register and the run: order, errors, the form of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from drivers.cli.main import run_command
from drivers.health import Context, check_health, runner
from drivers.health.registry import CHECKS, Check, Found, fail, ok, warn
from drivers.health.runner import SUBJECTS
from drivers.health_check import main
from tests.drivers.health import planted


def sound(context: Context) -> Iterator[Found]:
    yield ok("All is well.")


def doubtful(context: Context) -> Iterator[Found]:
    yield warn("Half of it is well.", "See to the other half.")


def broken(context: Context) -> Iterator[Found]:
    yield ok("It began well.")
    yield fail("It is broken.", "Mend it.")


def raising(context: Context) -> Iterator[Found]:
    yield ok("It began well.")
    raise ZeroDivisionError("division by zero")


def having(monkeypatch: pytest.MonkeyPatch, *checks: object, slow: bool = False) -> None:
    made = {c.__name__: Check(c.__name__, "What it looks at.", c, slow) for c in checks}  # type: ignore[attr-defined]
    monkeypatch.setattr(runner, "CHECKS", made)


def test_a_check_that_raises_is_named_and_the_others_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, raising, sound)
    report = check_health()
    assert [(f.name, f.status) for f in report.findings] == [("raising", "ok"), ("raising", "fail"), ("sound", "ok")]
    assert report.findings[1].detail == "The check ended early: ZeroDivisionError: division by zero"
    assert "--debug" in report.findings[1].advice


def test_a_traceback_is_shown_with_debug_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    having(monkeypatch, raising)
    assert run_command(["health"]) == 1
    assert "Traceback" not in "".join(capsys.readouterr())
    assert run_command(["--debug", "health"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_subject_that_cannot_be_imported_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, sound)
    monkeypatch.setattr(runner, "SUBJECTS", ("no_such_subject",))
    first, second = check_health().findings
    assert (first.name, first.status, second.status) == ("no_such_subject", "fail", "ok")
    assert "No module named 'drivers.health.no_such_subject'" in first.detail


@pytest.mark.parametrize(
    ("check", "options", "code"),
    [(sound, [], 0), (doubtful, [], 0), (doubtful, ["--strict"], 1), (broken, [], 1), (raising, [], 1)],
)
@pytest.mark.parametrize("form", ["command", "module"])
def test_the_exit_code_says_whether_something_failed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    form: str,
    check: object,
    options: list[str],
    code: int,
) -> None:
    having(monkeypatch, check)
    ask = main if form == "module" else lambda given: run_command(["health", *given])
    assert ask([*options, "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is (code == 0)
    assert err == ("" if code == 0 else f"Not fit to run: {check.__name__}.\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["command", "module"])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--no-such-option"], "--no-such-option"),
        (["--max-age", "soon"], "'soon' is not an age; write a number and s, m, h, d or bars, as 90m or 5bars"),
        (["--project", "/nowhere"], "/nowhere is not a folder; --project takes one with wiring_master.yaml"),
    ],
)
def test_misuse_is_no_finding(capsys: pytest.CaptureFixture[str], form: str, given: list[str], sentence: str) -> None:
    before = given if "--project" in given else []
    assert (main(given) if form == "module" else run_command([*before, "health", *(given if not before else [])])) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence.lower() in err.lower()


def test_the_json_has_one_form(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    having(monkeypatch, sound, doubtful, broken)
    run_command(["health", "--json"])
    given = json.loads(capsys.readouterr().out)
    assert list(given) == ["ok", "checks"]
    for entry in given["checks"]:
        assert {k: type(v) for k, v in entry.items()} == {
            "name": str,
            "status": str,
            "detail": str,
            "advice": str,
            "seconds": float,
        }
    assert given["checks"][1] | {"seconds": 0.0} == {
        "name": "doubtful",
        "status": "warn",
        "detail": "Half of it is well.",
        "advice": "See to the other half.",
        "seconds": 0.0,
    }


def test_the_module_says_what_the_command_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    having(monkeypatch, sound, doubtful, broken, raising)

    def lines() -> list[str]:
        return capsys.readouterr().out.splitlines()[:-1]  # the last has the seconds

    run_command(["health"])
    by_command = lines()
    main([])
    assert lines() == by_command
    assert by_command[:3] == [
        "ok    sound     All is well.",
        "warn  doubtful  Half of it is well.",
        "                See to the other half.",
    ]


def test_quick_leaves_out_what_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, sound, slow=True)
    assert check_health(quick=True).findings == ()
    assert len(check_health().findings) == 1


def test_the_verdict_counts_checks_and_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, sound, doubtful, broken)
    assert check_health().verdict.startswith("3 checks, 4 findings: 2 are ok, 1 warning, 1 failure; ")


def test_every_check_says_what_it_looks_at_and_its_subject_is_run() -> None:
    assert planted.CHECKS is CHECKS
    for check in CHECKS.values():
        assert check.about.endswith("."), check.name
        assert check.run.__module__.rpartition(".")[2] in SUBJECTS
