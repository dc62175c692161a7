"""Whatever a policy says, it reduces what the gate allows and no more: L4's caps hold of what is approved and of what is held."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dataflows.data.types import Observations
from dataflows.fusion.types import K, Policy
from drivers.engine.acting import act
from drivers.engine.building import make_engine
from drivers.engine.chunk import Chunk, Outputs, cut
from drivers.engine.shadow import POLICY
from drivers.validation.gate import beyond_caps, held_beyond_caps
from tests.properties.graph import BELIEF, plan_of
from tests.properties.market import instruments, market

PLAN = plan_of((*BELIEF, "rl.policy=1"))
DATA = market(symbols=2)
HOUR = 3_600_000_000_000
HOSTILE = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, -1.0, 1e12, 0.5, 2.0]

said = st.sampled_from(HOSTILE) | st.floats(width=64)
words = st.tuples(said, st.lists(said, min_size=K, max_size=K), st.booleans())


def driven(policies: list[Any]) -> list[Outputs]:
    """An engine whose epochs are hours, each with the next of the policies; the last part of each says whether it comes by the
    door, or is put where the layers read it."""
    engine = make_engine(PLAN, ["S000", "S001"], instruments(2), depth=5, epoch_ns=HOUR)
    made, a = [], 0
    edges = [*(np.flatnonzero(np.diff((DATA.time - 1) // HOUR)) + 1).tolist(), len(DATA.time)]
    for i, b in enumerate(edges):
        engine.end_epoch()
        multiplier, tilt, by_the_door = policies[i % len(policies)]
        if by_the_door:
            act(engine, multiplier, np.array(tilt))
        else:
            engine.take_delayed(POLICY, Policy(np.array([multiplier]), np.array(tilt)))
        made.append(engine.advance(Chunk(DATA.time[a:b], {"observations": cut(DATA, Observations, a, b)})))
        a = b
    return made


@settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
@given(st.lists(words, min_size=3, max_size=40))
def test_no_policy_gets_anything_past_the_gate(policies: list[Any]) -> None:
    for outputs in driven(policies):
        values, risk = outputs.values, PLAN.configs["risk"]
        assert beyond_caps(values, risk) is None
        assert held_beyond_caps(values, risk) is None
        proposed, suggested = values["l3_action_proposal"].size_fraction, values["l75_size_suggestion"].fraction
        assert not (proposed > suggested).any()
        assert np.isfinite(values["l97_ledger"].equity).all()


def test_the_market_of_these_tests_trades_under_a_hostile_policy() -> None:
    made = driven([(np.inf, [np.nan] * K, False), (0.5, [1e308] * K, True), (1.0, [1.0] * K, True)])
    assert sum(len(o.values["l90_fills"].id) for o in made) > 30
