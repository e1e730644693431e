r"""Stationary states along a stretch of a sweep, by GMRES preconditioned with the LU in its middle.

With $\mathcal{L}_m$ the Liouvillian in the middle of the stretch, one population pinned to 1 and its
equation dropped,

$$ \mathcal{L}_m^{-1}\mathcal{L}\,x = \mathcal{L}_m^{-1} b : $$

some ten iterations where the parameters change by a part of themselves. The middle belongs to the point,
not to what was solved before, so that a point gives the same bits however a sweep is split.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve.direct import Factors, likely_population, pinned
from qsyncdsl.solve.generator import At
from qsyncdsl.solve.krylov import gmres

# Unknowns from which on iterations are cheaper than another LU.
_FEW = 700
# Iterations worth an LU, and after how many of them the rest is foretold.
_MOST, _PATIENCE = 60, 12
_TOLERANCE = 1e-14
# Largest |L x| in units of max|L| max|x| that is an answer, and largest element beside the pinned one.
_RESIDUAL, _LARGEST = 1e-12, 1e6


class Nearby:
    """Keeps the factors of one point."""

    def __init__(self) -> None:
        self._point: At | None = None
        self._factors: Factors | None = None

    def solve(self, at: At, middle: At) -> tuple[np.ndarray, float, int] | None:
        """The density matrix, max|L rho| for unit trace, and the number of iterations.

        None where the stretch is too long for this, or where its unknowns are few.
        """
        if at.generator is not middle.generator or at.generator.unknowns < _FEW:
            return None
        _, factors = self.at(middle)
        if factors is None:
            return None
        matrix = at.matrix
        own = matrix if factors.block is None else factors.block.reduced(matrix)
        found = _iterated(own, factors)
        if found is None:
            return None
        y, steps = found
        x = y if factors.block is None else factors.block.basis @ y
        trace = float(x[at.generator.form.populations].sum())
        left = float(np.abs(matrix @ x).max())
        # A symmetry of the middle alone would show here.
        scale = float(np.abs(matrix.data).max() * np.abs(x).max())
        if not trace or not left <= _RESIDUAL * scale or np.abs(y).max() > _LARGEST:
            return None
        rho = at.generator.sector.to_matrix(at.generator.form.to_complex @ (x / trace))
        return rho, left / abs(trace), steps

    def at(self, at: At) -> tuple[At, Factors | None]:
        """A point, such as the middle of a stretch, with its factors; None where there are none."""
        if not self.has(at):
            # The old ones go before the new ones come.
            self.forget()
            self._point, self._factors = at, _factors(at)
        assert self._point is not None
        return self._point, self._factors

    def has(self, at: At) -> bool:
        """Whether the factors of a point are kept."""
        return self._point is not None and alike(self._point, at)

    def forget(self) -> None:
        """Give the room of the factors free."""
        self._point = self._factors = None

    def keep(self, at: At, factors: Factors | None) -> None:
        """Keep what was found at a point already."""
        self._point, self._factors = (at, factors) if factors else (None, None)


def alike(one: At, other: At) -> bool:
    """Whether two points are one."""
    return one.generator is other.generator and np.array_equal(one.f, other.f)


def _factors(middle: At) -> Factors | None:
    matrix, block = middle.matrix, None
    populations = middle.generator.form.populations
    if middle.blocks:
        block = middle.blocks.even
        matrix = block.reduced(matrix)
        populations = np.flatnonzero(block.first < len(populations))
    if matrix.shape[0] < _FEW:
        return None
    pin = int(populations[likely_population(matrix, populations)])
    factors, _ = pinned(matrix, pin)
    return None if factors is None else replace(factors, block=block)


def _iterated(matrix: sp.csc_array, factors: Factors) -> tuple[np.ndarray, int] | None:
    """The null vector whose pinned element is 1, and the number of iterations."""
    kept = factors.kept
    reduced = sp.csr_array(matrix[:, kept][kept, :])
    column = matrix[:, [factors.pin]].toarray()[kept, 0]
    right = factors.inverse.solve(-column)
    if not np.isfinite(right).all():
        return None
    found = gmres(
        lambda x: factors.inverse.solve(reduced @ x),
        right,
        _TOLERANCE,
        _MOST,
        hopeless=_too_slow,
    )
    if found is None:
        return None
    return np.insert(found.x, factors.pin, 1.0), found.steps


def _too_slow(steps: int, norm: float) -> bool:
    """Whether more iterations are foretold than an LU is worth."""
    each = -np.log10(max(norm, 1e-300)) / steps
    return steps >= _PATIENCE and bool(each * _MOST < -np.log10(_TOLERANCE))
