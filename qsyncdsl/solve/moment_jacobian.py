r"""The Jacobian of closed equations of moments in real numbers: what Newton's method and stability need of it.

With $\delta\dot m = P\,\delta m + Q\,\delta m^*$ and a complex moment as two rows,

$$
    J = \begin{pmatrix} \mathrm{Re}(P + Q) & \mathrm{Im}(Q - P) \\
                        \mathrm{Im}(P + Q) & \mathrm{Re}(P - Q) \end{pmatrix} .
$$
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.polynomials import Slope, Sum, real_form

# Small closures need no sparse matrices: their import takes as long as a plane of them.
if TYPE_CHECKING:
    import scipy.sparse as sp

# What takes rates of moments to changes of moments.
Inverse = Callable[[np.ndarray], np.ndarray]
# Rows of the real form that are not zero for all times, bounds of all of them, places among these rows.
Form = tuple[np.ndarray, np.ndarray, np.ndarray]

# Rows from which on a Jacobian is sparse, and the share of elements that are not zero up to which it is.
_LARGE, _THIN = 400, 0.05
# Matrices that a dense one takes with its P, Q and eigenvalues; bytes that are not looked for.
_COPIES, _SMALL = 6, 1e8
# Part of the largest rate that is taken off a singular Jacobian: a step of implicit Euler over a long time,
# which leaves alone what is conserved.
_LONG = 1e-11


class Jacobian(Protocol):
    """J at moments of shape (M,), at one point."""

    def at(self, m: np.ndarray) -> Any:
        """The matrix."""

    def inverse(self, matrix: Any) -> Inverse | None:
        """J^-1 of the rates of the moments, shape (M,); None where there is none."""

    def fastest(self, matrix: Any) -> float:
        """The largest sum of absolute values of a row."""

    def growth(self, matrix: Any) -> float:
        """The largest real part of an eigenvalue."""


def jacobian(
    slopes: tuple[Slope, ...], form: Form, pattern: Pattern | None, drift: Sum
) -> Jacobian:
    """J for the numbers of one point.

    Raises:
        SolveError: E501 for one that does not fit in memory.
    """
    if pattern is not None:
        return SparseJacobian(pattern, drift)
    refuse_dense(slopes[0].shape[0])
    return DenseJacobian(*(slope.of(drift) for slope in slopes))


def refuse_dense(count: int) -> None:
    """E501 for a Jacobian of many moments that is no sparse one and does not fit."""
    needed = _COPIES * 8.0 * (2 * count) ** 2
    if needed < _SMALL:
        return
    from qsyncdsl.solve.generator import available_memory

    room = available_memory()
    if needed > room:
        message = (
            f"the Jacobian of {count} moments needs about {needed / 1e9:.3g} GB, "
            f"{room / 1e9:.3g} GB are free"
        )
        help_ = "lower the order, or ask for time = T"
        raise SolveError(Diagnostic("E501", message, help=help_))


def thin_pattern(slopes: tuple[Slope, ...], form: Form) -> Pattern | None:
    """Where J is not zero; None where it is small, or has too many of these elements."""
    n = len(form[0])
    terms = sum(len(slope.terms) for slope in slopes)
    if n <= _LARGE or not terms:
        return None
    found = Pattern.of(slopes, form)
    return found if found.scatter.shape[0] < _THIN * n * n else None


@dataclass(frozen=True)
class DenseJacobian:
    """J of few moments, with all rows.

    Attributes:
        plain, other: P and Q as polynomials.
    """

    plain: Sum
    other: Sum

    def at(self, m: np.ndarray) -> np.ndarray:
        """J, shape (2M, 2M)."""
        return real_form(self.plain.at(m), self.other.at(m))

    def inverse(self, matrix: np.ndarray) -> Inverse:
        """J^-1 of rates; the shortest one of a singular J."""

        def solve(rate: np.ndarray) -> np.ndarray:
            right = np.ascontiguousarray(rate).view(float)
            try:
                found = np.linalg.solve(matrix, right)
            except np.linalg.LinAlgError:
                found = np.linalg.lstsq(matrix, right, rcond=None)[0]
            return np.asarray(found).view(complex)

        return solve

    def fastest(self, matrix: np.ndarray) -> float:
        """The largest sum of absolute values of a row."""
        return float(np.abs(matrix).sum(axis=1).max())

    def growth(self, matrix: np.ndarray) -> float:
        """The largest real part of an eigenvalue: of all of them."""
        return float(np.linalg.eigvals(matrix).real.max())


@dataclass(frozen=True)
class Pattern:
    """Where J is not zero, and how its entries come from those of P and Q.

    Attributes:
        rows: Of the real form, those that are not zero for all times.
        slopes: P and Q with the places among their entries in place of those in the matrix.
        scatter: Real and imaginary parts of these to the entries of J, in the order of its columns.
        indices, indptr: Of J as a matrix of sparse columns.
    """

    rows: np.ndarray
    slopes: tuple[Slope, Slope]
    scatter: sp.csr_array
    indices: np.ndarray
    indptr: np.ndarray

    @classmethod
    def of(cls, slopes: tuple[Slope, ...], form: Form) -> Pattern:
        """The pattern of two derivatives."""
        from scipy.sparse import csr_array

        rows, _, places = form
        compact, entries = [], []
        begin = 0
        for slope, sign in zip(slopes, (1.0, -1.0), strict=True):
            target, *rest = slope.arrays
            elements, where = np.unique(target, return_inverse=True)
            size = len(elements)
            compact.append(Slope(slope.terms, slope.powers, (where, *rest), (size,)))
            i, j = np.divmod(elements, slope.shape[-1])
            for a in (0, 1):
                for b in (0, 1):
                    # columns of the imaginary part are i times those of the real one
                    part = a ^ b
                    weight = (1.0 if a or not b else -1.0) * (sign if b else 1.0)
                    source = begin + 2 * np.arange(size) + part
                    entry = places[2 * i + a], places[2 * j + b], source
                    kept = (entry[0] >= 0) & (entry[1] >= 0)
                    weights = np.full(size, weight)
                    entries.append([x[kept] for x in (*entry, weights)])
            begin += 2 * size
        row, column, source, weights = map(np.concatenate, zip(*entries, strict=True))
        n = len(rows)
        flat, where = np.unique(column * n + row, return_inverse=True)
        scatter = csr_array((weights, (where, source)), shape=(len(flat), begin))
        indptr = np.searchsorted(flat, n * np.arange(n + 1))
        return cls(
            rows, (compact[0], compact[1]), scatter,
            (flat % n).astype(np.int32), indptr.astype(np.int32),
        )  # fmt: skip


class SparseJacobian:
    """J of many moments, whose elements are mostly zero, for the rows that are not zero for all times."""

    def __init__(self, pattern: Pattern, drift: Sum) -> None:
        self.pattern = pattern
        self._sums = tuple(slope.of(drift) for slope in pattern.slopes)

    def at(self, m: np.ndarray) -> sp.csc_matrix:
        """J, shape (n, n)."""
        from scipy.sparse import csc_matrix

        pattern = self.pattern
        values = np.concatenate([one.at(m) for one in self._sums]).view(float)
        n = len(pattern.rows)
        arrays = pattern.scatter @ values, pattern.indices.copy(), pattern.indptr.copy()
        found = csc_matrix(arrays, shape=(n, n))
        found.eliminate_zeros()
        return found

    def inverse(self, matrix: sp.csc_matrix) -> Inverse | None:
        """J^-1 of rates; None where there is none."""
        from scipy.sparse import csc_matrix, identity

        from qsyncdsl.solve.factors import superlu

        rows = self.pattern.rows
        factors = superlu(matrix)
        if factors is None:
            shift = _LONG * self.fastest(matrix)
            factors = superlu(csc_matrix(matrix - shift * identity(len(rows))))
        if factors is None:
            return None
        chosen = factors

        def solve(rate: np.ndarray) -> np.ndarray:
            right = np.ascontiguousarray(rate).view(float)
            found = np.zeros(len(right))
            found[rows] = chosen.solve(right[rows])
            return found.view(complex)

        return solve

    def fastest(self, matrix: sp.csc_matrix) -> float:
        """The largest sum of absolute values of a row."""
        return float(abs(matrix).sum(axis=1).max())

    def growth(self, matrix: sp.csc_matrix) -> float:
        """The largest real part of an eigenvalue, as `rightmost` finds it."""
        from qsyncdsl.solve.rightmost import rightmost

        return rightmost(matrix)
