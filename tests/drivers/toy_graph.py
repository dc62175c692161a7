"""A graph small enough to see through, for planting faults: a proposal, a gate, an order, and the account coming round."""

from __future__ import annotations

import copy
import linecache
import sys
from types import ModuleType
from typing import Any

import pytest
import yaml

from drivers.graph.network import Finding
from drivers.graph.rules.check import check
from drivers.graph.wiring import Wiring

TYPES = """
from typing import Annotated, NamedTuple
import pandera.pandas as pa
from pandera.typing import Series as Column_
from dataflows.boundary import Boundary
from dataflows.carry import Axes, Bind, Ring
from dataflows.config import setting
from dataflows.runtime.compile import kernel
from dataflows.layer import layer, variant
from dataflows.panel import Column, Floats, IntPanel, Ints, Panel, Stack, Within

class DataConfig(NamedTuple):
    span_bars: Annotated[int, setting("bars", "window")] = 30

class RiskConfig(NamedTuple):
    gross: Annotated[float, setting("fraction", "cap")] = 1.0
    slope: Annotated[float, setting("fraction", "throttle")] = 0.5

    def room(self):
        return 1.0 - self.slope

class Window(NamedTuple):
    ring: Ring

class FeedCarry(NamedTuple):
    window: Annotated[Window, Bind(W="span_bars")]

class Market(NamedTuple):
    close: Panel
    valid: IntPanel

class Weights(NamedTuple):
    weights: Annotated[Floats, Axes(3, start=1.0)]

class Proposal(NamedTuple):
    side: IntPanel
    sources: Stack

class Ledger(NamedTuple):
    position: Panel
    equity: float

class Cap(NamedTuple):
    weight: Panel

class Approval(NamedTuple):
    target: Panel

class Intents(NamedTuple):
    n: int
    quantity: Column

class DataBoundary(Boundary):
    close: Column_[float] = pa.Field(alias="l0_feed.close", nullable=True)
    valid: Column_[int] = pa.Field(alias="l0_feed.valid")

class FusionBoundary(Boundary):
    score: Column_[float] = pa.Field(alias="l7_ensemble", nullable=True)
    side: Column_[int] = pa.Field(alias="l3_proposal.side")
    source_0: Column_[float] = pa.Field(alias="l3_proposal.sources.0", nullable=True)
    source_1: Column_[float] = pa.Field(alias="l3_proposal.sources.1", nullable=True)

class RiskBoundary(Boundary):
    weight: Column_[float] = pa.Field(alias="l86_cap.weight")
    target: Column_[float] = pa.Field(alias="l4_gate.target")

class ExecutionBoundary(Boundary):
    position: Column_[float] = pa.Field(alias="l97_ledger.position")
    equity: Column_[float] = pa.Field(alias="l97_ledger.equity")
    refused: Column_[float] = pa.Field(alias="l100_audit")
"""

LAYERS = {
    "data.l0_feed": '''
@layer("L0")
def l0_feed(observations: Panel, data: DataConfig, carry: FeedCarry) -> Market:
    """The market."""
''',
    "fusion.l7_ensemble": '''
@layer("L7")
def l7_ensemble(l0_feed: Market, weights: Weights) -> Panel:
    """A score."""
''',
    "fusion.l3_proposal": '''
@layer("L3")
def l3_proposal(l7_ensemble: Panel) -> Proposal:
    """What to do."""
''',
    "execution.l97_ledger": '''
@layer("L97", schedule="step")
def l97_ledger(l0_feed: Market, orders: Intents) -> Ledger:
    """The account."""
''',
    "risk.l86_cap": '''
@kernel
def _throttle(slope, limits):
    return slope * limits.slope

@layer("L86", schedule="step")
def l86_cap(l3_proposal: Proposal, l97_ledger: Ledger, risk: RiskConfig) -> Cap:
    """The most that may be held."""
    return Cap(_throttle(risk.gross, risk))
''',
    "risk.l4_gate": '''
@layer("L4", schedule="step")
def l4_gate(l3_proposal: Proposal, l86_cap: Cap) -> Approval:
    """The only door."""
''',
    "execution.l5_bridge": '''
@layer("L5", schedule="step")
def l5_bridge(l0_feed: Market, l4_gate: Approval) -> Intents:
    """Orders."""
''',
    "execution.l100_audit": '''
@layer("L100", schedule="post")
def l100_audit(l3_proposal: Proposal, l5_bridge: Intents) -> Panel:
    """What it cost."""
''',
}

