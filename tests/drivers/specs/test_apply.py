"""A machine spec changes what it says and nothing else, is refused before anything is written, and can be taken back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflows.config import ConfigError
from drivers.files import transaction
from drivers.files.transaction import Entry
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.errors import ProjectError
from drivers.project.locate import Project, defaults, locate
from drivers.project.machine_specs import MachineSpec, known_specs, load_spec
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.specs import apply as module
from drivers.specs import candidate
from drivers.specs.apply import carry_out, owned, propose, take_back
from drivers.specs.candidate import WiringBreaksError
from drivers.specs.difference import KeyChange
from drivers.specs.history import applied, in_force, steps
from tests.drivers.small_market import folder
from tests.drivers.specs.conftest import everything, held, write_spec


def apply(project: Project, name: str) -> Entry:
    return carry_out(project, propose(project, load_spec(project, name)))


def undo(project: Project, *, force: bool = False) -> Entry:
    return carry_out(project, take_back(project, force=force))


def disabled(project: Project, *layers: str) -> str:
    return ", ".join(f"{layer}: false" for layer in layers)


def sink(project: Project) -> tuple[str, str]:
    """A layer that can be switched off alone, and its domain."""
    wiring = load(project.wiring)
    taken = {edge.source for edge in wiring.delayed.values()}
    for entry in wiring.layers.values():
        taken.update(*entry.inputs.values() if isinstance(entry.inputs, dict) else (entry.inputs,))
    name, entry = next((n, e) for n, e in wiring.layers.items() if e.sink and e.enabled and n not in taken)
    return name, entry.domain


# -- what it does ------------------------------------------------------------------------------------------------------------


def test_a_shipped_spec_holds_after_it_is_applied_as_it_would_with_spec(project: Project) -> None:
    for name in known_specs(project):
        wanted = load_configs(project, spec=load_spec(project, name))
        apply(project, name)
        assert load_configs(project) == wanted


def test_only_the_values_change_and_every_other_byte_stays(project: Project) -> None:
    before = (project.config / "risk.yml").read_text()
    mine = before.replace("gross: 1.0", "# mine, and kept\ngross:   1.00").replace("\nnet:", "\n\n\nnet:")
    (project.config / "risk.yml").write_text(mine)
    write_spec(project, "domain: risk\nconfig: {gross: 0.5}")
    apply(project, "mine")
    assert (project.config / "risk.yml").read_text() == mine.replace("gross:   1.00", "gross:   0.5")


def test_a_key_that_the_file_lacks_gets_a_line_in_the_models_order_with_its_comment(project: Project) -> None:
    path = project.config / "risk.yml"
    path.write_text("# short\nannual_target: 0.2\nnet: 0.5\n")
    write_spec(project, "domain: risk\nconfig: {gross: 0.75}")
    apply(project, "mine")
    assert path.read_text().splitlines() == [
        "# short",
        "annual_target: 0.2",
        "gross: 0.75  # fraction: L86: greatest sum of |weight|",
        "net: 0.5",
    ]


def test_a_file_that_is_not_there_is_written_whole_and_taken_away_again(project: Project) -> None:
    (project.config / "risk.yml").unlink()
    write_spec(project, "domain: risk\nconfig: {gross: 0.75}")
    apply(project, "mine")
    assert load_configs(project)["risk"].gross == 0.75
    assert "annual_target: 0.2  #" in (project.config / "risk.yml").read_text()
    undo(project)
    assert not (project.config / "risk.yml").exists()


def test_a_layer_is_switched_off_in_its_entry_and_comments_stay(project: Project) -> None:
    layer, domain = sink(project)
    before = project.wiring.read_text()
    write_spec(project, f"domain: {domain}\nenabled: {{{layer}: false}}")
    proposal = propose(project, load_spec(project, "mine"))
    assert [change._asdict() for change in proposal.difference.layers] == [
        {"layer_id": load(project.wiring).layers[layer].id, "layer": layer, "enabled": False}
    ]
    carry_out(project, proposal)
    assert layer not in load(project.wiring).enabled
    after = project.wiring.read_text().splitlines()
    assert [line for line in after if line not in before.splitlines()] == ["    enabled: false"]
    assert len(after) == len(before.splitlines()) + 1
    undo(project)
    assert project.wiring.read_text() == before


def test_the_difference_says_key_old_new_unit_and_meaning(project: Project) -> None:
    write_spec(project, "domain: risk\nconfig: {gross: 0.5, net: 0.5}")
    difference = propose(project, load_spec(project, "mine")).difference
    assert difference.keys == (KeyChange("risk", "gross", 1.0, 0.5, "fraction", "L86: greatest sum of |weight|"),)
    assert str(difference) == "config/risk.yml\n  gross  1 -> 0.5  x0.5  fraction: L86: greatest sum of |weight|"
    lines = [text for text, _ in difference.unified()]
    assert lines[:2] == ["--- a/config/risk.yml", "+++ b/config/risk.yml"]
    assert [line[:10] for line in lines if line.startswith(("-gross", "+gross"))] == ["-gross: 1.", "+gross: 0."]


def test_the_same_spec_twice_changes_nothing_the_second_time(project: Project) -> None:
    apply(project, "conservative_risk")
    assert not propose(project, load_spec(project, "conservative_risk")).difference


def test_specs_of_several_domains_stack_and_the_last_is_taken_back_first(project: Project) -> None:
    names = known_specs(project)
    states = [held(project)]
    for name in names:
        apply(project, name)
        states.append(held(project))
    assert [entry.about["spec"]["name"] for entry in applied(project.root)] == names
    for state in reversed(states[:-1]):
        undo(project)
        assert held(project) == state
    assert [step.undone is not None for step in steps(project.root)] == [True] * len(names)
    with pytest.raises(ProjectError, match=r"no machine spec is applied in .*; there is nothing to take back"):
        undo(project)


def test_a_proposal_writes_nothing(project: Project) -> None:
    before = everything(project)
    propose(project, load_spec(project, "conservative_risk"))
    assert everything(project) == before
    apply(project, "conservative_risk")
    before = everything(project)
    take_back(project)
    assert everything(project) == before


VALUES: dict[str, dict[str, Any]] = {
    "risk": {
        "gross": st.floats(0.6, 3.0),
        "annual_target": st.sampled_from([0.1, 0.2, 0.35]),
        "rearm_bars": st.integers(0, 500),
        "reject_count": st.integers(1, 9),
    },
    "fusion": {"horizons": st.sampled_from([[5, 15, 60, 240], [1, 2, 60]]), "prior_slope_bps": st.floats(0, 300)},
    "execution": {"slice_bars": st.integers(1, 30), "start_cash": st.integers(1, 10**7)},
}
SPECS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda domain: st.builds(
        MachineSpec,
        name=st.just("random"),
        domain=st.just(domain),
        about=st.just("a test"),
        config=st.fixed_dictionaries({}, optional=VALUES[domain]),
        enabled=st.fixed_dictionaries({}, optional={"l100_decision_audit": st.booleans()} if domain == "execution" else {}),
    )
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(st.one_of(SPECS, st.just(None)), min_size=1, max_size=8), data=st.data())
def test_any_sequence_of_specs_taken_back_leaves_the_first_bytes(
    project: Project, monkeypatch: pytest.MonkeyPatch, sequence: list[MachineSpec | None], data: st.DataObject
) -> None:
    monkeypatch.setattr(candidate, "check_project", lambda project: (load(project.wiring), []))
    monkeypatch.setattr(transaction.os, "fsync", lambda handle: None)
    stack = [held(project)]
    for spec in sequence:
        if spec is None:
            if len(stack) > 1:
                undo(project)
                stack.pop()
        elif (proposal := propose(project, spec)).difference:
            carry_out(project, proposal)
            stack.append(held(project))
            wanted = load_configs(project)[spec.domain]
            assert all(
                list(has) == v if isinstance(v, list) else has == v
                for k, v in spec.config.items()
                for has in [getattr(wanted, k)]
            )
        assert held(project) == stack[-1]
    for state in reversed(stack[:-1]):
        undo(project)
        assert held(project) == state
    assert applied(project.root) == []
    shutil.rmtree(project.root / transaction.HOME, ignore_errors=True)


def test_a_change_that_was_cut_short_is_completed_by_whatever_opens_the_project_next(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    before = held(project)

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:  # before the first file was put in place
        patched.setattr(transaction, "_complete", killed)
        patched.setattr(transaction, "_put_all", killed)
        with pytest.raises(SystemExit):
            apply(project, "conservative_risk")
    assert held(project) == before
    assert load_configs(locate(project.root))["risk"].gross == 0.5
    after = held(project)
    assert after != before
    undo(project)
    assert held(project) == before


# -- edits since -------------------------------------------------------------------------------------------------------------


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_edited_elsewhere_since_is_kept(project: Project) -> None:
    before = held(project)
    apply(project, "conservative_risk")
    edit(project.config / "risk.yml", "rearm_bars: 1h", "rearm_bars: 90m")
    undo(project)
    expected = before["config/risk.yml"].decode().replace("rearm_bars: 1h", "rearm_bars: 90m")
    assert (project.config / "risk.yml").read_text() == expected


def test_taking_back_what_was_edited_since_is_refused_and_forced_keeps_the_edit_in_the_record(project: Project) -> None:
    before = held(project)
    apply(project, "conservative_risk")
    edit(project.config / "risk.yml", "gross: 0.5 ", "gross: 0.7 ")
    edited = everything(project)
    with pytest.raises(
        ProjectError, match=r"config/risk\.yml was edited since conservative_risk was applied, where .* give --force"
    ):
        undo(project)
    assert everything(project) == edited
    entry = undo(project, force=True)
    assert held(project) == before
    assert b"gross: 0.7 " in (entry.files("before")["config/risk.yml"] or b"")


def test_a_spec_is_in_force_while_one_of_its_values_holds(project: Project) -> None:
    write_spec(project, "domain: risk\nconfig: {gross: 0.5}")
    apply(project, "mine")
    assert [spec.name for spec in in_force(project.root, load_configs(project))] == ["mine"]
    edit(project.config / "risk.yml", "gross: 0.5 ", "gross: 0.7 ")
    assert in_force(project.root, load_configs(project)) == []


# -- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("domain: risk\nconfig: {gros: 0.5}", r"spec mine: gros is not a key of this file; did you mean gross\?"),
        (
            "domain: risk\nconfig: {gross: -1}",
            "spec mine: gross is -1; input should be greater than or equal to 0.000000001. Default: 1.0 fraction",
        ),
        ("domain: risk\nconfig: {net: 2}", "spec mine: net is 2, above gross"),
        ("domain: risk\nenabled: {l4_risk_gat: false}", r"there is no layer l4_risk_gat; did you mean l4_risk_gate\?"),
        (
            "domain: fusion\nenabled: {l4_risk_gate: false}",
            "spec mine is of fusion, but l4_risk_gate is of risk; a spec changes",
        ),
        ("domain: execution\nvariants: {venu: live}", r"spec mine: there is no variant venu; did you mean venue\?"),
        ("domain: execution\nvariants: {venue: lives}", r"spec mine: variant venue has no lives; did you mean live\?"),
        ("domain: risk\nvariants: {venue: live}", "spec mine is of risk, but variant venue chooses the method of l90_fills"),
    ],
)
def test_what_a_spec_has_wrong_is_said_in_a_sentence(project: Project, text: str, message: str) -> None:
    write_spec(project, text)
    before = everything(project)
    with pytest.raises((ProjectError, ConfigError), match=message):
        apply(project, "mine")
    assert everything(project) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "domain: risk\nenabled: {l4_risk_gate: false}",
            "spec mine would break the wiring, so nothing is changed: the gate l4_risk_gate is declared with l4_risk_gate, which",
        ),
        ("domain: risk\nenabled: {l86_exposure_cap: false}", "takes l86_exposure_cap, which is not enabled; enable"),
    ],
)
def test_what_would_break_the_wiring_is_refused_and_named(project: Project, text: str, message: str) -> None:
    write_spec(project, text)
    before = everything(project)
    with pytest.raises(WiringBreaksError, match=message):
        apply(project, "mine")
    assert everything(project) == before


def test_no_set_of_switches_of_a_domain_takes_the_gate_out_of_the_way(project: Project) -> None:
    """Whatever a spec switches off along with the gate, the door is missed first."""
    layers = load(project.wiring).layers
    for extra in ([], [n for n, e in layers.items() if e.domain == "risk" and n != "l4_risk_gate"]):
        switched = disabled(project, "l4_risk_gate", *extra)
        write_spec(project, f"domain: risk\nenabled: {{{switched}}}")
        with pytest.raises(WiringBreaksError, match="the gate l4_risk_gate") as refused:
            propose(project, load_spec(project, "mine"))
        assert refused.value.findings


def test_a_wiring_that_does_not_hold_already_is_not_laid_at_the_specs_door(project: Project) -> None:
    edit(project.wiring, "id: L12\n    domain: kinematics", "id: L12\n    domain: regime")
    with pytest.raises(WiringBreaksError, match="does not hold as it is, before spec conservative_risk: L12"):
        apply(project, "conservative_risk")


def test_taking_back_is_checked_too(project: Project) -> None:
    layer, domain = sink(project)
    write_spec(project, f"domain: {domain}\nenabled: {{{layer}: false}}")
    apply(project, "mine")
    edit(project.wiring, "id: L12\n    domain: kinematics", "id: L12\n    domain: regime")
    with pytest.raises(WiringBreaksError, match="does not hold as it is, before taking back mine"):
        undo(project)


def test_the_packages_own_files_are_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ProjectError, match=r"the current folder is no project of your own, .* `stratoquant config init DIR` makes one"
    ):
        owned(None)


def test_an_installed_packages_files_are_not_changed_when_they_are_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHIPPED", project.root)
    with pytest.raises(ProjectError, match="the package's files are shared by all projects"):
        owned(project.root)


def test_the_source_tree_is_a_project_when_it_is_named_or_one_stands_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert owned(defaults().root).root == defaults().root
    monkeypatch.chdir(defaults().root)
    assert owned(None).root == defaults().root


def test_the_record_of_a_run_is_not_changed(project: Project) -> None:
    (project.root / "run.json").write_text("{}")
    with pytest.raises(ProjectError, match="is the record of a finished run"):
        owned(project.root)


def test_a_project_without_a_wiring_of_its_own_cannot_switch_layers(project: Project) -> None:
    layer, domain = sink(project)
    project.wiring.unlink()
    found = locate(project.root)
    write_spec(found, f"domain: {domain}\nenabled: {{{layer}: false}}")
    with pytest.raises(ProjectError, match=r"has no wiring_master\.yaml of its own to change; `stratoquant config init"):
        apply(found, "mine")


def test_an_alias_in_a_config_file_is_refused(project: Project) -> None:
    path = project.config / "risk.yml"
    path.write_text("gross: &one 1.0\nnet: 0.5\nannual_target: *one\n")
    write_spec(project, "domain: risk\nconfig: {annual_target: 0.1}")
    before = everything(project)
    with pytest.raises(ValueError, match=r"line 3: an alias \(\*\) is not taken; write the value itself"):
        apply(project, "mine")
    assert everything(project) == before


def test_a_run_says_which_specs_are_applied_and_gives_the_same_orders_as_with_spec(project: Project, tmp_path: Path) -> None:
    data = folder(tmp_path / "data", 240)
    with_spec = run_batch(RunRequest(data=data, out=tmp_path / "a", project=project.root, spec="prior_belief"))
    apply(project, "prior_belief")
    applied_spec = run_batch(RunRequest(data=data, out=tmp_path / "b", project=project.root))
    about = [json.loads((result.out / "run.json").read_text()) for result in (with_spec, applied_spec)]
    name = load_spec(project, "prior_belief").name
    assert ([a["spec"] and a["spec"]["name"] for a in about], [len(a["applied"]) for a in about]) == ([name, None], [0, 1])
    assert about[1]["applied"][0]["about"] == load_spec(project, "prior_belief").about
    assert about[0]["configuration_hash"] == about[1]["configuration_hash"]
    assert (with_spec.out / "orders.parquet").read_bytes() == (applied_spec.out / "orders.parquet").read_bytes()
