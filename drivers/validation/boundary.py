"""Every value is within what its domain promises."""

from __future__ import annotations

import pandera.errors

from dataflows.boundary import Boundary
from dataflows.panel import is_log
from drivers.engine.chunk import Outputs, joined
from drivers.engine.guards import Guards, columns_of, report, validate_run, widths_of
from drivers.engine.plan import Plan
from drivers.engine.promises import BoundaryError
from drivers.validation.registry import Along, Broken, Tested, along_the_run, on_stretches
from drivers.validation.trial import Stretch, Trial


def _models(trial: Trial) -> dict[str, type[Boundary]]:
    """The boundary models of the domains that have something to check."""
    present = {n.domain for n in trial.plan.nodes.values() if n.schedule != "epoch" and not is_log(n.returns)}
    return {domain: model for domain, model in trial.boundaries.items() if domain in present}


def _columns(plan: Plan, models: dict[str, type[Boundary]], outputs: Outputs) -> int:
    return sum(len(columns_of(plan, domain, widths_of(plan, outputs.values))) for domain in models)


@along_the_run("boundaries", "Every value has the type and lies in the range that its domain promises the next.")
def within_boundaries(trial: Trial) -> Along:
    """Every recorded value of every bar, by the guards that a run has on."""
    models = _models(trial)
    guards = Guards(trial.plan, models, trial.market.symbols)

    def take(outputs: Outputs) -> Tested:
        try:
            guards.check(outputs.time, outputs.values)
        except BoundaryError as error:
            raise Broken(str(error).splitlines()[0] + ".") from None
        bars, columns = len(outputs.time), _columns(trial.plan, models, outputs)
        return Tested(bars, bars * len(trial.market.symbols) * columns, columns)

    return take


@on_stretches("boundaries, by pandera", "The compiled guards let nothing pass that pandera, which states the ranges, refuses.")
def within_boundaries_by_pandera(stretch: Stretch) -> Tested:
    """The same values by pandera itself, a domain at a time."""
    trial = stretch.trial
    models = _models(trial)
    values = {n: joined([o.values[n] for o in stretch.outputs], trial.plan.annotations[n]) for n in stretch.outputs[0].values}
    time = stretch.record.time
    for domain, model in models.items():
        try:
            validate_run(trial.plan, domain, model, values)
        except pandera.errors.SchemaErrors as error:
            raise Broken(report(error, domain, time, trial.market.symbols).splitlines()[0] + ".") from None
    columns = _columns(trial.plan, models, stretch.outputs[0])
    return Tested(len(time), len(time) * len(trial.market.symbols) * columns, columns)
