r"""Many linear systems of one sparsity pattern at once: elimination without pivoting, side by side.

The order of elimination and the pattern of the factors are found once, for the pattern of $A + A^T$. The
numbers of `LANES` matrices lie side by side, so that every step of the elimination is a vector operation.
Without pivoting the answers must be checked: the residual of each is given back.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.solve import elimination, kernels
from qsyncdsl.solve.superoperator import AffineMatrix

LANES = 32


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
    behind = _behind(rows)
    lower, lower_start, width = _runs(behind)
    upper = np.concatenate([*behind, np.zeros(0, dtype=np.int64)])
    upper_start = np.concatenate([[0], np.cumsum([len(b) for b in behind])])
    data = [rows.data - 1, rows.indices, rows.indptr, right_slot]
    data += [np.array(x) for x in (lower, lower_start, width, upper, upper_start)]
    numbers = tuple(np.ascontiguousarray(x, dtype=np.int64) for x in data)
    return Pattern(matrix.size, keep[order], pin, numbers, len(upper))


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


def _behind(rows: sp.csr_array) -> list[np.ndarray]:
    """For each eliminated row the columns of its factors behind the diagonal."""
    pattern = sp.csr_array(abs(rows) + abs(rows).T)
    pattern.sort_indices()
    found: list[np.ndarray] = []
    children: list[list[np.ndarray]] = [[] for _ in range(rows.shape[0])]
    for k in range(rows.shape[0]):
        own = pattern.indices[pattern.indptr[k] : pattern.indptr[k + 1]]
        merged = np.unique(np.concatenate([own[own > k], *children[k]]))
        found.append(merged)
        if len(merged):
            children[merged[0]].append(merged[1:])
    return found


def _runs(behind: list[np.ndarray]) -> tuple[list[int], list[int], list[int]]:
    """The rows that reduce each row, in runs of 1, 2 or 4 rows with one pattern."""
    size = len(behind)
    alike = [
        len(behind[k]) == len(behind[k + 1]) + 1
        and behind[k][0] == k + 1
        and np.array_equal(behind[k][1:], behind[k + 1])
        for k in range(size - 1)
    ]
    # Length of the run of alike rows that begins at each row.
    length = [1] * size
    for k in range(size - 2, -1, -1):
        length[k] = length[k + 1] + 1 if alike[k] else 1
    rows = np.concatenate([*behind, np.zeros(0, dtype=np.int64)])
    from_row = np.repeat(np.arange(size), [len(b) for b in behind])
    order = np.argsort(rows, kind="stable")
    ends = np.searchsorted(rows[order], np.arange(size + 1))
    reduced_by = from_row[order].tolist()
    lower: list[int] = []
    width: list[int] = []
    start = [0]
    for i in range(size):
        place, end = int(ends[i]), int(ends[i + 1])
        while place < end:
            k = reduced_by[place]
            run = min(length[k], end - place, i - k, 4)
            run = 2 if run == 3 else run
            lower.append(k)
            width.append(run)
            place += run
        start.append(len(lower))
    return lower, start, width


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
    call = _compiled()
    room = _room(pattern)
    found = np.empty((points, matrix.size))
    residuals, pivots = np.empty(points), np.empty(points)
    columns = np.repeat(np.arange(matrix.size), np.diff(matrix.indptr))
    sums = sp.csr_array(
        (np.ones(len(columns)), (matrix.indices, np.arange(len(columns)))),
        shape=(matrix.size, len(columns)),
    )
    for first in range(0, points, LANES):
        chosen = np.arange(first, first + LANES) % points
        entries = np.ascontiguousarray((matrix.values @ strengths[chosen].T).real)
        call(entries, *pattern.data, *room)
        x = np.empty((matrix.size, LANES))
        x[pattern.unknowns] = room[-1]
        x[pattern.pin] = 1.0
        count = min(LANES, points - first)
        left = np.abs(sums @ (entries * x[columns])).max(axis=0)
        largest = np.abs(entries).max(axis=0)
        scale = np.abs(x).max(axis=0) * largest
        found[first : first + count] = x.T[:count]
        residuals[first : first + count] = (left / scale)[:count]
        least = 1 / (np.abs(room[1]).max(axis=0) * largest)
        pivots[first : first + count] = least[:count]
    return found, residuals, pivots


def _room(pattern: Pattern) -> tuple[np.ndarray, ...]:
    size = pattern.size - 1
    return (
        np.empty((pattern.count, LANES)),
        np.empty((size, LANES)),
        np.empty((size, LANES)),
        np.empty((size, LANES)),
    )


@lru_cache(maxsize=1)
def _compiled() -> Any:
    source = kernels.lane_source([inspect.getsource(elimination.eliminate)], LANES)
    return kernels.compiled(source, "eliminate")
