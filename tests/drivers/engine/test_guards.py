"""The compiled guard and the pandera model are one promise: what one refuses the other refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandera.errors
import pandera.pandas as pa
import pytest
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule, promise_of, schema_of
from dataflows.panel import IntPanel, Panel, Within, kind_of
from dataflows.regime.schema import RegimeBoundary
from drivers.engine.guards import Guards, validate_run
from drivers.engine.promises import BoundaryError, Models, bounds_of, promised
from tests.drivers.engine.conftest import piece, run, toy_data, toy_engine, toy_plan

PLAN = toy_plan()
DATA = toy_data()


class ToyBoundary(Boundary):
    """What the toy graph promises."""

    close: Series[float] = pa.Field(alias="l1_feed.close", gt=0, nullable=True)
    mean: Series[float] = pa.Field(alias="l1_feed.mean", gt=0, nullable=True)
    before: Series[float] = pa.Field(alias="l1_feed.before", gt=0, nullable=True)
    score: Series[float] = pa.Field(alias="l2_score", ge=-50, le=50, nullable=True)
    held: Series[float] = pa.Field(alias="l3_account.held")
    equity: Series[float] = pa.Field(alias="l3_account.equity", ge=-1e6, le=1e6)
    bars: Series[int] = pa.Field(alias="l3_account.bars", ge=0)
    audit: Series[float] = pa.Field(alias="l9_audit")
    __rules__ = (Rule("ordered", ("l2_score", "l1_feed.close"), tolerance=1e-9),)


def outputs() -> Any:
    return toy_engine(PLAN).advance(piece(toy_data(), 0, 120))  # data of their own: faults are planted into them


def guards() -> Guards:
    return Guards(PLAN, {"engine": ToyBoundary}, ("A", "B", "C"))


def test_a_sound_run_passes_both() -> None:
    out = outputs()
    validate_run(PLAN, "engine", ToyBoundary, out.values)
    guards().check(out.time, out.values)
    run(toy_engine(PLAN, guard=guards()), DATA, range(0, 300, 13))


def test_the_market_side_can_be_checked_ahead() -> None:
    made, out = guards(), outputs()
    assert not made.within(out.values)  # how wide its leaves are is not known yet
    made.check(out.time, out.values)
    assert made.within(out.values)
    out.values["l3_account"].equity[5] = np.inf
    assert made.within(out.values)
    with pytest.raises(BoundaryError, match=r"l3_account\.equity"):
        made.check(out.time, out.values, within=True)
    FAULTS["below a bound"](out.values)
    assert not made.within(out.values)


FAULTS: dict[str, Callable[[Any], Any]] = {
    "below a bound": lambda v: v["l1_feed"].close.__setitem__((7, 1), 0.0),
    "above a bound": lambda v: v["l2_score"].__setitem__((100, 2), 50.5),
    "NaN where none may be": lambda v: v["l3_account"].held.__setitem__((3, 0), np.nan),
    "infinite": lambda v: v["l3_account"].equity.__setitem__(5, np.inf),
    "a negative count": lambda v: v["l3_account"].bars.__setitem__(5, -1),
    "a rule across columns": lambda v: v["l1_feed"].close.__setitem__((110, 0), 1e-3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_refuse_the_same_planted_fault(fault: str) -> None:
    out = outputs()
    if fault == "a rule across columns":
        out.values["l2_score"][110, 0] = 1.0
    FAULTS[fault](out.values)
    with pytest.raises(pandera.errors.SchemaErrors):
        validate_run(PLAN, "engine", ToyBoundary, out.values)
    with pytest.raises(BoundaryError, match="boundary says"):
        guards().check(out.time, out.values)


def test_a_refusal_names_field_symbol_bar_value_and_bound() -> None:
    out = outputs()
    out.values["l1_feed"].close[7, 1] = -3.0
    with pytest.raises(BoundaryError, match=r"l1_feed\.close of B at 2025-12-31T22:08:00Z is -3\.0; .* says greater_than\(0\)"):
        guards().check(out.time, out.values)


def test_a_failing_guard_poisons_the_engine() -> None:
    class Narrow(ToyBoundary):
        """Refuses everything."""

        score: Series[float] = pa.Field(alias="l2_score", ge=0, le=0, nullable=True)

    engine = toy_engine(PLAN, guard=Guards(PLAN, {"engine": Narrow}, ("A", "B", "C")))
    with pytest.raises(BoundaryError, match="l2_score"):
        engine.advance(piece(DATA, 0, 120))
    with pytest.raises(RuntimeError, match="restore it from a checkpoint"):
        engine.advance(piece(DATA, 0, 120))


def test_a_model_that_disagrees_with_the_layers_is_refused_by_both_names() -> None:
    class Other(ToyBoundary):
        """One column too many."""

        ghost: Series[float] = pa.Field(alias="l1_feed.ghost")

    with pytest.raises(BoundaryError, match=r"Other and the layers of engine disagree: no layer has l1_feed\.ghost"):
        Guards(PLAN, {"engine": Other}, ("A", "B", "C")).check(*outputs()[:2])


def test_a_check_without_a_compiled_form_is_refused() -> None:
    class Odd(Boundary):
        """Holds a check that is not compiled."""

        score: Series[float] = pa.Field(alias="l2_score", notin=[3.0])

    with pytest.raises(BoundaryError, match="the check notin has no compiled form"):
        bounds_of(schema_of(Odd))


def test_strict_bounds_are_strict() -> None:
    assert bounds_of(schema_of(ToyBoundary))["l1_feed.close"].low > 0.0
    assert bounds_of(schema_of(ToyBoundary))["l2_score"].low == -50.0


def test_a_value_that_brings_its_range_has_its_column_without_a_line_in_the_model() -> None:
    score, code = kind_of(Annotated[Panel, Within(-2.0, 3.0)]), kind_of(Annotated[IntPanel, Within(0, 4)])
    given = {name: kind_of(Panel) for name in schema_of(ToyBoundary).columns}
    promised = promise_of(ToyBoundary, {**given, "l9_own.score": score, "l9_own.code": code}).schema
    bounds = bounds_of(promised)
    assert bounds["l9_own.score"] == (-2.0, 3.0, True)
    assert bounds["l9_own.code"] == (0.0, 4.0, False)
    assert bounds["l2_score"] == bounds_of(schema_of(ToyBoundary))["l2_score"]


def test_the_model_s_own_line_goes_before_a_range_at_the_layer() -> None:
    given = {name: kind_of(Panel) for name in schema_of(ToyBoundary).columns}
    given["l2_score"] = kind_of(Annotated[Panel, Within(0.0, 1.0)])
    assert bounds_of(promise_of(ToyBoundary, given).schema)["l2_score"] == (-50.0, 50.0, True)


def test_a_rule_over_the_range_of_a_layer_that_does_not_run_is_left_out() -> None:
    """Neither of its columns has a line in the model: each brings its range."""

    class Ranged(ToyBoundary):
        __rules__ = (*ToyBoundary.__rules__, Rule("ordered", ("l2_score", "l9_own.low")))

    given = {name: kind_of(Panel) for name in schema_of(ToyBoundary).columns}
    assert set(promise_of(Ranged, given).rules) == set(ToyBoundary.__rules__)
    low = kind_of(Annotated[Panel, Within(-50.0, 50.0)])
    assert set(promise_of(Ranged, {**given, "l9_own.low": low}).rules) == set(Ranged.__rules__)


def test_of_a_layer_that_does_not_run_nothing_is_asked() -> None:
    given = {n: kind_of(Panel) for n in schema_of(ToyBoundary).columns if not str(n).startswith("l1_feed.")}
    promise = promise_of(ToyBoundary, given)
    assert set(promise.schema.columns) == set(given)
    assert not any(c.startswith("l1_feed.") for rule in promise.rules for c in rule.columns)
    assert len(promise.schema.checks) == len(promise.rules) < len(ToyBoundary.__rules__)


def test_promises_out_of_the_cache_are_those_of_pandera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    models = Models({"regime": "dataflows.regime.schema.RegimeBoundary"})
    kinds = {"regime": {str(name): kind_of(Panel) for name in schema_of(models["regime"]).columns}}
    first = promised(models, kinds)["regime"]
    monkeypatch.setattr(Models, "__getitem__", lambda self, domain: pytest.fail("the model is asked again"))
    assert promised(models, kinds)["regime"] == first
    assert first.bounds == bounds_of(schema_of(RegimeBoundary)) and first.rules == RegimeBoundary.__rules__
