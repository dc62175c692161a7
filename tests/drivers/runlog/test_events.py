"""The lines of a run's log: the same however its bars are cut, and an order can be followed from the decision to its fills."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflows.execution import types as ex
from dataflows.fusion.types import LONG, REFUSALS
from dataflows.risk import types as risk
from drivers.engine.chunk import Outputs
from drivers.engine.engine import DAY_NS
from drivers.runlog.events import Events, order_name
from drivers.runlog.log import open_run_log
from tests.properties.graph import engine_of, plan_of, run
from tests.properties.market import instruments, market

SYMBOLS = ("S000", "S001", "S002")
Line = dict[str, Any]


@pytest.fixture(scope="module")
def outputs() -> list[Outputs]:
    return run(engine_of(plan_of(), instruments(3), 5), market())


def written(outputs: list[Outputs], path: Path, *, again_at: int | None = None) -> list[Line]:
    """The lines of these outputs; from chunk `again_at` on by another that goes on from the first one's memory."""
    events = Events(SYMBOLS, DAY_NS)
    with open_run_log(path, run="r") as log:
        for i, o in enumerate(outputs):
            if i == again_at:
                memory = json.loads(json.dumps(events.memory()))
                events = Events(SYMBOLS, DAY_NS)
                events.recall(memory)
            events.write(log, o)
    made = [json.loads(line) for line in path.read_text().splitlines()]
    for line in made:
        del line["timestamp"]
    return made


@pytest.fixture(scope="module")
def lines(outputs: list[Outputs], tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    return written(outputs, tmp_path_factory.mktemp("log") / "log.jsonl")


def test_the_market_has_every_event_but_those_of_l3(lines: list[Line]) -> None:
    assert {"data_anomaly", "regime_change", "fill", "cancel", "bracket", "kill_switch", "refusal"} <= {
        e["event"] for e in lines
    }
    assert {"entry", "exit", "order"} <= {e["event"] for e in lines}


def test_lines_are_the_same_however_the_bars_are_cut(lines: list[Line], tmp_path: Path) -> None:
    cuts = (1, 2, 3, 700, 701, *range(1000, 1040), 1800, 2399)
    pieces = run(engine_of(plan_of(), instruments(3), 5), market(), cuts)
    assert written(pieces, tmp_path / "a.jsonl") == lines
    assert written(pieces, tmp_path / "b.jsonl", again_at=20) == lines


def test_lines_come_in_order_of_time_with_run_epoch_layer_and_level(lines: list[Line]) -> None:
    assert [e["time"] for e in lines] == sorted(e["time"] for e in lines)
    for e in lines:
        assert e["run"] == "r" and e["layer"][0] == "L"
        day = int(np.datetime64(e["time"][:-1], "s").astype(np.int64)) - 1
        assert e["epoch"] == day // 86_400, "the bar at 00:00 belongs to the day that ends"
    warned = Counter((e["event"], e.get("state")) for e in lines if e["level"] == "warning")
    assert warned.keys() <= {("data_anomaly", None), ("reject", None), ("kill_switch", "HALT"), ("kill_switch", "FLATTEN")}


def test_an_order_is_followed_from_its_decision_to_its_fills(lines: list[Line]) -> None:
    placed = {e["order"]: e for e in lines if e["event"] == "order" and e["intent"] == "PLACE"}
    decided: dict[str, Line] = {}
    for e in lines:
        if e["event"] in ("entry", "reduction", "exit", "refusal"):
            for order in e.get("orders", ()):
                decided.setdefault(order, e)  # a later decision may cancel it
    entries = {o: e for o, e in placed.items() if not e["reduce_only"]}
    assert entries
    for order, e in entries.items():
        assert decided[order]["event"] == "entry" and decided[order]["time"] <= e["time"]
        assert decided[order]["symbol"] == e["symbol"] and "parent" not in e
    for e in lines:
        if e["event"] == "fill":
            assert e["order"] in placed or e["parent"] in entries, "of an order that was sent, or of an entry's bracket"
        if e["event"] == "bracket":
            assert e["parent"] in entries and e["type"] in ("STOP_MARKET", "TAKE_PROFIT") and e["price"] > 0.0
    closing = [e for e in placed.values() if e["reduce_only"]]
    assert closing and all(e["parent"] in entries for e in closing)


def test_fills_are_those_of_the_outputs(lines: list[Line], outputs: list[Outputs]) -> None:
    wanted = [
        (order_name(SYMBOLS, int(f.symbol[i]), int(f.id[i])), float(f.quantity[i]), float(f.price[i]))
        for f in (o.values["l90_fills"] for o in outputs)
        for i in np.flatnonzero(f.kind[: f.n] == ex.FILL)
    ]
    assert [(e["order"], e["quantity"], e["price"]) for e in lines if e["event"] == "fill"] == wanted


def test_the_kill_switch_says_its_state_of_all_and_of_one(lines: list[Line], outputs: list[Outputs]) -> None:
    overall = np.concatenate([np.asarray(o.values["l81_kill_switch"].overall) for o in outputs])
    states = [e["state"] for e in lines if e["event"] == "kill_switch" and "symbol" not in e]
    changes = np.flatnonzero(np.diff(overall, prepend=risk.RUN))
    assert states == [risk.LEVELS[overall[t]] for t in changes] and "HALT" in states
    own = [e for e in lines if e["event"] == "kill_switch" and "symbol" in e]
    for symbol in SYMBOLS:
        of_one = [e["state"] for e in own if e["symbol"] == symbol]
        assert of_one == (["HALT", "RUN"] * len(of_one))[: len(of_one)]
        assert all(bool(e["reasons"]) == (e["state"] == "HALT") for e in own)


def test_a_regime_change_says_what_it_was_before(lines: list[Line]) -> None:
    last: dict[str, str] = {}
    for e in lines:
        if e["event"] == "regime_change":
            assert e["before"] == last.get(e["symbol"], e["before"]) != e["regime"]
            last[e["symbol"]] = e["regime"]
    assert last


def test_a_proposal_that_may_not_enter_is_a_refusal_of_l3_while_its_reasons_last(outputs: list[Outputs]) -> None:
    proposal = outputs[0].values["l3_action_proposal"]
    panels = {f: np.array(getattr(proposal, f)) for f in ("side", "may_enter", "refusal")}
    panels["side"][:], panels["may_enter"][:], panels["refusal"][:] = 0, 1, 0
    panels["side"][10:20, 1], panels["may_enter"][10:20, 1] = LONG, 0
    panels["refusal"][10:15, 1], panels["refusal"][15:20, 1] = 0b110, 0b001
    doctored = Outputs(outputs[0].time, {"l3_action_proposal": proposal._replace(**panels)}, {}, {})
    found = list(Events(SYMBOLS, DAY_NS).of(doctored))
    assert [e.time for e in found] == [outputs[0].time[10], outputs[0].time[15]]
    assert found[0].fields == {"symbol": "S001", "side": "LONG", "reasons": list(REFUSALS[1:3]), "layer": "L3"}
    assert found[1].fields["reasons"] == [REFUSALS[0]]
