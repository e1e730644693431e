"""Stretches of time on which a moving generator is a Legendre series, and pieces of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve.blocks import Layout


@dataclass(frozen=True)
class Stretch:
    r"""The generator on an interval of time as a Legendre series in u.

    Attributes:
        begin, end: The interval.
        smooth: Whether $t = t_a + (t_b - t_a)\sin^2(\pi u/2)$ rather than linear.
        series: $A\,dt/du$, entries of the pattern by order, shape (orders, entries); without `phase`.
        phase: Mean of the diagonal of each block, by order, shape (orders, blocks); it only turns
            or damps the block as a whole.
        size: Largest row sum of |A dt/du|.
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


def without_phase(
    layout: Layout,
    pattern: sp.csr_array,
    span: tuple[float, float],
    smooth: bool,
    series: np.ndarray,
    data: np.ndarray,
) -> Stretch:
    """Take the mean of the diagonal out of each block."""
    starts = layout.starts
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    diagonal = np.flatnonzero(rows == pattern.indices)
    counts = np.diff(starts)
    sums = np.add.reduceat(series[:, diagonal], starts[:-1], axis=1)
    phase = 1j * (sums / counts).imag
    series = series.copy()
    series[:, diagonal] -= np.repeat(phase, counts, axis=1)
    bound = np.abs(data)
    bound[:, diagonal] = np.abs(
        np.polynomial.legendre.legval(
            np.polynomial.legendre.leggauss(len(data))[0], series[:, diagonal]
        ).T
    )
    size = float(np.add.reduceat(bound, pattern.indptr[:-1], axis=1).max())
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


def integral(series: np.ndarray, u: float, v: float) -> np.ndarray:
    """Integral of a Legendre series in 2u - 1 from u to v."""
    whole = np.polynomial.legendre.legint(series, axis=0) / 2
    ends = [np.polynomial.legendre.legval(2 * x - 1, whole) for x in (u, v)]
    return np.asarray(ends[1] - ends[0])
