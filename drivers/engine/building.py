"""How a run is put together: from the wiring to its layers, its plan and an engine with guards. There is no other way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataflows.data.types import Instruments
from drivers.engine.engine import DAY_NS, Engine
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.engine.promises import Models
from drivers.engine.shadow import Shadow, needs_shadow, shadow_plan
from drivers.graph.inventory import layer_nodes
from drivers.graph.layers import LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import Wiring
from drivers.project.locate import Project

if TYPE_CHECKING:
    from dataflows.boundary import Boundary


def boundaries(wiring: Wiring) -> Models:
    """The boundary model of every domain that names one."""
    return Models({name: domain.boundary for name, domain in wiring.domains.items() if domain.boundary})


def enabled_layers(wiring: Wiring, project: Project | None = None) -> dict[str, LayerNode]:
    """The layers that run, by name, each after all that it takes. project: whose own layers run beside the package's.

    Raises PlanError where they are no graph that can be run.
    """
    return {node.name: node for node in layer_nodes(_modules(wiring, project), wiring.variants)}


def make_plan(
    wiring: Wiring, configs: Mapping[str, Any], project: Project | None = None, only: Collection[str] | None = None
) -> Plan:
    """The plan of the enabled layers, or of `only` these among them."""
    return Plan(_modules(wiring, project), configs, wiring.delayed_edges(), variant=wiring.variants, only=only)


def _modules(wiring: Wiring, project: Project | None) -> list[Any]:
    return layer_modules(project, without=[name for name, entry in wiring.layers.items() if not entry.enabled])


def make_engine(
    plan: Plan,
    symbols: Sequence[str],
    instruments: Instruments | None,
    *,
    depth: int = 1,
    models: Mapping[str, type[Boundary]] | None = None,
    epoch_ns: int = DAY_NS,
    compiled: bool = True,
) -> Engine:
    """An engine of a plan, with a shadow account where its policy is on. models: the boundary models that every chunk is held
    against; None: it has no guards."""
    guard = None if models is None else Guards(plan, models, symbols)
    static = {"instruments": instruments}
    engine = Engine(plan, symbols, static, depth=depth, compiled=compiled, guard=guard, epoch_ns=epoch_ns)
    if needs_shadow(plan):
        own = Engine(shadow_plan(plan), symbols, static, depth=depth, compiled=compiled, epoch_ns=epoch_ns)
        engine.shadow = Shadow(own)
    return engine
