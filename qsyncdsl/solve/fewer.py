r"""What more levels change of a stationary state, by the LU of the state that is there.

The state $\rho_0$ of the fewer levels, with nothing in the new ones, leaves $r = -\mathcal{L}\rho_0$ at
their edge. What is missing, $\mathcal{L}\,\delta = r$, is looked for by GMRES to a thousandth of itself: on
the unknowns that both have the LU of the smaller Liouvillian goes before it, on the others its diagonal,

$$ M^{-1} r : \quad z_o = D_{oo}^{-1} r_o , \qquad
   z_i = \mathcal{L}_{\text{fewer}}^{-1}(r_i - \mathcal{L}_{io} z_o) , $$

which leaves some five iterations where the new levels are hardly populated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve.direct import Factors
from qsyncdsl.solve.generator import At
from qsyncdsl.solve.krylov import gmres
from qsyncdsl.solve.superoperator import embedded

# Part of the unknowns that must be among the fewer, and iterations that are worth an LU.
_PART, _MOST = 0.4, 60
# Part of delta that is left, and of L rho_0 that the answer may leave.
_TOLERANCE, _LEFT = 1e-3, 0.1


def corrected(at: At, small: At, factors: Factors) -> tuple[np.ndarray, int] | None:
    """The density matrix of unit trace but for a thousandth of what the new levels change, and the iterations.

    Args:
        small: The same point with fewer levels.
        factors: The LU of that.

    None where the LU of the larger one had better be found.
    """
    few, many = small.generator, at.generator
    place = _places(small, at) if few.unknowns >= _PART * many.unknowns else None
    if place is None or not _as_symmetric(many, small, factors):
        return None
    beside = _Beside(at.matrix, place, factors)
    found = beside.iterated()
    if found is None:
        return None
    x, steps = found
    trace = float(x[many.form.populations].sum())
    if not trace:
        return None
    return many.sector.to_matrix(many.form.to_complex @ (x / trace)), steps


def _as_symmetric(many: Any, small: At, factors: Factors) -> bool:
    """Whether parts that are exchanged are alike with more levels, too."""
    if factors.block is None or small.blocks is None:
        return True
    sizes = [part.dimension for part in many.problem.parts]
    return all(
        sizes[j] == sizes[k]
        for exchange in small.blocks.found
        for k, j in enumerate(exchange.order)
    )


def _places(small: At, at: At) -> np.ndarray | None:
    """Which unknowns of the larger system those of the smaller one are; None where it lacks one."""
    few, many = small.generator, at.generator
    states = embedded(few.problem, many.problem)
    if states is None:
        return None
    # The order of states is the same, so that elements above the diagonal stay there.
    upper = np.flatnonzero(few.form.sign > 0)
    rows, columns = few.sector.rows[upper], few.sector.columns[upper]
    element = many.sector.place[states[rows], states[columns]]
    if (element < 0).any():
        return None
    place = np.empty(few.unknowns, dtype=np.int64)
    place[few.form.re[upper]] = many.form.re[element]
    off = few.form.im[upper] >= 0
    place[few.form.im[upper[off]]] = many.form.im[element[off]]
    return place


@dataclass(frozen=True)
class _Beside:
    """The larger system, and how it is solved by the LU of the smaller one.

    Attributes:
        matrix: All of it.
        place: Of the unknowns of the smaller one.
    """

    matrix: sp.csc_array
    place: np.ndarray
    factors: Factors

    def iterated(self) -> tuple[np.ndarray, int] | None:
        """The null vector whose pinned element is 1, and the number of iterations."""
        factors, size = self.factors, self.matrix.shape[0]
        outer = np.ones(size, dtype=bool)
        outer[self.place] = False
        diagonal = self.matrix.diagonal()[outer]
        if not diagonal.all():
            return None
        reciprocal = np.zeros(size)
        reciprocal[outer] = 1 / diagonal

        def solved(r: np.ndarray) -> np.ndarray:
            z = reciprocal * r
            inner = (r - self.matrix @ z)[self.place]
            z[self.place] = factors.spread(factors.solve(inner), 0.0)
            return z

        first = np.zeros(size)
        first[self.place] = factors.spread(factors.null, 1.0)
        right = -(self.matrix @ first)
        start = solved(right)
        if not np.isfinite(start).all():
            return None
        found = gmres(lambda x: solved(self.matrix @ x), start, _TOLERANCE, _MOST)
        if found is None or found.failed:
            return None
        x = first + found.x
        # What the exchanges of the smaller system hide would be left.
        left = np.abs(self.matrix @ x).max()
        if left > _LEFT * np.abs(right).max():
            return None
        return x, found.steps
