r"""Stationary densities of the Fokker-Planck equation, in the basis of Wigner functions of |n><m|.

Multiplication by alpha and derivatives act on Wigner functions as

$$ \alpha W \leftrightarrow \tfrac12(a\rho + \rho a), \quad
   \partial_\alpha W \leftrightarrow \rho a^\dagger - a^\dagger\rho, \quad
   \partial_{\alpha^*} W \leftrightarrow a\rho - \rho a , $$

so that any polynomial Fokker-Planck equation is a sparse linear equation for a matrix rho, which need
not be positive. Every term is a commutator: probability is conserved to rounding at any cutoff, and
the error falls exponentially with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import DensityProblem, OneField, Point
from qsyncdsl.result import Part, QuantumState, SteadyResult, Trust
from qsyncdsl.solve.coefficients import evaluate

# Moments must agree to this between the last two cutoffs.
_ACCURACY = 1e-9
_LARGEST = 110


class FokkerPlanckSolver:
    """Finds the stationary density of one problem at many points."""

    def __init__(self, problem: DensityProblem) -> None:
        self.problem = problem
        self._levels = 16

    def solve(self, point: Point) -> SteadyResult:
        """The stationary density; the cutoff grows until its moments stand still.

        Raises:
            SolveError: E516 where no cutoff is enough.
        """
        c = evaluate(self.problem.coefficients, point.values)
        levels = int(point.options.get("points", 0)) or self._levels
        rho, change = _stationary(self.problem, c, levels), np.inf
        while True:
            larger = int(np.ceil(levels * 1.25)) + 2
            if larger > _LARGEST:
                break
            finer = _stationary(self.problem, c, larger)
            change = float(np.abs(_moments(finer) - _moments(rho)).max())
            rho, levels = finer, larger
            if change < _ACCURACY * max(1.0, float(np.abs(_moments(rho)).max())):
                break
        if not change < 1e-4 * max(1.0, float(np.abs(_moments(rho)).max())):
            raise SolveError(
                Diagnostic(
                    "E516",
                    f"the density does not converge: moments still change by {change:.2g}"
                    f" at {levels} levels",
                    help="is the drift bounded? a negative diffusion makes the equation ill-posed:"
                    " choose diffusion = limit_cycle, or 'langevin', which takes it as 0",
                )
            )
        self._levels = max(int(levels / 1.6), 8)
        state = QuantumState((Part(self.problem.label, "boson", levels),), rho)
        return SteadyResult(state, None, self._trust(rho, c, levels, change))

    def _trust(
        self, rho: np.ndarray, c: np.ndarray, levels: int, change: float
    ) -> Trust:
        lowest = _lowest_diffusion(self.problem.diffusion, c)
        numbers = {
            "truncation_error": change,
            "levels": float(levels),
            "lowest_diffusion": lowest,
        }
        warnings = []
        if lowest < 0:
            warnings.append(
                Diagnostic(
                    "W511",
                    f"the diffusion is negative near the origin (down to {lowest:.3g})",
                    help="the density is a formal solution; choose diffusion = limit_cycle",
                )
            )
        facts = {"scheme": "spectral, Wigner functions of |n><m|"}
        return Trust(numbers, facts, tuple(warnings))


def _stationary(problem: DensityProblem, c: np.ndarray, levels: int) -> np.ndarray:
    """rho of the stationary density, trace 1, shape (levels, levels)."""
    ops = _operators(levels)
    drift = _polynomial(problem.drift, c, ops)
    conjugate = _polynomial(problem.drift, c, ops, conjugate=True)
    generator = -ops["d"] @ drift - ops["d*"] @ conjugate
    generator = generator + ops["d"] @ (
        ops["d*"] @ _polynomial(problem.diffusion, c, ops)
    )
    if problem.squeezing:
        second = ops["d"] @ (ops["d"] @ _polynomial(problem.squeezing, c, ops))
        other = ops["d*"] @ (
            ops["d*"] @ _polynomial(problem.squeezing, c, ops, conjugate=True)
        )
        generator = generator + 0.5 * (second + other)
    # The row of rho_00 is redundant: it becomes the normalization.
    trace = sp.csr_array(
        (np.ones(levels), (np.zeros(levels, int), np.arange(levels) * (levels + 1))),
        shape=generator.shape,
    )
    keep = sp.diags_array(np.r_[0.0, np.ones(generator.shape[0] - 1)])
    matrix = sp.csc_array(keep @ generator + trace)
    right = np.zeros(generator.shape[0], dtype=complex)
    right[0] = 1.0
    try:
        found = splu(matrix).solve(right)
    except RuntimeError:
        raise SolveError(
            Diagnostic(
                "E517", "the Fokker-Planck equation has no unique stationary density"
            )
        ) from None
    rho = found.reshape(levels, levels)
    return np.asarray((rho + rho.conj().T) / 2)


@lru_cache(maxsize=8)
def _operators(levels: int) -> dict[Any, Any]:
    """alpha, alpha*, d and d* as superoperators on rho, flattened by rows."""
    a = sp.diags_array(np.sqrt(np.arange(1.0, levels)), offsets=1, format="csr")
    one = sp.eye_array(levels, format="csr")
    left, right = sp.kron(a, one, "csr"), sp.kron(one, a.T, "csr")
    left_dag, right_dag = sp.kron(a.T, one, "csr"), sp.kron(one, a, "csr")
    return {
        "z": (left + right) / 2,
        "z*": (left_dag + right_dag) / 2,
        "d": right_dag - left_dag,
        "d*": left - right,
        "1": sp.eye_array(levels**2, format="csr"),
    }


def _polynomial(
    terms: OneField, c: np.ndarray, ops: dict[Any, Any], conjugate: bool = False
) -> Any:
    total = ops["1"] * 0j
    for p, q, index in terms:
        value = np.conj(c[index]) if conjugate else c[index]
        p, q = (q, p) if conjugate else (p, q)
        product = ops["1"]
        for _ in range(p):
            product = ops["z*"] @ product
        for _ in range(q):
            product = ops["z"] @ product
        total = total + value * product
    return total


def _moments(rho: np.ndarray) -> np.ndarray:
    """<a>, <a'a>, <aa>, <a'a'aa>."""
    n = np.arange(len(rho), dtype=float)
    first = (np.sqrt(n[1:]) * np.diagonal(rho, -1)).sum()
    pair = (np.sqrt(n[2:] * n[1:-1]) * np.diagonal(rho, -2)).sum()
    populations = np.diagonal(rho).real
    return np.array(
        [first, (n * populations).sum(), pair, (n * (n - 1) * populations).sum()]
    )


def _lowest_diffusion(terms: OneField, c: np.ndarray) -> float:
    """The least value of D, where it depends on |alpha|^2 alone."""
    x = np.linspace(0.0, 50.0, 5001)
    total = np.zeros_like(x)
    for p, q, index in terms:
        if p == q:
            total += c[index].real * x**p
    return float(total.min())
