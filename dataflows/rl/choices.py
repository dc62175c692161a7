"""What the tilts, the table and the network of the configuration come to."""

from __future__ import annotations

import math

import numpy as np

from dataflows.fusion.types import Policy
from dataflows.meta.types import DOMAIN_OF
from dataflows.panel import Floats
from dataflows.rl.allowed import allowed
from dataflows.rl.config import RlConfig
from dataflows.rl.network import network
from dataflows.rl.wealth import weighted


def tilt_of(chosen: int, factor: float) -> Floats:
    """The factors (K,) on the sources' weights of one of TILTS_TRIED."""
    return np.array([factor if domain == chosen - 1 else 1.0 for domain in DOMAIN_OF])


def by_table(regimes: Floats, table: tuple[float, ...]) -> float:
    """Mean of the table's multipliers by the probabilities of the regimes; NaN where these are not known."""
    whole = weighted(regimes, np.ones(len(regimes)))
    return weighted(regimes, np.array(table)) / whole if whole > 0.0 else math.nan


def by_network(observation: Floats, known: Floats, rl: RlConfig) -> Policy:
    """What the network says, as far as it holds."""
    with np.errstate(over="ignore"):
        said = network(observation, known, rl.network_hidden, rl.network_outputs, rl.network_weights)
        return allowed(1.0 / (1.0 + np.exp(-said[0])), np.exp(said[1:]) if len(said) > 1 else None)
