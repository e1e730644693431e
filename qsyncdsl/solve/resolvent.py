r"""$(\mathcal{L} + i\omega)^{-1}x$ of a large sector at many frequencies, from one factorization.

The space spanned by $x, (\mathcal{L}-\sigma)^{-1}x, (\mathcal{L}-\sigma)^{-2}x, \dots$ holds the answer at all
frequencies near $\sigma$; at each one the equation is solved within that space, and what is left of it tells
whether the space has to grow.

References:
    A. Ruhe, "Rational Krylov sequence methods for eigenvalue computation", Linear Algebra Appl. 58, 391 (1984).
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.solve.blas import one_thread

# What may be left of the equation, relative to its right side.
_LEFT = 1e-10
# By how much fewer vectors may change a value in time, relative to the first one, and how many fewer.
_CHANGE, _FEWER = 1e-9, 10
# Highest lines at which the equation is solved before they are told.
_LOOKED_AT = 6
# Vectors that are added at once, and the most of them.
_AT_ONCE, _MOST = 20, 240


class Resolvent:
    """Solutions of $(\\mathcal{L} + i\\omega)y = x$ for one x.

    Args:
        matrix: The generator on a sector, sparse.
        start: x, without a part that does not decay.
        populations: Places of the sector's populations; the sum of those of x is 0.
    """

    def __init__(
        self, matrix: sp.csc_array, start: np.ndarray, populations: np.ndarray
    ) -> None:
        self._populations = populations
        self._matrix, self._start = sp.csc_array(matrix), start.astype(complex)
        self._size = float(np.linalg.norm(start))
        first = self._start / self._size
        middle = complex(first.conj() @ (self._matrix @ first))
        # beside the axis, so that the zero of a stationary state is none of the matrix
        shift = (
            abs(middle.real)
            + 1e-3 * float(np.abs(matrix.data).max())
            + 1j * middle.imag
        )
        eye = sp.eye_array(len(start), format="csc")
        with one_thread():
            self._factors = spla.splu(sp.csc_matrix(self._matrix - shift * eye))
        self._basis = first[:, None]
        self._images = (self._matrix @ first)[:, None]
        self._inside = self._basis.conj().T @ self._images
        self._full = False

    def at(self, frequency: float) -> np.ndarray:
        """The solution at a frequency, shape (n,)."""
        while True:
            y, left = self._within(frequency)
            if left <= _LEFT * self._size:
                return self._basis @ y
            if self._full or self._basis.shape[1] >= _MOST:
                return self._alone(frequency)
            self._grow()

    def in_time(self, end: np.ndarray, t: float) -> complex | None:
        """end . exp(L t) x; None where the space cannot grow enough for it."""
        first = abs(complex(end @ self._start))
        least = 1e-3 * float(np.linalg.norm(end)) * self._size
        while True:
            count = self._basis.shape[1]
            if count > _FEWER:
                value, other = (self._moved(end, t, n) for n in (count, count - _FEWER))
                if abs(value - other) <= _CHANGE * max(first, least):
                    return value
            if self._full or count >= _MOST:
                return None
            self._grow()

    def lines(self, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rates and weights of the exponentials that make up end . exp(L t) x, as far as the space holds them."""
        values, weights = self._lines(end)
        for k in np.argsort(-np.abs(weights / values.real))[:_LOOKED_AT]:
            self.at(-float(values[k].imag))
        return self._lines(end)

    def _lines(self, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exponentials of the space as it is."""
        if self._basis.shape[1] <= _FEWER:
            self._grow()
        count = self._basis.shape[1]
        values, vectors = np.linalg.eig(self._small(count))
        right = np.zeros(count, dtype=complex)
        right[0] = self._size
        weights = np.linalg.lstsq(vectors, right, rcond=None)[0]
        return values, weights * ((end @ self._basis) @ vectors)

    def _moved(self, end: np.ndarray, t: float, count: int) -> complex:
        """end . exp(L t) x in the space of so many vectors."""
        moved = scipy.linalg.expm(self._small(count) * t)[:, 0]
        return complex((end @ self._basis[:, :count]) @ moved * self._size)

    def _small(self, count: int) -> np.ndarray:
        """L within the first vectors."""
        return self._inside[:count, :count].copy()

    def _within(self, frequency: float) -> tuple[np.ndarray, float]:
        """Coordinates of the solution in the space, and the norm of what is left of the equation."""
        small = self._small(self._basis.shape[1])
        small += 1j * frequency * np.eye(len(small))
        right = np.zeros(len(small), dtype=complex)
        right[0] = self._size
        try:
            y = np.linalg.solve(small, right)
        except np.linalg.LinAlgError:
            y = np.linalg.lstsq(small, right, rcond=None)[0]
        miss = self._images @ y + 1j * frequency * (self._basis @ y) - self._start
        return y, float(np.linalg.norm(miss))

    def _grow(self) -> None:
        """More vectors, each from the one before."""
        last, found = self._basis[:, -1], [self._basis]
        for _ in range(_AT_ONCE):
            whole = np.hstack(found)
            next_ = self._factors.solve(last)
            size = float(np.linalg.norm(next_))
            for _ in range(2):
                next_ = next_ - whole @ (whole.conj().T @ next_)
            left = float(np.linalg.norm(next_))
            if left < 1e-12 * size:
                self._full = True
                break
            last = self._without_trace(next_ / left)
            found.append(last[:, None])
        new = np.hstack(found)[:, self._basis.shape[1] :]
        self._basis = np.hstack([self._basis, new])
        self._images = np.hstack([self._images, self._matrix @ new])
        self._inside = self._basis.conj().T @ self._images

    def _without_trace(self, x: np.ndarray) -> np.ndarray:
        """x without the rounding that would bring in the stationary state."""
        if len(self._populations):
            x[self._populations] -= x[self._populations].mean()
        return x

    def _alone(self, frequency: float) -> np.ndarray:
        """The solution from a factorization of its own."""
        eye = sp.eye_array(len(self._start), format="csc")
        with one_thread():
            factors = spla.splu(sp.csc_matrix(self._matrix + 1j * frequency * eye))
        return np.asarray(factors.solve(self._start))
