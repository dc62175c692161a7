"""L99: the frame of the mirror repeats what others say, and nothing takes it."""

from __future__ import annotations

import functools
from typing import Any

import networkx as nx
import numpy as np
import pytest

from drivers.diagrams.model import read_model
from drivers.project.locate import defaults
from tests.dataflows.execution.test_scenarios import SYMBOLS, held_long_at, unbroken


@functools.cache
def mirror() -> dict[str, Any]:
    return unbroken()["l99_pine_mirror"]


@pytest.mark.parametrize(
    ("field", "layer", "of"),
    [
        ("signal", "l3_action_proposal", "side"),
        ("score", "l3_action_proposal", "score"),
        ("verdict", "l4_risk_gate", "verdict"),
        ("target_weight", "l4_risk_gate", "target_weight"),
        ("reasons", "l4_risk_gate", "reasons"),
        ("regime", "l1_regime", "label"),
        ("risk_state", "l81_kill_switch", "level"),
        ("kill_reasons", "l81_kill_switch", "reason"),
        ("halt_entries", "l92_loss_limits", "halt_entries"),
        ("day_pnl", "l92_loss_limits", "day_pnl"),
        ("position", "l97_ledger", "position"),
        ("equity", "l97_ledger", "equity"),
        ("peak", "l97_ledger", "peak"),
        ("stop", "l94_position_exits", "active_stop"),
        ("target", "l94_position_exits", "active_target"),
        ("close", "l0_market_feed", "bars.close"),
        ("atr", "l2_returns_volatility", "atr"),
        ("sigma", "l2_returns_volatility", "sigma"),
        ("trend_z", "l11_ema_trend_short", "spread_atr"),
        ("direction", "l60_kinematic_state", "direction"),
    ],
)
def test_a_field_is_its_layer_s_own(field: str, layer: str, of: str) -> None:
    np.testing.assert_array_equal(mirror()[field], unbroken()[layer][of])


def test_side_and_weight_are_those_of_the_approved_and_of_the_held() -> None:
    found, t = mirror(), held_long_at()
    assert (found["side"] == np.sign(found["target_weight"])).all()
    assert (found["side"][t, 0], found["weight"][t, 0] > 0.0) == (1, True)
    worth = unbroken()["l97_ledger"]["position"] * unbroken()["l97_ledger"]["mark"]
    np.testing.assert_allclose(found["weight"] * found["equity"][:, None], np.nan_to_num(worth), rtol=1e-12, atol=1e-9)


def test_what_a_chart_is_held_to_is_known_and_it_is_held_to_most_of_the_bars() -> None:
    found = mirror()
    at = found["comparable"] == 1
    assert at.shape == (len(found["time"]), SYMBOLS)
    assert at.mean() > 0.7
    for field in ("close", "return_1", "atr", "sigma", "trend_z"):
        assert np.isfinite(found[field][at]).all()
    assert (found["chart_regime"][at] >= 0).all()
    assert not at[:20].any(), "before the averages are whole nothing can be compared"


def test_no_layer_takes_it_now_or_later() -> None:
    model = read_model(defaults())
    assert model.layers["l99_pine_mirror"].sink
    assert not nx.descendants(model.ever, "l99_pine_mirror")
