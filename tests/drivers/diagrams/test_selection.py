"""What is shown of a graph, against networkx on the same edges, and what is said where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.diagrams import selection
from drivers.diagrams.declared import GraphError
from drivers.diagrams.model import Edge, Model, read_model
from drivers.project.locate import defaults

MODEL = read_model(defaults())
NAMES = list(MODEL.layers)


@st.composite
def random_models(draw: st.DrawFn) -> Model:
    """The layers of the graph under other edges: any DAG."""
    count = draw(st.integers(2, 12))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=40))
    edges = {(NAMES[a], NAMES[b]) for a, b in pairs if a < b}
    made = tuple(Edge(a, b, "now", a) for a, b in sorted(edges))
    return replace(MODEL, layers={n: MODEL.layers[n] for n in NAMES[:count]}, edges=made)


@given(random_models(), st.data())
def test_the_ways_between_two_layers_are_all_simple_paths(model: Model, data: st.DataObject) -> None:
    a, b = data.draw(st.sampled_from(list(model.layers))), data.draw(st.sampled_from(list(model.layers)))
    ways = [] if a == b else list(nx.all_simple_edge_paths(model.now, a, b))
    if not ways:
        with pytest.raises(GraphError, match=r"within the bar no path|takes two layers and both are"):
            selection.paths(model, a, b)
        return
    shown = selection.paths(model, a, b)
    assert {(e.source, e.target) for e in shown.edges} == {edge for way in ways for edge in way}
    assert shown.shown == {end for way in ways for edge in way for end in edge}


@given(random_models(), st.data(), st.integers(0, 4), st.integers(0, 4))
def test_around_a_layer_are_those_within_so_many_steps(model: Model, data: st.DataObject, up: int, down: int) -> None:
    name = data.draw(st.sampled_from(list(model.layers)))
    below = {n for n, d in nx.single_source_shortest_path_length(model.now, name).items() if d <= down}
    above = {n for n, d in nx.single_target_shortest_path_length(model.now, name).items() if d <= up}
    shown = selection.around(model, name, up=up, down=down)
    assert shown.shown == above | below
    assert {(e.source, e.target) for e in shown.edges} == set(model.now.subgraph(shown.shown).edges)


@given(random_models(), st.data(), st.integers(0, 4))
def test_within_some_hops_are_the_neighbours_whichever_way_an_edge_points(model: Model, data: st.DataObject, hops: int) -> None:
    name = data.draw(st.sampled_from(list(model.layers)))
    near = nx.ego_graph(model.now.to_undirected(), name, radius=hops)
    assert selection.within(model, name, hops=hops).shown == set(near.nodes)


@pytest.mark.parametrize("domain", [d.name for d in MODEL.domains.values() if d.layers])
def test_a_domain_shows_its_layers_and_every_edge_that_touches_one(domain: str) -> None:
    shown = selection.domain(MODEL, domain)
    own = set(MODEL.domains[domain].layers)
    assert shown.layers == own
    assert set(shown.edges) == {e for e in MODEL.edges if not e.awaits and (e.source in own or e.target in own)}
    assert not shown.beside & own


def test_the_whole_graph_has_every_layer_and_every_edge_of_the_wiring() -> None:
    shown = selection.all_layers(MODEL)
    assert shown.shown == set(MODEL.layers)
    assert {(e.source, e.target) for e in shown.edges if e.kind == "now"} == set(MODEL.now.edges)


@pytest.mark.parametrize("text", ["L12", "l12", "12", "l12_regression_slope_short", " L012 "])
def test_a_layer_is_found_by_id_number_or_name(text: str) -> None:
    assert selection.find(MODEL, text) == "l12_regression_slope_short"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "l12_regresion_slope",
            r"there is no layer 'l12_regresion_slope' in the graph; did you mean l12_regression_slope_short\?",
        ),
        ("L999", r"there is no layer 'L999' in the graph; the nearest is L100 l100_decision_audit\."),
        ("zzz", r"`stratoquant layers` lists them"),
    ],
)
def test_an_unknown_layer_is_answered_with_the_nearest(text: str, sentence: str) -> None:
    with pytest.raises(GraphError, match=sentence):
        selection.find(MODEL, text)


def test_a_way_that_leads_the_other_way_round_is_told() -> None:
    with pytest.raises(GraphError, match=r"no path leads from L4 .* to L0 .*; the other way round one does: --path L0 L4"):
        selection.paths(MODEL, "L4", "L0")


def test_an_unknown_domain_is_answered_with_the_nearest() -> None:
    with pytest.raises(GraphError, match=r"there is no domain 'kinematic'; did you mean kinematics\?"):
        selection.domain(MODEL, "kinematic")
