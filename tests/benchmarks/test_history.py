"""The history of figures: what is kept is found again on the same machine, and changes are named."""

from __future__ import annotations

from pathlib import Path

from benchmarks import history


def test_the_last_figures_of_this_machine_are_found_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    here, other = history.machine(), {"processor": "another", "cores": 64, "python": "3.11.0"}
    assert history.last(path, here) is None
    for where, seconds in ((here, 8.0), (here, 4.0), (other, 1.0)):
        entry = {**history.about(0.1), "machine": where, "figures": {"year": {"seconds": seconds, "old": 1.0}}}
        history.keep(path, entry)
    before = history.last(path, here)
    assert before is not None
    assert before["figures"]["year"]["seconds"] == 4.0
    assert not before["busy"]
    now = {"year": {"seconds": 3.0, "new": 5.0}, "month": {"seconds": 1.0}}
    assert history.change(before["figures"], now) == ["year, seconds: 4.00 -> 3.00  0.75 x"]


def test_figures_of_a_busy_machine_are_marked() -> None:
    assert history.about(history.BUSY + 0.01)["busy"]
    assert not history.about(history.BUSY)["busy"]
    assert history.about(0.0)["version"]
