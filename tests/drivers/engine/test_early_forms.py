"""An epoch layer that takes bars before the epoch ends: the same bits, the same memory, and no instant between bars counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataflows.layer import LayerError, layer
from drivers.engine import early
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Instant, Outputs
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from tests.drivers.engine import toy, toy_early
from tests.drivers.engine.conftest import DELAYED, piece, toy_data

PLAN = Plan([toy, toy_early], {"toy": toy.ToyConfig(every=4)}, DELAYED)
DATA = toy_data()
MIDNIGHT = 120
AT_ONCE = 16
TAKEN = MIDNIGHT - MIDNIGHT % AT_ONCE
REACTS = (3, 30, 30, 63, 119)
"""After these bars something happens; one of them is the last that an early form takes in its turn."""


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "EARLY_BARS", AT_ONCE)


def engine() -> Engine:
    return Engine(PLAN, ("A", "B", "C"), {})


def go(run: Engine, first: int, last: int, cuts: range | list[int]) -> list[Outputs]:
    edges = sorted({first, last, *cuts, MIDNIGHT, *(bar + 1 for bar in REACTS)})
    found = []
    for a, b in zip(edges, edges[1:], strict=False):
        if first <= a < last:
            found.append(run.advance(piece(DATA, a, b)))
            for i in range(REACTS.count(b - 1)):
                run.react(Instant(int(DATA.time[b - 1]) + 1_000_000_000 * (i + 1), 2))
    return found


def closes(outputs: list[Outputs]) -> toy_early.Closes:
    (found,) = [o.epoch["l83_closes"] for o in outputs if o.epoch]
    assert isinstance(found, toy_early.Closes)
    return found


def by_hand(bars: int) -> Any:
    total = np.zeros(3)
    for row in DATA.inputs["observations"].close[:bars]:
        total = total + np.where(np.isnan(row), 0.0, row)
    return total


@pytest.mark.parametrize("cuts", [[], list(range(300)), [1, 77, 90]], ids=["chunks", "bar by bar", "pieces"])
def test_the_epoch_is_the_same_however_the_bars_come(cuts: list[int]) -> None:
    got = closes(go(engine(), 0, 130, cuts))
    np.testing.assert_array_equal(got.total, by_hand(MIDNIGHT))
    assert got.bars.tolist() == [MIDNIGHT, TAKEN]


@pytest.mark.parametrize("bars", [15, 16, 31, 64, 100])
def test_what_has_been_taken_depends_on_the_number_of_bars_alone(bars: int) -> None:
    whole, single = engine(), engine()
    go(whole, 0, bars, [])
    go(single, 0, bars, range(bars))
    taken = bars - bars % AT_ONCE
    for each in (whole, single):
        carry = each.arena.values["l83_closes__carry"]
        assert carry.bars[0] == taken
        np.testing.assert_array_equal(carry.total, by_hand(taken))


@pytest.mark.parametrize("bars", [5, 31, 32, 64])
def test_a_checkpoint_knows_what_has_been_taken(bars: int) -> None:
    first, second = engine(), engine()
    go(first, 0, bars, range(bars))
    go(second, 0, 50, [])  # somewhere else before
    restore(second, save(first))
    got = closes(go(second, bars, 130, [70]))
    np.testing.assert_array_equal(got.total, by_hand(MIDNIGHT))
    assert got.bars.tolist() == [MIDNIGHT, TAKEN]


def test_an_epoch_that_is_ended_by_hand_begins_anew() -> None:
    run = engine()
    go(run, 0, 40, [])
    assert run.end_epoch()["l83_closes"].bars.tolist() == [40, 32]
    go(run, 40, MIDNIGHT, [45])
    got = run.end_epoch()["l83_closes"]
    assert got.bars.tolist() == [80, 80]
    np.testing.assert_allclose(got.total, by_hand(MIDNIGHT) - by_hand(40), rtol=1e-12)


def test_an_early_form_that_cannot_work_is_refused() -> None:
    def nothing(clock: Any) -> None:
        """No carry."""

    def l1_columnar(clock: Any, carry: Any) -> Any:
        """Columnar."""

    with pytest.raises(LayerError, match="takes clock; it is for an epoch layer"):
        layer("L1", schedule="epoch", early=nothing)(l1_columnar)
    with pytest.raises(LayerError, match="it is for an epoch layer"):
        layer("L1", early=toy_early._take)(l1_columnar)
