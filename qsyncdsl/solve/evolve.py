r"""Density matrices in time, $\dot\rho = \mathcal{L}(t)\rho$, on the sectors that the start reaches.

Constant generators: exact exponentials for small sectors, else an adaptive implicit or explicit
integration. Time-dependent ones are always integrated adaptively, with a step bound so that no pulse
is missed. A mean over a window is integrated with the state,

$$ \dot\rho = \mathcal{L}\rho , \qquad \dot m = \rho/(t_1 - t_0) \quad\text{from } t_0 \text{ to } t_1, $$

so that no oscillation is too fast for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

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
from qsyncdsl.solve.dop853 import Dop853
from qsyncdsl.solve.kicked import evolve_kicked, refuse_backend
from qsyncdsl.solve.pulses import changes

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
        integral = states.pop() if len(states) > len(times) else None
        states = states[1:] if before else states
        found = tuple(QuantumState(self.problem.parts, rho) for rho in states)
        numbers, warnings = state_trust(found[-1])
        numbers["trace_error"] = max(abs(np.trace(rho) - 1) for rho in states)
        if tolerance:
            numbers["tolerance"] = tolerance
        trust = Trust(numbers, facts, warnings)
        if integral is None:
            return EvolutionResult(wanted, found, trust)
        mean = QuantumState(self.problem.parts, integral)
        return EvolutionResult(wanted, found, trust, mean)

    def _integrate(
        self, point: Point, f: np.ndarray, start: np.ndarray, times: np.ndarray
    ) -> tuple[list[np.ndarray], dict[str, str], float]:
        """States, facts, and the tolerance of the steps; 0 where there are none, but exponentials.

        Behind the states at all times stands their mean over the window, where one is asked for.
        """
        on = superoperator.active(self.problem, f)
        symmetry = superoperator.find_symmetry(self.problem, on)
        labels = superoperator.class_labels(self.problem, symmetry)
        summands = superoperator.sides(self.problem, on)
        size = self.problem.dimension
        window = mean_window(point.options, times)
        course = _Course(times, window, self._longest(point, times), point.coarser)
        count = len(times) + (window is not None)
        states = [np.zeros((size, size), dtype=complex) for _ in range(count)]
        sizes = []
        for charge in _charges(labels, symmetry, start):
            where = superoperator.sector(labels, symmetry, charge)
            sizes.append(where.size)
            affine = superoperator.complex_generator(summands, where)
            reached = _Reached(where, affine, start[where.rows, where.columns])
            for rho, vector in zip(
                states, self._sector(reached, summands, point, f, course), strict=True
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
        course: _Course,
    ) -> list[np.ndarray]:
        """The elements of one sector at every time, and their mean where there is a window."""
        if not self.problem.coefficients.time_dependent:
            matrix = reached.generator.at(superoperator.strengths(summands, f))
            if reached.where.size <= _DENSE:
                dense = matrix.toarray()
                path = _exponential(dense, reached.start, course.ends)
                found = course.kept(path)
                if course.window is not None:
                    found.append(_mean(dense, path, course))
                return found
            rows = sp.csr_array(matrix)
            return self._adaptive(lambda t: rows, reached.start, course)

        values_at = self._values_at(point)

        def at(t: float) -> sp.csc_array:
            return reached.generator.at(superoperator.strengths(summands, values_at(t)))

        return self._adaptive(at, reached.start, course)

    def _values_at(self, point: Point) -> Callable[[float], np.ndarray]:
        """Coefficients as functions of time."""
        return partial(coefficients.evaluate, self.problem.coefficients, point.values)

    def _longest(self, point: Point, times: np.ndarray) -> float:
        """The longest step: a pulse must not fall between two.

        At least a thousand steps in all, and one between any two times that were asked for.
        """
        if not self.problem.coefficients.time_dependent or len(times) < 2:
            return np.inf
        change = changes(self._values_at(point), float(times[0]), float(times[-1]))
        gap, span = float(np.diff(times).max()), float(times[-1] - times[0])
        return min(span / 1000, gap, change.longest) * point.longer

    def _adaptive(
        self, at: Callable[[float], Any], start: np.ndarray, course: _Course
    ) -> list[np.ndarray]:
        """Stretch by stretch: before the window, in it, with the integral, and after it."""
        found = [start.astype(complex)]
        mean = np.zeros(len(start), dtype=complex)
        for stretch, inside in course.stretches:
            low, high = stretch[0], stretch[-1]
            if not inside:
                path = self._stretch(at, found[-1], stretch, course)
                found += list(path[1:])
                continue
            first = np.concatenate([found[-1], np.zeros(len(start))])
            size = len(start)

            def beside(t: float, span: float = high - low, size: int = size) -> Any:
                eye, none = sp.eye_array(size) / span, sp.csc_array((size, size))
                return sp.block_array([[at(t), none], [eye, none]], format="csc")

            def rate(
                t: float, y: np.ndarray, span: float = high - low, size: int = size
            ) -> np.ndarray:
                return np.concatenate([at(t) @ y[:size], y[:size] / span])

            path = self._stretch(beside, first, stretch, course, rate)
            found += [y[:size] for y in path[1:]]
            mean = path[-1][size:]
        kept = course.kept(found)
        return kept if course.window is None else [*kept, mean]

    def _stretch(
        self,
        at: Callable[[float], Any],
        start: np.ndarray,
        times: np.ndarray,
        course: _Course,
        rate: Callable[[float, np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """y' = A(t) y at times, shape (T, n).

        Args:
            rate: A(t) y, where that is quicker than with the matrix.
        """
        for method in (Dop853, "BDF"):
            if method is Dop853 and _stiff(at, times):
                continue
            extra = {} if method is Dop853 else {"jac": lambda t, y: at(t)}
            with one_thread():
                found = solve_ivp(
                    rate or (lambda t, y: at(t) @ y),
                    (times[0], times[-1]),
                    start,
                    method=method,
                    t_eval=times,
                    rtol=max(self.relative * course.coarser, 1e-13),
                    atol=_ABSOLUTE * course.coarser,
                    max_step=course.longest,
                    **extra,
                )
            if found.success:
                return np.ascontiguousarray(found.y.T)
        raise SolveError(
            Diagnostic("E510", f"the integration in time failed: {found.message}")
        )


@dataclass(frozen=True)
class _Course:
    """When a run is looked at.

    Attributes:
        times: Of the states, ascending.
        window: Over which a mean is taken, or None.
        longest: Step.
        coarser: As that of the point.
    """

    times: np.ndarray
    window: tuple[float, float] | None
    longest: float
    coarser: float

    @property
    def ends(self) -> np.ndarray:
        """The times, and the ends of the window."""
        return np.unique(np.append(self.times, self.window or ()))

    def kept(self, path: list[np.ndarray]) -> list[np.ndarray]:
        """The states at the times, without the ends of the window that are none."""
        return [path[k] for k in np.searchsorted(self.ends, self.times)]

    @property
    def stretches(self) -> list[tuple[np.ndarray, bool]]:
        """Times from one end of the window to the other, and whether they are those of the window."""
        ends = self.ends
        if self.window is None:
            return [(ends, False)] if len(ends) > 1 else []
        low, high = np.searchsorted(ends, self.window)
        parts = [
            (ends[: low + 1], False),
            (ends[low : high + 1], True),
            (ends[high:], False),
        ]
        return [(part, inside) for part, inside in parts if len(part) > 1]


def mean_window(
    options: Mapping[str, Any], times: np.ndarray
) -> tuple[float, float] | None:
    """The window of a run that asks for a mean; None where there is none, or it is a moment."""
    if "times" in options or "time" not in options:
        return None
    end = float(times[-1])
    low, high = options.get("window") or (options.get("burn_in", 0.0), end)
    low, high = max(float(low), float(times[0])), min(float(high), end)
    return (low, high) if low < high else None


def _mean(matrix: np.ndarray, states: list[np.ndarray], course: _Course) -> np.ndarray:
    r"""The mean over the window from the states at all ends of its parts; equal parts are done at once.

    Of a part of length h that begins with y the integral is part of the exponential

    $$ \exp\begin{pmatrix} L h & y h \\ 0 & 0 \end{pmatrix}
       = \begin{pmatrix} e^{L h} & \int_0^h e^{L s} y\,ds \\ 0 & 1 \end{pmatrix} . $$
    """
    assert course.window is not None
    ends = course.ends
    low, high = np.searchsorted(ends, course.window)
    begun: dict[float, np.ndarray] = {}
    for k in range(low, high):
        key = _length(ends[k + 1] - ends[k])
        begun[key] = begun.get(key, 0.0) + states[k]
    size = len(matrix)
    total = np.zeros(size, dtype=complex)
    for length, y in begun.items():
        both = np.zeros((size + 1, size + 1), dtype=complex)
        both[:size, :size], both[:size, size] = matrix * length, y * length
        total += scipy.linalg.expm(both)[:size, size]
    return total / (course.window[1] - course.window[0])


def _length(step: float) -> float:
    """A step without the rounding of its ends."""
    return float(f"{step:.12e}")


def _stiff(at: Callable[[float], Any], times: np.ndarray) -> bool:
    """Whether an explicit method would need very many steps."""
    fastest = float(np.abs(at(float(times[0]))).sum(axis=0).max())
    return fastest * float(times[-1] - times[0]) > 3e4


def _exponential(
    matrix: np.ndarray, start: np.ndarray, times: np.ndarray
) -> list[np.ndarray]:
    """exp(L t) applied step by step; equal steps share one exponential."""
    found = [start]
    known: dict[float, np.ndarray] = {}
    for step in np.diff(times):
        key = _length(step)
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
