"""Every columnar layer that reads closed 5-, 15- or 60-bars moves only where pandas closes one, and reads pandas' bars."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dataflows
from dataflows.data.config import DataConfig
from dataflows.data.types import HigherBars, Market
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.panel import Floats, Ints, leaves, walk
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l32_range_reversion import l32_range_reversion
from dataflows.pattern.l43_narrow_range_break import l43_narrow_range_break
from dataflows.regime.config import RegimeConfig
from dataflows.regime.l1_regime import l1_regime
from tests.dataflows.data.observed import MINUTE, START, hole, instruments, market, observe
from tests.dataflows.data.observed import walk as prices
from tests.dataflows.kinematics.chain import BRISK, chain
from tests.dataflows.regime.markets import neutral
from tests.support import filled, run_columnar

BARS = 3000
FRAMES = (5, 15, 60)
CONFIGS: dict[str, Any] = {
    "data": DataConfig(),
    "kinematics": BRISK,
    "regime": RegimeConfig(),
    "microstructure": MicrostructureConfig(proxy_window_bars=60),
    "pattern": PatternConfig(),
}


def by_pandas(seen: Market, frame: int) -> HigherBars:
    """The higher bars of a market: closed right, labelled right, whole, one part at least observed; held until the next."""
    index = pd.to_datetime(seen.time, utc=True)
    made: dict[str, list[Any]] = {k: [] for k in HigherBars._fields}
    for n in range(seen.bars.close.shape[1]):
        columns = {k: getattr(seen.bars, k)[:, n] for k in ("open", "high", "low", "close", "volume")}
        bars = pd.DataFrame({**columns, "valid": seen.quality.valid[:, n]}, index=index)
        groups = bars.resample(f"{frame}min", closed="right", label="right")
        how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        higher = groups.agg(how)[(groups["close"].count() == frame) & (groups["valid"].sum() > 0)]
        held = higher.reindex(index).ffill()
        for k in columns:
            made[k].append(held[k].to_numpy())
        made["closed"].append(index.isin(higher.index).astype(np.int64))
    return HigherBars(**{k: np.ascontiguousarray(np.column_stack(v)) for k, v in made.items()})


def everything(seen: Market) -> dict[str, Any]:
    """What the layers that read higher bars give, and what they need besides."""
    values = chain(seen, BRISK)
    facts = instruments(seen.bars.close.shape[1])
    for fn in (l8_spread_depth, l1_regime, l32_range_reversion, l43_narrow_range_break):
        hints = typing.get_type_hints(fn)
        given = {k: v for k, v in {**values, "instruments": facts, "regime_thresholds": neutral()}.items() if k in hints}
        for name, record in hints.items():  # what has nothing to do with higher bars says nothing
            if name not in (*given, *CONFIGS, "carry", "return"):
                given[name] = filled(record, seen.bars.close.shape, 0.0)
        values[fn.__name__] = run_columnar(fn, given, {k: v for k, v in CONFIGS.items() if k in hints})
    return values


@pytest.fixture(scope="module")
def seen() -> Market:
    """Two symbols from seven minutes past midnight on, with a short gap, one of a higher bar's length and a long one."""
    observed = observe(prices(BARS, 2), start=START + 7 * MINUTE)
    return market(hole(hole(hole(observed, slice(700, 703), 0), slice(1201, 1217), 1), slice(2000, 2090), 0))


@pytest.fixture(scope="module")
def pandas_bars(seen: Market) -> dict[int, HigherBars]:
    return {frame: by_pandas(seen, frame) for frame in FRAMES}


@pytest.fixture(scope="module")
def values(seen: Market) -> dict[str, Any]:
    return everything(seen)


def whole(layer: str, value: Any) -> Iterator[tuple[str, Floats | Ints]]:
    """Every field."""
    for (path, _), leaf in zip(walk(type(value)), leaves(value), strict=True):
        yield ".".join((layer, *path)), leaf


def of_15(layer: str, value: Any) -> Iterator[tuple[str, Floats | Ints]]:
    """L1 on 15-bars."""
    yield from ((name, leaf) for name, leaf in whole(layer, value) if name.endswith("_15"))


def slow_rsi(layer: str, value: Any) -> Iterator[tuple[str, Floats | Ints]]:
    """What is left of L15's mean of two clocks when the base clock's half is taken off."""
    yield f"{layer}.centred of 5-bars", np.round(2.0 * value.centred - (value.value - 50.0) / 50.0, 12)


def slow_atr(layer: str, value: Any) -> Iterator[tuple[str, Floats | Ints]]:
    """L2's true range of 60-bars."""
    yield f"{layer}.atr_60", value.atr_60


PACED = {
    "l1_regime": (15, of_15),
    "l2_returns_volatility": (60, slow_atr),
    "l15_rsi_short": (5, slow_rsi),
    "l17_directional_movement_short": (5, whole),
    "l19_ema_trend_medium": (15, whole),
    "l20_regression_slope_medium": (15, whole),
    "l22_directional_movement_medium": (60, whole),
    "l23_channel_position_medium": (60, whole),
}
"""Layers whose output, or a part of it, is of a higher clock."""
READERS = ("l32_range_reversion", "l43_narrow_range_break")
"""Layers that read higher bars for something that they say on every bar."""


def test_no_columnar_layer_that_reads_higher_bars_is_missing_here() -> None:
    found = set()
    for path in Path(dataflows.__file__).parent.glob("*/l*_*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        if re.search(r"\bbars_(5|15|60)\b", code) and not re.search(r'schedule="(step|epoch)"', code):
            found.add(path.stem)
    assert found - {"l0_market_feed"} == {*PACED, *READERS}


@pytest.mark.parametrize("frame", FRAMES)
def test_the_bars_themselves_are_those_of_pandas(seen: Market, pandas_bars: dict[int, HigherBars], frame: int) -> None:
    got, expected = getattr(seen, f"bars_{frame}"), pandas_bars[frame]
    assert expected.closed.sum() > BARS // frame
    for name in HigherBars._fields:
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("layer", PACED)
def test_a_layer_of_a_higher_clock_moves_only_where_pandas_closes_a_bar(
    layer: str, values: dict[str, Any], pandas_bars: dict[int, HigherBars]
) -> None:
    frame, parts = PACED[layer]
    closes = pandas_bars[frame].closed[1:] == 1
    for name, leaf in parts(layer, values[layer]):
        same = (leaf[1:] == leaf[:-1]) | (np.isnan(leaf[1:]) & np.isnan(leaf[:-1]))
        assert not (~same & ~closes).any(), name
        if not name.endswith((".aligned", ".squeeze", ".label_15")):
            assert (~same).sum() > 0.5 * closes.sum() - 50, name
        assert (~same).any(), name


@pytest.fixture(scope="module")
def replaced(seen: Market, pandas_bars: dict[int, HigherBars]) -> dict[str, Any]:
    """Everything over pandas' bars."""
    return everything(seen._replace(**{f"bars_{frame}": bars for frame, bars in pandas_bars.items()}))


@pytest.mark.parametrize("layer", [*PACED, *READERS])
def test_with_the_bars_of_pandas_in_their_place_a_layer_says_the_same(
    layer: str, values: dict[str, Any], replaced: dict[str, Any]
) -> None:
    for (name, a), (_, b) in zip(whole(layer, values[layer]), whole(layer, replaced[layer]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)
