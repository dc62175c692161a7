"""A run out of its journal: the same engine, the same instants, the same bits.

What writes the journal stands beside what reads it. Whatever the engine is handed is written first and acts then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.config import resolve
from dataflows.data.types import OPERATOR_NONE, Instruments
from dataflows.panel import leaves, rebuild
from drivers.engine.checkpoint import restore, save
from drivers.engine.engine import Chunk, Engine, Outputs
from drivers.engine.wiring import load as load_wiring
from drivers.engine.wiring import with_spec
from drivers.events import stamp
from drivers.project import MachineSpec, config_records, locate
from drivers.session import Session, make_plan, versions
from drivers.store.journal import JournalError, JournalReader, JournalWriter, Record

FORMAT: Final = 1
STATE_EVERY: Final = 512
"""Bars after which the journal says what the engine's state must be."""


class ReplayError(RuntimeError):
    """The journal cannot be run again to the same bits. Says what differs."""


def state_of(engine: Engine) -> str:
    """SHA-256 of all that the layers remember."""
    digest = hashlib.sha256(f"{engine.last_time} {engine.epoch}".encode())
    digest.update(engine.arena.f8.tobytes())
    digest.update(engine.arena.i8.tobytes())
    return digest.hexdigest()


class Journaled:
    """An engine whose every instant is in a journal before it acts. path: None: no journal is kept.

    cut: names a half-written record that an earlier process left, and that is gone now.
    """

    def __init__(self, session: Session, path: Path | None) -> None:
        self.engine = session.engine
        self.writer = None if path is None else JournalWriter(path)
        self.cut = "" if self.writer is None else self.writer.cut
        self._since = 0
        if self.writer is not None:
            self.writer.append(*_begin(session), sync=True)

    def advance(self, chunk: Chunk) -> Outputs:
        """`Engine.advance`."""
        if self.writer is not None:
            parts = {f"{name}/{i}": leaf for name, value in chunk.inputs.items() for i, leaf in enumerate(leaves(value))}
            self.writer.append({"kind": "bars"}, {"time": chunk.time, **parts})
        outputs = self.engine.advance(chunk)
        self._since += len(chunk.time)
        if self._since >= STATE_EVERY:
            self.state()
        return outputs

    def react(self, ts: int, *, operator: int, amount: float = 0.0, by: str = "operator", events: Any = None) -> Outputs:
        """`Engine.react`. by: who speaks. The record is on the disk before the word acts."""
        if self.writer is not None:
            about = {
                "kind": "instant",
                "ts": ts,
                "operator": operator,
                "amount": amount,
                "by": by,
                "events": events is not None,
            }
            told = {} if events is None else {name: np.asarray(x) for name, x in events._asdict().items()}
            self.writer.append(about, told, sync=True)
        return self.engine.react(ts, operator=operator, amount=amount, events=events)

    def state(self) -> None:
        """Writes what the engine's state is now."""
        self._since = 0
        if self.writer is not None:
            self.writer.append({"kind": "state", "last_time": self.engine.last_time, "sha256": state_of(self.engine)})

    def close(self) -> None:
        """Everything on the disk; no more after this."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _begin(session: Session) -> tuple[dict[str, Any], dict[str, Any]]:
    engine, plan = session.engine, session.plan
    about = {
        "kind": "begin",
        "format": FORMAT,
        "versions": versions(),
        "symbols": list(engine.symbols),
        "depth": engine.dims["D"],
        "epoch_ns": engine.epoch_ns,
        "configs": {name: record._asdict() for name, record in session.configs.items()},
        "spec": None if session.spec is None else session.spec.model_dump(),
        "code": {name: plan.code_of(node) for name, node in plan.nodes.items()},
    }
    arrays = {f"instruments/{k}": v for k, v in engine.static["instruments"]._asdict().items()}
    if engine.last_time:
        arrays["checkpoint"] = np.frombuffer(save(engine), np.uint8)
    return about, arrays


class Replayed(NamedTuple):
    """What a replay did. words: instants between bars. checks: states that were as the journal says. torn: names a last
    record that is half written; empty where it is whole."""

    engine: Engine
    bars: int
    words: int
    checks: int
    torn: str


def replay(
    path: Path, project: Path | None = None, *, compiled: bool = True, take: Callable[[Outputs], None] = lambda outputs: None
) -> Replayed:
    """Runs a journal again. take: hears the outputs of each record.

    Raises JournalError for a damaged journal, and ReplayError where a layer's code or the versions are not those that it was
    written under, and where a state is not what the journal says: then the same bits cannot be had.
    """
    reader = JournalReader(path)
    engine: Engine | None = None
    bars = words = checks = 0
    for record in reader:
        about = record.about
        if about["kind"] == "begin":
            engine = _engine(record, project, compiled=compiled)
            continue
        if engine is None:
            raise JournalError(f"{path.name}: record {record.number} comes before any beginning")
        if about["kind"] == "bars":
            take(engine.advance(_chunk(record, engine.plan.hints)))
            bars += len(record.arrays["time"])
        elif about["kind"] == "instant":
            events = _events(record, engine.plan.hints) if about["events"] else None
            take(engine.react(about["ts"], operator=about["operator"], amount=about["amount"], events=events))
            words += about["operator"] != OPERATOR_NONE
        else:
            if about["sha256"] != state_of(engine):
                raise ReplayError(
                    f"{path.name}: after {stamp(engine.last_time)} (record {record.number}) the state is not what it was; "
                    f"{checks} earlier were"
                )
            checks += 1
    if engine is None:
        raise JournalError(f"{path.name}: the journal is empty")
    return Replayed(engine, bars, words, checks, reader.torn)


def _engine(record: Record, folder: Path | None, *, compiled: bool) -> Engine:
    about = record.about
    if about["format"] != FORMAT:
        raise ReplayError(f"the journal has format {about['format']}; this version reads {FORMAT}")
    then, now = about["versions"], versions()
    other = [f"{name} was {then.get(name)}, is {now[name]}" for name in now if then.get(name) != now[name]]
    if other:
        raise ReplayError(f"the journal was written under other versions: {', '.join(other)}")
    wiring = load_wiring(locate(folder).wiring)
    if about["spec"] is not None:
        wiring = with_spec(wiring, MachineSpec(**about["spec"]))
    records: Mapping[str, Any] = config_records()
    configs = {
        name: resolve(records[name], values, source=f"{name} of the journal") for name, values in about["configs"].items()
    }
    plan = make_plan(wiring, configs)
    code = {name: plan.code_of(node) for name, node in plan.nodes.items()}
    changed = sorted(name for name in code.keys() | about["code"].keys() if code.get(name) != about["code"].get(name))
    if changed:
        raise ReplayError(f"not the code that wrote the journal: {', '.join(changed)}; go back to it")
    facts = Instruments(*[record.arrays[f"instruments/{field}"] for field in Instruments._fields])
    static = {"instruments": facts}
    engine = Engine(plan, about["symbols"], static, depth=about["depth"], compiled=compiled, epoch_ns=about["epoch_ns"])
    if "checkpoint" in record.arrays:
        restore(engine, record.arrays["checkpoint"].tobytes())
    return engine


def _chunk(record: Record, hints: Mapping[str, Any]) -> Chunk:
    names = dict.fromkeys(key.partition("/")[0] for key in record.arrays if key != "time")
    inputs = {}
    for name in names:
        parts = [array for key, array in record.arrays.items() if key.startswith(f"{name}/")]
        inputs[name] = rebuild(hints[name], iter(parts))
    return Chunk(record.arrays["time"], inputs)


def _events(record: Record, hints: Mapping[str, Any]) -> Any:
    log = hints["venue_events"]
    return log(*[int(x) if name == "n" else x for name, x in record.arrays.items()])
