"""Configuration, machine specs and wiring with something wrong planted in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.health.context import Context
from tests.drivers.health.planted import found, project, wrong


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return project(tmp_path / "own")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_the_shipped_project_has_nothing_wrong() -> None:
    for name in ("configuration", "specs", "wiring"):
        assert wrong(name) == []


def test_an_unknown_key_of_the_configuration_is_named(own: Path) -> None:
    with (own / "config" / "data.yml").open("a") as file:
        file.write("max_gaps: 3\n")
    assert wrong("configuration", Context(folder=own)) == [
        ("fail", f"{own}/config/data.yml: max_gaps is not a key of this file; did you mean max_gap?")
    ]


def test_a_value_out_of_range_is_named(own: Path) -> None:
    changed(own / "config" / "data.yml", "hampel_window: 60", "hampel_window: -1")
    ((status, detail),) = wrong("configuration", Context(folder=own))
    assert status == "fail"
    assert "data.yml: hampel_window is -1" in detail


def test_a_spec_with_an_unknown_key_is_named(own: Path) -> None:
    (own / "specs" / "mine.yaml").write_text("name: mine\ndomain: risk\nabout: a try\nconfig: {grosss: 1}\n")
    ((status, detail),) = wrong("specs", Context(folder=own))
    assert status == "fail"
    assert "spec mine: grosss is not a key" in detail


def test_a_spec_of_no_known_form_is_named(own: Path) -> None:
    (own / "specs" / "mine.yaml").write_text("name: mine\ndomain: risk\nabout: a try\ncolour: red\n")
    ((status, detail),) = wrong("specs", Context(folder=own))
    assert status == "fail"
    assert detail.startswith(f"{own}/specs/mine.yaml: colour is ")


def test_a_spec_with_which_the_wiring_would_break_is_named(own: Path) -> None:
    (own / "specs" / "open.yaml").write_text("name: open\ndomain: risk\nabout: a try\nenabled: {l4_risk_gate: false}\n")
    ((status, detail),) = wrong("specs", Context(folder=own))
    assert status == "fail"
    assert detail.startswith("With the spec open the wiring does not hold: ")
    assert "l4_risk_gate" in detail


def test_a_spec_whose_file_is_not_read_is_named(own: Path) -> None:
    (own / "specs" / "mine.yml").write_text("name: mine\n")
    (finding,) = [f for f in found("specs", Context(folder=own)) if f.status != "ok"]
    assert finding.detail == f"{own}/specs/mine.yml is read by nothing: a machine spec's file ends in .yaml."
    assert finding.advice == "Call it mine.yaml."


def test_an_edge_that_the_wiring_file_lacks_is_named_with_its_line(own: Path) -> None:
    path = own / "wiring_master.yaml"
    changed(path, "inputs: [observations, instruments]", "inputs: [observations]")
    (finding,) = [f for f in found("wiring", Context(folder=own)) if f.status != "ok"]
    assert finding.detail == (
        "L0 l0_market_feed takes instruments, which wiring_master.yaml does not list; run `stratoquant wiring sync`."
    )
    line = path.read_text().splitlines().index("  l0_market_feed:") + 1
    assert finding.advice == f"See {path}:{line}; `stratoquant wiring check` asks again."


def test_a_wiring_file_that_cannot_be_read_is_named(own: Path) -> None:
    (own / "wiring_master.yaml").write_text("clock: 1m\nlayers: [")
    ((status, detail),) = wrong("wiring", Context(folder=own))
    assert status == "fail"
    assert "wiring_master.yaml, line 2" in detail
