r"""In place of a function of `wander` where coefficients are Chebyshev polynomials in time.

$T_k(2s - 1)$ with s = (t - start)/spacing in [0, 1], or $T_k(2u - 1)$ with $s = \sin^2(\pi u/2)$, which is
analytic where $\sqrt{s}$ and $\sqrt{1 - s}$ are not.
"""

# mypy: ignore-errors

import numpy as np


def interpolate(table, start, spacing, time, weight, g):
    """Add to g the coefficients at a time, times a weight; rows: the order or -1, and whether in u."""
    s = min(max((time - start) / spacing, 0.0), 1.0)
    plain = np.arccos(2 * s - 1)
    smooth = np.arccos(4 / np.pi * np.arcsin(np.sqrt(s)) - 1)
    for k in range(table.shape[1]):
        order = table[0, k]
        if order >= 0.0:
            angle = smooth if table[1, k] > 0.0 else plain
            g[k] += weight * np.cos(order * angle)
