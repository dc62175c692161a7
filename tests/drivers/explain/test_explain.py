"""`stratoquant explain`: what is told is what the run recorded, each layer once, and errors say what there is."""

from __future__ import annotations

import html
import json
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dataflows.fusion.types import EDGE_PARTS, SOURCES
from drivers.cli.main import run_command
from drivers.diagrams.model import read_model
from drivers.explain.contributions import ELSEWHERE, FROM, contributions
from drivers.explain.ladder import ladder
from drivers.explain.mattered import mattered
from drivers.explain.show import as_data
from drivers.explain.story import paragraph
from drivers.explain.target import target_of
from drivers.explain.trace import Explanation, explain
from drivers.feeds.simulate import simulate
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import RecordedRun, open_run
from drivers.text.times import stamp
from tests.drivers.report.conftest import RUNS, SYMBOLS


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    folder = tmp_path_factory.mktemp("explained")
    simulate(folder / "market", seed=5, symbols=SYMBOLS, days=2, edge=3.0, trades=False)
    request = RunRequest(data=folder / "market", out=folder / "run", overrides=RUNS["hasty"], report=False)
    run_batch(request, Console(file=StringIO()))
    return open_run(folder / "run")


@pytest.fixture(scope="module")
def orders(recorded: RecordedRun) -> pd.DataFrame:
    return recorded.frame("orders")


def told(recorded: RecordedRun, wanted: str) -> Explanation:
    return explain(recorded, target_of(recorded, wanted))


def an_entry(orders: pd.DataFrame) -> pd.Series[Any]:
    return orders[(orders["type"] == "MARKET") & ~orders["reduce_only"]].iloc[0]


def test_the_layers_are_all_those_from_which_a_way_leads_to_the_order_each_once(
    recorded: RecordedRun, orders: pd.DataFrame
) -> None:
    found = told(recorded, an_entry(orders)["order_id"])
    now = read_model(recorded.project).now
    assert set(found.steps) == {found.root, *nx.ancestors(now, found.root)}
    assert "l0_market_feed" in found.steps
    shown = [name for step in found.steps.values() for name in step.below]
    assert sorted([found.root, *shown]) == sorted(found.steps)
    for name, step in found.steps.items():
        taken = {i.name for i in step.layer.inputs if i.kind == "layer"}
        assert set(step.below) | set(step.elsewhere) == taken, name


