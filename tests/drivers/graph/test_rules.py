"""Every rule of the wiring, by a planted fault and the sentence that a user reads of it."""

from __future__ import annotations

import pytest
import yaml

from drivers.graph.modules import layer_modules
from drivers.graph.network import forms_of
from drivers.graph.rules.check import check
from drivers.graph.wiring import load, synced
from drivers.project.domains import config_records
from drivers.project.locate import defaults
from tests.drivers.toy_graph import WIRING, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_sound_graph_has_no_findings(world: World) -> None:
    assert world.findings() == []


# The file and the functions differ.


def test_a_layer_that_is_not_in_the_file(world: World) -> None:
    del world.wiring["layers"]["l86_cap"]
    assert world.messages("layers") == ["L86 l86_cap is not in wiring_master.yaml; run `stratoquant wiring sync`."]


def test_an_entry_that_is_no_function(world: World) -> None:
    world.wiring["layers"]["l12_slope"] = {"id": "L12", "domain": "fusion", "schedule": "columnar"}
    assert world.messages("layers") == [
        "L12 l12_slope is in wiring_master.yaml and is no function; remove its entry, or write it."
    ]


def test_a_renamed_layer_is_said_once(world: World) -> None:
    world.wiring["layers"]["l86_limit"] = world.wiring["layers"].pop("l86_cap")
    assert world.messages("layers") == ["L86 l86_cap is called l86_limit in wiring_master.yaml; rename one of them."]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("id", "L85", "L86 l86_cap: id is L85 in wiring_master.yaml and L86 in the code; make the two agree."),
        ("schedule", "post", "L86 l86_cap: schedule is post in wiring_master.yaml and step in the code; make the two agree."),
        (
            "domain",
            "execution",
            "L86 l86_cap: domain is execution in wiring_master.yaml and risk in the code; make the two agree.",
        ),
        (
            "cross_sectional",
            True,
            "L86 l86_cap: cross_sectional is true in wiring_master.yaml and false in the code; make the two agree.",
        ),
    ],
)
def test_an_entry_that_differs_from_its_function(world: World, key: str, value: object, message: str) -> None:
    world.wiring["layers"]["l86_cap"][key] = value
    assert world.messages("layers") == [message]


def test_an_input_that_the_file_does_not_list(world: World) -> None:
    world.wiring["layers"]["l86_cap"]["inputs"].remove("l97_ledger")
    (finding,) = world.findings()
    assert finding.edge == "l97_ledger > l86_cap"
    assert finding.message == (
        "L86 l86_cap takes l97_ledger, which wiring_master.yaml does not list; run `stratoquant wiring sync`."
    )


def test_an_input_that_the_function_does_not_take(world: World) -> None:
    world.wiring["layers"]["l86_cap"]["inputs"].append("l7_ensemble")
    assert world.messages("layers") == [
        "L86 l86_cap does not take l7_ensemble, which wiring_master.yaml lists; run `stratoquant wiring sync`."
    ]


# Ids.


def test_an_id_given_twice(world: World) -> None:
    world.wiring["layers"]["l4_gate"]["id"] = "L86"
    assert "L86 is the id of l86_cap and of l4_gate; give one of them another." in world.messages("ids")


def test_an_id_given_twice_in_the_code(world: World) -> None:
    world.layers["risk.l86_other"] = world.layers["risk.l86_cap"].replace("def l86_cap", "def l86_other")
    world.wiring["layers"]["l86_other"] = {**world.wiring["layers"]["l86_cap"]}
    assert world.messages("ids") == ["L86 is the id of l86_cap and of l86_other; give one of them another."]


@pytest.mark.parametrize("layer_id", ["", "86", "L1010"])
def test_an_id_that_is_none(world: World, layer_id: str) -> None:
    world.wiring["layers"]["l86_cap"]["id"] = layer_id
    told = (
        f"l86_cap has the id {layer_id!r} in wiring_master.yaml; ids are L0 to L100, and L101 to L999 for layers of your own."
    )
    assert told in world.messages("ids")


def test_an_id_that_the_name_does_not_begin_with(world: World) -> None:
    world.wiring["layers"]["l86_cap"]["id"] = "L85"
    assert world.messages("ids") == ["l86_cap has the id L85 in wiring_master.yaml; its name must begin with l85_."]


