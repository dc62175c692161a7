"""The signals of `benchmarks.planted_alpha` foretell what they should, and its trips are counted as by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from benchmarks.planted_alpha import AHEAD, planted, trips


def bars() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    time = pd.date_range("2026-01-05", periods=6_000, freq="1min", tz="UTC")
    parts = []
    for symbol in ("A", "B"):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, len(time))))
        opened = np.append(close[0], close[:-1])
        parts.append(pd.DataFrame({"timestamp": time, "symbol": symbol, "open": opened, "close": close}))
    return pd.concat(parts)


@pytest.mark.parametrize("correlation", [0.25, 0.05])
def test_the_signal_has_the_planted_rank_correlation_with_the_return_ahead(correlation: float) -> None:
    market = bars()
    alpha = planted(market, correlation).set_index(["timestamp", "symbol"]).value
    still = planted(market, correlation, shuffled=True).set_index(["timestamp", "symbol"]).value
    for symbol, own in market.groupby("symbol"):
        own = own.set_index("timestamp")
        ahead = np.log(own.close.shift(-AHEAD) / own.open.shift(-1))
        known = pd.Series(ahead.to_numpy(), own.index + pd.Timedelta("1min")).dropna()  # at the close, not at the open
        said = alpha.xs(symbol, level="symbol").reindex(known.index)
        assert spearmanr(said, known).statistic == pytest.approx(correlation, abs=0.02)
        assert abs(spearmanr(still.xs(symbol, level="symbol").reindex(known.index), known).statistic) < 0.25
        np.testing.assert_allclose(np.sort(said), np.sort(still.xs(symbol, level="symbol").reindex(known.index)))


def test_trips_by_hand() -> None:
    opens = np.array([[100.0], [100.0], [101.0], [102.0], [100.0], [99.0]])
    side = np.array([[1], [1], [0], [-1], [2], [0]])
    may = np.array([[1], [0], [0], [1], [0], [0]])
    got = trips(side, may, np.full((6, 1), 30.0), np.full((6, 1), 10.0), opens)
    assert got.count == 1  # the short ends with the data, after the last known side
    assert got.realised == pytest.approx(1e4 * 0.02 - 10.0)
    assert got.promised == pytest.approx(20.0)
