"""Every property finds the fault that it is there for, names layer, field, symbol and bar, and lets the others go on."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandera.pandas as pa
import pytest
from pandera.typing import Series

from dataflows.boundary import Boundary
from drivers.engine.checkpoint import restore
from drivers.engine.engine import Engine, EngineError
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.validation import trial as trial_module
from drivers.validation.future import FUTURES, with_future
from drivers.validation.report import ValidationReport, Verdict
from drivers.validation.suite import every_property, stretches, validate
from drivers.validation.trial import Trial
from tests.drivers.engine import toy
from tests.drivers.engine.conftest import DELAYED
from tests.drivers.validation import faults
from tests.drivers.validation.markets import Observed, observations


def trial(*names: str, symbols: int = 3, boundaries: Any = None) -> Trial:
    """The toy graph, with some of the faulty layers."""
    modules = [toy, *([_module(names)] if names else [])]
    plan = Plan(modules, {"toy": toy.ToyConfig()}, DELAYED)
    return Trial(plan, Observed(observations(symbols=symbols)), {}, boundaries or {})


def _module(names: tuple[str, ...]) -> ModuleType:
    """The module of faults with these layers alone."""
    made = ModuleType(faults.__name__)
    for key, value in vars(faults).items():
        if not key.startswith("l2") or key in names:
            setattr(made, key, value)
    return made


def by_name(report: ValidationReport) -> dict[str, Verdict]:
    return {v.name: v for v in report.verdicts}


def broken(report: ValidationReport) -> dict[str, str]:
    return {v.name: v.finding for v in report.broken}


def test_a_sound_graph_keeps_every_property() -> None:
    report = validate(trial("l20_honest"), bars=None)
    assert report.ok and not broken(report)
    found = by_name(report)
    for name in ("batch = stream", "any cuts", "restored = never stopped", "no look-ahead"):
        assert found[name].state == "holds", name
        assert found[name].values > 400 * 3 * 5
    assert found["batch = stream"].bars == len(trial().market)
    assert found["compiled = plain Python"].bars >= 300
    assert found["ledger identity"].state == "not tested"
    assert found["ledger identity"].finding == "the graph has no l97_ledger and no l90_fills and no l0_market_feed."


def test_a_layer_that_peeks_is_named_and_those_after_it_are_not() -> None:
    report = validate(trial("l20_honest", "l21_peeks", "l22_after_the_peek"), bars=None)
    assert broken(report)["no look-ahead"].startswith("L21 l21_peeks of S00")
    assert "with data that end before 2025-12-31T" in broken(report)["no look-ahead"]
    assert broken(report)["batch = stream"].startswith("L21 l21_peeks of S000 at ")
    assert broken(report)["batch = stream"].endswith(" and 0.0 one bar at a time.")
    assert by_name(report)["symbols apart"].state == "holds"


@pytest.mark.parametrize("change", list(FUTURES.values()), ids=["another", "nothing"])
def test_another_future_is_other_after_the_cut_and_the_same_before(change: Any) -> None:
    data = observations()
    other = with_future(data, 100, change)
    assert np.array_equal(other.close[:100], data.close[:100], equal_nan=True)
    assert not (other.close[100:] == data.close[100:]).any()
    assert np.array_equal(other.time, data.time)


def test_a_layer_that_depends_on_the_chunking_is_named() -> None:
    report = validate(trial("l23_by_chunk"), bars=None)
    assert set(broken(report)) >= {"batch = stream", "any cuts", "restored = never stopped"}
    assert broken(report)["any cuts"].startswith("L23 l23_by_chunk of S000 at ")
    assert "no look-ahead" not in broken(report), "it knows the past alone"


def test_a_layer_that_mixes_symbols_without_saying_so_is_named() -> None:
    report = validate(trial("l24_of_all"), bars=None)
    assert set(broken(report)) == {"symbols apart"}
    assert broken(report)["symbols apart"].startswith("L24 l24_of_all of S000 at ")
    assert broken(report)["symbols apart"].endswith("with S000 alone.")


def test_one_symbol_cannot_be_tested_apart() -> None:
    found = by_name(validate(trial(symbols=1), bars=None))["symbols apart"]
    assert (found.state, found.finding) == ("not tested", "the data have one symbol only.")


def test_machine_code_that_differs_from_its_source_is_named() -> None:
    report = validate(trial("l25_overflows"), bars=None)
    assert set(broken(report)) == {"compiled = plain Python"}
    assert broken(report)["compiled = plain Python"].startswith("L25 l25_overflows at ")
    assert broken(report)["compiled = plain Python"].endswith(" in plain Python.")


def test_a_checkpoint_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(engine: Engine, blob: bytes) -> None:
        restore(engine, blob)
        engine.arena.values["l3_account__carry"].bars[:] += 1

    monkeypatch.setattr(trial_module, "restore", forgets)
    found = broken(validate(trial(), bars=None))["restored = never stopped"]
    assert found.startswith("L3 l3_account (bars) at ") and found.endswith("restored from checkpoints.")


class ToyBoundary(Boundary):
    """The toy feed promises a close below 101."""

    close: Series[float] = pa.Field(alias="l1_feed.close", lt=101.0, nullable=True)
    mean: Series[float] = pa.Field(alias="l1_feed.mean", nullable=True)
    before: Series[float] = pa.Field(alias="l1_feed.before", nullable=True)
    score: Series[float] = pa.Field(alias="l2_score", nullable=True)
    held: Series[float] = pa.Field(alias="l3_account.held")
    equity: Series[float] = pa.Field(alias="l3_account.equity")
    bars: Series[int] = pa.Field(alias="l3_account.bars")
    audit: Series[float] = pa.Field(alias="l9_audit")


def test_a_value_outside_its_boundary_is_named_by_guard_and_by_pandera(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = trial(boundaries={"engine": ToyBoundary})
    found = broken(validate(tested, bars=None))
    assert set(found) == {"boundaries", "boundaries, by pandera"}
    for sentence in found.values():
        assert sentence.startswith("l1_feed.close of S00") and "less_than(101.0)" in sentence
    monkeypatch.setattr(Guards, "check", lambda self, time, values: None)
    assert set(broken(validate(tested, bars=None))) == {"boundaries, by pandera"}


def test_an_error_in_the_middle_of_the_run_is_every_propertys_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Engine.advance

    def planted(self: Engine, chunk: Any) -> Any:
        if len(chunk.time) > 1 and self.last_time:
            raise EngineError("planted")
        return real(self, chunk)

    monkeypatch.setattr(Engine, "advance", planted)
    report = validate(trial(), bars=None)
    assert all("with EngineError: planted" in v.finding for v in report.broken)
    assert len(report.broken) == sum(not p.needs for p in every_property())


DAYS = [(a, min(a + 1440, 43_000)) for a in range(0, 43_000, 1440)]


@pytest.mark.parametrize("bars", [1, 5_000, 10_080, 43_000])
def test_stretches_begin_with_the_data_and_keep_to_the_bars_that_are_asked_for(bars: int) -> None:
    chosen = [chunk for stretch in stretches(DAYS, 15_000, bars, 3) for chunk in stretch]
    assert chosen == sorted(chosen) and len(set(chosen)) == len(chosen)
    assert chosen[0] == DAYS[0]
    assert sum(b - a for a, b in chosen) <= max(bars, 1440)
    assert sum(b - a for a, b in chosen) > bars - 1440
    assert stretches(DAYS, 15_000, bars, 3) == stretches(DAYS, 15_000, bars, 3)


def test_later_stretches_are_drawn_at_random_and_those_side_by_side_are_one() -> None:
    drawn = {tuple(chunk for s in stretches(DAYS, 15_000, 10_080, seed) for chunk in s) for seed in range(5)}
    assert len(drawn) > 1
    assert stretches(DAYS, 15_000, None, 1) == [DAYS[:10], DAYS[10:20], DAYS[20:]], "bounded by memory, not by the history"
    for stretch in stretches(DAYS, 15_000, 10_080, 1):
        assert all(a[1] == b[0] for a, b in zip(stretch, stretch[1:], strict=False))


def test_later_stretches_begin_where_the_run_was() -> None:
    report = validate(trial(), bars=120)
    assert report.ok, broken(report)
    assert [bars for _, _, bars in report.again] != [400] and 90 <= sum(bars for _, _, bars in report.again) <= 120
    assert by_name(report)["batch = stream"].bars == sum(bars for _, _, bars in report.again)