# Functions and their parameters.


def test_a_public_helper_would_become_a_node(world: World) -> None:
    world.layers["risk.l86_cap"] += "\ndef helper(x: Panel) -> Panel:\n    return x\n"
    assert world.messages("functions") == [
        (
            "toy.risk.l86_cap.helper is a public function and no layer, so Hamilton takes it for one; put an underscore before its "
            "name, or @layer above it"
        )
    ]


def test_two_functions_that_are_one_node(world: World) -> None:
    world.layers["risk.l86_again"] = world.layers["risk.l86_cap"]
    assert world.messages("functions") == ["l86_cap is defined in toy.risk.l86_cap and in toy.risk.l86_again; drop one"]


def test_a_misspelt_parameter(world: World) -> None:
    world.change("risk.l86_cap", "l97_ledger:", "l97_leger:")
    assert world.messages("inputs") == [
        "L86 l86_cap takes l97_leger, which is no layer, configuration, delayed edge or external input; did you mean l97_ledger?"
    ]


def test_a_parameter_that_is_like_nothing(world: World) -> None:
    world.change("risk.l86_cap", "l97_ledger:", "xyz:")
    (message,) = world.messages("inputs")
    assert message.endswith("delayed edge or external input; beside layers: observations, orders, weights, data, risk.")


def test_an_enabled_layer_that_takes_a_disabled_one(world: World) -> None:
    world.wiring["layers"]["l97_ledger"]["enabled"] = False
    assert world.messages("inputs") == [
        "L86 l86_cap takes l97_ledger, which is not enabled; enable l97_ledger, or disable l86_cap."
    ]


def test_a_name_of_two_things(world: World) -> None:
    world.wiring["external"].append("risk")
    assert "risk names two things (layer, configuration, delayed edge or external input); rename one." in world.messages(
        "inputs"
    )


# Cycles, schedules, domains.


def test_a_cycle_without_a_delayed_edge(world: World) -> None:
    world.change("execution.l97_ledger", "orders: Intents", "l5_bridge: Intents")
    (finding,) = [f for f in world.findings() if f.rule == "cycle"]
    assert finding.edge in finding.message
    assert finding.message == (
        "l4_gate > l5_bridge > l97_ledger > l86_cap > l4_gate is a cycle within one bar; declare one of its edges under `delayed` "
        "in wiring_master.yaml, or remove it."
    )


def test_a_layer_that_takes_itself(world: World) -> None:
    world.change("risk.l86_cap", "risk: RiskConfig", "risk: RiskConfig, l86_cap: Cap")
    (message,) = world.messages("cycle")
    assert message.startswith("l86_cap > l86_cap is a cycle within one bar")


def test_a_columnar_layer_that_needs_a_step_layer_of_the_same_bar(world: World) -> None:
    world.change("fusion.l3_proposal", "l7_ensemble: Panel", "l7_ensemble: Panel, l97_ledger: Ledger")
    assert world.messages("schedule") == [
        (
            "L3 l3_proposal is columnar and takes l97_ledger, which is step and runs after it in the same bar; delay the edge, or "
            "change a schedule."
        )
    ]


def test_a_columnar_layer_cannot_take_what_comes_round_each_bar(world: World) -> None:
    world.change("fusion.l3_proposal", "l7_ensemble: Panel", "l7_ensemble: Panel, orders: Intents")
    assert world.messages("schedule") == [
        "L3 l3_proposal is columnar and takes orders, which comes round each bar; only a step layer can take it."
    ]


def test_an_epoch_edge_from_a_layer_that_is_not_of_the_epoch(world: World) -> None:
    world.wiring["delayed"]["weights"] = {"from": "l7_ensemble", "delay": "epoch"}
    assert world.messages("schedule") == [
        "weights comes round from l7_ensemble after one epoch, but that layer is columnar; it must be epoch."
    ]


def test_a_domain_that_takes_what_it_may_not(world: World) -> None:
    world.wiring["domains"]["risk"]["may_take"].remove("execution")
    assert world.messages("domains") == [
        (
            "L86 l86_cap of risk takes l97_ledger of execution, from which risk may not take; add execution to domains.risk.may_take, "
            "or remove the edge."
        )
    ]


