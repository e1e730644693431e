"""Linear equations with moving coefficients by DOP853 in fixed steps, compiled.

E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, Sec. II.10.
"""

# mypy: ignore-errors

from __future__ import annotations

import inspect
from functools import lru_cache

import numpy as np

from qsyncdsl.solve.kernels import compiled, module_source


def march(
    indptr: np.ndarray,
    indices: np.ndarray,
    tables: np.ndarray,
    turns: np.ndarray,
    step: float,
    start: np.ndarray,
    starts: np.ndarray,
) -> np.ndarray:
    r"""y after all steps of y' = (D(u) + A(u)) y, D diagonal, for several columns at once.

    The diagonal is exact (J. D. Lawson, SIAM Journal on Numerical Analysis 4, 372 (1967)): with
    $E(u) = \exp\int_{u_n}^u D$ a step solves $z' = E^{-1} A E z$ and ends at $y = E z$.

    Args:
        indptr, indices: Rows of A (CSR), R rows.
        tables: Entries of A at the twelve stages of every step, shape (steps, 12, entries).
        turns: E at these stages, shape (steps, 12, R); the last stage is the end of the step.
        step: Length of a step in u.
        start: Shape (R, C).
        starts: Where blocks of rows begin that A does not join, and where the last one ends; R rows
            from the first to the last.
    """
    a, b, _ = tableau()
    begin = np.ascontiguousarray(start, dtype=complex)
    blocks = np.asarray(starts, dtype=np.int64)
    return _compiled()(indptr, indices, tables, turns, step, begin, blocks, a, b)


@lru_cache(maxsize=1)
def tableau() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SciPy's coefficients A, B and C of the twelve stages."""
    from scipy.integrate import DOP853

    return (
        np.ascontiguousarray(DOP853.A[:12, :12]),
        np.ascontiguousarray(DOP853.B),
        np.ascontiguousarray(DOP853.C[:12]),
    )


def steps(indptr, indices, tables, turns, step, start, starts, a, b):
    """All steps, block by block, so that the stages of a block stay in the cache."""
    found = np.empty(start.shape, dtype=np.complex128)
    for block in range(len(starts) - 1):
        first, last = starts[block], starts[block + 1]
        own = slice(first - starts[0], last - starts[0])
        found[own] = along(
            indptr, indices, tables, turns, step, start[own], first, last, a, b
        )
    return found


def along(indptr, indices, tables, turns, step, start, first, last, a, b):
    """All steps on one block, the rows from `first` to `last`."""
    rows, columns = start.shape
    size = rows * columns
    y = start.copy().reshape(size)
    k = np.empty((12, size), dtype=np.complex128)
    inside = np.empty(size, dtype=np.complex128)
    place = indptr[first : last + 1]
    for n in range(tables.shape[0]):
        for s in range(12):
            inside[:] = y
            for m in range(s):
                add(step * a[s, m], k[m], inside)
            turn = turns[n, s, first:last]
            times(turn, columns, inside)
            slope(place, indices, tables[n, s], turn, inside, first, columns, k[s])
        for s in range(12):
            add(step * b[s], k[s], y)
        times(turns[n, 11, first:last], columns, y)
    return y.reshape(rows, columns)


def add(weight, part, total):
    """total += weight part."""
    if weight != 0.0:
        for j in range(len(total)):
            total[j] += weight * part[j]


def times(turn, columns, y):
    """E y."""
    for r in range(len(turn)):
        for j in range(r * columns, (r + 1) * columns):
            y[j] *= turn[r]


def slope(place, indices, data, turn, y, first, columns, out):
    """E^-1 A y."""
    for r in range(len(turn)):
        back = turn[r].conjugate() / (turn[r].real ** 2 + turn[r].imag ** 2)
        here = r * columns
        if columns == 1:
            total = 0.0j
            for e in range(place[r], place[r + 1]):
                total += data[e] * y[indices[e] - first]
            out[r] = back * total
            continue
        for c in range(columns):
            out[here + c] = 0.0
        for e in range(place[r], place[r + 1]):
            value, column = back * data[e], (indices[e] - first) * columns
            for c in range(columns):
                out[here + c] += value * y[column + c]


@lru_cache(maxsize=1)
def _compiled():
    return compiled(
        module_source(
            [inspect.getsource(f) for f in (add, times, slope, along, steps)]
        ),
        "steps",
    )
