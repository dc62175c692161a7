"""Facts of the code are found out once, and what others have put in their place is not believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflows.runtime.kept import Notes, kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_fact_is_made_once_for_all_that_it_follows_from() -> None:
    made: list[str] = []

    def make(what: str) -> dict[str, list[float]]:
        made.append(what)
        return {what: [1.5, float("inf")]}

    assert kept("a", lambda: make("a")) == kept("a", lambda: make("a")) == {"a": [1.5, float("inf")]}
    assert kept("b", lambda: make("b")) == {"b": [1.5, float("inf")]}
    assert made == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 100], ids=["empty", "unsigned", "of another"])
def test_what_is_damaged_or_not_signed_is_made_anew(cache: Path, content: bytes) -> None:
    kept("a", lambda: 1)
    (path,) = cache.rglob("facts.json")
    path.write_bytes(content)
    assert kept("a", lambda: 2) == 2
    assert kept("a", lambda: 3) == 2


def test_a_fact_of_another_place_is_not_believed(cache: Path) -> None:
    kept("a", lambda: 1)
    (own,) = cache.rglob("facts.json")
    kept("b", lambda: 2)
    (other,) = (path for path in cache.rglob("facts.json") if path != own)
    other.write_bytes(own.read_bytes())
    assert kept("b", lambda: 3) == 3


def test_a_cache_that_cannot_be_written_costs_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", "/dev/null/cache")
    assert kept("a", lambda: 1) == 1


def test_notes_are_there_for_the_next_process() -> None:
    first = Notes(lambda: "reads")
    assert first.get("x", lambda: [["a"]]) == [["a"]]
    assert Notes(lambda: "reads").get("x", lambda: "not yet kept") == "not yet kept"
    first.keep()
    assert Notes(lambda: "reads").get("x", lambda: "made again") == [["a"]]
    assert Notes(lambda: "other code").get("x", lambda: "made again") == "made again"
