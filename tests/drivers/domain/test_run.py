"""A domain alone: the same bits as in the whole graph, what it cannot know is refused, and nothing half done is left."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from drivers.domain import DomainError, run_domain
from drivers.engine.engine import Engine
from drivers.engine.promises import BoundaryError
from drivers.feeds.dataset import open_dataset
from drivers.graph.wiring import load
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.errors import TakenError
from drivers.store.reader import open_run
from tests.drivers.domain.conftest import EARLY
from tests.drivers.small_market import left

_WIRING = load(defaults().wiring)
_BY_BAR = [e for e in _WIRING.layers.values() if e.enabled and e.schedule != "epoch"]
DOMAINS = tuple(name for name in _WIRING.domains if any(e.domain == name for e in _BY_BAR))
_LEARNED = {name for name, edge in _WIRING.delayed.items() if edge.delay == "epoch"}
SEES_THE_ACCOUNT = {
    e.domain
    for name, e in _WIRING.layers.items()
    if e in _BY_BAR and (e.schedule != "columnar" or _LEARNED & {*_WIRING.inputs_of(name)})
}
"""Domains of layers of the account, or that take what was learned of it."""


def same_bits(one: Path, other: Path) -> None:
    """Two Parquet files hold the same columns and the same bits; an unknown value equals another."""
    tables = [pq.read_table(path) for path in (one, other)]
    assert tables[0].column_names == tables[1].column_names
    for name in tables[0].column_names[2:]:
        a, b = (t[name].to_numpy() for t in tables)
        assert a.dtype == b.dtype and a.shape == b.shape, name
        differs = a.view(np.int64) != b.view(np.int64)
        if a.dtype.kind == "f":
            differs &= ~(np.isnan(a) & np.isnan(b))
        assert not differs.any(), f"{name} differs in {differs.sum()} of {len(a)} values"


def edited(whole: Path, tmp_path: Path, **changes: Any) -> Path:
    """A copy of the run with other words in run.json; a value of None takes a key away."""
    copy = tmp_path / "edited"
    shutil.copytree(whole, copy)
    about = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    about.update(changes)
    kept = {k: v for k, v in about.items() if v is not None}
    (copy / "run.json").write_text(json.dumps(kept), encoding="utf-8")
    return copy


def test_the_run_is_worth_repeating(whole: Path) -> None:
    assert len(pd.read_parquet(whole / "fills.parquet")) >= 4
    assert (pd.read_parquet(whole / "features/risk.parquet")["l4_risk_gate.verdict"] != 0).sum() > 20


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_column_has_the_bits_of_the_whole_graph(
    domain: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "bars_within", lambda engine, size: 100)  # other chunks than the run's
    result = run_domain(domain, whole, out=tmp_path / "out", compiled=False)
    same_bits(tmp_path / "out" / "features" / f"{domain}.parquet", whole / "features" / f"{domain}.parquet")
    assert all(f.changed == 0 for f in result.figures())
    assert (result.loop == "none") == (domain not in SEES_THE_ACCOUNT)
    assert result.run.about["kind"] == "domain"
    assert result.run.domains() == [domain]


def test_the_orders_of_the_execution_domain_alone_are_those_of_the_run(whole: Path, tmp_path: Path) -> None:
    run_domain("execution", whole, out=tmp_path / "out", compiled=False)
    for name in ("orders", "fills", "ledger"):
        one, other = (pd.read_parquet(folder / f"{name}.parquet") for folder in (whole, tmp_path / "out"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for path in (whole / "logs").iterdir():
        one, other = (pd.read_parquet(folder / "logs" / path.name) for folder in (whole, tmp_path / "out"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_on_market_data_the_upstream_is_computed(market: Path, whole: Path, tmp_path: Path) -> None:
    result = run_domain("kinematics", market, out=tmp_path / "out", overrides=EARLY[:1])
    same_bits(tmp_path / "out/features/kinematics.parquet", whole / "features/kinematics.parquet")
    assert result.loop == "closed", "L1 takes thresholds that are learned, and what is learned comes from the account"
    assert result.run.domains() == ["kinematics"]
    assert "l0_market_feed" in result.run.about["beside"]
    assert all(f.changed is None for f in result.figures())


def test_on_market_data_the_account_answers(market: Path, whole: Path, tmp_path: Path) -> None:
    result = run_domain("risk", market, out=tmp_path / "out", overrides=EARLY, spec="prior_belief")
    same_bits(tmp_path / "out/features/risk.parquet", whole / "features/risk.parquet")
    assert result.loop == "closed"
    assert result.notes[0] == "closed loop: the account is computed too, and answers what the layers do"
    assert {"l5_execution_bridge", "l97_ledger"} <= result.run.about["beside"].keys()


def test_a_changed_key_shows_where_it_acts_and_how_much(whole: Path, tmp_path: Path) -> None:
    result = run_domain("kinematics", whole, out=tmp_path / "out", overrides=["kinematics.slope_short_bars=45"])
    summary = result.summary()
    assert summary.loc[("l12_regression_slope_short", "slope"), "changed"] > 300
    assert summary.loc[("l2_returns_volatility", "sigma"), "changed"] == 0
    new, old = (
        pq.read_table(folder / "features/kinematics.parquet")["l12_regression_slope_short.slope"].to_numpy()
        for folder in (tmp_path / "out", whole)
    )
    differs = ~((new == old) | (np.isnan(new) & np.isnan(old)))
    told = summary.loc[("l12_regression_slope_short", "slope")]
    assert told["changed"] == differs.sum()
    assert told["largest_change"] == np.nanmax(np.abs(new - old))
    assert "slope_short_bars: 45" in (tmp_path / "out/config/kinematics.yml").read_text(encoding="utf-8")


def test_what_runs_beside_a_domain_and_why_is_said(market: Path, whole: Path, tmp_path: Path) -> None:
    result = run_domain("microstructure", whole, out=tmp_path / "out")
    (note,) = [n for n in result.notes if "l0_market_feed" in n]
    assert "computed beside it, out of the run's market data, because a run does not record its book." in note
    assert result.run.about["beside"]["l0_market_feed"]


def test_an_open_loop_names_what_does_not_answer(whole: Path, tmp_path: Path) -> None:
    result = run_domain("execution", whole, out=tmp_path / "out", compiled=False)
    said, _, rest = result.notes[0].removeprefix("open loop: ").partition(" as the run recorded; ")
    named = set(said.removesuffix(" is").removesuffix(" are").replace(" and ", ", ").split(", "))
    assert "l4_risk_gate" in named  # what decides, and what the audit and the mirror repeat
    assert named <= {n for n, entry in load(defaults().wiring).layers.items() if entry.domain == "risk"}
    assert rest


def test_columnar_domains_need_no_market_data(whole: Path, tmp_path: Path) -> None:
    moved = edited(whole, tmp_path, data_path="nowhere")
    result = run_domain("kinematics", moved, out=tmp_path / "out")
    assert all(f.changed == 0 for f in result.figures())


def test_start_and_symbols_choose_what_is_shown_and_end_what_is_computed(whole: Path, tmp_path: Path) -> None:
    times = open_run(whole).times()
    result = run_domain(
        "regime", whole, out=tmp_path / "out", symbols=["BBB"], start=int(times[99]), end=int(times[199]), console=None
    )
    frame = result.frame()
    assert len(frame) == 100
    assert set(frame["symbol"]) == {"BBB"}
    assert len(result.run.times()) == 200
    assert all(f.changed == 0 and f.values == 100 for f in result.figures())


# ---- what is refused, each with its sentence


def refusal(domain: str, source: Path, out: Path, **options: Any) -> str:
    """The one sentence; nothing is left."""
    before = left(out.parent)
    with pytest.raises(DomainError) as caught:
        run_domain(domain, source, out=out, **options)
    assert left(out.parent) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_domain(whole: Path, tmp_path: Path) -> None:
    assert refusal("kinematic", whole, tmp_path / "x") == "there is no domain 'kinematic'; did you mean kinematics?"


def test_a_domain_without_layers(whole: Path, tmp_path: Path) -> None:
    empty = next((d for d in _WIRING.domains if d not in DOMAINS), None)
    if empty is None:
        pytest.skip("every domain has layers by now")
    assert refusal(empty, whole, tmp_path / "x").startswith(f"{empty} has no layers that run bar by bar; ")


def test_a_folder_that_is_neither_run_nor_data(tmp_path: Path) -> None:
    assert "is not a folder" in refusal("regime", tmp_path / "none", tmp_path / "x")


def test_market_data_of_market_data(market: Path, tmp_path: Path) -> None:
    assert "is market data already; --data names those of a run" in refusal("regime", market, tmp_path / "x", data=market)


def test_a_key_that_no_layer_of_the_domain_reads(whole: Path, tmp_path: Path) -> None:
    told = refusal("kinematics", whole, tmp_path / "x", overrides=["risk.gross=0.5"])
    assert told.startswith("--set risk.gross=0.5 changes nothing here: no layer of kinematics reads it")


def test_a_key_that_would_falsify_what_runs_beside(whole: Path, tmp_path: Path) -> None:
    told = refusal("microstructure", whole, tmp_path / "x", overrides=["data.hampel_k=5"])
    assert told.startswith("--set data.hampel_k=5 changes l0_market_feed, which only runs beside microstructure")


def test_missing_inputs_are_named_with_layer_field_and_reason(whole: Path, tmp_path: Path) -> None:
    old = edited(whole, tmp_path)
    path = old / "features/regime.parquet"
    table = pq.read_table(path)
    pq.write_table(
        table.drop_columns(["l1_regime.volatility"]) if "l1_regime.volatility" in table.column_names else table, path
    )
    shutil.rmtree(old / "logs")
    (old / "features/microstructure.parquet").unlink()
    told = refusal("kinematics", old, tmp_path / "x")
    assert told.startswith("edited lacks what kinematics takes: L63 l63_tradeability")
    assert "features/microstructure.parquet is not there" in told
    told = refusal("risk", old, tmp_path / "x")
    assert "L90 l90_fills, the run was made before logs were kept" in told
    assert "L5 l5_execution_bridge by way of orders, " in told


def test_a_field_of_another_version_of_a_layer(whole: Path, tmp_path: Path) -> None:
    old = edited(whole, tmp_path)
    path = old / "features/data.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["l0_market_feed.bars.close"]), path)
    told = refusal("kinematics", old, tmp_path / "x")
    assert "L0 l0_market_feed (bars.close), the run was made by another version of the layer" in told


def test_a_layer_that_was_disabled_in_the_run(whole: Path, tmp_path: Path) -> None:
    old = edited(whole, tmp_path, spec=None)
    wiring = old / "wiring_master.yaml"
    text = wiring.read_text(encoding="utf-8")
    wiring.write_text(text.replace("  l63_tradeability:\n", "  l63_tradeability:\n    enabled: false\n"), encoding="utf-8")
    path = old / "features/microstructure.parquet"
    table = pq.read_table(path)
    pq.write_table(table.select([c for c in table.column_names if not c.startswith("l63_")]), path)
    told = refusal("kinematics", old, tmp_path / "x", project=defaults().root)
    assert "L63 l63_tradeability, it was disabled in that run" in told


def test_market_data_that_are_gone(whole: Path, tmp_path: Path) -> None:
    moved = edited(whole, tmp_path, data_path="nowhere")
    told = refusal("microstructure", moved, tmp_path / "x")
    assert told == (
        "the microstructure domain needs the market data of edited (l0_market_feed is computed from them), and nowhere is not "
        "there; name them with --data DIR"
    )


def test_market_data_that_are_named_again(market: Path, whole: Path, tmp_path: Path) -> None:
    moved = edited(whole, tmp_path, data_path="nowhere")
    result = run_domain("microstructure", moved, out=tmp_path / "out", data=market)
    assert all(f.changed == 0 for f in result.figures())


def test_market_data_that_are_not_those_of_the_run(market: Path, whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(market, other)
    bars = pd.read_parquet(other / "bars.parquet")
    bars.loc[5, "volume"] += 1.0
    bars.to_parquet(other / "bars.parquet", index=False)
    assert "holds other data or changed ones (another hash)" in refusal("microstructure", whole, tmp_path / "x", data=other)


def test_a_layer_beside_that_no_longer_gives_what_was_recorded(whole: Path, tmp_path: Path) -> None:
    old = edited(whole, tmp_path)
    path = old / "features/data.parquet"
    table = pq.read_table(path)
    volume = table["l0_market_feed.bars.volume"].to_numpy().copy()
    volume[100] += 1.0
    at = table.column_names.index("l0_market_feed.bars.volume")
    pq.write_table(table.set_column(at, "l0_market_feed.bars.volume", [volume]), path)
    told = refusal("microstructure", old, tmp_path / "x")
    assert told.startswith("l0_market_feed.bars.volume of AAA at 2024-03-04T21:51:00Z, computed beside microstructure, is ")


def test_a_domain_run_is_no_source(whole: Path, tmp_path: Path) -> None:
    run_domain("regime", whole, out=tmp_path / "alone")
    assert "holds the regime domain alone; name what it was made from (whole)" in refusal(
        "kinematics", tmp_path / "alone", tmp_path / "x"
    )


def test_a_run_too_old_to_know_its_instruments_needs_the_data(whole: Path, tmp_path: Path) -> None:
    old = edited(whole, tmp_path, instruments=None, data_path=None, code=None)
    assert "the run is too old to have kept the facts of its symbols" in refusal("kinematics", old, tmp_path / "x")


def test_what_the_run_was_made_with_is_held_against_now(whole: Path, tmp_path: Path) -> None:
    about = json.loads((whole / "run.json").read_text(encoding="utf-8"))
    other = edited(
        whole,
        tmp_path,
        versions={**about["versions"], "numpy": "1.0"},
        code={**about["code"], "l1_regime": "0" * 16},
    )
    notes = run_domain("regime", other, out=tmp_path / "out").notes
    assert any(note.startswith("the run was made with numpy 1.0 (now ") for note in notes)
    assert "the code of l1_regime has changed since the run" in notes


def test_a_recorded_value_outside_its_boundary_is_refused_by_name(whole: Path, tmp_path: Path) -> None:
    bad = edited(whole, tmp_path)
    path = bad / "features/microstructure.parquet"
    table = pq.read_table(path)
    score = table["l63_tradeability.score"].to_numpy().copy()
    score[201] = 7.0
    at = table.column_names.index("l63_tradeability.score")
    pq.write_table(table.set_column(at, "l63_tradeability.score", [score]), path)
    with pytest.raises(BoundaryError) as caught:
        run_domain("kinematics", bad, out=tmp_path / "out")
    first = str(caught.value).splitlines()[0]
    assert "l63_tradeability.score of BBB at " in first
    assert "is 7.0; the microstructure boundary says " in first
    assert left(tmp_path) & {"out", "out.partial"} == set()


def test_results_in_the_way_stay_unless_they_may_be_replaced(whole: Path, tmp_path: Path) -> None:
    run_domain("regime", whole, out=tmp_path / "out")
    with pytest.raises(TakenError):
        run_domain("regime", whole, out=tmp_path / "out")
    run_domain("regime", whole, out=tmp_path / "out", overwrite=True)


def test_the_spec_of_a_run_is_known_again(market: Path, tmp_path: Path) -> None:
    spec = tmp_path / "patient.yaml"
    spec.write_text("name: patient\ndomain: regime\nabout: slower\nconfig: {dwell_bars: 9}\n", encoding="utf-8")
    run_batch(RunRequest(data=market, out=tmp_path / "run", spec=str(spec)))
    result = run_domain("regime", tmp_path / "run", out=tmp_path / "out")
    assert all(f.changed == 0 for f in result.figures())
    assert result.run.about["configuration"]["regime"]["dwell_bars"] == 9


def test_a_stream_is_as_good_a_source_as_a_batch(market: Path, whole: Path, tmp_path: Path) -> None:
    request = RunRequest(data=market, out=tmp_path / "streamed", overrides=EARLY, spec="prior_belief")
    run_stream(request)
    result = run_domain("risk", tmp_path / "streamed", out=tmp_path / "out", compiled=False)
    assert all(f.changed == 0 for f in result.figures())
    same_bits(tmp_path / "out/features/risk.parquet", whole / "features/risk.parquet")


def test_a_stream_that_was_gone_on_with_says_so(market: Path, tmp_path: Path) -> None:
    times = open_dataset(market).time
    first = RunRequest(data=market, out=tmp_path / "first", end=int(times[60]), checkpoint=tmp_path / "state")
    run_stream(first)
    run_stream(replace(first, out=tmp_path / "later", end=int(times[90])))
    assert "goes on from a checkpoint of " in refusal("kinematics", tmp_path / "later", tmp_path / "x")