def test_a_domain_that_the_file_does_not_have(world: World) -> None:
    del world.wiring["domains"]["data"]
    messages = world.messages("domains")
    assert "L0 l0_feed is of domain data, which wiring_master.yaml does not have; add it under `domains`." in messages
    assert "domain fusion may take from data, which is no domain of wiring_master.yaml; remove it." in messages


# The door.


def test_a_bypass_of_the_gate_is_refused(world: World) -> None:
    world.change("execution.l5_bridge", "l4_gate: Approval", "l4_gate: Approval, l3_proposal: Proposal")
    assert world.messages("door") == [
        "l3_proposal > l5_bridge leads past l4_gate; take what is needed of l3_proposal from l4_gate instead.",
        "l7_ensemble > l3_proposal > l5_bridge leads past l4_gate; take what is needed of l7_ensemble from l4_gate instead.",
    ]


def test_a_bypass_through_another_layer_is_refused(world: World) -> None:
    world.change("execution.l5_bridge", "l4_gate: Approval", "l4_gate: Approval, l86_cap: Cap")
    assert world.messages("door")[0].startswith("l3_proposal > l86_cap > l5_bridge leads past l4_gate")


def test_a_bypass_that_waits_for_the_next_bar_is_refused(world: World) -> None:
    world.wiring["delayed"]["cap"] = {"from": "l86_cap", "delay": "bar"}
    world.change("execution.l5_bridge", "l4_gate: Approval", "l4_gate: Approval, cap: Cap")
    assert world.messages("door")[0].startswith("l3_proposal > l86_cap > l5_bridge leads past l4_gate")


def test_a_second_giver_of_orders_is_refused(world: World) -> None:
    world.layers["execution.l99_other"] = (
        '@layer("L99", schedule="step")\ndef l99_other(l3_proposal: Proposal) -> Intents:\n    """Orders of its own."""\n'
    )
    world.wiring["layers"]["l99_other"] = {
        "id": "L99", "domain": "execution", "schedule": "step", "inputs": ["l3_proposal"], "sink": True,
    }  # fmt: skip
    assert world.messages("door") == [
        "L99 l99_other gives Intents as l5_bridge does, with no gate before it; l5_bridge alone may."
    ]


def test_a_gate_that_is_not_enabled(world: World) -> None:
    world.wiring["layers"]["l4_gate"]["enabled"] = False
    assert world.messages("door") == [
        "the gate l4_gate is declared with l4_gate, which is no enabled layer; correct it in wiring_master.yaml."
    ]


# Reach and use.


def test_a_layer_that_no_input_reaches(world: World) -> None:
    world.layers["risk.l76_island"] = '@layer("L76")\ndef l76_island(risk: RiskConfig) -> Panel:\n    """Alone."""\n'
    world.wiring["layers"]["l76_island"] = {"id": "L76", "domain": "risk", "schedule": "columnar", "sink": True}
    assert world.messages("reach") == ["L76 l76_island is reachable from no input (observations); connect it, or disable it."]


def test_a_layer_that_feeds_nothing(world: World) -> None:
    world.wiring["layers"]["l100_audit"]["sink"] = False
    assert world.messages("sink") == [
        "L100 l100_audit feeds nothing; take it somewhere, disable it, or declare it `sink: true` in wiring_master.yaml."
    ]


def test_a_layer_that_feeds_only_a_disabled_one(world: World) -> None:
    world.wiring["layers"]["l100_audit"]["enabled"] = False
    world.wiring["layers"]["l5_bridge"]["enabled"] = False
    assert any(m.startswith("L4 l4_gate feeds nothing") for m in world.messages("sink"))


def test_an_external_input_that_no_layer_takes(world: World) -> None:
    world.wiring["external"].append("clock")
    assert world.messages("sink") == ["external input clock is taken by no layer; remove it from wiring_master.yaml."]


# Delayed edges.


def test_a_delayed_edge_that_moves_by_a_switch_that_is_none(world: World) -> None:
    world.wiring["delayed"]["orders"]["when"] = "risk.no_such_key"
    assert "orders moves when risk.no_such_key, which is no key of the configuration; correct it in wiring_master.yaml." in (
        world.messages("delayed")
    )


