"""The wiring file: reading it, and rewriting its lists of inputs from the functions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dataflows.spans import BarClock
from drivers.graph.layers import Delayed
from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import Wiring, load, sync, synced, with_spec
from drivers.project.errors import ProjectError
from drivers.project.locate import defaults
from drivers.project.machine_specs import MachineSpec
from tests.drivers.toy_graph import WIRING, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "wiring_master.yaml"
    file.write_text(WIRING)
    return file


def test_the_file_says_clock_epoch_and_edges(path: Path) -> None:
    wiring = load(path)
    assert (wiring.clock_ns, wiring.epoch_ns) == (60_000_000_000, 86_400_000_000_000)
    assert wiring.delayed_edges()["orders"] == Delayed("l5_bridge", None, "bar")
    assert wiring.doors[0].source == ("l3_proposal", "l7_ensemble")
    assert wiring.enabled == tuple(wiring.layers)


def test_a_door_may_name_one_source_alone() -> None:
    changed = yaml.safe_load(WIRING)
    changed["doors"][0]["from"] = "l3_proposal"
    assert Wiring(**changed).doors[0].source == ("l3_proposal",)


def test_a_clock_that_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Wiring(**{**yaml.safe_load(WIRING), "clock": "1w"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clock: 1m", "clock: 1w", "clock is '1w'; '1w' is not a duration; write a number and s, m, h or d, as 1m"),
        ("clock: 1m", "clack: 1m", "clock is missing"),
        ("clock: 1m", "clock: 1m\nspeed: 3", "speed is not a key of the wiring file"),
        ("schedule: post", "schedule: later", r"layers\.l100_audit\.schedule is 'later'; input should be 'columnar', 'step'"),
        ("delay: bar", "delay: day", r"delayed\.orders\.delay is 'day'"),
        ("inputs: [observations]", "inputs: observations", r"layers\.l0_feed\.inputs is 'observations'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_place(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(WIRING.replace(old, new))
    with pytest.raises(ProjectError, match=rf"wiring_master\.yaml: {message}"):
        load(path)


def test_a_layer_given_twice_is_refused(path: Path) -> None:
    path.write_text(WIRING + "  l0_feed: {id: L0, domain: data, schedule: columnar}\n")
    with pytest.raises(ProjectError, match="l0_feed is given twice"):
        load(path)


def test_sync_changes_nothing_where_nothing_differs(world: World, path: Path) -> None:
    nodes = list(graph_of(world.modules(), {}).values())
    assert not sync(path, nodes, world.configs())
    assert path.read_text() == WIRING


def test_sync_rewrites_the_lists_that_differ_and_keeps_comments_and_order(world: World, path: Path) -> None:
    world.change("risk.l4_gate", "l86_cap: Cap", "l86_cap: Cap, l97_ledger: Ledger")
    nodes = list(graph_of(world.modules(), {}).values())
    assert sync(path, nodes, world.configs())
    assert path.read_text() == WIRING.replace(
        "inputs: [l3_proposal, l86_cap]}  # the only door", "inputs: [l3_proposal, l86_cap, l97_ledger]}  # the only door"
    )


def test_sync_adds_a_missing_layer_after_the_last_of_its_domain(world: World, path: Path) -> None:
    body = '@layer("L{0}", schedule="step", cross_sectional=True)\ndef l{0}_more(l4_gate: Approval) -> Cap:\n    """More."""\n'
    for number in (93, 95):
        world.layers[f"risk.l{number}_more"] = body.format(number)
    nodes = list(graph_of(world.modules(), {}).values())
    sync(path, nodes, world.configs())
    lines = path.read_text().splitlines()
    at = lines.index("  l93_more:")
    assert lines[at - 1].startswith("  l4_gate:")
    assert lines[at : at + 7] == [
        "  l93_more:",
        "    id: L93",
        "    domain: risk",
        "    schedule: step",
        "    cross_sectional: true",
        "    inputs: [l4_gate]",
        "  l95_more:",
    ]
    assert load(path).layers["l95_more"].inputs == ("l4_gate",)


def test_a_comment_over_the_next_domain_stays_with_it(world: World) -> None:
    world.layers["data.l9_more"] = '@layer("L9")\ndef l9_more(l0_feed: Market) -> Panel:\n    """More."""\n'
    lines = synced(WIRING, list(graph_of(world.modules(), {}).values()), world.configs()).splitlines()
    at = lines.index("  l9_more:")
    assert lines[at - 1] == "    inputs: [observations]"
    assert lines.index("  # fusion") > at


def test_after_sync_the_file_and_the_functions_agree(world: World, path: Path) -> None:
    path.write_text(WIRING.replace("inputs: [l3_proposal, l97_ledger]", "inputs: []").replace("[l0_feed, orders]", "[x]"))
    sync(path, list(graph_of(world.modules(), {}).values()), world.configs())
    world.wiring = yaml.safe_load(path.read_text())
    assert world.findings() == []


def test_a_long_list_is_broken_and_reads_back(world: World, path: Path) -> None:
    many = ", ".join(f"x{i}_quite_a_long_name: Panel" for i in range(12))
    world.change("risk.l4_gate", "l86_cap: Cap", f"l86_cap: Cap, {many}")
    text = synced(WIRING, list(graph_of(world.modules(), {}).values()), world.configs())
    assert max(map(len, text.splitlines())) <= 128
    inputs = yaml.safe_load(text)["layers"]["l4_gate"]["inputs"]
    assert inputs == ["l3_proposal", "l86_cap", *(f"x{i}_quite_a_long_name" for i in range(12))]


def test_sync_leaves_entries_of_layers_that_are_gone_for_a_person_to_judge(world: World, path: Path) -> None:
    del world.layers["execution.l100_audit"]
    sync(path, list(graph_of(world.modules(), {}).values()), world.configs())
    assert "l100_audit" in load(path).layers


def test_sync_asks_for_a_list_where_there_is_none(world: World) -> None:
    text = WIRING.replace(", inputs: [l7_ensemble]", "")
    with pytest.raises(ProjectError, match=r"l3_proposal has no list `inputs` in the wiring file; give it one"):
        synced(text, list(graph_of(world.modules(), {}).values()), world.configs())


def test_a_file_that_cannot_be_written_keeps_what_it_held(world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    world.change("risk.l4_gate", "l86_cap: Cap", "l86_cap: Cap, l97_ledger: Ledger")
    nodes = list(graph_of(world.modules(), {}).values())
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        sync(path, nodes, world.configs())
    assert path.read_text() == WIRING
    assert list(path.parent.iterdir()) == [path]


def test_a_machine_spec_switches_layers_of_its_domain(path: Path) -> None:
    spec = MachineSpec(name="x", domain="execution", about="", enabled={"l100_audit": False}, variants={"venue": "live"})
    changed = with_spec(load(path), spec)
    assert set(load(path).enabled) - set(changed.enabled) == {"l100_audit"}
    assert changed.variants == {"venue": "live"}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("l100_audits", r"spec x: there is no layer l100_audits; did you mean l100_audit\?"),
        ("l4_gate", "spec x is of execution, but l4_gate is of risk; a spec changes one domain"),
    ],
)
def test_a_machine_spec_cannot_switch_others(path: Path, layer: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        with_spec(load(path), MachineSpec(name="x", domain="execution", about="", enabled={layer: False}))


def test_every_layer_file_is_found_by_its_name() -> None:
    folder = Path(__file__).parents[3] / "dataflows"
    files = {p.stem for p in folder.glob("*/l[0-9]*_*.py")}
    assert {m.__name__.rpartition(".")[2] for m in layer_modules()} == files


def test_a_layer_left_out_is_not_imported() -> None:
    every = {m.__name__.rpartition(".")[2] for m in layer_modules()}
    first = min(every)
    assert {m.__name__.rpartition(".")[2] for m in layer_modules(without={first})} == every - {first}


def test_the_shipped_wiring_reads() -> None:
    wiring = load(defaults().wiring)
    assert wiring.clock == "1m"
    assert {entry.domain for entry in wiring.layers.values()} <= set(wiring.domains)


@pytest.mark.parametrize(("seconds", "day", "days"), [(60, 1_440, 1), (3_600, 24, 3), (3_600, 7, 9), (86_400, 1, 60)])
def test_an_epoch_holds_sixty_bars_at_least(seconds: int, day: int, days: int) -> None:
    wiring = load(defaults().wiring).at_clock(BarClock(seconds, day, 5 * day))
    assert wiring.epoch_ns == days * 86_400 * 10**9