def test_every_value_is_the_runs_own_at_the_close_that_decided(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    row = an_entry(orders)
    found = told(recorded, row["order_id"])
    checked, sources = 0, set[str]()
    for domain in recorded.domains():
        frame = recorded.frame(f"features/{domain}", symbols=[row["symbol"]])
        bar = frame[frame["timestamp"] == row["timestamp"]].iloc[0]
        for name, step in found.steps.items():
            for value in step.values if step.layer.domain == domain else ():
                sources |= {value.field.rpartition(".")[2]} & set(EDGE_PARTS)
                kept = bar[name if value.field == name else f"{name}.{value.field}"]
                if isinstance(value.value, float):
                    assert value.value == kept
                    checked += 1
                elif value.value is None and not isinstance(kept, (int, np.integer)):
                    assert np.isnan(kept)
    assert checked > 150
    assert sources == set(EDGE_PARTS)


def test_codes_are_told_by_name(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    row = an_entry(orders)
    values = {v.field: v.value for v in told(recorded, row["order_id"]).steps["l4_risk_gate"].values}
    assert values["verdict"] in ("APPROVED", "REDUCED")
    assert "|".join(values["reasons"]) == (row["reason"] or "")


def test_the_order_its_fills_and_what_sent_it_are_in_the_headline_and_the_intents(
    recorded: RecordedRun, orders: pd.DataFrame
) -> None:
    row = an_entry(orders)
    found = told(recorded, row["order_id"])
    fills = recorded.frame("fills")
    mine = fills[fills["order_id"] == row["order_id"]]
    text = paragraph(found)
    verb = {"BUY": "buy", "SELL": "sell"}[row["side"]]
    assert text.startswith(f"{row['order_id']} was sent at the close of {stamp(row['timestamp'].value)} to {verb} ")
    mean = (mine["quantity"] * mine["price"]).sum() / mine["quantity"].sum()
    assert f" {mine['quantity'].sum():.10g} at {mean:.10g}" in text and f"with a fee of {mine['fee'].sum():.4g}" in text
    intents = found.steps["l5_execution_bridge"].entries
    assert {"id": row["order_id"], "kind": "PLACE"}.items() <= {v.field: v.value for v in intents[-1]}.items()


def test_no_entry_is_said_to_be_sent_because_of_a_cap(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    sent = orders[(orders["type"] == "MARKET") & (orders["reason"] != "")]
    capped = sent[~sent["reduce_only"] & sent["reason"].astype(str).str.contains("CONCENTRATION|INSTRUMENT_CAP|TAIL_BUDGET")]
    assert len(capped)
    for order in capped["order_id"].head(10):
        story = paragraph(told(recorded, order))
        why, _, size = story.partition("Size: ")
        assert "It was sent because a " in why and "cap" not in why and "budget" not in why
        assert "lowered it to" in size


def test_the_paragraph_says_edge_cost_chance_horizon_and_the_ladder(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    """Every number of it, worked out from the columns of the results."""
    entry = an_entry(orders)
    row = {}
    for domain in ("fusion", "risk", "execution"):
        table = pd.read_parquet(recorded.folder / "features" / f"{domain}.parquet").set_index(["timestamp", "symbol"])
        row |= table.loc[(entry["timestamp"], entry["symbol"])].to_dict()
    side = {-1: "short", 1: "long"}[row["l3_action_proposal.side"]]
    edge, error = row["l3_action_proposal.edge_bps"], row["l3_action_proposal.edge_std_bps"]
    story = paragraph(told(recorded, entry["order_id"]))
    assert f"because a {side} position was expected to gain {edge:.4g} bps (standard error {error:.3g} bps)" in story
    assert f"over {row['l70_horizon.bars']:.4g} bars of 1m" in story
    assert f"a round trip costs {edge - row['l70_horizon.net_edge_bps']:.4g} bps" in story
    assert f"The score was {row['l7_ensemble.score']:+.2f} " in story
    assert f"the chance of success was {100 * row['l68_success_probability.p_success']:.3g} %" in story
    assert f"L3 asked for {100 * row['l3_action_proposal.size_fraction']:.3g} % of equity" in story
    weights = [row[f"{name}.weight"] for name in ("l86_exposure_cap", "l87_concentration_cap", "l93_open_risk_budget")]
    assert all(f"{100 * abs(weight):.3g} %" in story for weight in weights)
    assert f"{100 * abs(row['l4_risk_gate.target_weight']):.3g} %" in story


def test_a_reduction_says_why_it_was_sent(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    sent = orders[(orders["type"] == "MARKET") & orders["reduce_only"] & orders["reason"].astype(str).str.len().gt(0)]
    for _, row in sent.groupby("reason", observed=True).head(1).iterrows():
        story = paragraph(told(recorded, row["order_id"]))
        assert re.search(r"It was sent to (close|reduce) the (long|short) position", story), story
        assert "expected to gain" not in story
        side = "short" if row["side"] == "BUY" else "long"
        assert f"the {side} position" in story


def test_the_sources_are_ranked_by_their_part_of_the_edge(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    entry = an_entry(orders)
    table = pd.read_parquet(recorded.folder / "features" / "fusion.parquet").set_index(["timestamp", "symbol"])
    row = table.loc[(entry["timestamp"], entry["symbol"])]
    parts = {name: row[f"l3_action_proposal.parts_bps.{name}"] for name in EDGE_PARTS}
    assert sum(parts.values()) == pytest.approx(row["l3_action_proposal.edge_bps"])
    rows = contributions(told(recorded, entry["order_id"]))
    assert [r.source for r in rows[:4]] == sorted(parts, key=lambda name: -abs(parts[name]))[:4]
    assert {r.source: r.part_bps for r in rows if r.part_bps} == {name: x for name, x in parts.items() if x}
    for r in rows:
        if r.source in SOURCES:
            assert r.score == row[f"l7_ensemble.contributions.{r.source}"]


def test_the_layers_of_the_sources_are_those_that_l66_takes(recorded: RecordedRun) -> None:
    """All of L66's inputs but the validity of bars (L0) and the instability that lowers every source (L64)."""
    taken = {i.name for i in read_model(recorded.project).layers["l66_signal_matrix"].inputs if i.kind == "layer"}
    assert {name for layers in FROM.values() for name in layers} == taken - {"l0_market_feed", "l64_change_point"}
    assert {*FROM, *ELSEWHERE} == set(EDGE_PARTS)


def test_the_picture_holds_the_ten_layers_that_mattered(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    found = told(recorded, an_entry(orders)["order_id"])
    shown = mattered(found)
    assert len(shown.layers) == 10
    assert {"l5_execution_bridge", "l4_risk_gate", "l3_action_proposal", "l67_expectancy", "l66_signal_matrix"} <= shown.layers
    loudest = next(r.source for r in contributions(found) if r.source in FROM)
    assert set(FROM[loudest]) <= shown.layers
    lowered = {layer.name for layer in found.model.layers.values() if layer.id in {r.who for r in ladder(found)[-1:]}}
    assert lowered <= shown.layers
    now = found.model.now
    for edge in shown.edges:  # each is a way of the graph, past layers that are not shown
        rest = now.subgraph([n for n in now if n not in shown.layers or n in (edge.source, edge.target)])
        assert nx.has_path(rest, edge.source, edge.target)
    drawn = nx.DiGraph([(e.source, e.target) for e in shown.edges])
    assert set(nx.ancestors(drawn, found.root)) | {found.root} == set(shown.layers)


def test_a_stop_is_explained_by_the_decision_that_sent_its_entry(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    stop = orders[(orders["type"] == "STOP_MARKET") & orders["parent_id"].notna()].iloc[0]
    found = told(recorded, stop["order_id"])
    entry = orders[orders["order_id"] == stop["parent_id"]].iloc[0]
    assert found.target.entry is not None
    assert found.target.time == entry["timestamp"].value
    assert paragraph(found).startswith(f"{stop['order_id']} is the stop of {entry['order_id']}: it would ")


def test_a_refusal_is_explained_from_the_gate_on(recorded: RecordedRun) -> None:
    refused = recorded.frame("decisions").query("verdict == 'REJECTED'").iloc[-1]
    found = told(recorded, f"{refused['symbol']} {refused['timestamp'].isoformat()}")
    assert found.root == "l4_risk_gate"
    assert "l5_execution_bridge" not in found.steps
    story = paragraph(found)
    assert story.startswith(f"At the close of {stamp(refused['timestamp'].value)}, no order was sent for {refused['symbol']}.")
    assert "but allowed no entry: " in story or "L4 refused to add to the position" in story


def test_a_time_between_two_closes_is_the_bar_before_and_says_so(recorded: RecordedRun) -> None:
    found = told(recorded, f"SIMA {stamp(int(recorded.times()[100]) + 7_000_000_000)}")
    assert found.target.bar == 100
    assert found.target.notes[0].startswith("No bar closes at ")


def test_what_is_not_recorded_is_named(recorded: RecordedRun, orders: pd.DataFrame, tmp_path: Path) -> None:
    found = told(recorded, an_entry(orders)["order_id"])
    assert any("one bar before" in m for m in found.steps["l96_order_lifecycle"].missing)
    assert any(m.startswith("book.bid_price: shown within the bar only") for m in found.steps["l0_market_feed"].missing)
    part = tmp_path / "part"
    shutil.copytree(recorded.folder, part)
    (part / "features" / "kinematics.parquet").unlink()
    found = told(open_run(part), an_entry(orders)["order_id"])
    assert found.steps["l2_returns_volatility"].missing[-1].startswith("features/kinematics.parquet is not in part")
    assert found.steps["l4_risk_gate"].values


def test_up_stops_the_way(recorded: RecordedRun, orders: pd.DataFrame) -> None:
    found = told(recorded, an_entry(orders)["order_id"]).to(1)
    taken = {i.name for i in found.model.layers["l5_execution_bridge"].inputs if i.kind == "layer"}
    assert set(found.steps) == {"l5_execution_bridge", *taken}


def test_the_command_prints_a_tree_json_and_a_picture(
    recorded: RecordedRun, orders: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, order = str(recorded.folder), an_entry(orders)["order_id"]
    assert run_command(["explain", run, order]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{order} was sent at the close of ") and "L96" not in text
    assert "part of the expected move" in text and "--trace" in text
    assert run_command(["explain", run, order, "--trace"]) == 0
    text = capsys.readouterr().out
    for name in ("L5 execution bridge", "L4 risk gate", "L3 action proposal", "L0 market feed"):
        assert len(re.findall(f"── {name}", text)) == 1
    assert run_command(["explain", run, order, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == {"run": "run", **as_data(told(recorded, order))}
    svg = tmp_path / "way.svg"
    assert run_command(["explain", run, order, "-o", str(svg), "--up", "2"]) == 0
    drawn = html.unescape(svg.read_text(encoding="utf-8"))
    assert "L4 risk gate" in drawn
    assert "verdict" in drawn
    assert order in drawn
    assert run_command(["explain", run, order, "-o", str(svg)]) == 0
    assert capsys.readouterr().out.endswith(f"{order}, 10 layers.\n")


def test_a_symbol_and_a_time_need_no_quotes(recorded: RecordedRun, capsys: pytest.CaptureFixture[str]) -> None:
    run, at = str(recorded.folder), stamp(int(recorded.times()[200]))
    assert run_command(["explain", run, f"SIMB {at}"]) == 0
    quoted = capsys.readouterr().out
    day, clock = at.removesuffix("Z").split("T")
    for words in (["SIMB", at], ["SIMB", day, clock], ["SIMB", day, clock[:5]]):
        assert run_command(["explain", run, *words]) == 0
        assert capsys.readouterr().out == quoted


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("SIMA-9999", "run has no order 'SIMA-9999'; SIMA has "),
        ("whatever", "run has no order 'whatever'; `stratoquant logs"),
        ("SIMD 2020-01-01", "run has no symbol 'SIMD'; did you mean SIM"),
        ("SIMA 2020-01-01", "run has no bar at 2020-01-01; its bars close from "),
        ("SIMA noon", "'noon' is not a time; write 2026-03-01 or 2026-03-01T12:00 (UTC)"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    recorded: RecordedRun, wanted: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["explain", str(recorded.folder), wanted]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err


def test_a_run_without_features_says_so(
    recorded: RecordedRun, orders: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(recorded.folder, bare)
    shutil.rmtree(bare / "features")
    assert run_command(["explain", str(bare), an_entry(orders)["order_id"]]) == 2
    assert "bare records no layer's values; make the run again with --features decisions or all" in capsys.readouterr().err


def test_options_that_exclude_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "x", "A-4", "--json", "-o", "a.svg"]) == 2
    assert "give either -o or --json, not both" in capsys.readouterr().err
    assert run_command(["explain", "x", "A-4", "-o", "a.pdf"]) == 2
    assert "is none of .svg, .png, .dot" in capsys.readouterr().err
