r"""The largest real part of the eigenvalues of a large sparse real matrix J.

The Cayley transform $C = (\sigma - J)^{-1}(\sigma + J)$, $\sigma > 0$, has the eigenvalues
$\mu = (\sigma + \lambda)/(\sigma - \lambda)$: outside of the unit circle for every $\lambda$ with
$\mathrm{Re}\,\lambda > 0$, whatever its frequency, inside for all others. Arnoldi's method finds the largest
$|\mu|$ first, so that a stable matrix is told from an unstable one without a search over frequencies, as far as
the largest eigenvalues converge from a random vector. They are asked for at two $\sigma$ at least; where they converge
at none, all eigenvalues are found, or an error says that they are too many. Within a cluster of eigenvalues any
may be taken for the rightmost one: what is guaranteed is the sign, where all of the cluster have one.
K. Meerbergen, A. Spence, D. Roose, BIT 34, 409 (1994).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.factors import superlu

# Shifts in units of the middle row, eigenvalues at each, vectors that span them, restarts.
_SHIFTS = (1.0, 3.0, 10.0, 0.1)
_COUNT, _SPAN, _RESTARTS = 2, 80, 60
# Relative errors: where the sign is clear, by so many times what eigenvectors leave of (J - lambda) v; and where
# it is not, with what they may leave in units of the largest row.
_LOOSE, _CLEAR = 1e-8, 1e3
_TIGHT, _LEFT = 1e-12, 1e-10
# Shifts that have to converge.
_ENOUGH = 2
# Rows up to which all eigenvalues are found where Arnoldi's method fails.
_DENSE = 4000


def rightmost(matrix: sp.csc_matrix) -> float:
    r"""The largest $\mathrm{Re}\,\lambda$ of those that Arnoldi's method finds.

    Raises:
        SolveError: E508 where nothing converges and J is too large to find all eigenvalues.
    """
    n = matrix.shape[0]
    if n <= _SPAN:
        return float(np.linalg.eigvals(matrix.toarray()).real.max())
    size = np.asarray(abs(matrix).sum(axis=1)).ravel()
    if not size.any():
        return 0.0
    middle = float(np.median(size[size > 0]))
    found, settled = -np.inf, 0
    for shift in _SHIFTS:
        values = _dominant(matrix, shift * middle, _LEFT * float(size.max()))
        if values is not None:
            found, settled = max(found, float(values.real.max())), settled + 1
        if settled >= _ENOUGH:
            return found
    if n <= _DENSE:
        return float(np.linalg.eigvals(matrix.toarray()).real.max())
    if settled:
        return found
    message = f"the eigenvalues of {n} equations of moments did not converge"
    raise SolveError(
        Diagnostic("E508", message, help="ask for time = T, or for fewer moments")
    )


def _dominant(matrix: sp.csc_matrix, shift: float, left: float) -> np.ndarray | None:
    r"""The eigenvalues of J with the largest ones of its Cayley transform; None where they do not converge.

    Far above the shift $\mu$ tells little of $\lambda$, which is found from its vector: $v^\dagger Jv$.
    """
    n = matrix.shape[0]
    factors = superlu(sp.csc_matrix(shift * sp.identity(n, format="csc") - matrix))
    if factors is None:
        return None
    operator = spla.LinearOperator(
        (n, n), matvec=lambda x: 2 * shift * factors.solve(x) - x, dtype=float
    )
    first = np.random.default_rng(0).standard_normal(n)
    for tolerance in (_LOOSE, _TIGHT):
        try:
            _, vectors = spla.eigs(
                operator,
                k=_COUNT,
                which="LM",
                ncv=_SPAN,
                maxiter=_RESTARTS,
                tol=tolerance,
                v0=first,
            )
        except spla.ArpackNoConvergence:
            return None
        images = matrix @ vectors
        values = np.sum(vectors.conj() * images, axis=0)
        rest = float(np.linalg.norm(images - values * vectors, axis=0).max())
        if np.abs(values.real).min() > _CLEAR * rest:
            return values
        first = vectors.real.sum(axis=1)
    return values if rest <= left else None
