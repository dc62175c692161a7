"""Whether what a domain is run on, and how, is what its result will be taken for; what differs is said or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from drivers.domain.errors import DomainError
from drivers.domain.inputs import Cut, Nodes
from drivers.engine.chunk import Outputs
from drivers.engine.plan import Plan
from drivers.graph.config_reads import reads_of
from drivers.graph.wiring import Wiring, wired_inputs
from drivers.project.configs import Configs, parse_override
from drivers.project.machine_specs import MachineSpec
from drivers.run.provenance import versions
from drivers.store.columns import columns_of
from drivers.store.reader import RecordedRun
from drivers.text.times import stamp


def refuse_idle(
    run: RecordedRun,
    cut: Cut,
    nodes: Nodes,
    wiring: Wiring,
    configs: Configs,
    overrides: Sequence[str],
    spec: MachineSpec | None,
) -> None:
    """Refuses a change that no layer of the domain sees, and one that would falsify a layer that only runs beside it."""
    asked = {f"--set {text}": [parse_override(text)[:2]] for text in overrides}
    if spec is not None and spec.config:
        asked[f"--spec {spec.name}"] = [(spec.domain, key) for key in spec.config]
    elif spec is not None and spec.domain != cut.domain:
        raise DomainError(f"--spec {spec.name} changes {spec.domain}, and {cut.domain} alone is run here")
    for words, keys in asked.items():
        falsified = [name for key in keys for name in _readers(list(cut.beside), nodes, wiring, configs, key)]
        if falsified:
            raise DomainError(
                f"{words} changes {falsified[0]}, which only runs beside {cut.domain} to repeat the recorded run; "
                "change it in a run of the whole graph"
            )
        if not any(_readers(cut.own, nodes, wiring, configs, key) for key in keys):
            raise DomainError(
                f"{words} changes nothing here: no layer of {cut.domain} reads it, and what the others gave is recorded; "
                "change it in a run of the whole graph"
            )


def _readers(names: Sequence[str], nodes: Nodes, wiring: Wiring, configs: Configs, key: tuple[str, str]) -> list[str]:
    """Those of the layers that see a key; one that the engine reads is seen by the whole domain it is of."""
    if ".".join(key) in wiring.driver_keys:
        return [name for name in names if nodes[name].domain == key[0]]
    return [name for name in names if any((r.domain, r.key) == key for r in reads_of(nodes[name].fn, configs))]


def refuse_other_inputs(run: RecordedRun, cut: Cut, nodes: Nodes, outputs: Outputs) -> None:
    """What ran beside the domain must be what was recorded, to the bit."""
    symbols = len(run.symbols)
    for name in cut.beside:
        made = columns_of(name, outputs.values[name], nodes[name].returns, symbols)
        table = f"features/{nodes[name].domain}"
        there = set(run.columns(table))
        columns = [column for column in made if column in there]
        then = run.table(table, columns, start=int(outputs.time[0]) - 1, end=int(outputs.time[-1]))
        for column in columns:
            before, now = then[column].to_numpy(), made[column]
            differs = (before != now) & ~((before != before) & (now != now))
            if differs.any():
                row = int(np.flatnonzero(differs)[0])
                at, symbol = stamp(int(outputs.time[row // symbols])), run.symbols[row % symbols]
                raise DomainError(
                    f"{column} of {symbol} at {at}, computed beside {cut.domain}, is {now[row]}, but {run.folder.name} has "
                    f"{before[row]}: its code or configuration has changed since; run the whole graph again"
                )


def loop_of(cut: Cut, nodes: Nodes, plan: Plan) -> tuple[str, str]:
    """("open", "closed" or "none", and the sentence that says what that means here)."""
    account = cut.account_inputs(nodes)
    if account:
        return "open", (
            f"open loop: {_listed(account)} {'is' if len(account) == 1 else 'are'} as the run recorded; what this domain does "
            "differently does not come back to it"
        )
    return closed_or_none(plan)


def closed_or_none(plan: Plan) -> tuple[str, str]:
    """The same where nothing is taken from a recorded account."""
    if plan.stage["step"]:
        return "closed", "closed loop: the account is computed too, and answers what the layers do"
    return "none", "no loop: these layers see the market and not the account"


def beside_notes(cut: Cut, nodes: Nodes) -> list[str]:
    """Which layers ran beside the domain, out of what, and why."""
    found = []
    for name, fields in cut.beside.items():
        out_of = "the run's market data" if "observations" in nodes[name].params else "the run"
        found.append(
            f"{nodes[name].layer_id} {name} was computed beside it, out of {out_of}, because a run does not record its "
            f"{_listed(fields)}; what it does record came out the same"
        )
    return found


def notes(run: RecordedRun, cut: Cut, then: Wiring, plan: Plan, configs: Configs) -> list[str]:
    """What differs between the run and now, beside the configuration that was asked for. then: the run's wiring."""
    found = []
    before: Mapping[str, str] = run.about.get("versions", {})
    now = versions()
    others = [f"{name} {before.get(name, 'unknown')} (now {now[name]})" for name in now if before.get(name) != now[name]]
    if others:
        found.append(f"the run was made with {_listed(others)}: numbers may differ for that reason alone")
    code = run.about.get("code")
    if code is None:
        found.append("the run does not say which code made it: differences may come from changed code")
    else:
        changed = [name for name in cut.own if name in code and code[name] != plan.code_of(plan.nodes[name])[:16]]
        if changed:
            found.append(f"the code of {_listed(changed)} has changed since the run")
    fresh = [name for name in cut.own if name not in then.layers or not then.layers[name].enabled]
    if fresh:
        found.append(f"{_listed(fresh)} did not run in the run")
    gone = [name for name, e in then.layers.items() if e.domain == cut.domain and e.enabled and name not in cut.own]
    if gone:
        found.append(f"{_listed(gone)} ran in the run, and {'does' if len(gone) == 1 else 'do'} not now")
    for name in cut.own:
        if name not in then.layers:
            continue
        took, wired = then.inputs_of(name), wired_inputs(plan.nodes[name], configs)
        if took != wired:
            found.append(f"{name} took {_listed(took)} in the run, and takes {_listed(wired)} now")
    return found


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
