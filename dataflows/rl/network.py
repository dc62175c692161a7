"""A small frozen network: what it makes of an observation, and how many weights it has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dataflows.panel import Floats
from dataflows.rl.observed import OBSERVED
from dataflows.runtime.compile import kernel


def weights_of(hidden: Sequence[int], outputs: int) -> int:
    """How many numbers a network has: of each layer a matrix and its offsets. It takes the observation and its mask."""
    widths = [2 * len(OBSERVED), *hidden, outputs]
    return sum((before + 1) * after for before, after in zip(widths, widths[1:], strict=False))


def network(observation: Floats, known: Floats, hidden: Sequence[int], outputs: int, weights: Sequence[float]) -> Floats:
    """Output (outputs,) of a network with tanh between its layers and nothing after the last.

    observation, known: (F,) each; the input is the one after the other. weights: layer by layer the matrix, a row for each unit
    of the layer, then the offsets, `weights_of(hidden, outputs)` in all.
    """
    x, at, flat = np.concatenate((observation, known)), 0, np.array(weights, np.float64)
    for i, width in enumerate((*hidden, outputs)):
        size = width * len(x)
        x = layer_of(x, flat[at : at + size].reshape(width, len(x)), flat[at + size : at + size + width], i < len(hidden))
        at += size + width
    return x


@kernel
def layer_of(x: Floats, matrix: Floats, offsets: Floats, squashed: bool) -> Floats:
    """One layer: matrix @ x + offsets, its tanh where it is squashed."""
    y = np.empty(len(offsets))
    for i in range(len(offsets)):
        total = offsets[i]
        for j in range(len(x)):
            total += matrix[i, j] * x[j]
        y[i] = math.tanh(total) if squashed else total
    return y
