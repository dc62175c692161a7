"""The shadow account: the same market and the same account side beside the real one, and no policy ever said anything.

Only what stands behind the policy runs twice: the columnar layers that depend on it, which the graph says, and the step stage
with its simulated venue. All else is the main engine's. So the policy's cost and worth are known exactly, and not estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataflows.panel import Ints
from dataflows.rl.config import OFF
from dataflows.rl.types import ShadowAccount
from drivers.engine.chunk import Begun, Instant, blank_value

if TYPE_CHECKING:
    from drivers.engine.engine import Engine
    from drivers.engine.plan import Plan

SHADOW: Final = "shadow_account"
POLICY: Final = "policy"
SNAPSHOT: Final = "venue_snapshot"
LAYER: Final = "l82_policy"
LEDGER: Final = "l97_ledger"
SIMULATED: Final = {"venue": "sim"}


def shadow_plan(plan: Plan) -> Plan:
    """The part of a plan that the shadow account runs."""
    return plan.part([*plan.behind(POLICY), *(n.name for n in plan.stage["step"])], SIMULATED)


def needs_shadow(plan: Plan) -> bool:
    """Whether a policy is on, and measured against the account without it."""
    config = plan.configs.get("rl")
    return config is not None and config.policy != OFF and {LAYER, LEDGER} <= plan.nodes.keys()


class Shadow:
    """An engine of `shadow_plan`, fed with what the main engine has computed of the market."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._learned = [name for name, edge in engine.plan.delayed.items() if edge.delay == "epoch" and name != POLICY]

    def bars(self, begun: Begun) -> ShadowAccount:
        """The shadow account over a chunk of bars. begun: the main engine's, with the market side that no policy touches."""
        mine = self.engine.own(begun)
        if SNAPSHOT in self.engine.plan.hints:
            mine.values[SNAPSHOT] = self._unseen(begun.time)
        return _account(self.engine.complete(mine).values)

    def between(self, instant: Instant) -> ShadowAccount:
        """The same at an instant between two bars: the operator's word reaches both accounts, a venue's report only its own."""
        inputs = {SNAPSHOT: self._unseen(np.array([instant.ts]))} if SNAPSHOT in self.engine.plan.hints else {}
        return _account(self.engine.react(instant._replace(events=None, inputs=inputs)).values)

    def _unseen(self, time: Ints) -> Any:
        """What a venue that knows nothing of this account says of it."""
        return blank_value(self.engine.plan.hints[SNAPSHOT], len(time), self.engine.dims, time)

    def learn(self, delayed: Mapping[str, Any]) -> None:
        """Takes over what the other epoch layers have put into effect. delayed: the main engine's values."""
        for name in self._learned:
            self.engine.take_delayed(name, delayed[name])


def _account(values: Mapping[str, Any]) -> ShadowAccount:
    return ShadowAccount(values[LEDGER].equity, values[LEDGER].cash_flows)
