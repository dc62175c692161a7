"""What a run learned as a machine spec: `run --spec` and `domain apply` take it, and nothing of it changes by itself then."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import yaml

from dataflows.regime.types import REGIMES
from drivers.adapt.changes import CHOICES
from drivers.adapt.record import PARTS, AdaptError, Record, Snapshot
from drivers.project.machine_specs import MachineSpec

DOMAIN: Final = "meta"


def settings_of(snapshot: Snapshot, parts: Collection[str]) -> dict[str, Any]:
    """The settings of the meta domain under which a snapshot holds from the first bar on and stays."""
    config: dict[str, Any] = {}
    if "sources" in parts:
        rows = {f"sources_{name.lower()}": row.tolist() for name, row in zip(REGIMES, snapshot.weights, strict=True)}
        config |= {CHOICES["sources"]: 0, **rows}
    if "patterns" in parts:
        config |= {CHOICES["patterns"]: 0, "pattern_weights": snapshot.patterns.tolist()}
    if "thresholds" in parts:
        config |= {CHOICES["thresholds"]: 0, "threshold_shifts": snapshot.shifts.tolist()}
    return config


def frozen(record: Record, epoch: int, parts: Collection[str], path: Path, *, advised: bool = False) -> MachineSpec:
    """What held after an epoch of a run, held from now on. advised: what was advised last, in place of what held.

    Raises AdaptError where the run has no such recommendation.
    """
    if advised and not (record.learns and len(record)):
        raise AdaptError(f"{record.name} advised nothing: {record.span()}")
    snapshot = record.advised() if advised else record.snapshot(epoch)
    which = "was advised last" if advised else f"held after epoch {epoch} ({record.day(epoch)})"
    about = f"What {record.name} {which}: {', '.join(p for p in PARTS if p in parts)}. It holds, and does not change by itself."
    return MachineSpec(name=path.stem, domain=DOMAIN, about=about, config=settings_of(snapshot, parts))


def reverted(record: Record, epoch: int, parts: Collection[str], path: Path) -> MachineSpec:
    """The changes after an epoch taken back. They do not come again, since the next epoch would only make the same ones."""
    about = (
        f"What {record.name} changed by itself after epoch {epoch} ({record.day(epoch)}) is taken back: "
        f"{', '.join(p for p in PARTS if p in parts)}. It does not change by itself any more."
    )
    return MachineSpec(name=path.stem, domain=DOMAIN, about=about, config=settings_of(record.snapshot(epoch), parts))


def file_name(record: Record, word: str) -> str:
    """`frozen_<run>.yaml`: a name that a spec may have."""
    return f"{word}_{re.sub(r'[^A-Za-z0-9]+', '_', record.name).strip('_')}.yaml"


def spec_text(spec: MachineSpec) -> str:
    """The file of a machine spec; numbers are written so that they are read to the bit."""
    values = {"name": spec.name, "domain": spec.domain, "about": spec.about, "config": spec.config}
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
