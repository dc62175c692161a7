"""The register of checks. A check is one function that yields what it found:

    @check("disk")
    def disk(context: Context) -> Iterator[Found]:
        \"\"\"Room for results and for machine code.\"\"\"
        yield ok("...") if ... else fail("what is so", "what to do")

Its docstring's first line says what it looks at. It may raise: the error becomes a finding that names the check, and the others
go on. Heavy modules are imported inside the functions, so that a broken one costs the checks that need it and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from drivers.health.context import Context

Status: TypeAlias = Literal["ok", "warn", "fail"]


class Found(NamedTuple):
    """One thing that a check found: what is so in one sentence, and what to do about it in another."""

    status: Status
    detail: str
    advice: str


class HealthFinding(NamedTuple):
    """The same with the check's name and the seconds that it took. Several findings may come from one check."""

    name: str
    status: Status
    detail: str
    advice: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return self._asdict() | {"seconds": round(self.seconds, 3)}


class Check(NamedTuple):
    """A registered check."""

    name: str
    about: str
    run: Callable[[Context], Iterator[Found]]
    slow: bool


CHECKS: Final[dict[str, Check]] = {}
"""By name. They run subject by subject (see `runner.SUBJECTS`), those of one subject in the order of its file."""


def check(name: str, *, slow: bool = False) -> Callable[[Callable[[Context], Iterator[Found]]], Any]:
    """Registers a function as a check. slow: `--quick` leaves it out."""

    def register(run: Callable[[Context], Iterator[Found]]) -> Callable[[Context], Iterator[Found]]:
        about = (run.__doc__ or "").strip().partition("\n")[0]
        CHECKS[name] = Check(name, about, run, slow)
        return run

    return register


def ok(detail: str) -> Found:
    """Nothing to do."""
    return Found("ok", detail, "")


def warn(detail: str, advice: str) -> Found:
    """Works, and is worth knowing."""
    return Found("warn", detail, advice)


def fail(detail: str, advice: str) -> Found:
    """Does not work."""
    return Found("fail", detail, advice)
