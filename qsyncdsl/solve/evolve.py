r"""Density matrices in time, $\dot\rho = \mathcal{L}(t)\rho$, on the sectors that the start reaches.

Constant generators: exact exponentials for small sectors, else an adaptive implicit or explicit
integration. Time-dependent ones are always integrated adaptively, with a step bound so that no pulse
is missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.integrate import solve_ivp

from qsyncdsl.algebra.windows import PlacedStart
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import EvolutionResult, FloquetResult, QuantumState, Trust
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.blas import one_thread
from qsyncdsl.solve.checks import refuse_unphysical, state_trust
from qsyncdsl.solve.kicked import evolve_kicked, refuse_backend

# Elements of a sector up to which a dense exponential is taken.
_DENSE = 700
_RELATIVE = 1e-9
_ABSOLUTE = 1e-11


@dataclass(frozen=True)
class _Reached:
    """A sector that the initial state occupies, with its part of it."""

    where: superoperator.Sector
    generator: superoperator.AffineMatrix
    start: np.ndarray


class EvolutionSolver:
    """Solves one problem at any number of points."""

    def __init__(
        self, problem: LindbladProblem, backend: str = "own", accuracy: float = 0.0
    ) -> None:
        self.problem = problem
        self.backend = backend
        # Errors of the steps add up: a thousandth of what measures may be off by.
        self.relative = (
            min(max(accuracy / 1000, 1e-12), 1e-5) if accuracy else _RELATIVE
        )

    def solve(self, point: Point) -> EvolutionResult | FloquetResult:
        """rho(t) on the point's grid of times, from its initial state at t = 0.

        A grid that begins before 0 begins with the initial state.

        Raises:
            SolveError: E502, E503, E509 (times), E510 (the integration failed), E540-E543 (kicks).
        """
        wanted, start = _checked(point)
        before = wanted[0] > 0
        times = np.concatenate([[0.0], wanted]) if before else wanted
        f = coefficients.evaluate(
            self.problem.coefficients, point.values, float(times[0])
        )
        refuse_unphysical(self.problem, f)
        for time in times if self.problem.coefficients.time_dependent else ():
            now = coefficients.evaluate(
                self.problem.coefficients, point.values, float(time)
            )
            refuse_unphysical(self.problem, now)
        if self.problem.kicks or self.problem.forces:
            refuse_backend(self.backend)
            return evolve_kicked(self.problem, point, wanted)
        if self.backend == "qutip":
            from qsyncdsl.solve.qutip_door import evolve

            states = evolve(self.problem, point.values, start, times, point.coarser)
            facts, tolerance = {"solver": "qutip.mesolve"}, 1e-9 * point.coarser
        else:
            states, facts, tolerance = self._integrate(point, f, start, times)
        states = states[1:] if before else states
        found = tuple(QuantumState(self.problem.parts, rho) for rho in states)
        numbers, warnings = state_trust(found[-1])
        numbers["trace_error"] = max(abs(np.trace(rho) - 1) for rho in states)
        if tolerance:
            numbers["tolerance"] = tolerance
        return EvolutionResult(wanted, found, Trust(numbers, facts, warnings))

    def _integrate(
        self, point: Point, f: np.ndarray, start: np.ndarray, times: np.ndarray
    ) -> tuple[list[np.ndarray], dict[str, str], float]:
        """States, facts, and the tolerance of the steps; 0 where there are none, but exponentials."""
        on = superoperator.active(self.problem, f)
        symmetry = superoperator.find_symmetry(self.problem, on)
        labels = superoperator.class_labels(self.problem, symmetry)
        summands = superoperator.sides(self.problem, on)
        size = self.problem.dimension
        states = [np.zeros((size, size), dtype=complex) for _ in times]
        sizes = []
        for charge in _charges(labels, symmetry, start):
            where = superoperator.sector(labels, symmetry, charge)
            sizes.append(where.size)
            affine = superoperator.complex_generator(summands, where)
            reached = _Reached(where, affine, start[where.rows, where.columns])
            for rho, vector in zip(
                states, self._sector(reached, summands, point, f, times), strict=True
            ):
                rho[where.rows, where.columns] = vector
        parts = [part.label for part in self.problem.parts]
        exact = max(sizes) <= _DENSE and not self.problem.coefficients.time_dependent
        way = "exponentials" if exact else "integration"
        facts = {
            "solver": f"{way} of {len(sizes)} sectors of up to {max(sizes)} elements",
            "symmetry": symmetry.describe(parts),
        }
        return states, facts, 0.0 if exact else self.relative * point.coarser

    def _sector(
        self,
        reached: _Reached,
        summands: list[superoperator.Side],
        point: Point,
        f: np.ndarray,
        times: np.ndarray,
    ) -> list[np.ndarray]:
        """The elements of one sector at every time."""
        if not self.problem.coefficients.time_dependent:
            matrix = reached.generator.at(superoperator.strengths(summands, f))
            if reached.where.size <= _DENSE:
                return _exponential(matrix.toarray(), reached.start, times)
            rows = sp.csr_array(matrix)
            return self._adaptive(
                lambda t, y: rows @ y, lambda t, y: matrix, reached.start, times, point
            )

        def at(t: float) -> sp.csc_array:
            now = coefficients.evaluate(self.problem.coefficients, point.values, t)
            return reached.generator.at(superoperator.strengths(summands, now))

        return self._adaptive(
            lambda t, y: at(t) @ y, lambda t, y: at(t), reached.start, times, point
        )

    def _adaptive(
        self, right: object, jacobian: object, start: np.ndarray, times: np.ndarray, point: Point
    ) -> list[np.ndarray]:  # fmt: skip
        moving = bool(self.problem.coefficients.time_dependent)
        span = float(times[-1] - times[0])
        if span == 0:
            return [start for _ in times]
        # A pulse must not fall between two steps: at least a thousand steps in all, and one
        # between any two times that were asked for.
        longest = min(span / 1000, float(np.diff(times).max())) if moving else np.inf
        longest *= point.longer
        for method, extra in (("DOP853", {}), ("BDF", {"jac": jacobian})):
            if method == "DOP853" and _stiff(jacobian, start, times):
                continue
            with one_thread():
                found = solve_ivp(
                    right,
                    (times[0], times[-1]),
                    start.astype(complex),
                    method=method,
                    t_eval=times,
                    rtol=max(self.relative * point.coarser, 1e-13),
                    atol=_ABSOLUTE * point.coarser,
                    max_step=longest,
                    **extra,
                )
            if found.success:
                return list(found.y.T)
        raise SolveError(
            Diagnostic("E510", f"the integration in time failed: {found.message}")
        )


def _stiff(jacobian: object, start: np.ndarray, times: np.ndarray) -> bool:
    """Whether an explicit method would need very many steps."""
    matrix = jacobian(float(times[0]), start)  # type: ignore[operator]
    fastest = float(np.abs(matrix).sum(axis=0).max())
    return fastest * float(times[-1] - times[0]) > 3e4


def _exponential(
    matrix: np.ndarray, start: np.ndarray, times: np.ndarray
) -> list[np.ndarray]:
    """exp(L t) applied step by step; equal steps share one exponential."""
    found = [start]
    known: dict[float, np.ndarray] = {}
    for step in np.diff(times):
        key = float(f"{step:.12e}")
        if key not in known:
            known[key] = scipy.linalg.expm(matrix * step)
        found.append(known[key] @ found[-1])
    return found


def _checked(point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Times in order and a density matrix to start from."""
    if point.times is None or not len(point.times):
        raise SolveError(
            Diagnostic(
                "E509",
                "an evolution needs times",
                help="solve evolve(times = linspace(0, 10, 101))",
            )
        )
    times = np.asarray(point.times, dtype=float)
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise SolveError(Diagnostic("E509", "the times of an evolution must increase"))
    if point.initial is None:
        raise SolveError(Diagnostic("E511", "an evolution needs an initial state"))
    start = point.initial
    if isinstance(start, PlacedStart):
        start = start.data
    if point.previous is not None:
        start = point.previous["rho"]
    return times, start if start.ndim == 2 else np.outer(start, start.conj())


def _charges(
    labels: np.ndarray, symmetry: object, start: np.ndarray
) -> list[tuple[int, ...]]:
    """The charges of the elements that are not zero at the start."""
    rows, columns = np.nonzero(np.abs(start) > 0)
    difference = labels[rows] - labels[columns]
    for column, modulus in enumerate(symmetry.moduli):  # type: ignore[attr-defined]
        if modulus:
            difference[:, column] %= modulus
    return [tuple(d) for d in np.unique(difference, axis=0).tolist()]
