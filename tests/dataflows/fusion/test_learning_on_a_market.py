"""The market side from bars to proposals: it learns an edge that is there, and none where there is none."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflows.carry import start_state
from dataflows.config import resolve
from dataflows.fusion.types import REFUSALS, Policy, SourceWeights
from dataflows.panel import leaves
from dataflows.regime.types import RegimeThresholds
from drivers.feeds.dataset import open_dataset
from drivers.feeds.simulate import simulate
from drivers.project import config_records
from tests.support import run_columnar

# in an order in which each finds what it takes
LAYERS = (
    "data.l0_market_feed",
    "kinematics.l2_returns_volatility",
    "microstructure.l8_spread_depth",
    "kinematics.l12_regression_slope_short",
    "kinematics.l20_regression_slope_medium",
    "regime.l1_regime",
    "microstructure.l63_tradeability",
    "microstructure.l10_trade_pressure",
    "microstructure.l59_price_impact",
    "kinematics.l11_ema_trend_short",
    "kinematics.l19_ema_trend_medium",
    "kinematics.l21_momentum_medium",
    "kinematics.l14_momentum_short",
    "kinematics.l17_directional_movement_short",
    "kinematics.l22_directional_movement_medium",
    "kinematics.l25_timeframe_alignment",
    "kinematics.l60_kinematic_state",
    "fusion.l66_signal_matrix",
    "fusion.l7_ensemble",
    "fusion.l67_expectancy",
    "fusion.l68_success_probability",
    "fusion.l71_trading_cost",
    "fusion.l70_horizon",
    "fusion.l72_agreement",
    "fusion.l73_signal_decay",
    "fusion.l75_size_suggestion",
    "fusion.l3_action_proposal",
)


def market_side(folder: Path, **fusion: Any) -> dict[str, Any]:
    """Every layer of the market side over a data set."""
    data = open_dataset(folder)
    configs: dict[str, Any] = {d: resolve(r, fusion if d == "fusion" else {}, source=d) for d, r in config_records().items()}
    dims = {"N": len(data.symbols), "D": data.depth}
    values: dict[str, Any] = {"observations": data.rows(0, len(data)), "instruments": data.instruments}
    for name, kind in (("source_weights", SourceWeights), ("policy", Policy), ("regime_thresholds", RegimeThresholds)):
        values[name] = start_state(kind, dims, configs)
    for path in LAYERS:
        name = path.split(".")[1]
        fn = getattr(importlib.import_module(f"dataflows.{path}"), name)
        taken = {p: values[p] for p in fn.__annotations__ if p in values}
        values[name] = run_columnar(fn, taken, {k: v for k, v in configs.items() if k in fn.__annotations__}, depth=data.depth)
    return values


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Two simulated markets that differ only in what is planted."""
    made = {}
    for edge in (0.0, 5.0):
        made[edge] = tmp_path_factory.mktemp("markets") / f"edge_{edge:g}"
        simulate(made[edge], symbols=("SIMA", "SIMB", "SIMC"), days=9, edge=edge, book=False, trades=False)
    return made


def certainty(values: dict[str, Any]) -> Any:
    """Slope over its standard deviation on the last day, per horizon."""
    score = values["l7_ensemble"].score[-1440:, :, None]
    with np.errstate(invalid="ignore"):
        t = values["l67_expectancy"].edge_bps[-1440:] / values["l67_expectancy"].edge_std_bps[-1440:] * np.sign(score)
    return np.nanmedian(t, axis=(0, 1))


def test_a_planted_edge_is_learned_and_traded_and_no_edge_is_not(folders: dict[float, Path]) -> None:
    rich, poor = market_side(folders[5.0]), market_side(folders[0.0])
    assert certainty(rich)[1] > 3.0
    assert certainty(rich)[1] > certainty(poor)[1] + 2.0
    assert (certainty(poor) < 2.0).all()
    assert rich["l3_action_proposal"].may_enter.sum() > 100
    assert poor["l3_action_proposal"].may_enter.sum() == 0
    early = rich["l3_action_proposal"].refusal[300:450]
    assert ((early[early != 0] & (1 << REFUSALS.index("NOT_LEARNED") | 1 << REFUSALS.index("NO_SIGNAL"))) != 0).all()


def test_a_stated_belief_may_enter_within_the_first_hours_where_there_is_no_edge(folders: dict[float, Path]) -> None:
    values = market_side(folders[0.0], prior_slope_bps=200.0, prior_strength=400.0)
    assert values["l3_action_proposal"].may_enter[:480].any(axis=0).all()
    for name in ("l66_signal_matrix", "l7_ensemble", "l67_expectancy", "l71_trading_cost", "l3_action_proposal"):
        assert not any(np.isinf(leaf).any() for leaf in leaves(values[name]))
