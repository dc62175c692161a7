"""Restored is never stopped; and a checkpoint that does not fit is refused by the name of what differs."""

from __future__ import annotations

import inspect
import io
import linecache
import sys
import types
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine.checkpoint import AT_ONCE, CheckpointError, archived, restore, save
from drivers.engine.chunk import Instant
from drivers.engine.engine import Engine, EngineError
from drivers.engine.plan import Plan
from tests.drivers.engine import toy
from tests.drivers.engine.conftest import DELAYED, MINUTE, piece, run, same_bits, toy_data, toy_engine, toy_plan, whole

DATA = toy_data()
PLAN = toy_plan()
REFERENCE = whole(PLAN, run(toy_engine(PLAN), DATA))


@settings(max_examples=20, deadline=None)
@given(at=st.integers(1, 299))
def test_restored_from_any_bar_is_never_stopped(at: int) -> None:
    first = toy_engine(PLAN)
    before = run(first, piece(DATA, 0, at))
    second = toy_engine(PLAN)
    restore(second, save(first))
    after = run(second, piece(DATA, at, 300))
    same_bits(REFERENCE, whole(PLAN, [*before, *after]))


def test_a_restored_engine_reacts_on_the_rows_that_were_held() -> None:
    first = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    second = toy_engine(PLAN)
    restore(second, save(first))
    at = int(DATA.time[49]) + MINUTE // 2
    same_bits(first.react(Instant(at, 2)).values, second.react(Instant(at, 2)).values)


def test_restoring_heals_a_poisoned_engine() -> None:
    engine = toy_engine(PLAN)
    engine.advance(piece(DATA, 0, 50))
    blob = save(engine)
    engine._poisoned_at = 1
    with pytest.raises(EngineError, match="restore it from a checkpoint"):
        save(engine)
    restore(engine, blob)
    engine.advance(piece(DATA, 50, 60))


def _changed(name: str, source: str, replacement: str) -> Plan:
    """The toy plan with its source changed."""
    text = inspect.getsource(toy)
    assert source in text
    text = text.replace(source, replacement)
    module = types.ModuleType(f"{toy.__name__}_{name}")
    sys.modules[module.__name__] = module
    file = f"<{module.__name__}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), module.__dict__)
    return Plan([module], {"toy": module.ToyConfig()}, DELAYED)


def test_a_change_of_code_without_state_does_not_touch_a_checkpoint() -> None:
    first = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    changed = toy_engine(_changed("a", "values[0, k] = -0.01 *", "values[0, k] = -0.02 *"))
    restore(changed, save(first))
    assert changed.last_time == first.last_time


@pytest.mark.parametrize(
    ("source", "replacement", "message"),
    [
        ("carry.bars[s] += 1", "carry.bars[s] += 2", "the code of l3_account changed"),
        ("equity: Annotated[Floats, Axes(1,", "equity: Annotated[Floats, Axes(2,", "l3_account keeps other arrays now"),
        ("l1_feed", "l1_other", "l1_other had no state"),
    ],
)
def test_a_change_of_a_layer_with_state_is_refused_by_its_name(source: str, replacement: str, message: str) -> None:
    first = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    plan = _changed(str(len(message)), source, replacement)
    with pytest.raises(CheckpointError, match=message):
        restore(toy_engine(plan), save(first))


def test_a_change_of_configuration_is_refused_by_its_key() -> None:
    first = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    with pytest.raises(CheckpointError, match=r"toy\.every was 4, is 5"):
        restore(toy_engine(toy_plan(toy.ToyConfig(every=5))), save(first))


def test_other_symbols_are_refused_by_name() -> None:
    first = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    with pytest.raises(CheckpointError, match="its symbols are A, B, C, not A, B, D"):
        restore(toy_engine(PLAN, ("A", "B", "D")), save(first))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" + b[2:-100]])
def test_a_half_written_checkpoint_is_refused_and_leaves_the_engine_as_it_was(damage: Callable[[bytes], bytes]) -> None:
    first: Engine = toy_engine(PLAN)
    first.advance(piece(DATA, 0, 50))
    before = first.arena.f8.copy()
    with pytest.raises(CheckpointError, match="damaged or no checkpoint at all"):
        restore(first, damage(save(first)))
    assert np.array_equal(before, first.arena.f8, equal_nan=True)


def test_the_archive_is_what_numpy_would_write() -> None:
    arrays = {
        "long": np.arange(AT_ONCE // 4, dtype=np.float64),
        "none": np.zeros((0, 3)),
        "one": np.array(7),
        "turned": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "held/x/0": np.array([np.nan, -0.0]),
    }
    theirs = io.BytesIO()
    np.savez(theirs, **arrays)
    theirs.seek(0)
    with np.load(io.BytesIO(archived(arrays))) as ours, np.load(theirs) as wanted:
        assert ours.files == wanted.files
        for name in wanted.files:
            assert (ours[name].dtype, ours[name].shape) == (wanted[name].dtype, wanted[name].shape)
            assert ours[name].tobytes() == wanted[name].tobytes()
