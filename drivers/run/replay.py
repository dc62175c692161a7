"""A run out of its journal: the same engine, the same instants, the same bits.

What writes the journal stands beside what reads it. Whatever the engine is handed is written first and acts then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from dataflows.config import resolve
from dataflows.data.types import OPERATOR_NONE, Instruments
from dataflows.runtime.compile import NotCompiledError, loading_only
from drivers.engine.building import make_engine, make_plan
from drivers.engine.checkpoint import restore
from drivers.engine.chunk import Outputs
from drivers.engine.engine import Engine
from drivers.graph.wiring import load as load_wiring
from drivers.graph.wiring import with_spec
from drivers.project.domains import config_records
from drivers.project.locate import locate
from drivers.project.machine_specs import MachineSpec
from drivers.run.journaled import FORMAT, agrees
from drivers.run.provenance import versions
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalError, JournalReader, Record
from drivers.store.segments import records_of, segments_of
from drivers.text.times import stamp


class ReplayError(RuntimeError):
    """The journal cannot be run again to the same bits. Says what differs."""


class Replayed(NamedTuple):
    """What a replay did. commands: operator commands that acted. checks: states that were as the journal says. torn: names a
    last record that is half written; empty where it is complete."""

    engine: Engine
    bars: int
    commands: int
    checks: int
    torn: str
    acted: Counter[str]


def replay(
    path: Path, project: Path | None = None, *, compiled: bool = True, take: Callable[[Outputs], None] = lambda outputs: None
) -> Replayed:
    """Runs a journal again, from the oldest of its segments that are there. path: see `segments_of`. take: is called with the
    outputs of each record.

    Raises JournalError for a damaged journal, and ReplayError where a layer's code or the versions are not those that it was
    written under, and where a state is not what the journal says: then the same bits cannot be had.
    """
    segments = segments_of(path)
    readers = [JournalReader(segment) for segment in segments]
    engine: Engine | None = None
    bars = commands = checks = 0
    acted: Counter[str] = Counter()
    for record in records_of(readers):
        about = record.about
        if about["kind"] == "begin" and engine is None:
            engine = engine_from(record, project, compiled=compiled)
            with suppress(NotCompiledError), loading_only():  # where the stream has left the machine code of single bars
                engine.warm_up_single_bars()
            acted = Counter(about["operator"]["acted"])
            continue
        if engine is None:
            raise JournalError(f"{path.name}: record {record.number} comes before any beginning")
        if about["kind"] == "bars":
            take(engine.advance(chunk_of(record)))
            bars += len(record.arrays["time"])
        elif about["kind"] == "instant":
            instant = instant_of(record)
            take(engine.react(instant))
            commands += instant.operator != OPERATOR_NONE
            acted += Counter([about["command"]] if "command" in about else [])
        elif about["kind"] == "venue":
            pass  # what a live venue remembers; what it reported came with bars and instants
        else:  # a state, or the beginning of a segment
            if not agrees(engine, about):
                raise ReplayError(
                    f"{path.name}: after {stamp(engine.last_time)} (record {record.number}) the state is not what it was; "
                    f"{checks} earlier were"
                )
            checks += 1
    if engine is None:
        raise JournalError(f"{path.name}: the journal is empty")
    return Replayed(engine, bars, commands, checks, readers[-1].torn, acted)


def engine_from(record: Record, folder: Path | None, *, compiled: bool = True) -> Engine:
    """The engine that a segment begins with, in the state that it had."""
    about = record.about
    if about["format"] != FORMAT:
        raise ReplayError(f"the journal has format {about['format']}; this version reads {FORMAT}")
    then, now = about["versions"], versions()
    other = [f"{name} was {then.get(name)}, is {now[name]}" for name in now if then.get(name) != now[name]]
    if other:
        raise ReplayError(f"the journal was written under other versions: {', '.join(other)}")
    project = locate(folder)
    wiring = load_wiring(project.wiring)
    if about["spec"] is not None:
        wiring = with_spec(wiring, MachineSpec(**about["spec"]))
    wiring = wiring.model_copy(update={"variants": about.get("variants", wiring.variants)})
    records: Mapping[str, Any] = config_records()
    configs = {
        name: resolve(records[name], values, source=f"{name} of the journal") for name, values in about["configs"].items()
    }
    plan = make_plan(wiring, configs, project)
    code = {name: plan.code_of(node) for name, node in plan.nodes.items()}
    changed = sorted(name for name in code.keys() | about["code"].keys() if code.get(name) != about["code"].get(name))
    if changed:
        raise ReplayError(f"not the code that wrote the journal: {', '.join(changed)}; go back to it")
    facts = Instruments(*[record.arrays[f"instruments/{field}"] for field in Instruments._fields])
    depth, epoch_ns = about["depth"], about["epoch_ns"]
    engine = make_engine(plan, about["symbols"], facts, depth=depth, epoch_ns=epoch_ns, compiled=compiled)
    if "checkpoint" in record.arrays:
        restore(engine, record.arrays["checkpoint"].tobytes())
    return engine
