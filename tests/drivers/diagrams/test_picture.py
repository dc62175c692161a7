"""The picture shows every layer and edge once, tells delayed edges apart, and makes the door plain."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import networkx as nx
import pytest

from drivers.cli.main import run_command
from drivers.diagrams import selection
from drivers.diagrams.model import read_model
from drivers.diagrams.picture import DOOR, passage, source
from drivers.graph.wiring import load
from drivers.project.locate import defaults

MODEL = read_model(defaults())
DRAWN = source(MODEL, selection.all_layers(MODEL))


def edges_of(text: str) -> list[tuple[str, str, str]]:
    """Source, target and look of every edge."""
    return re.findall(r"^\t(\w+) -> (\w+)(.*)$", text, flags=re.MULTILINE)


def test_every_layer_is_drawn_once_in_its_domain() -> None:
    wiring = load(defaults().wiring)
    drawn = Counter(re.findall(r"^\t\t(l\d+_\w+) \[", DRAWN, flags=re.MULTILINE))
    assert drawn == Counter(wiring.enabled)
    for name, domain in MODEL.domains.items():
        if domain.layers:
            box = DRAWN.partition(f"subgraph cluster_{name} {{")[2].partition("\n\t}")[0]
            assert set(re.findall(r"^\t\t(l\d+_\w+) \[", box, flags=re.MULTILINE)) == set(domain.layers)


def test_every_edge_of_the_wiring_is_drawn_once_and_the_delayed_ones_apart() -> None:
    wiring = load(defaults().wiring)
    wanted = Counter((i, n) for n in wiring.enabled for i in wiring.inputs_of(n) if i in wiring.layers)
    delayed = {
        (d.source, n) for p, d in wiring.delayed.items() if not d.awaits for n in wiring.enabled if p in wiring.inputs_of(n)
    }
    drawn = edges_of(DRAWN)
    assert Counter((a, b) for a, b, look in drawn if "dashed" not in look) == wanted
    assert {(a, b) for a, b, look in drawn if "dashed" in look} == delayed
    assert all("one bar later" in look or "one epoch later" in look for _, _, look in drawn if "dashed" in look)


def test_the_door_is_drawn_as_no_other_layer_and_its_ways_are_red() -> None:
    (door,) = re.findall(r"^\t\t(l\d+_\w+) \[.*doubleoctagon.*$", DRAWN, flags=re.MULTILINE)
    assert door == MODEL.passages[0].door
    assert {(a, b) for a, b, look in edges_of(DRAWN) if DOOR in look} == passage(MODEL)
    past = nx.DiGraph(passage(MODEL))
    past.remove_node(door)
    way = MODEL.passages[0]
    assert not any(nx.has_path(past, first, way.to) for first in way.sources if first in past and way.to in past)


def test_the_legend_names_what_occurs_and_nothing_else() -> None:
    alone = source(MODEL, selection.paths(MODEL, "L66", "L3"))
    assert "columnar" in alone and "is the risk gate" not in alone and "dashed edge" not in alone
    assert "is the risk gate" in DRAWN and "dashed edge" in DRAWN


@pytest.mark.parametrize("form", ["svg", "png", "dot", "html"])
def test_the_command_writes_each_form(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"graph.{form}"
    assert run_command(["graph", "-o", str(out)]) == 0
    start = {"svg": b"<?xml", "png": b"\x89PNG", "dot": b"digraph", "html": b"<!doctype html>"}[form]
    assert out.read_bytes().startswith(start)
    assert str(len(MODEL.layers)) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "graph.gif"], "graph.gif is none of .svg, .png, .dot, .html"),
        (["-o", "graph.svg", "--run", "runs/x"], "only an HTML page shows values; write -o graph.html"),
        (["--domain", "risk", "--layer", "L4"], "give only one of these"),
        (["--layer", "L4x"], "there is no layer 'L4x'"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["graph", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_model_is_plain_data() -> None:
    assert len(json.loads(json.dumps(MODEL.as_data()))["layers"]) == len(MODEL.layers)
