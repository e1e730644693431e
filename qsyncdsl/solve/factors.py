"""Sparse LU by SuperLU, or by the PARDISO of MKL where `pypardiso` is installed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.blas import one_thread


class Factored(Protocol):
    """A matrix that was factorized."""

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution x of A x = right, shape (n,)."""


# None for a matrix that is seen to be singular.
Factorize = Callable[[sp.csc_matrix], Factored | None]


def factorization(solver: str) -> Factorize:
    """What factorizes matrices under an option `solver`.

    Raises:
        SolveError: E518 where PARDISO is wanted and not installed.
    """
    if solver != "pardiso":
        return superlu
    try:
        import pypardiso  # type: ignore[import-not-found,unused-ignore] # noqa: F401
    except ImportError as missing:
        raise SolveError(
            Diagnostic(
                "E518",
                f"solver = pardiso needs pip install 'qsyncdsl[pardiso]' ({missing})",
                help="use solver = direct",
            )
        ) from None
    return pardiso


def superlu(matrix: sp.csc_matrix) -> Factored | None:
    """SuperLU in symmetric mode first, with full pivoting where that fails."""
    if not np.diff(matrix.indptr).all():
        return None
    for options in (
        {
            "permc_spec": "MMD_AT_PLUS_A",
            "diag_pivot_thresh": 0.01,
            "options": {"SymmetricMode": True},
        },
        {"permc_spec": "COLAMD"},
    ):
        try:
            with one_thread():
                found: Factored = spla.splu(matrix, **options)
        except RuntimeError:
            continue
        return found
    return None


def pardiso(matrix: sp.csc_matrix) -> Factored | None:
    """PARDISO for real matrices without symmetry; complex ones are left to SuperLU."""
    if np.iscomplexobj(matrix.data):
        return superlu(matrix)
    if not np.diff(matrix.indptr).all():
        return None
    return _Pardiso(sp.csr_matrix(matrix))


class _Pardiso:
    """Factors that lie in the memory of MKL."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        from pypardiso import PyPardisoSolver

        self._matrix = matrix
        self._solver: Any = PyPardisoSolver(mtype=11)
        # Python does not see that memory.
        weakref.finalize(self, self._solver.free_memory, everything=True)
        self._solver.factorize(matrix)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution of A x = right."""
        return np.asarray(self._solver.solve(self._matrix, right))
