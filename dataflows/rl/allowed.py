"""The door: whatever a policy says becomes a multiplier in [0, 1] and a tilt that leaves every source a weight."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.fusion.types import K, Policy
from dataflows.kernels.arith import clip
from dataflows.panel import Floats

MOST_TILT: Final = 100.0


def allowed(multiplier: float, tilt: Floats | None = None) -> Policy:
    """What of a policy's word holds. A multiplier that is NaN counts 0: who cannot say how much may not take any.

    tilt: (K,) factors on the sources' weights, within [1 / 100, 100]; one that is not finite drops the whole tilt. None: none.
    """
    size = clip(float(multiplier), 0.0, 1.0) if not math.isnan(multiplier) else 0.0
    if tilt is None or not np.isfinite(tilt).all():
        return baseline()._replace(risk_multiplier=np.array([size]))
    return Policy(np.array([size]), np.clip(np.asarray(tilt, np.float64), 1.0 / MOST_TILT, MOST_TILT))


def baseline() -> Policy:
    """The whole size and no tilt: what holds where no policy is."""
    return Policy(np.ones(1), np.ones(K))
