"""Stretches of time on which a moving generator is a Legendre series, and pieces of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

# exp of the diagonal over a step stays a number of ordinary size.
_DAMPING = 50.0


@dataclass(frozen=True)
class Stretch:
    r"""The generator on an interval of time as a Legendre series in u.

    Attributes:
        begin, end: The interval.
        smooth: Whether $t = t_a + (t_b - t_a)\sin^2(\pi u/2)$ rather than linear.
        series: $A\,dt/du$, entries of the pattern by order, shape (orders, entries); no diagonal.
        phase: Integral of the diagonal from u = 0, by order, shape (orders + 1, rows).
        size: What a step of order 8 that takes the diagonal exactly is short against: the largest
            row sum of |A dt/du| and the largest difference of two coupled diagonal elements.
    """

    begin: float
    end: float
    smooth: bool
    series: np.ndarray
    phase: np.ndarray
    size: float

    def u(self, t: float) -> float:
        """The variable of the series at a time."""
        x = min(max((t - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return float(2 / np.pi * np.arcsin(np.sqrt(x))) if self.smooth else x


@dataclass(frozen=True)
class Piece:
    """Part of a stretch, then a change of labels: pairs of part and steps."""

    stretch: Any
    u: float
    v: float
    steps: tuple[tuple[int, int], ...]


def label_steps(
    before: dict[int, int], after: dict[int, int]
) -> tuple[tuple[int, int], ...]:
    """By how much the labels of each part change, where they do."""
    return tuple((k, after[k] - before[k]) for k in before if after[k] != before[k])


def appended(found: list[tuple[Piece, int]], piece: Piece) -> list[tuple[Piece, int]]:
    """One more piece; an equal one before it is counted."""
    if found:
        last, repeats = found[-1]
        same = last.stretch is not None and piece.stretch is not None
        if (
            same
            and last.stretch.series is piece.stretch.series
            and abs(last.u - piece.u) + abs(last.v - piece.v) < 1e-10
            and last.steps == piece.steps
        ):
            return [*found[:-1], (last, repeats + 1)]
    return [*found, (piece, 1)]


def without_diagonal(
    pattern: sp.csr_array,
    span: tuple[float, float],
    smooth: bool,
    series: np.ndarray,
    data: np.ndarray,
) -> Stretch:
    """Take the diagonal out of a generator, which is solved exactly.

    Args:
        series: Entries of the pattern by order.
        data: The entries at Gauss points.
    """
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    diagonal = np.flatnonzero(rows == pattern.indices)
    own = data[:, diagonal]
    jumps = np.abs(own[:, rows] - own[:, pattern.indices])
    bound = np.abs(data)
    bound[:, diagonal] = 0.0
    coupled = np.where(bound > 1e-12 * max(bound.max(), 1e-300), jumps, 0.0)
    most = np.add.reduceat(bound, pattern.indptr[:-1], axis=1).max()
    damping = float(np.abs(own.real).max()) / _DAMPING
    size = max(float(most + coupled.max()), damping)
    phase = np.polynomial.legendre.legint(series[:, diagonal], axis=0, lbnd=-1) / 2
    series = series.copy()
    series[:, diagonal] = 0.0
    return Stretch(*span, smooth, series, phase, size)


def on_pattern(matrix: sp.csr_array, pattern: sp.csr_array) -> np.ndarray:
    """The entries of a matrix in the order of a larger pattern."""
    matrix.sort_indices()
    width = pattern.shape[1]
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    keys = rows.astype(np.int64) * width + pattern.indices
    own = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    place = np.searchsorted(keys, own.astype(np.int64) * width + matrix.indices)
    found = np.zeros(len(keys), dtype=complex)
    found[place] = matrix.data
    return found
