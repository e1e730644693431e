"""Where coefficients change in time, so that no pulse falls between two steps or two looks.

A pulse shorter than a 4096th of a run is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Times at which coefficients are looked at, and changes between two of them that count.
_LOOKS, _CHANGE = 4096, 1e-4
# Steps in the shortest stretch of time in which something changes.
_IN_A_STRETCH = 3
# Times of fast changes that are told.
_BUSY = 16


@dataclass(frozen=True)
class Changes:
    """How coefficients change.

    Attributes:
        longest: Step that meets every stretch of time in which something changes; inf where
            something changes all the time.
        rate: Fastest change, relative to the largest value of the coefficient.
        times: Of the fastest changes, ascending.
    """

    longest: float
    rate: float
    times: np.ndarray


def changes(
    values_at: Callable[[float], np.ndarray], begin: float, end: float
) -> Changes:
    """Changes of all coefficients between two times.

    Args:
        values_at: Coefficients at a time, shape (K,).
    """
    if not end > begin:
        return Changes(np.inf, 0.0, np.array([begin]))
    times = np.linspace(begin, end, _LOOKS + 1)
    f = np.array([values_at(float(time)) for time in times])
    size = np.abs(f).max(axis=0)
    f = f[:, size > 0] / size[size > 0]
    if not np.isfinite(f).all() or not f.shape[1]:
        return Changes(np.inf, 0.0, times[:1])
    moved = np.abs(np.diff(f, axis=0)).max(axis=1)
    spacing = (end - begin) / _LOOKS
    busy = np.sort(np.argsort(-moved, kind="stable")[:_BUSY])
    runs = _runs(moved > _CHANGE)
    longest = np.inf
    if runs and max(runs) < _LOOKS:
        longest = max(min(runs) / _IN_A_STRETCH, 1.0) * spacing
    return Changes(longest, float(moved.max()) / spacing, times[busy])


def _runs(flags: np.ndarray) -> list[int]:
    """Lengths of the stretches in which a flag is set.

    >>> _runs(np.array([True, False, True, True]))
    [1, 2]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags, [0]))))
    return [int(n) for n in edges[1::2] - edges[::2]]