def test_a_delayed_edge_from_no_layer(world: World) -> None:
    del world.wiring["delayed"]["weights"]["awaits"]
    assert world.messages("delayed") == [
        "weights comes round from l6_monitor, which is no enabled layer; correct it, or say `awaits: true`."
    ]


def test_a_delayed_edge_whose_source_has_come(world: World) -> None:
    world.wiring["delayed"]["orders"]["awaits"] = True
    assert world.messages("delayed") == [
        "orders awaits l5_bridge, which is there; remove `awaits` from it in wiring_master.yaml."
    ]


def test_a_delayed_edge_that_no_layer_takes(world: World) -> None:
    world.wiring["delayed"]["unused"] = {"from": "l4_gate", "delay": "bar"}
    assert world.messages("delayed") == ["unused is a delayed edge that no layer takes; remove it from wiring_master.yaml."]


def test_a_delayed_edge_of_another_type(world: World) -> None:
    world.change("execution.l97_ledger", "orders: Intents", "orders: Approval")
    assert world.messages("types") == [
        "L97 l97_ledger takes orders as toy.types.Approval, but l5_bridge is toy.types.Intents; make the two agree."
    ]


def test_a_delayed_field_that_the_layer_does_not_have(world: World) -> None:
    world.wiring["delayed"]["orders"]["field"] = "size"
    assert world.messages("delayed") == [
        "orders is the field size of l5_bridge, which has n, quantity; correct it in wiring_master.yaml."
    ]


def test_a_delayed_field_is_compared_by_its_own_type(world: World) -> None:
    world.wiring["delayed"]["orders"] = {"from": "l4_gate", "field": "target", "delay": "bar"}
    world.change("execution.l97_ledger", "orders: Intents", "orders: Panel")
    assert world.messages("types") == []
    world.change("execution.l97_ledger", "orders: Panel", "orders: IntPanel")
    assert world.messages("types") == [
        "L97 l97_ledger takes orders as int64 (T, N), but l4_gate.target is float64 (T, N); make the two agree."
    ]


# Types.


def test_an_edge_whose_ends_disagree_on_the_record(world: World) -> None:
    world.change("risk.l4_gate", "l86_cap: Cap", "l86_cap: Approval")
    assert world.messages("types") == [
        "L4 l4_gate takes l86_cap as toy.types.Approval, but l86_cap returns toy.types.Cap; make the two agree."
    ]


def test_an_edge_whose_ends_disagree_on_the_kind_alone(world: World) -> None:
    world.change("fusion.l3_proposal", "l7_ensemble: Panel", "l7_ensemble: Stack")
    assert world.messages("types") == [
        "L3 l3_proposal takes l7_ensemble as float64 (T, N, K), but l7_ensemble returns float64 (T, N); make the two agree."
    ]


def test_takers_of_one_input_that_disagree(world: World) -> None:
    world.change("fusion.l7_ensemble", "l0_feed: Market", "observations: IntPanel, l0_feed: Market")
    assert world.messages("types") == [
        "L7 l7_ensemble takes observations as int64 (T, N), but l0_feed takes it as float64 (T, N); make the two agree."
    ]


def test_a_result_that_is_no_value_kind(world: World) -> None:
    world.change("execution.l100_audit", "-> Panel", "-> str")
    assert "L100 l100_audit returns str, which is no panel, number or record of them." in world.messages("types")


def test_two_records_of_one_name(world: World) -> None:
    world.change("risk.l86_cap", "@kernel", "class Ledger(NamedTuple):\n    weight: Panel\n\n@kernel")
    world.change("risk.l86_cap", "-> Cap", "-> Ledger")
    world.change("risk.l86_cap", "l97_ledger: Ledger", "l97_ledger: types.Ledger")
    world.change("risk.l86_cap", "@layer", "import toy.types as types\n@layer")
    world.change("risk.l4_gate", "l86_cap: Cap", "l86_cap: Panel")
    (message,) = world.messages("names")
    assert message.endswith(
        "two records called Ledger (toy.risk.l86_cap and toy.types), which makes compiled calls fifty times slower; rename one."
    )


