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


@dataclass(frozen=True)
class Answers:
    """Null vectors of many matrices, the pinned unknown 1.

    Attributes:
        vectors: Shape (points, n).
        residuals: The largest |L x| of each in units of max|x| max|L|.
        pivots: The smallest pivot of each in units of max|L|, 0 for a second null vector.
        changes: Along each direction, the pinned unknown 0; shape (points, directions, n).
    """

    vectors: np.ndarray
    residuals: np.ndarray
    pivots: np.ndarray
    changes: np.ndarray


def solve(
    pattern: Pattern,
    matrix: AffineMatrix,
    strengths: np.ndarray,
    directions: np.ndarray | None = None,
) -> Answers:
    r"""Null vectors $L x = 0$ for many sets of strengths, and $dx$ with $L\,dx = -(dL)\,x$.

    Args:
        strengths: Shape (points, K).
        directions: Changes dL of the strengths, shape (points, J, K). With them x is refined once.
    """
    points = len(strengths)
    side = _Side(pattern, matrix, directions is not None)
    sets = strengths[:, None]
    if directions is not None:
        sets = np.concatenate([sets, directions], axis=1)
    moved = sets.shape[1] - 1
    answers = Answers(
        np.empty((points, matrix.size)),
        np.empty(points),
        np.empty(points),
        np.empty((points, moved, matrix.size)),
    )
    values = sp.csr_array(matrix.values.real)
    for first in range(0, points, LANES):
        chosen = np.arange(first, first + LANES) % points
        some = np.ascontiguousarray(sets[chosen].transpose(2, 1, 0))
        entries = values @ some.reshape(len(some), -1)
        entries = entries.reshape(len(entries), moved + 1, LANES)
        here = slice(first, min(first + LANES, points))
        count = here.stop - first
        rest, unknown, entry, reciprocal = side.null(entries[:, 0])[:, :count]
        answers.vectors[here] = side.x.T[:count]
        answers.residuals[here] = rest / (unknown * entry)
        answers.pivots[here] = 1 / (reciprocal * entry)
        for k in range(moved):
            answers.changes[here, k] = side.change(entries[:, k + 1]).T[:count]
    return answers


class _Side:
    """`LANES` matrices side by side: their entries, factors and null vectors.

    Attributes:
        x: Null vectors, shape (n, LANES).

    Args:
        keep: Keep the factors for more right sides, and refine x once by them.
    """

    def __init__(self, pattern: Pattern, matrix: AffineMatrix, keep: bool) -> None:
        self._pattern, self._matrix, self._keep = pattern, matrix, keep
        self._entries, self._moved = (_lanes(len(matrix.indices)) for _ in range(2))
        self.x, self._left = _lanes(matrix.size), _lanes(matrix.size)
        size = pattern.size - 1
        self._factors = _lanes(pattern.count), _lanes(pattern.count if keep else 1)
        self._inverse, self._row, self._reduced = (_lanes(size) for _ in range(3))
        self._largest = _lanes(4)

    def null(self, entries: np.ndarray) -> np.ndarray:
        """Find x; the largest |L x|, |x|, |L| and reciprocal pivot of each lane."""
        data, unknowns = self._pattern.data, self._pattern.unknowns
        self._entries[:] = entries
        _compiled("eliminate")(
            self._entries,
            *data,
            *self._factors,
            self._inverse,
            self._row,
            self._reduced,
        )
        self.x[unknowns] = self._reduced
        self.x[self._pattern.pin] = 1.0
        self._apply(self._entries)
        if self._keep:
            self.x[unknowns] -= self._substituted()
            self._apply(self._entries)
        for k, numbers in enumerate((self._left, self.x, self._entries, self._inverse)):
            _compiled("maxima")(numbers, self._largest, k)
        return self._largest

    def change(self, entries: np.ndarray) -> np.ndarray:
        """dx for the entries of dL, shape (n, LANES)."""
        self._moved[:] = entries
        self._apply(self._moved)
        found = np.empty_like(self.x)
        found[self._pattern.unknowns] = self._substituted()
        found[self._pattern.pin] = 0.0
        return np.negative(found, out=found)

    def _apply(self, entries: np.ndarray) -> None:
        """Put L x into its place."""
        matrix = self._matrix
        _compiled("residual")(
            entries, matrix.indices, matrix.indptr, self.x, self._left
        )

    def _substituted(self) -> np.ndarray:
        """What the matrices without the pinned unknown map to what is left."""
        data = self._pattern.data
        self._reduced[:] = self._left[self._pattern.unknowns]
        _compiled("substitute")(*data[4:], *self._factors, self._inverse, self._reduced)
        return self._reduced


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
        elimination.clear,
        elimination.scatter,
        elimination.noted,
        elimination.keep,
        elimination.back,
        elimination.eliminate,
        elimination.substitute,
        elimination.residual,
        elimination.maxima,
    )
    pieces = [inspect.getsource(function) for function in functions]
    return kernels.lane_source(pieces, LANES)
