"""The data domain's boundary: what L0 hands on keeps it, and planted faults break it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.errors
import pytest

from dataflows.boundary import schema_of
from dataflows.data.schema import DataBoundary
from dataflows.data.types import Market
from dataflows.panel import leaves, walk
from tests.dataflows.data.observed import hole, market, observe
from tests.dataflows.data.observed import walk as prices


def _frame() -> pd.DataFrame:
    seen = hole(observe(prices(300)), slice(40, 60))
    columns = {}
    for (path, kind), leaf in zip(walk(Market), leaves(market(seen)), strict=True):
        if kind.recorded:
            columns[".".join(("l0_market_feed", *path))] = leaf.reshape(-1) if kind.axes else np.repeat(leaf, 2)
    return pd.DataFrame(columns)


def test_l0_keeps_its_boundary() -> None:
    schema_of(DataBoundary).validate(_frame())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bars.close", -1.0),
        ("bars.close", np.inf),
        ("bars.volume", -0.1),
        ("quality.valid", 2),
        ("bars.low", 1e9),
        ("funding", 2.0),
    ],
)
def test_a_planted_fault_is_refused(field: str, value: float) -> None:
    frame = _frame()
    frame.loc[7, f"l0_market_feed.{field}"] = value
    with pytest.raises(pandera.errors.SchemaError):
        schema_of(DataBoundary).validate(frame)
