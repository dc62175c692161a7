"""Who decides from outside, between two epochs: what it says goes through the same door as what L82 says."""

from __future__ import annotations

from dataflows.panel import Floats
from dataflows.rl.allowed import allowed
from drivers.engine.engine import Engine
from drivers.engine.shadow import LAYER, POLICY
from drivers.graph.layers import SUFFIX


def act(engine: Engine, multiplier: float, tilt: Floats | None = None) -> None:
    """The policy from the next bar on, in place of what L82 chose when the epoch ended (`Engine.end_epoch`).

    multiplier: on the size, held within [0, 1]; NaN counts 0. tilt: (11,) factors on the sources' weights, see `allowed`.
    """
    held = allowed(multiplier, tilt)
    engine.take_delayed(POLICY, held)
    memory = engine.arena.values.get(f"{LAYER}{SUFFIX}")
    if memory is not None:  # it observes what is in force
        memory.multiplier[:] = held.risk_multiplier
