"""Checkpoints: all that an engine remembers, as bytes that outlive a change of code which does not touch them.

Beside the state lie, for every layer that has a carry, the hash of its code and the layout of its carry. A checkpoint is
restored where both are as they were, whatever else changed; where one differs, it is refused by the layer's name. So a
recorded state can never be read by code that means something else by it.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from dataflows.panel import is_log, leaves, rebuild
from drivers.engine.chunk import joined
from drivers.engine.engine import Engine

FORMAT: Final = 2
AT_ONCE: Final = 1 << 20
"""Bytes that are copied in one step."""


class CheckpointError(ValueError):
    """The bytes are no checkpoint, or not one of this engine. Names what differs."""


class Taken(NamedTuple):
    """The state of an engine at one instant, apart from what the engine goes on to change, for `packed`."""

    engine: Engine
    header: dict[str, Any]
    arrays: dict[str, Any]
    shadow: Taken | None

    @property
    def last_time(self) -> int:
        """UTC ns of the instant."""
        return int(self.header["last_time"])


def take(engine: Engine, beside: Mapping[str, Any] | None = None, into: Sequence[Any] | None = None) -> Taken:
    """Copies what `save` writes: all that must be done before the engine goes on.

    into: arrays as the arena's two, to which those are copied: memory that was written before takes a fraction of the time.
    Raises EngineError where an error left it half advanced.
    """
    engine._refuse_poisoned()
    engine.settle()
    header: dict[str, Any] = {
        "epoch": engine.epoch,
        "last_time": engine.last_time,
        "held": {},
        "records": {},
        "beside": dict(beside or {}),
    }
    f8, i8 = into or (np.empty_like(engine.arena.f8), np.empty_like(engine.arena.i8))
    f8[:], i8[:] = engine.arena.f8, engine.arena.i8
    arrays: dict[str, Any] = {"f8": f8, "i8": i8}
    for name, value in engine.held.items():
        header["held"][name] = _store(arrays, f"held/{name}", value, copied=True)
    for name, parts in engine.records.items():
        if parts:  # what is recorded does not change any more
            header["records"][name] = _store(arrays, f"records/{name}", joined(parts, engine.plan.type_of(name)))
    return Taken(engine, header, arrays, None if engine.shadow is None else take(engine.shadow.engine))


def packed(taken: Taken) -> bytes:
    """What was taken, as bytes. The engine may be somewhere else by now, and may run in another thread."""
    engine = taken.engine
    about = {
        "format": FORMAT,
        "versions": _versions(),
        "symbols": engine.symbols,
        "depth": engine.dims["D"],
        "layers": {name: _identity(engine, name) for name in engine.plan.states},
        "configs": _configs(engine),
    }
    arrays = dict(taken.arrays)
    if taken.shadow is not None:
        arrays["shadow"] = np.frombuffer(packed(taken.shadow), np.uint8)
    arrays["header"] = np.frombuffer(json.dumps({**about, **taken.header}).encode(), np.uint8)
    return archived(arrays)


def archived(arrays: Mapping[str, Any]) -> bytes:
    """These arrays as `np.savez` writes them, which keeps Python's lock for 16 MiB at a time: a bar in another thread would
    wait."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=True) as packed:
        for name, array in arrays.items():
            whole = np.asarray(array, order="C")
            with packed.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
                content = whole.reshape(-1).view(np.uint8).data
                for at in range(0, len(content), AT_ONCE):
                    file.write(content[at : at + AT_ONCE])
    return buffer.getvalue()


def save(engine: Engine, beside: Mapping[str, Any] | None = None) -> bytes:
    """The engine's state: arena, epoch records, held rows, clock; the same of its shadow account, where it has one.

    Raises EngineError where an error left it half advanced.

    beside: what the driver wants to find again, as JSON has it.
    """
    return packed(take(engine, beside))


def is_checkpoint(path: Path) -> bool:
    """Whether a file looks like one that `save` made."""
    try:
        with np.load(path) as arrays:
            return {"f8", "i8", "header"} <= set(arrays.files)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError):
        return False


