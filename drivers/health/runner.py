"""Runs the registered checks, one after the other, and keeps what they found."""

from __future__ import annotations

import functools
import importlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from drivers.health.context import Context
from drivers.health.registry import CHECKS, Check, HealthFinding
from drivers.text.counts import plural

SUBJECTS: Final = ("installation", "project", "market_data", "machine_code", "disk", "smoke")
"""The modules of this package that hold checks, in the order in which they run."""
_MEND: Final = "Mend what the sentence names; `stratoquant --debug health` shows where it was raised."


class OnCheck(Protocol):
    """Told what is being done, how many checks are done, and of how many."""

    def __call__(self, doing: str, done: int, total: int) -> None: ...


def _silent(doing: str, done: int, total: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class HealthReport:
    """What all checks found."""

    findings: tuple[HealthFinding, ...]
    seconds: float

    def count(self, status: str) -> int:
        """How many findings have this status."""
        return sum(f.status == status for f in self.findings)

    def holds(self, *, strict: bool = False) -> bool:
        """True where nothing failed; with `strict`, where nothing is worth a warning either."""
        return not self.count("fail") and not (strict and self.count("warn"))

    def as_dict(self, *, strict: bool = False) -> dict[str, Any]:
        """As `--json` prints it: `ok`, and `checks` with name, status, detail, advice and seconds."""
        return {"ok": self.holds(strict=strict), "checks": [f.as_dict() for f in self.findings]}

    @property
    def verdict(self) -> str:
        """One line on all of it."""
        checks = len({f.name for f in self.findings})
        counts = ", ".join(
            plural(self.count(status), word, words)
            for status, word, words in (("ok", "is ok", "are ok"), ("warn", "warning", ""), ("fail", "failure", ""))
        )
        return f"{plural(checks, 'check')}, {plural(len(self.findings), 'finding')}: {counts}; {self.seconds:.1f} s."


def check_health(
    context: Context | None = None,
    *,
    quick: bool = False,
    debug: bool = False,
    on_check: OnCheck = _silent,
) -> HealthReport:
    """Runs every check. quick: without the slow ones. debug: prints the traceback of what a check raises."""
    asked = context or Context()
    begun = time.perf_counter()
    findings = list(_loaded(debug))
    chosen = [check for check in sorted(CHECKS.values(), key=_place) if not (quick and check.slow)]
    for done, check in enumerate(chosen):
        on_check(check.about.rstrip("."), done, len(chosen))
        asked.say = functools.partial(on_check, done=done, total=len(chosen))
        findings += _findings(check, asked, debug)
    return HealthReport(tuple(findings), time.perf_counter() - begun)


def _place(check: Check) -> int:
    """Where a check's subject stands in the order; after the others where it is of another module."""
    subject = check.run.__module__.rpartition(".")[2]
    return SUBJECTS.index(subject) if subject in SUBJECTS else len(SUBJECTS)


def _loaded(debug: bool) -> Iterator[HealthFinding]:
    """Imports the modules that hold checks; one that cannot be imported is a finding."""
    for subject in SUBJECTS:
        begun = time.perf_counter()
        try:
            importlib.import_module(f"drivers.health.{subject}")
        except Exception as error:  # whatever it is, it is what is wrong
            yield _raised(subject, error, begun, debug)


def _findings(check: Check, context: Context, debug: bool) -> Iterator[HealthFinding]:
    begun = time.perf_counter()
    try:
        for found in check.run(context):
            now = time.perf_counter()
            yield HealthFinding(check.name, *found, seconds=now - begun)
            begun = now
    except Exception as error:  # a check that raises has found something: it is named, and the others go on
        yield _raised(check.name, error, begun, debug)


def _raised(name: str, error: Exception, begun: float, debug: bool) -> HealthFinding:
    if debug:
        traceback.print_exception(error)
    return HealthFinding(name, "fail", f"The check ended early: {sentence(error)}", _MEND, time.perf_counter() - begun)


def sentence(error: BaseException) -> str:
    """An error in one line; its type is named where it is none of our own."""
    own = type(error).__module__.partition(".")[0] in ("drivers", "dataflows")
    lines = str(error).strip().splitlines()
    text = " ".join((lines[0] if len(lines) > 6 else str(error)).split()) if lines else "no reason given"
    return text if own else f"{type(error).__name__}: {text}"
