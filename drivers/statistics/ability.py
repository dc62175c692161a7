"""Whether the best of many settings beats a benchmark by more than luck: the test for superior predictive ability.

Source: Hansen (2005), "A Test for Superior Predictive Ability"; the bootstrap: Politis and Romano (1994).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints

REPETITIONS: Final = 1000


class Ability(NamedTuple):
    """p-values, 0 to 1, of "no setting is better than the benchmark". consistent: Hansen's; lower and upper enclose it."""

    lower: float
    consistent: float
    upper: float


def superior_ability(better: Floats, indices: Iterable[Ints] | None = None, *, studentized: bool = True) -> Ability | None:
    """Of differences (days, settings): what each setting returned more than the benchmark, no NaN.

    indices: a bootstrap's samples of the days, each (days,); None draws 1,000 by `stationary_bootstrap` with blocks of the
    square root of the days. studentized: each setting by its own standard error, as Hansen has it.
    Settings that never differ from the benchmark are left out. None where none is left, or fewer than ten days are there.
    """
    differences = better[:, (better != 0.0).any(axis=0)]
    days = len(differences)
    if not differences.shape[1] or days < 10:
        return None
    block = math.isqrt(days)
    mean = differences.mean(axis=0)
    variance = long_run_variance(differences, block)
    scale = np.sqrt(variance) if studentized else np.ones(len(mean))
    scale = np.where(scale > 0.0, scale, 1.0)
    relevant = mean >= -np.sqrt(variance / days * 2.0 * math.log(math.log(days)))
    centres = (np.maximum(mean, 0.0), np.where(relevant, mean, 0.0), mean)
    observed = float(np.max(mean / scale))
    above = np.zeros(3)
    samples = 0
    for sample in stationary_bootstrap(days, block) if indices is None else indices:
        drawn = differences[sample].mean(axis=0)
        above += [float(np.max((drawn - centre) / scale)) > observed for centre in centres]
        samples += 1
    lower, consistent, upper = (above / samples).tolist()
    return Ability(lower, consistent, upper)


def long_run_variance(differences: Floats, block: int) -> Floats:
    """Of each column (days, settings): the variance of sqrt(days) times its mean under the stationary bootstrap, by the
    kernel of Politis and Romano (1994) for blocks of a mean length."""
    days = len(differences)
    centred = differences - differences.mean(axis=0)
    size = 1 << (2 * days - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    covariance = np.fft.irfft(spectrum, size, axis=0)[:days] / days
    lag, stay = np.arange(1, days), 1.0 - 1.0 / block
    weight = (1.0 - lag / days) * stay**lag + lag / days * stay ** (days - lag)
    variance: Floats = np.maximum(covariance[0] + 2.0 * weight @ covariance[1:], 0.0)
    return variance


def stationary_bootstrap(days: int, block: int, repetitions: int = REPETITIONS, seed: int = 0) -> Iterator[Ints]:
    """Samples (days,) of the days: runs of following days, round the end, of a geometric length with this mean."""
    random = np.random.default_rng(seed)
    place = np.arange(days)
    for _ in range(repetitions):
        fresh = random.random(days) < 1.0 / block
        fresh[0] = True
        begun = np.maximum.accumulate(np.where(fresh, place, 0))
        yield (random.integers(0, days, days)[begun] + place - begun) % days
