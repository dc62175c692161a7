"""What Hamilton's own driver needs to execute layers ad hoc: panels, facts, configurations, and memories at their start.

    dr = driver.Builder().with_modules(*layer_modules()).with_config({"venue": "sim"}).build()
    wanted = ["l12_regression_slope_short"]
    panels = dr.execute(wanted, inputs=inputs_on_data(dr, wanted, open_dataset(Path("market"))))

A layer's memory (`<layer>__carry`) is updated in place: inputs made once are good for one stretch of bars, or for successive
ones.
Layers of the account see one bar at a time and are run by the engine (`drivers.domain.run_domain`), not by Hamilton.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dataflows.layer  # noqa: F401  # isort: skip  (before Hamilton: or it imports all that it has extensions for)
from hamilton.driver import Driver

from dataflows.data.types import Instruments
from dataflows.panel import walk
from dataflows.spans import MINUTES, BarClock
from drivers.domain.market import instruments_of
from drivers.engine.building import make_engine
from drivers.engine.plan import Plan
from drivers.feeds.dataset import Dataset
from drivers.graph.field_reads import reads
from drivers.graph.inventory import layer_nodes
from drivers.graph.layers import LayerNode
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import Project, locate
from drivers.store.reader import RecordedRun


class AdHocError(ValueError):
    """Layers cannot be executed by Hamilton alone. One sentence: which, why, and what to do."""


def inputs_on_data(dr: Driver, wanted: Sequence[str], data: Dataset, *, project: Project | None = None) -> dict[str, Any]:
    """`inputs` for `dr.execute(wanted, inputs=...)` on market data; what the layers take is computed by Hamilton too.

    Raises AdHocError for a layer that is not columnar or takes one that is not.
    """
    nodes = _nodes(dr)
    _refuse_others(wanted, nodes)
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [p for p in nodes[name].params if p in nodes]
    given = _held(dr, needed, project or locate(), data.symbols, data.instruments, data.depth, data.clock)
    return {**given, **data.inputs(data.rows(0, len(data)))}


def inputs_on_run(
    dr: Driver, wanted: Sequence[str], run: RecordedRun, *, end: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`inputs` and `overrides` for `dr.execute(wanted, inputs=..., overrides=...)` on what a run recorded, from its first bar.

    The layers that `wanted` take come in as recorded panels, by way of Hamilton's overrides, under the run's configuration.
    end: UTC ns, the last bar's close. Raises AdHocError for a layer that is not columnar or reads what a run does not record.
    """
    nodes = _nodes(dr)
    _refuse_others(wanted, nodes)
    overrides: dict[str, Any] = {}
    for name in wanted:
        for p in nodes[name].params:
            if p in wanted or p not in nodes:
                continue
            kinds = dict(walk(nodes[p].returns))
            hidden = sorted(".".join(path) for path in reads(nodes[name], p) if not kinds[path].recorded)
            if hidden:
                raise AdHocError(
                    f"{name} reads {', '.join(hidden)} of {p}, which a run does not record; execute it on market data, or use "
                    "run_domain"
                )
            overrides[p] = run.value(nodes[p].domain, p, nodes[p].returns, end=end)
    kept = run.about.get("instruments")
    if kept is None and any("instruments" in nodes[name].params for name in wanted):
        raise AdHocError(f"{run.folder.name} is too old to have kept the facts of its symbols; run it again")
    facts = None if kept is None else instruments_of(kept)
    given = _held(dr, wanted, run.project, run.symbols, facts, int(run.about.get("depth", 1)))
    return given, overrides


def _nodes(dr: Driver) -> dict[str, LayerNode]:
    return {n.name: n for n in layer_nodes(dr.graph_modules, dr.graph.config)}


def _refuse_others(wanted: Sequence[str], nodes: Mapping[str, LayerNode]) -> None:
    for name in wanted:
        if name not in nodes:
            raise AdHocError(f"there is no layer {name!r} in this driver's modules; `stratoquant layers` lists them")
        if nodes[name].schedule != "columnar":
            raise AdHocError(
                f"{name} is {nodes[name].schedule}: it sees the account and is run by the engine, bar by bar; use "
                f'run_domain("{nodes[name].domain}", ...)'
            )


def _held(
    dr: Driver,
    needed: Collection[str],
    project: Project,
    symbols: Sequence[str],
    facts: Instruments | None,
    depth: int,
    clock: BarClock = MINUTES,
) -> dict[str, Any]:
    """Configurations, facts, memories and delayed values at their start: what these layers take beside other layers."""
    delayed = load(project.wiring).delayed_edges()
    plan = Plan(dr.graph_modules, load_configs(project, clock=clock), delayed, variant=dr.graph.config, only=needed)
    engine = make_engine(plan, symbols, facts, depth=depth)
    taken = {p for node in plan.nodes.values() for p in node.params}
    return {k: v for k, v in {**plan.configs, **engine.static, **engine.arena.values}.items() if k in taken}
