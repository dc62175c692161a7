"""An engine that writes everything it is handed to a journal before it acts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from dataflows.panel import leaves
from drivers.engine.checkpoint import save
from drivers.engine.engine import Chunk, Engine, Outputs
from drivers.run.assembly import Session
from drivers.run.provenance import versions
from drivers.store.journal import JournalWriter

FORMAT: Final = 1

STATE_EVERY: Final = 512
"""Bars after which the journal says what the engine's state must be."""


def state_of(engine: Engine) -> str:
    """SHA-256 of all that the layers remember."""
    digest = hashlib.sha256(f"{engine.last_time} {engine.epoch}".encode())
    digest.update(engine.arena.f8.tobytes())
    digest.update(engine.arena.i8.tobytes())
    return digest.hexdigest()


class Journaled:
    """An engine whose every instant is in a journal before it acts. path: None: no journal is kept. acted: how often each
    operator command has acted before.

    cut: names a half-written record that an earlier process left, and that is gone now.
    """

    def __init__(self, session: Session, path: Path | None, acted: Mapping[str, int] | None = None) -> None:
        self.engine = session.engine
        self.writer = None if path is None else JournalWriter(path)
        self.cut = "" if self.writer is None else self.writer.cut
        self._since = 0
        if self.writer is not None:
            self.writer.append(*_begin(session, acted or {}), sync=True)

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

    def react(
        self, ts: int, *, operator: int, amount: float = 0.0, by: str = "operator", command: str = "", events: Any = None
    ) -> Outputs:
        """`Engine.react`. by: who sent the command. command: its text, by which a restart knows that it has acted. The
        record is on the disk before the command acts."""
        if self.writer is not None:
            about = {
                "kind": "instant",
                "ts": ts,
                "operator": operator,
                "amount": amount,
                "by": by,
                **({"command": command} if command else {}),
                "events": events is not None,
            }
            reports = {} if events is None else {name: np.asarray(x) for name, x in events._asdict().items()}
            self.writer.append(about, reports, sync=True)
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


def _begin(session: Session, acted: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    engine, plan = session.engine, session.plan
    about = {
        "kind": "begin",
        "format": FORMAT,
        "versions": versions(),
        "symbols": list(engine.symbols),
        "depth": engine.dims["D"],
        "epoch_ns": engine.epoch_ns,
        "configs": {name: record._asdict() for name, record in session.configs.items()},
        "acted": dict(acted),
        "spec": None if session.spec is None else session.spec.model_dump(),
        "code": {name: plan.code_of(node) for name, node in plan.nodes.items()},
    }
    arrays = {f"instruments/{k}": v for k, v in engine.static["instruments"]._asdict().items()}
    if engine.last_time:
        arrays["checkpoint"] = np.frombuffer(save(engine), np.uint8)
    return about, arrays
