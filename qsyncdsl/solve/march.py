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
    step: float,
    start: np.ndarray,
    rows: tuple[int, int],
) -> np.ndarray:
    """y after all steps of y' = A(u) y, for several columns at once.

    Args:
        indptr, indices: Rows of A (CSR), R rows.
        tables: Entries of A at the twelve stages of every step, shape (steps, 12, entries).
        step: Length of a step in u.
        start: Shape (R, C).
        rows: Which rows of A, where these are a block of their own.
    """
    a, b, _ = tableau()
    first, last = rows
    part = indptr[first : last + 1]
    begin = np.ascontiguousarray(start, dtype=complex)
    return _compiled()(part, indices, tables, step, begin, first, a, b)


@lru_cache(maxsize=1)
def tableau() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SciPy's coefficients A, B and C of the twelve stages."""
    from scipy.integrate import DOP853

    return (
        np.ascontiguousarray(DOP853.A[:12, :12]),
        np.ascontiguousarray(DOP853.B),
        np.ascontiguousarray(DOP853.C[:12]),
    )


def steps(indptr, indices, tables, step, start, offset, a, b):
    """All steps on one block; `offset` is its first row."""
    rows, columns = start.shape
    y = start.copy()
    k = np.empty((12, rows, columns), dtype=np.complex128)
    inside = np.empty((rows, columns), dtype=np.complex128)
    for n in range(tables.shape[0]):
        for s in range(12):
            inside[:] = y
            for m in range(s):
                w = step * a[s, m]
                if w != 0.0:
                    for r in range(rows):
                        for c in range(columns):
                            inside[r, c] += w * k[m, r, c]
            data = tables[n, s]
            for r in range(rows):
                for c in range(columns):
                    k[s, r, c] = 0.0
                for e in range(indptr[r], indptr[r + 1]):
                    value, column = data[e], indices[e] - offset
                    for c in range(columns):
                        k[s, r, c] += value * inside[column, c]
        for s in range(12):
            w = step * b[s]
            if w != 0.0:
                for r in range(rows):
                    for c in range(columns):
                        y[r, c] += w * k[s, r, c]
    return y


@lru_cache(maxsize=1)
def _compiled():
    return compiled(module_source([inspect.getsource(steps)]), "steps")
