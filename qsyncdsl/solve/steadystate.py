r"""Stationary density matrices, $\mathcal{L}\rho = 0$, $\operatorname{Tr}\rho = 1$, in the invariant sector.

Two ways: sparse LU of the real form of the Liouvillian, or GMRES preconditioned by the evolution without
jumps where the fill of an LU would explode. Every answer is checked by its residual.
"""

from __future__ import annotations

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import QuantumState, SteadyResult, Trust
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.checks import refuse_unphysical, state_trust
from qsyncdsl.solve.direct import direct
from qsyncdsl.solve.generator import At, Generator, prepare
from qsyncdsl.solve.nojump import no_jump_steadystate

# Real unknowns up to which the sparse LU is taken without asking for its fill.
_DIRECT_UNKNOWNS = 6000
_RESIDUAL = 1e-9


class SteadyStateSolver:
    """Solves one problem at any number of points; what does not change is kept."""

    def __init__(
        self, problem: LindbladProblem, solver: str = "automatic", backend: str = "own"
    ) -> None:
        self.problem = problem
        self.solver = solver
        self.backend = backend
        self._generators: dict[frozenset[int], Generator] = {}

    def at(self, point: Point) -> At:
        """The generator at a point.

        Raises:
            SolveError: E501 (memory), E502 (H not Hermitian), E503 (a rate).
        """
        f = coefficients.evaluate(self.problem.coefficients, point.values)
        refuse_unphysical(self.problem, f)
        on = superoperator.active(self.problem, f)
        if on not in self._generators:
            self._generators[on] = prepare(self.problem, on)
        generator = self._generators[on]
        return At(generator, f, superoperator.strengths(generator.sides, f))

    def solve(self, point: Point) -> SteadyResult:
        """The stationary state at a point.

        Raises:
            SolveError: Also E504 (not unique and no initial state), E505 (no convergence).
        """
        if self.problem.coefficients.time_dependent or self.problem.kicks:
            raise SolveError(
                Diagnostic(
                    "E506",
                    "a model that depends on time has no stationary state",
                    help="solve by 'evolve'",
                )
            )
        at = self.at(point)
        if self.backend == "qutip":
            from qsyncdsl.solve.qutip_door import steadystate

            return self._finish(
                at, steadystate(self.problem, at.f), {"solver": "qutip"}
            )
        if self._iterative(at):
            answer = no_jump_steadystate(at.generator, at.f)
            if answer is not None:
                rho, iterations = answer
                solver = f"no-jump preconditioned GMRES, {iterations} iterations"
                return self._finish(at, rho, {"solver": solver})
        rho, warnings = direct(at, point)
        solver = f"sparse LU, {at.generator.unknowns} unknowns"
        return self._finish(at, rho, {"solver": solver}, warnings)

    def _iterative(self, at: At) -> bool:
        if self.solver != "automatic":
            return self.solver == "iterative"
        return at.generator.unknowns > _DIRECT_UNKNOWNS

    def _finish(
        self,
        at: At,
        rho: np.ndarray,
        facts: dict[str, str],
        given: tuple[Diagnostic, ...] = (),
    ) -> SteadyResult:
        """Normalize, check and describe."""
        rho = rho / np.trace(rho)
        rho = (rho + rho.conj().T) / 2
        scale = max(np.abs(at.g).max(initial=0.0), 1e-300)
        residual = float(np.abs(at.apply(rho)).max() / scale)
        if not np.isfinite(residual) or residual > _RESIDUAL:
            raise SolveError(
                Diagnostic(
                    "E505",
                    f"no stationary state was found: the residual is {residual:.2g}",
                    help="try solve steadystate(solver = iterative), or 'evolve'",
                )
            )
        labels = [part.label for part in self.problem.parts]
        facts = {**facts, "symmetry": at.generator.symmetry.describe(labels)}
        state = QuantumState(self.problem.parts, rho)
        numbers, warnings = state_trust(state)
        return SteadyResult(
            state, at, Trust({"residual": residual, **numbers}, facts, given + warnings)
        )
