"""Configuration of the rl domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

from dataflows.config import setting
from dataflows.regime.types import REGIMES
from dataflows.rl.network import weights_of

OFF, SPLIT, TILTS, TABLE, NETWORK = range(5)
"""What `policy` may be."""
MODES: Final = "0: off; 1: wealth split over multipliers; 2: the same with tilts by LinUCB; 3: `table`; 4: the network"


class RlConfig(NamedTuple):
    """What the policy may do, and what it may cost."""

    policy: Annotated[int, setting("switch", f"L82: {MODES}", ge=OFF, le=NETWORK)] = OFF
    most_behind: Annotated[
        float, setting("fraction", "L82: most that the account may ever be behind the one that no policy touches", gt=0, lt=1)
    ] = 0.1
    multipliers: Annotated[
        tuple[float, ...],
        setting("factor", "L82: on the size, which wealth is split over; the last is the baseline", ge=0, le=1),
    ] = (0.25, 0.5, 1.0)
    baseline_gain: Annotated[
        float, setting("fraction", "L82: what the untouched account may gain in an epoch, as the budget supposes", ge=0, le=1)
    ] = 0.05
    tilt_factor: Annotated[
        float, setting("factor", "L82: on the weights of the sources of one domain, where a tilt is tried", gt=1, le=100)
    ] = 2.0
    exploration: Annotated[float, setting("score", "L82: alpha of LinUCB, in units of the reward", ge=0, le=100)] = 0.5
    risk_aversion: Annotated[
        float, setting("factor", "L82: gamma of LinUCB's reward: log growth less half of it times the variance", ge=0, le=1000)
    ] = 10.0
    reward_most: Annotated[
        float,
        setting("fraction", "L82: log growth of an epoch that is a reward of 1; more does not count", gt=0, le=1),
    ] = 0.05
    table: Annotated[
        tuple[float, ...],
        setting("factor", "L82: multiplier in each regime, calm, trend up, trend down, high volatility, chaotic", ge=0, le=1),
    ] = (1.0,) * len(REGIMES)
    network_hidden: Annotated[
        tuple[int, ...], setting("count", "L82: units of each hidden layer of the network", ge=1, le=256)
    ] = ()
    network_outputs: Annotated[
        int, setting("count", "L82: 1: the network says the multiplier; 12: and a tilt of each source", ge=1, le=12)
    ] = 1
    network_weights: Annotated[
        tuple[float, ...],
        setting("weight", "L82: of the network, layer by layer: rows of the matrix, then the offsets", ge=-1e6, le=1e6),
    ] = ()

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if len(self.multipliers) < 2 or self.multipliers[-1] != 1.0 or sorted({*self.multipliers}) != [*self.multipliers]:
            said = list(self.multipliers)
            yield f"multipliers is {said}; they must ascend and end with 1, the baseline. Typical: [0.25, 0.5, 1]."
        if len(self.table) != len(REGIMES):
            yield f"table has {len(self.table)} numbers; write {len(REGIMES)}, one for each regime."
        wanted = weights_of(self.network_hidden, self.network_outputs)
        if self.policy == NETWORK and len(self.network_weights) != wanted:
            yield f"network_weights has {len(self.network_weights)} numbers; a network of this shape has {wanted}."
        if self.network_outputs not in (1, 12):
            yield f"network_outputs is {self.network_outputs}; it must be 1, the multiplier, or 12, with a tilt of each source."
