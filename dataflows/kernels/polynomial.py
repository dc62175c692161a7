"""Logarithm and exponential of a row as polynomials without branches.

The compiler takes several values at a time, which it cannot with the C library's functions; and the bits do not depend on which
variant of the library a processor gets. Both are within one unit in the last place of the exact value (relative 2.3e-16).
Source: the reductions and minimax coefficients of fdlibm (Sun Microsystems 1993), e_log.c and e_exp.c.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel

_HALF_ROOT: Final = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_TO_LN2: Final = 1.44269504088896338700
_NEAREST: Final = 6755399441055744.0  # 1.5 * 2**52: added and taken away, it rounds to the nearest whole number
_L1, _L2, _L3, _L4 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01
_L5, _L6, _L7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01
_P1, _P2, _P3 = 1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05
_P4, _P5 = -1.65339022054652515390e-06, 4.13813679705723846039e-08
LEAST: Final = -708.0
"""Below this an exponential is that of this: 3e-308. Smaller ones have fewer digits."""
MOST: Final = 709.0
"""Above this an exponential is that of this: 8e307. Larger ones would soon be infinite."""


@kernel
def log_of_each(x: Floats) -> None:
    """Turns every value of a contiguous row into its natural logarithm, in place. Values are positive, finite and normal."""
    bits = x.view(np.int64)
    for i in range(len(x)):
        k = (bits[i] - _HALF_ROOT) >> 52  # x = z * 2**k, with z between sqrt(1/2) and sqrt(2)
        bits[i] -= k << 52
        f = x[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        r = z * (_L1 + z * (_L2 + z * (_L3 + z * (_L4 + z * (_L5 + z * (_L6 + z * _L7))))))
        half = 0.5 * f * f
        x[i] = k * _LN2_HIGH - ((half - (s * (half + r) + k * _LN2_LOW)) - f)


@kernel
def exp_of_each(x: Floats) -> None:
    """Turns every value of a contiguous row into its exponential, in place. Values are not NaN; see LEAST and MOST."""
    bits = x.view(np.int64)
    for i in range(len(x)):
        v = x[i]
        v = v if v > LEAST else LEAST
        v = v if v < MOST else MOST
        x[i] = v * _TO_LN2 + _NEAREST  # a whole number k in the last bits
        k, power = x[i] - _NEAREST, bits[i] << 52
        high = v - k * _LN2_HIGH
        low = k * _LN2_LOW
        r = high - low
        t = r * r
        c = r - t * (_P1 + t * (_P2 + t * (_P3 + t * (_P4 + t * _P5))))
        x[i] = 1.0 - ((low - (r * c) / (2.0 - c)) - high)  # between sqrt(1/2) and sqrt(2): times 2**k, exactly
        bits[i] += power
