"""What L1 gives is what its boundary model promises, and faults are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from dataflows.boundary import schema_of
from dataflows.data.config import DataConfig
from dataflows.panel import leaves, walk
from dataflows.regime.config import RegimeConfig
from dataflows.regime.l1_regime import l1_regime
from dataflows.regime.schema import RegimeBoundary
from dataflows.regime.types import Regime
from tests.dataflows.regime.markets import walk as random_walk
from tests.support import run_columnar


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    out = run_columnar(
        l1_regime, random_walk(np.random.default_rng(1), 900, 2), {"regime": RegimeConfig(), "data": DataConfig()}
    )
    return pd.DataFrame(
        {"l1_regime." + ".".join(path): leaf.reshape(-1) for (path, _), leaf in zip(walk(Regime), leaves(out), strict=True)}
    )


def test_the_output_of_l1_passes(frame: pd.DataFrame) -> None:
    schema_of(RegimeBoundary).validate(frame)


@pytest.mark.parametrize("suffix", ["", "_15"])
@pytest.mark.parametrize(("field", "value"), [("calm", 0.9), ("chaotic", -0.1), ("confidence", 1.1), ("label", 5)])
def test_planted_faults_are_refused(frame: pd.DataFrame, field: str, value: float, suffix: str) -> None:
    broken = frame.copy()
    row = broken[f"l1_regime.chaotic{suffix}"].lt(0.5).idxmax()
    broken.loc[row, [f"l1_regime.trend_up{suffix}", f"l1_regime.trend_down{suffix}"]] = 0.3
    assert np.isfinite(broken.loc[row, f"l1_regime.calm{suffix}"])
    broken.loc[row, f"l1_regime.{field}{suffix}"] = value
    with pytest.raises(pa.errors.SchemaError):
        schema_of(RegimeBoundary).validate(broken)
