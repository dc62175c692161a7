"""Quantiles of many values without sorting them: values are counted by their leading bits, and few are sorted.

A float64 read as an integer keeps its order, where the other bits of a negative one are flipped. The first sixteen bits (sign,
exponent, four of the mantissa) say in which of 65,536 classes a value lies. One pass counts them, another takes out the class
that has the quantile.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

CLASSES: Final = 1 << 16
_SHIFT: Final = 48
_SIZE: Final = (1 << 63) - 1


@kernel
def class_of(bits: int) -> int:
    """The class of a value, by its bits as an integer: greater for greater values."""
    return ((bits ^ ((bits >> 63) & _SIZE)) >> _SHIFT) + (CLASSES >> 1)


@kernel
def counted(x: Floats, above: float, below: float) -> Ints:
    """How many of the values (n,) that are greater than `above` and less than `below` each class has, (65536,)."""
    counts = np.zeros(CLASSES, np.int64)
    bits = x.view(np.int64)
    for i in range(len(x)):
        if above < x[i] < below:
            counts[class_of(bits[i])] += 1
    return counts


@kernel
def neighbours(x: Floats, above: float, below: float, counts: Ints, q: float) -> tuple[float, float, float]:
    """The two values between which the quantile q in [0, 1] lies, and where: 0 at the first, less than 1. NaN: no value.

    It is at place q (n - 1) of n sorted values (type 7 of Hyndman and Fan 1996). x, above, below: as `counted` had them.
    counts: what it returned.
    """
    size = 0
    for i in range(len(counts)):
        size += counts[i]
    if size == 0:
        return math.nan, math.nan, math.nan
    at = q * (size - 1)
    low = int(at)
    high = min(low + 1, size - 1)
    first, before = 0, 0
    while before + counts[first] <= low:
        before += counts[first]
        first += 1
    last, end = first, before + counts[first]
    while end <= high:
        last += 1
        end += counts[last]
    found = np.empty(end - before)
    bits = x.view(np.int64)
    k = 0
    for i in range(len(x)):
        if above < x[i] < below and first <= class_of(bits[i]) <= last:
            found[k] = x[i]
            k += 1
    found = found[np.argsort(found, kind="mergesort")]
    return found[low - before], found[high - before], at - low
