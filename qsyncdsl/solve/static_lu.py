r"""Many linear systems of one sparsity pattern at once: elimination without pivoting, side by side.

The order of elimination and the pattern of the factors are found once, for the pattern of $A + A^T$. The
numbers of `LANES` matrices lie side by side, so that every step of the elimination is a vector operation.
Without pivoting the answers must be checked: the residual of each is given back.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.solve import elimination, kernels
from qsyncdsl.solve.superoperator import AffineMatrix

# A cache line of doubles: with more of them the factors of all lanes are too far away.
LANES = 8


@dataclass(frozen=True)
class Pattern:
    """Where the numbers of a pinned system lie, and those of its factors.

    Attributes:
        size: Number of unknowns with the pinned one.
        unknowns: The unknown of each row, in the order of elimination.
        pin: The unknown that is set to 1, and whose equation is dropped.
        data: Arrays for `solve.elimination.eliminate`.
        count: Number of entries of the factors behind the diagonal.
    """

    size: int
    unknowns: np.ndarray
    pin: int
    data: tuple[np.ndarray, ...]
    count: int

    @property
    def work(self) -> float:
        """Floating-point operations of one elimination."""
        return 2.0 * float((np.diff(self.data[-1]).astype(float) ** 2).sum())


def analyze(matrix: AffineMatrix, pin: int) -> Pattern:
    """Order of elimination and pattern of the factors of a system with one unknown pinned."""
    keep = np.delete(np.arange(matrix.size), pin)
    numbered = sp.csc_array(
        (np.arange(1.0, len(matrix.indices) + 1), matrix.indices, matrix.indptr),
        shape=(matrix.size, matrix.size),
    )
    reduced = sp.csc_array(numbered[keep, :][:, keep])
    order = _order(reduced)
    rows = sp.csr_array(reduced[order, :][:, order])
    rows.sort_indices()
    right = sp.csc_array(numbered[keep[order], :][:, [pin]])
    right_slot = np.full(len(keep), -1)
    right_slot[right.indices] = right.data.astype(np.int64) - 1
    pattern = sp.csr_array(abs(rows) + abs(rows).T)
    pattern.sort_indices()
    upper_start, upper = _compiled("fill")(
        _integers(pattern.indices), _integers(pattern.indptr)
    )
    runs = _compiled("runs")(upper, upper_start)
    data = (
        rows.data - 1,
        rows.indices,
        rows.indptr,
        right_slot,
        *runs,
        upper,
        upper_start,
    )
    numbers = tuple(_integers(x) for x in data)
    return Pattern(matrix.size, keep[order], pin, numbers, len(upper))


def _integers(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x, dtype=np.int64)


def _order(reduced: sp.csc_array) -> np.ndarray:
    """SuperLU's minimum degree order of A + A'."""
    pattern = sp.csc_array(reduced + reduced.T)
    # Any numbers with a dominant diagonal: only the order is wanted.
    pattern.data = np.ones(pattern.nnz)
    size = pattern.shape[0]
    safe = sp.csc_matrix(pattern + sp.identity(size) * (pattern.nnz + 1.0))
    factors = spla.splu(
        safe,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.argsort(factors.perm_c)


def solve(
    pattern: Pattern, matrix: AffineMatrix, strengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Null vectors with the pinned unknown 1, for many sets of strengths.

    Args:
        strengths: Shape (points, K).

    Returns:
        The vectors, shape (points, n); the largest |L x| of each in units of max|x| max|L|; and the
        smallest pivot of each in units of max|L|, 0 for a second null vector.
    """
    points = len(strengths)
    eliminate, check, maxima = (
        _compiled(name) for name in ("eliminate", "residual", "maxima")
    )
    room = _room(pattern)
    inverse, reduced = room[1], room[-1]
    found = np.empty((points, matrix.size))
    residuals, pivots = np.empty(points), np.empty(points)
    values = sp.csr_array(matrix.values.real)
    entries, x, left = (
        _lanes(n) for n in (len(matrix.indices), matrix.size, matrix.size)
    )
    largest = _lanes(4)
    for first in range(0, points, LANES):
        chosen = np.arange(first, first + LANES) % points
        entries[:] = values @ np.ascontiguousarray(strengths[chosen].T)
        eliminate(entries, *pattern.data, *room)
        x[pattern.unknowns] = reduced
        x[pattern.pin] = 1.0
        check(entries, matrix.indices, matrix.indptr, x, left)
        for k, numbers in enumerate((entries, x, left, inverse)):
            maxima(numbers, largest, k)
        here = slice(first, min(first + LANES, points))
        entry, unknown, rest, reciprocal = largest[:, : here.stop - first]
        found[here] = x.T[: here.stop - first]
        residuals[here] = rest / (unknown * entry)
        pivots[here] = 1 / (reciprocal * entry)
    return found, residuals, pivots


def _room(pattern: Pattern) -> tuple[np.ndarray, ...]:
    """Places for the factors, the reciprocal pivots, a row and the unknowns."""
    size = pattern.size - 1
    return _lanes(pattern.count), _lanes(size), _lanes(size), _lanes(size)


def _lanes(rows: int) -> np.ndarray:
    """An empty array, shape (rows, LANES), of which no row lies on two cache lines."""
    numbers = np.empty((rows + 1) * LANES)
    first = -numbers.ctypes.data % (8 * LANES) // 8
    return numbers[first : first + rows * LANES].reshape(rows, LANES)


@cache
def _compiled(name: str) -> Any:
    return kernels.compiled(_source(), name)


@cache
def _source() -> str:
    functions = (
        elimination.fill,
        elimination.runs,
        elimination.eliminate,
        elimination.residual,
        elimination.maxima,
    )
    pieces = [inspect.getsource(function) for function in functions]
    return kernels.lane_source(pieces, LANES)