def restore(engine: Engine, blob: bytes) -> dict[str, Any]:
    """Puts an engine into the state that `save` wrote: it goes on as if it had never stopped. Returns what lay beside it.

    Raises CheckpointError, with the engine untouched, when the bytes are damaged or the symbols, a configuration value, a
    layer's code or the layout of its carry differ; the message names each.
    """
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays["header"].tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"the checkpoint is damaged or no checkpoint at all ({error}); use an earlier one") from None
    if header["format"] != FORMAT:
        raise CheckpointError(f"the checkpoint has format {header['format']}; this version reads {FORMAT}")
    differences = list(_differences(engine, header))
    if differences:
        listed = "; ".join(differences)
        raise CheckpointError(f"the checkpoint does not fit: {listed}. Start anew, or go back to the code that wrote it")
    if engine.shadow is not None:
        if "shadow" not in arrays:
            raise CheckpointError("the checkpoint has no shadow account, which the policy needs; start anew")
        restore(engine.shadow.engine, arrays["shadow"].tobytes())
    for state in engine.plan.states:
        then = header["layers"][state]["layout"]
        for view, (dtype, shape, start) in zip(leaves(engine.arena.values[state]), then, strict=True):
            view[...] = arrays[dtype][start : start + view.size].reshape(shape)
    engine.epoch, engine.last_time = header["epoch"], header["last_time"]
    engine._begun_time = engine.last_time
    engine.held = {n: _load(arrays, f"held/{n}", engine.plan.type_of(n), k) for n, k in header["held"].items()}
    engine.settle()  # what a bar before this has kept goes with its records
    records: dict[str, list[Any]] = {p: [] for p in engine.plan.epoch_needs}
    for name, present in header["records"].items():
        records[name] = [_load(arrays, f"records/{name}", engine.plan.type_of(name), present)]
    engine.begin_records(records)
    engine._poisoned_at = None
    beside: dict[str, Any] = header.get("beside", {})
    return beside


def _versions() -> str:
    return f"Python {platform.python_version()}, NumPy {np.__version__}, numba {numba.__version__}"


def _identity(engine: Engine, state: str) -> dict[str, Any]:
    owner = engine.plan.owner(state)
    layout = [[slot.dtype, list(slot.shape), slot.start] for slot in engine.arena.slots[state]]
    return {"code": engine.plan.code_of(owner) if owner else "", "layout": layout}


def _configs(engine: Engine) -> dict[str, dict[str, Any]]:
    return {name: _json_values(config._asdict()) for name, config in engine.plan.configs.items()}


def _json_values(values: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(values))
    return loaded


def _differences(engine: Engine, header: dict[str, Any]) -> Iterator[str]:
    if header["versions"] != _versions():
        yield f"it was written under {header['versions']}, this is {_versions()}"
        return
    if tuple(header["symbols"]) != engine.symbols:
        yield f"its symbols are {', '.join(header['symbols'])}, not {', '.join(engine.symbols)}"
        return
    if header["depth"] != engine.dims["D"]:
        yield f"its books have {header['depth']} levels, not {engine.dims['D']}"
    for name, values in _configs(engine).items():
        then = header["configs"].get(name, {})
        for key in sorted(values.keys() | then.keys()):
            a, b = then.get(key), values.get(key)
            if a != b and not (a != a and b != b):
                yield f"{name}.{key} was {a}, is {b}"
    stored = header["layers"]
    for state in engine.plan.states:
        layer = state.removesuffix("__carry")
        if state not in stored:
            yield f"{layer} had no state"
            continue
        now = _identity(engine, state)
        if [x[:2] for x in stored[state]["layout"]] != [x[:2] for x in now["layout"]]:
            yield f"{layer} keeps other arrays now"
        elif stored[state]["code"] != now["code"]:
            yield f"the code of {layer} changed"
    for state in stored.keys() - set(engine.plan.states):
        yield f"{state.removesuffix('__carry')} is no longer in the graph or has no state any more"


def _store(arrays: dict[str, Any], key: str, value: Any, *, copied: bool = False) -> list[int]:
    present = []
    for i, leaf in enumerate(leaves(value)):
        present.append(0 if leaf is None else 1)
        if leaf is not None:
            arrays[f"{key}/{i}"] = np.array(leaf) if copied else np.asarray(leaf)
    return present


def _load(arrays: dict[str, Any], key: str, annotation: Any, present: list[int]) -> Any:
    parts: list[Any] = [arrays[f"{key}/{i}"] if has else None for i, has in enumerate(present)]
    if is_log(annotation):
        return annotation(int(parts[0]), *parts[1:])
    return rebuild(annotation, iter(parts))