# Configuration.


def test_a_key_that_does_not_exist(world: World) -> None:
    world.change("risk.l86_cap", "risk.gross", "risk.gros")
    assert "L86 l86_cap reads gros in l86_cap, which is no key of config/risk.yml; did you mean gross?" in world.messages(
        "config"
    )


def test_a_key_that_does_not_exist_read_in_a_helper(world: World) -> None:
    world.change("risk.l86_cap", "limits.slope", "limits.slop")
    assert "L86 l86_cap reads slop in _throttle, which is no key of config/risk.yml; did you mean slope?" in world.messages(
        "config"
    )


def test_a_key_that_does_not_exist_on_a_carry_axis(world: World) -> None:
    world.change("types", 'W="span_bars"', 'W="spam_bars"')
    assert (
        "L0 l0_feed reads spam_bars in carry.window.ring, which is no key of what it takes (data); did you mean span_bars?"
        in world.messages("config")
    )


def test_a_key_that_no_layer_reads(world: World) -> None:
    world.change("risk.l86_cap", "limits.slope", "2.0")
    assert world.messages("config") == [
        (
            "config/risk.yml: no layer reads slope; remove it from dataflows/risk/config.py, or name it under driver_keys in "
            "wiring_master.yaml."
        )
    ]


def test_a_key_that_a_driver_reads(world: World) -> None:
    world.change("risk.l86_cap", "limits.slope", "2.0")
    world.wiring["driver_keys"] = ["risk.slope"]
    assert world.messages("config") == []


def test_a_key_read_through_a_method_of_the_configuration(world: World) -> None:
    world.change("risk.l86_cap", "limits.slope", "limits.room()")
    assert world.findings() == []


def test_a_driver_key_that_does_not_exist(world: World) -> None:
    world.wiring["driver_keys"] = ["risk.slop"]
    assert world.messages("config") == [
        "driver_keys names risk.slop, which is no configuration key; remove it from wiring_master.yaml."
    ]


# Layers that run after the bar.

MONITOR = '''
@layer("L6", schedule="epoch")
def l6_monitor(observations: Panel, l97_ledger: Ledger, l86_cap: Cap, l100_audit: Panel, l5_bridge: Intents) -> Weights:
    """What was learned."""
    return Weights(l86_cap.weight)
'''


@pytest.fixture
def learning(world: World) -> World:
    world.layers["execution.l6_monitor"] = MONITOR
    world.change(
        "types", "weights: Annotated[Floats, Axes(3, start=1.0)]", "weights: Annotated[Floats, Axes(3, start=1.0), Within(0.0)]"
    )
    inputs = ["observations", "l97_ledger", "l86_cap", "l100_audit", "l5_bridge"]
    world.wiring["layers"]["l6_monitor"] = {"id": "L6", "domain": "execution", "schedule": "epoch", "inputs": inputs}
    del world.wiring["delayed"]["weights"]["awaits"]
    world.change(
        "types", "class Cap(NamedTuple):\n    weight: Panel", "class Cap(NamedTuple):\n    weight: Panel\n    room: Passed"
    )
    world.change("types", "Panel, Stack, Within", "Panel, Passed, Stack, Within")
    return world


def test_an_epoch_layer_takes_inputs_logs_and_the_outputs_of_every_stage(learning: World) -> None:
    assert learning.findings() == []


def test_an_epoch_layer_that_reads_what_is_not_recorded(learning: World) -> None:
    learning.change("execution.l6_monitor", "l86_cap.weight", "l86_cap.room")
    assert learning.messages("schedule") == [
        (
            "L6 l6_monitor is epoch and reads l86_cap.room, which is shown within the bar only; read a recorded field instead, or "
            "record it: drop `recorded=False` from its kind."
        )
    ]


def test_a_post_layer_that_reads_what_is_not_recorded(learning: World) -> None:
    learning.change("execution.l100_audit", "l5_bridge: Intents", "l5_bridge: Intents, l86_cap: Cap")
    learning.layers["execution.l100_audit"] += "    return l86_cap.room\n"
    assert learning.messages("schedule")[0].startswith("L100 l100_audit is post and reads l86_cap.room, which is shown within")