WIRING = """
clock: 1m
epoch: 1d
external: [observations]
domains:
  data: {boundary: toy.types.DataBoundary}
  fusion: {boundary: toy.types.FusionBoundary, may_take: [data]}
  risk: {boundary: toy.types.RiskBoundary, may_take: [fusion, execution]}
  execution: {boundary: toy.types.ExecutionBoundary, may_take: [data, fusion, risk]}
delayed:
  orders: {from: l5_bridge, delay: bar}
  weights: {from: l6_monitor, delay: epoch, awaits: true}
doors:
  - {from: [l3_proposal, l7_ensemble], door: l4_gate, to: l5_bridge}
layers:
  # the market
  l0_feed:
    id: L0
    domain: data
    schedule: columnar
    inputs: [observations]
  # fusion
  l7_ensemble: {id: L7, domain: fusion, schedule: columnar, inputs: [l0_feed, weights]}
  l3_proposal: {id: L3, domain: fusion, schedule: columnar, inputs: [l7_ensemble]}
  # the account
  l97_ledger: {id: L97, domain: execution, schedule: step, inputs: [l0_feed, orders]}
  l86_cap: {id: L86, domain: risk, schedule: step, inputs: [l3_proposal, l97_ledger]}
  l4_gate: {id: L4, domain: risk, schedule: step, inputs: [l3_proposal, l86_cap]}  # the only door
  l5_bridge: {id: L5, domain: execution, schedule: step, inputs: [l0_feed, l4_gate]}
  l100_audit: {id: L100, domain: execution, schedule: post, inputs: [l3_proposal, l5_bridge], sink: true}
"""


class World:
    """The toy graph, with what a test changes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.types = TYPES
        self.layers = dict(LAYERS)
        self.wiring: dict[str, Any] = copy.deepcopy(yaml.safe_load(WIRING))

    def change(self, name: str, old: str, new: str) -> None:
        """Plants a fault in a layer's source, or in "types"."""
        source = self.types if name == "types" else self.layers[name]
        assert old in source, f"{name} has no {old!r} to change"
        changed = source.replace(old, new)
        if name == "types":
            self.types = changed
        else:
            self.layers[name] = changed

    def modules(self) -> list[ModuleType]:
        """The layers' modules, compiled."""
        types = self._module("toy.types", self.types, {})
        shared = {k: v for k, v in vars(types).items() if not k.startswith("__")}
        return [self._module(f"toy.{name}", source, shared) for name, source in self.layers.items()]

    def configs(self) -> dict[str, Any]:
        """The configuration classes of the types as they last were."""
        types = sys.modules["toy.types"]
        return {"data": types.DataConfig, "risk": types.RiskConfig}

    def findings(self) -> list[Finding]:
        """What the check says."""
        modules = self.modules()
        return check(Wiring(**self.wiring), modules, self.configs())

    def messages(self, rule: str) -> list[str]:
        """What one rule says."""
        return [f.message for f in self.findings() if f.rule == rule]

    def _module(self, name: str, source: str, shared: dict[str, Any]) -> ModuleType:
        made = ModuleType(name)
        made.__file__ = f"<{name}>"
        vars(made).update(shared)
        self.patch.setitem(sys.modules, name, made)
        home, _, last = name.rpartition(".")
        if home not in sys.modules:
            self.patch.setitem(sys.modules, home, ModuleType(home))
        self.patch.setattr(sys.modules[home], last, made, raising=False)
        linecache.cache[made.__file__] = (len(source), None, source.splitlines(keepends=True), made.__file__)
        exec(compile(source, made.__file__, "exec"), vars(made))
        return made
