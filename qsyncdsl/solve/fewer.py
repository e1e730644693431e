r"""A stationary state by the LU of the same point with fewer levels.

The unknowns that both have are solved for by the LU of the smaller Liouvillian, those of the levels
that only the larger one has by its diagonal,

$$ M^{-1} r : \quad z_o = D_{oo}^{-1} r_o , \qquad
   z_i = \mathcal{L}_{\text{fewer}}^{-1}(r_i - \mathcal{L}_{io} z_o) , $$

which leaves some fifteen iterations of GMRES where the new levels are hardly populated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.solve import superoperator
from qsyncdsl.solve.direct import Factors
from qsyncdsl.solve.generator import At
from qsyncdsl.solve.nearby import Nearby

# Part of the unknowns that must be among the fewer, and iterations that are worth an LU.
_PART, _MOST = 0.4, 60
_TOLERANCE = 1e-13
# Largest |L x| in units of max|L| max|x| that is an answer.
_RESIDUAL = 1e-12


def solve_beside(
    at: At, small: At, nearby: Nearby
) -> tuple[np.ndarray, float, int] | None:
    """The density matrix, max|L rho| for unit trace, and the number of iterations.

    Args:
        small: The same point with fewer levels.
        nearby: Where the LU of that point is, or will be.

    None where the LU of the larger one had better be found.
    """
    if small.generator.unknowns < _PART * at.generator.unknowns:
        return None
    factors = nearby.at(small)
    if factors is None or (factors.block is None) != (at.blocks is None):
        return None
    places = _places(at, small, factors)
    if places is None:
        return None
    matrix, even = at.matrix, at.blocks.even if at.blocks else None
    own = matrix if even is None else even.reduced(matrix)
    found = _iterated(own, places, factors)
    if found is None:
        return None
    y, steps = found
    x = y if even is None else even.basis @ y
    left = float(np.abs(matrix @ x).max())
    trace = float(x[at.generator.form.populations].sum())
    scale = float(np.abs(matrix.data).max() * np.abs(x).max())
    if not trace or not left <= _RESIDUAL * scale:
        return None
    rho = at.generator.sector.to_matrix(at.generator.form.to_complex @ (x / trace))
    return rho, left / abs(trace), steps


@dataclass(frozen=True)
class _Places:
    """Where the unknowns of the smaller system are in the larger one, and with which sign."""

    unknown: np.ndarray
    sign: np.ndarray


def _places(at: At, small: At, factors: Factors) -> _Places | None:
    """The unknowns of the larger system; None where it lacks one, or has other parts."""
    few, many = small.generator, at.generator
    dims = [part.dimension for part in many.problem.parts]
    own = [part.dimension for part in few.problem.parts]
    if len(own) != len(dims) or any(a > b for a, b in zip(own, dims, strict=True)):
        return None
    states = np.ravel_multi_index(tuple(superoperator.occupations(few.problem).T), dims)
    # The order of states is the same, so that elements above the diagonal stay there.
    upper = np.flatnonzero(few.form.sign > 0)
    rows, columns = few.sector.rows[upper], few.sector.columns[upper]
    element = many.sector.place[states[rows], states[columns]]
    if (element < 0).any():
        return None
    unknown = np.empty(few.unknowns, dtype=np.int64)
    unknown[few.form.re[upper]] = many.form.re[element]
    off = few.form.im[upper] >= 0
    unknown[few.form.im[upper[off]]] = many.form.im[element[off]]
    if factors.block is None or at.blocks is None:
        return _Places(unknown, np.ones(len(unknown)))
    basis = sp.csr_array(at.blocks.even.basis)
    first = unknown[factors.block.first]
    if (np.diff(basis.indptr)[first] != 1).any():
        return None
    entry = basis.indptr[first]
    return _Places(basis.indices[entry].astype(np.int64), basis.data[entry])


def _iterated(
    matrix: sp.csc_array, places: _Places, factors: Factors
) -> tuple[np.ndarray, int] | None:
    """The null vector whose pinned element is 1, and the number of iterations."""
    size = matrix.shape[0]
    pin = int(places.unknown[factors.pin])
    kept = np.delete(np.arange(size), pin)
    # Places among those that are kept: one less behind the pinned one.
    unknown = places.unknown[factors.kept]
    inner = unknown - (unknown > pin)
    sign = places.sign[factors.kept]
    outside = np.ones(size - 1, dtype=bool)
    outside[inner] = False
    outer = np.flatnonzero(outside)
    if len(outer) + len(inner) != size - 1:
        return None
    reduced = sp.csr_array(matrix[:, kept][kept, :])
    diagonal = reduced.diagonal()[outer]
    if not diagonal.all():
        return None
    across = reduced[inner, :][:, outer]
    right = -matrix[:, [pin]].toarray()[kept, 0]

    def solved(r: np.ndarray) -> np.ndarray:
        z = np.empty(size - 1)
        z[outer] = r[outer] / diagonal
        z[inner] = sign * factors.inverse.solve(sign * (r[inner] - across @ z[outer]))
        return z

    steps: list[float] = []
    operator: Any = spla.LinearOperator(
        reduced.shape, lambda x: solved(reduced @ x), dtype=float
    )
    start = solved(right)
    if not np.isfinite(start).all():
        return None
    x, failed = spla.gmres(
        operator,
        start,
        rtol=_TOLERANCE,
        atol=0.0,
        restart=_MOST,
        maxiter=1,
        callback=steps.append,
        callback_type="pr_norm",
    )
    return None if failed else (np.insert(x, pin, 1.0), len(steps))