def test_an_epoch_layer_that_takes_what_comes_round_each_bar(learning: World) -> None:
    learning.change("execution.l6_monitor", "l5_bridge: Intents", "orders: Intents")
    assert learning.messages("schedule") == [
        "L6 l6_monitor is epoch and takes orders, which comes round each bar; only a step layer can take it."
    ]


def test_an_epoch_layer_whose_values_nobody_bounds(learning: World) -> None:
    learning.change("types", "Axes(3, start=1.0), Within(0.0)]", "Axes(3, start=1.0)]")
    (message,) = learning.messages("boundary")
    assert message.startswith("toy.types.ExecutionBoundary has no column l6_monitor.weights.0, which l6_monitor gives;")


def test_an_epoch_layer_that_returns_an_array_without_axes(learning: World) -> None:
    learning.change("types", "weights: Annotated[Floats, Axes(3, start=1.0), Within(0.0)]", "weights: Floats")
    assert learning.messages("types")[0].endswith("which is no number, array with its Axes or record of them.")


def test_an_external_input_that_the_engine_does_not_hand_in(world: World) -> None:
    world.change("data.l0_feed", "observations: Panel", "ticker: Panel")
    world.wiring["external"] = ["ticker"]
    world.wiring["layers"]["l0_feed"]["inputs"] = ["ticker"]
    assert world.messages("sink") == [
        (
            "external input ticker is none that the engine hands in; it hands in observations, external_alpha, instruments, clock, "
            "venue_events, venue_snapshot, shadow_account."
        )
    ]


# Layers with several forms, of which a variant of the wiring chooses one.

TWO_FORMS = '''
@variant(venue="sim")
@layer("L86", schedule="step")
def l86_cap__sim(l3_proposal: Proposal, l97_ledger: Ledger, risk: RiskConfig) -> Cap:
    """The most that may be held, by the ledger."""
    return Cap(risk.gross)


@variant(venue="live")
@layer("L86", schedule="step")
def l86_cap__live(l3_proposal: Proposal, venue_events: Panel, risk: RiskConfig) -> Cap:
    """The most that may be held, as the venue says."""
    return Cap(risk.slope)
'''


@pytest.fixture
def two(world: World) -> World:
    world.layers["risk.l86_cap"] = TWO_FORMS
    world.wiring["variants"] = {"venue": "sim"}
    world.wiring["external"] = ["observations", "venue_events"]
    world.wiring["layers"]["l86_cap"]["inputs"] = {
        "sim": ["l3_proposal", "l97_ledger"],
        "live": ["l3_proposal", "venue_events"],
    }
    world.wiring["layers"]["l97_ledger"]["sink"] = True  # the live form does not take it
    return world


@pytest.mark.parametrize("venue", ["sim", "live"])
def test_a_variant_is_one_word_for_inputs_and_keys_belong_to_the_form_that_reads_them(two: World, venue: str) -> None:
    two.wiring["variants"]["venue"] = venue
    assert two.findings() == []


def test_an_external_input_that_no_form_takes(two: World) -> None:
    two.change("risk.l86_cap", "venue_events: Panel", "observations: Panel")
    two.wiring["layers"]["l86_cap"]["inputs"]["live"] = ["l3_proposal", "observations"]
    assert two.messages("sink") == ["external input venue_events is taken by no layer; remove it from wiring_master.yaml."]


def test_a_key_that_no_form_reads(two: World) -> None:
    two.change("risk.l86_cap", "Cap(risk.slope)", "Cap(risk.gross)")
    (message,) = two.messages("config")
    assert message.startswith("config/risk.yml: no layer reads slope;")


def test_an_input_of_the_form_that_is_not_chosen_is_held_against_the_file(two: World) -> None:
    two.wiring["layers"]["l86_cap"]["inputs"]["live"] = ["venue_events", "observations"]
    assert two.messages("layers") == [
        "L86 l86_cap (live) takes l3_proposal, which wiring_master.yaml does not list; run `stratoquant wiring sync`.",
        "L86 l86_cap (live) does not take observations, which wiring_master.yaml lists; run `stratoquant wiring sync`.",
    ]


