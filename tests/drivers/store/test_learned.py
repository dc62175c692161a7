"""What a run learned comes back at the bar from which it held; the engine runs parts of the graph on it and on logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drivers.engine.chunk import Chunk, cut
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.store.learned import FILE, Learned, Relearned
from tests.drivers.engine import toy
from tests.drivers.engine.conftest import DELAYED, piece, run, same_bits, toy_data, toy_engine, toy_plan, whole

DATA = toy_data()


def part(*only: str) -> Plan:
    return Plan([toy], {"toy": toy.ToyConfig()}, DELAYED, only=only)


def test_a_layer_that_takes_what_an_epoch_taught_runs_alone(tmp_path: Path) -> None:
    plan = toy_plan()
    engine = toy_engine(plan)
    learned = Learned(plan)
    outputs = []
    for a, b in ((0, 120), (120, 200), (200, 300)):
        (made,) = run(engine, piece(DATA, a, b))
        if made.epoch:
            learned.add(int(made.time[0]), made.epoch)
        outputs.append(made)
    learned.save(tmp_path)

    alone = toy_engine(part("l2_score"))
    again = Relearned(tmp_path)
    assert again.names == ["weights"]
    for made in outputs:
        again.apply("weights", int(made.time[0]), alone.arena.values["weights"])
        (got,) = [alone.advance(Chunk(made.time, {"l1_feed": made.values["l1_feed"]}))]
        same_bits(made.values["l2_score"], got.values["l2_score"])
    assert (alone.arena.values["weights"].gain > 1.0).all()


def test_before_the_first_epoch_has_ended_the_start_value_holds(tmp_path: Path) -> None:
    plan = toy_plan()
    Learned(plan).save(tmp_path)
    engine = toy_engine(plan)
    Relearned(tmp_path).apply("weights", int(DATA.time[0]), engine.arena.values["weights"])
    np.testing.assert_array_equal(engine.arena.values["weights"].gain, 1.0)


def test_a_graph_without_epoch_layers_leaves_no_file(tmp_path: Path) -> None:
    Learned(part("l1_feed")).save(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_step_layer_runs_alone_on_the_recorded_log_of_the_instant_before() -> None:
    plan = toy_plan()
    made = whole(plan, run(toy_engine(plan), DATA))
    log, bars = made["l5_orders"], len(DATA.time)
    ends = np.cumsum(made["l5_orders per instant"])
    at = np.concatenate([[0, 0], ends[:-1]])  # what was said at a bar counts at the next
    orders = type(log)(int(at[-1]), *[column[: at[-1]] for column in log[1:]])
    for compiled in (False, True):
        alone = part("l3_account")
        assert list(alone.recorded_delayed) == ["orders"]
        engine = Engine(alone, ("A", "B", "C"), {}, compiled=compiled)
        for a, b in ((0, 120), (120, bars)):
            inputs = {name: cut(made[name], plan.annotations[name], a, b) for name in ("l1_feed", "l2_score")}
            own = type(log)(int(at[b] - at[a]), *[column[at[a] : at[b]] for column in orders[1:]])
            outputs = engine.advance(Chunk(DATA.time[a:b], {**inputs, "orders": own, "orders__at": at[a : b + 1] - at[a]}))
            wanted = cut(made["l3_account"], plan.annotations["l3_account"], a, b)
            same_bits(wanted, outputs.values["l3_account"])
