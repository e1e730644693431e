"""Plateaus of staircases: stretches of a sweep on which a measure does not change."""

from __future__ import annotations

import numpy as np

# Change from point to point below which a step is flat, relative to 1 and the size of y.
_FLAT = 1e-6
# Points that make a plateau at least.
_LEAST = 3


def plateaus(y: np.ndarray, x: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """The flat steps of y(x): rows (y, first x, last x), along the sweep.

    A plateau has at least three neighboring points that differ by less than the tolerance (1e-6,
    relative where |y| > 1). Its true edges lie between its ends and the next points of the grid: `locate`
    with `locked(...)` finds them.

    Args:
        y, x: Shape (n,); NaN is no part of a plateau.

    Returns:
        Shape (k, 3).
    """
    limit = tolerance or _FLAT
    flat = np.abs(np.diff(y)) < limit * np.maximum(1.0, np.abs(y[1:]))
    rows = []
    begin = 0
    for k in range(1, len(y) + 1):
        if k < len(y) and flat[k - 1]:
            continue
        if k - begin >= _LEAST:
            rows.append(
                (float(np.median(y[begin:k])), float(x[begin]), float(x[k - 1]))
            )
        begin = k
    return np.array(rows).reshape(-1, 3)