def test_a_form_without_a_list_and_a_list_without_a_form(two: World) -> None:
    two.wiring["layers"]["l86_cap"]["inputs"]["paper"] = two.wiring["layers"]["l86_cap"]["inputs"].pop("live")
    assert two.messages("layers")[0] == (
        "L86 l86_cap has the forms live, sim, and wiring_master.yaml lists the inputs of paper, sim; run `stratoquant wiring sync`."
    )


def test_sync_writes_a_list_for_each_form(two: World) -> None:
    text = synced(WIRING, forms_of(two.modules()), two.configs())
    assert yaml.safe_load(text)["layers"]["l86_cap"]["inputs"] == two.wiring["layers"]["l86_cap"]["inputs"]
    assert synced(text, forms_of(two.modules()), two.configs()) == text


@pytest.mark.parametrize("venue", ["sim", "live"])
def test_the_shipped_graph_holds_at_either_venue(venue: str) -> None:
    project = defaults()
    wiring = load(project.wiring)
    chosen = wiring.model_copy(update={"variants": {**wiring.variants, "venue": venue}})
    assert check(chosen, layer_modules(), config_records()) == []
    assert set(chosen.inputs_of("l90_fills")) & {"venue_events", "clock"} == ({"clock"} if venue == "sim" else {"venue_events"})


# Boundary models.


def test_a_field_without_a_column(world: World) -> None:
    world.change(
        "types", "class Cap(NamedTuple):\n    weight: Panel", "class Cap(NamedTuple):\n    weight: Panel\n    room: Panel"
    )
    assert world.messages("boundary") == [
        (
            "toy.types.RiskBoundary has no column l86_cap.room, which l86_cap gives; add it to the boundary model of risk, or "
            "give its range where l86_cap returns it: Annotated[..., Within(low, high)]."
        )
    ]


def test_a_field_that_brings_its_range_needs_no_column(world: World) -> None:
    cap = "class Cap(NamedTuple):\n    weight: Panel"
    world.change("types", cap, f"{cap}\n    room: Annotated[Panel, Within(0.0, 1.0)]")
    assert world.messages("boundary") == []


def test_a_column_without_a_field(world: World) -> None:
    world.change("types", 'alias="l86_cap.weight"', 'alias="l86_cap.wait"')
    assert (
        "toy.types.RiskBoundary has a column l86_cap.wait, which no layer of risk gives; remove it from the boundary model."
        in world.messages("boundary")
    )


def test_a_column_of_another_dtype(world: World) -> None:
    world.change("types", "weight: Column_[float]", "weight: Column_[int]")
    assert world.messages("boundary") == [
        "toy.types.RiskBoundary says l86_cap.weight is int64, but l86_cap gives float64; correct the boundary model of risk."
    ]


def test_a_stack_with_a_hole_among_its_columns(world: World) -> None:
    world.change("types", "l3_proposal.sources.1", "l3_proposal.sources.2")
    messages = world.messages("boundary")
    assert messages[0].startswith("toy.types.FusionBoundary has no column l3_proposal.sources.1")


def test_a_boundary_model_that_cannot_be_imported(world: World) -> None:
    world.wiring["domains"]["risk"]["boundary"] = "toy.types.RiskBorder"
    (message,) = world.messages("boundary")
    assert message.startswith("boundary model toy.types.RiskBorder of risk cannot be imported")


def test_a_domain_with_layers_and_no_boundary_model(world: World) -> None:
    del world.wiring["domains"]["risk"]["boundary"]
    assert world.messages("boundary") == [
        "domain risk has layers and no boundary model; name it under domains.risk.boundary in wiring_master.yaml."
    ]


def test_the_columns_of_a_disabled_layer_wait_for_it(world: World) -> None:
    world.wiring["layers"]["l100_audit"]["enabled"] = False
    assert world.messages("boundary") == []


def test_what_only_hamilton_sees_is_said_in_its_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from hamilton import driver

    def refuse(self: object) -> None:
        raise ValueError("no,\n   not like this")

    monkeypatch.setattr(driver.Builder, "build", refuse)
    assert world.messages("hamilton") == ["Hamilton refuses the graph: no, not like this"]
