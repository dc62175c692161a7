"""The shadow account is the account of a run without a policy, to the bit, whatever the policy does and however bars are cut."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import OPERATOR_CASH_FLOW, OPERATOR_HALT, OPERATOR_RELEASE, Observations
from dataflows.panel import leaves
from dataflows.rl.observed import OBSERVED
from drivers.engine import parallel
from drivers.engine import pipeline as pipelines
from drivers.engine.acting import act
from drivers.engine.building import make_engine
from drivers.engine.checkpoint import CheckpointError, restore, save
from drivers.engine.chunk import Chunk, Instant, Outputs, cut
from drivers.engine.engine import Engine
from drivers.engine.pipeline import pipeline
from drivers.engine.plan import Plan
from drivers.engine.shadow import POLICY, shadow_plan
from tests.properties.graph import BELIEF, plan_of
from tests.properties.market import instruments, market

SYMBOLS, BARS = 2, 3900
OFF = plan_of()
EDGES = (0, 900, 2340, 3780, BARS)  # midnights after bars 900, 2340 and 3780
WEALTH = "l82_policy"


@functools.cache
def data() -> Observations:
    return market(bars=BARS, symbols=SYMBOLS)


@functools.cache
def on(*more: str) -> Plan:
    return plan_of((*BELIEF, *(more or ("rl.policy=1",))))


def engine_of(plan: Plan, **how: Any) -> Engine:
    return make_engine(plan, [f"S{i:03d}" for i in range(SYMBOLS)], instruments(SYMBOLS), depth=5, **how)


def chunk(a: int, b: int) -> Chunk:
    return Chunk(data().time[a:b], {"observations": cut(data(), Observations, a, b)})


def run(engine: Engine, edges: Sequence[int] = EDGES, before: Callable[[int, Engine], None] | None = None) -> list[Outputs]:
    made = []
    for a, b in pairwise(edges):
        if before is not None:
            before(a, engine)
        made.append(engine.advance(chunk(a, b)))
    return made


def shadowed(engine: Engine) -> list[Any]:
    """What the shadow engine is asked for: its equities as they come, by a spy on its own outputs."""
    seen: list[Any] = []
    assert engine.shadow is not None
    bars = engine.shadow.bars

    def spied(begun: Any) -> Any:
        account = bars(begun)
        seen.append(account.equity.copy())
        return account

    engine.shadow.bars = spied  # type: ignore[method-assign]
    return seen


def equity(outputs: Sequence[Outputs]) -> Any:
    return np.concatenate([o.values["l97_ledger"].equity for o in outputs])


def choice(outputs: Sequence[Outputs]) -> list[Any]:
    return [o.epoch[WEALTH] for o in outputs if WEALTH in o.epoch]


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(leaves(a), leaves(b), strict=True))


@functools.cache
def baseline() -> Any:
    """Equity of a run without a policy."""
    found = equity(run(engine_of(OFF)))
    assert np.ptp(found) > 0.0
    return found


def test_what_runs_twice_is_what_the_graph_has_behind_the_policy() -> None:
    reached = {POLICY}
    for _ in OFF.nodes:
        reached |= {n.name for n in OFF.stage["columnar"] if reached & {*n.params}}
    own = shadow_plan(OFF)
    assert {n.name for n in own.stage["columnar"]} == reached - {POLICY}
    assert {n.layer_id for n in own.stage["columnar"]} == {"L7", "L67", "L68", "L70", "L75", "L3", "L84"}
    assert own.steps is OFF.steps and not own.stage["post"] and not own.stage["epoch"]


def test_no_shadow_runs_where_the_policy_is_off() -> None:
    assert engine_of(OFF).shadow is None
    found = choice(run(engine_of(OFF), EDGES[:3]))
    assert np.isnan(found[0].shadow_wealth[0]) and found[0].policy.risk_multiplier[0] == 1.0


@pytest.mark.parametrize("multiplier", [0.0, 0.3, 1.0])
def test_the_shadow_is_the_run_without_a_policy_whatever_the_policy_does(multiplier: float) -> None:
    engine = engine_of(on())
    seen = shadowed(engine)

    def outside(bar: int, engine: Engine) -> None:
        if bar in EDGES[1:]:
            engine.end_epoch()
            act(engine, multiplier)

    ours = equity(run(engine, before=outside))
    assert np.array_equal(np.concatenate(seen), baseline())
    assert np.array_equal(ours, baseline()) == (multiplier == 1.0)


def test_a_tilt_from_outside_moves_the_account_and_not_the_shadow() -> None:
    engine = engine_of(on())
    seen = shadowed(engine)
    tilt = np.ones(11)
    tilt[1:4] = 50.0

    def outside(bar: int, engine: Engine) -> None:
        if bar in EDGES[1:]:
            engine.end_epoch()
            act(engine, 1.0, tilt)

    ours = equity(run(engine, before=outside))
    assert np.array_equal(np.concatenate(seen), baseline()) and not np.array_equal(ours, baseline())


CUTS = (0, 1, 2, 500, 900, 901, 1500, 1501, 1502, 2340, 2341, 3000, 3780, 3781, BARS)


@pytest.mark.parametrize("mode", ["rl.policy=1", "rl.policy=2"])
def test_chunks_bars_and_a_checkpoint_give_the_same_bits(mode: str) -> None:
    expected = run(engine_of(on(mode)))
    assert len(choice(expected)) == 3
    for edges, resumed in ((CUTS, False), (EDGES, True)):
        engine, made = engine_of(on(mode)), []
        for a, b in pairwise(sorted({*edges, 1700})):
            if resumed and a in (900, 1700):
                other = engine_of(on(mode))
                restore(other, save(engine))
                engine = other
            made.append(engine.advance(chunk(a, b)))
        assert np.array_equal(equity(made), equity(expected))
        assert all(same(x, y) for x, y in zip(choice(made), choice(expected), strict=True))


def test_the_pipeline_of_chunks_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_THREADS", "2")
    monkeypatch.setattr(pipelines, "LEAST", 1)
    parallel.cores.cache_clear()
    made: list[Outputs] = []
    with pipeline(engine_of(on())) as line:
        for a, b in pairwise(EDGES):
            made += line.put(chunk(a, b))
        made += line.drain()
    parallel.cores.cache_clear()
    expected = run(engine_of(on()))
    assert np.array_equal(equity(made), equity(expected))
    assert all(same(x, y) for x, y in zip(choice(made), choice(expected), strict=True))


def test_an_epoch_that_the_data_cut_short_teaches_nothing() -> None:
    engine = engine_of(on())
    whole = run(engine, EDGES[:4])
    before = [leaf.copy() for leaf in leaves(engine.arena.values["l82_policy__carry"])]
    engine.advance(chunk(3780, 3790))
    closed = [leaf.copy() for leaf in leaves(engine.arena.values["l82_policy__carry"])]
    engine.advance(chunk(3790, BARS))
    assert len(choice(whole)) == 2 and any(
        not np.array_equal(a, b, equal_nan=True) for a, b in zip(before, closed, strict=True)
    )
    after = leaves(engine.arena.values["l82_policy__carry"])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(closed, after, strict=True))


def commanded(engine: Engine, multiplier: float = 1.0) -> list[Outputs]:
    """Bars, and words of the operator between them: after bars 1200, 1600 and 2340. multiplier: of the policy, from bar 900."""
    words = {1200: (OPERATOR_CASH_FLOW, 5e4), 1600: (OPERATOR_HALT, 0.0), 2340: (OPERATOR_RELEASE, 0.0)}
    made = []
    for a, b in pairwise((0, 900, *words, 2400)):
        made.append(engine.advance(chunk(a, b)))
        if b == 900:
            engine.end_epoch()
            act(engine, multiplier)
        if b in words:
            made.append(engine.react(Instant(int(data().time[b - 1]) + 1_000_000_000, *words[b])))
    return made


def test_the_operator_s_word_between_two_bars_reaches_both_accounts() -> None:
    """The shadow of a commanded run is the commanded run without a policy."""
    engine = engine_of(on())
    seen = shadowed(engine)
    assert engine.shadow is not None
    between, said = engine.shadow.between, []

    def spied(instant: Instant) -> Any:
        account = between(instant)
        said.append((float(account.equity[0]), float(account.cash_flows[0])))
        return account

    engine.shadow.between = spied  # type: ignore[method-assign]
    ours, plain = commanded(engine, 0.2), commanded(engine_of(OFF))
    ledgers = [o.values["l97_ledger"] for o in plain]
    assert np.array_equal(np.concatenate(seen), np.concatenate([x.equity for x in ledgers if len(x.equity) > 1]))
    assert said == [(float(x.equity[0]), float(x.cash_flows[0])) for x in ledgers if len(x.equity) == 1]
    assert said[0][1] == 5e4 and not np.array_equal(equity(ours), equity(plain))


def test_a_checkpoint_without_a_shadow_is_refused_where_one_is_needed() -> None:
    bare = engine_of(on())
    bare.shadow = None
    bare.advance(chunk(0, 10))
    with pytest.raises(CheckpointError, match="no shadow account"):
        restore(engine_of(on()), save(bare))


def test_an_epoch_that_is_ended_by_hand_is_not_ended_again() -> None:
    by_hand, by_itself = engine_of(on()), engine_of(on())
    first = by_hand.advance(chunk(0, 900))
    made = by_hand.end_epoch()
    again = by_hand.advance(chunk(900, 1000))
    expected = run(by_itself, (0, 900, 1000))
    assert not first.epoch and not again.epoch
    assert same(made[WEALTH], expected[1].epoch[WEALTH])
    assert np.array_equal(equity([first, again]), equity(expected))


def test_what_is_said_from_outside_is_what_the_layer_observes_to_be_in_force() -> None:
    engine = engine_of(on())
    engine.advance(chunk(0, 900))
    engine.end_epoch()
    act(engine, 0.4)
    engine.advance(chunk(900, 2340))
    assert engine.end_epoch()[WEALTH].observation[OBSERVED.index("multiplier in force")] == 0.4


def test_single_bars_in_native_form_keep_the_same_shadow() -> None:
    batch, single = engine_of(on()), engine_of(on())
    single.warm_up_single_bars()
    wanted, found = shadowed(batch), shadowed(single)
    run(batch, (0, 900, 1500, 1560))
    run(single, (0, 900, *range(1500, 1561)))
    assert np.concatenate(wanted).tobytes() == np.concatenate(found).tobytes()
    assert np.ptp(np.concatenate(wanted)) > 0.0
