r"""Closed equations of moments: in time, stationary, and two-time correlations by regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.algebra.moments import SIGMA_Z, Moment
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import CumulantProblem, Point
from qsyncdsl.result import MomentResult, Trust
from qsyncdsl.solve.fields import numbers, sampling_of_moments
from qsyncdsl.solve.kernels import run_integrator, tableau
from qsyncdsl.solve.polynomials import (
    Slope,
    Sum,
    integrator,
    relaxation,
    slope,
    with_numbers,
)
from qsyncdsl.solve.regression import Regression
from qsyncdsl.solve.relaxation import ROUNDING
from qsyncdsl.solve.second_moments import SecondMoments
from qsyncdsl.solve.two_times import TwoTimes

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
_ROOM = 1 << 30
_RESIDUAL = 1e-12
# Stationary moments in compiled code: largest number of moments, and the attempts with the relative error
# of a step and the number of steps, since whether a relaxation is stiff or only slow is not known before.
# Explicit ones begin at the start, implicit ones where the attempt before has led.
_COMPILED = 100
_EXPLICIT, _IMPLICIT = 0, 1
_ATTEMPTS = np.array([
    (_EXPLICIT, 1e-4, 200), (_IMPLICIT, 0.1, 400), (_EXPLICIT, 1e-6, 1000),
    (_IMPLICIT, 0.1, 1000), (_IMPLICIT, 0.01, 2000), (_EXPLICIT, 1e-6, 60_000),
])  # fmt: skip
# How far beyond its bounds a mean of levels may get while a relaxation is followed loosely.
_BEYOND = 2.0
# Times at which moments are looked at, and negative variances from which on that is said.
_EXAMINED = 64
_NEGATIVE = 1e-6


class CumulantSolver:
    """Solves one closure at many points."""

    def __init__(self, problem: CumulantProblem) -> None:
        self.problem = problem
        self.two_times = TwoTimes(problem.system, problem.moments)
        self.slopes = tuple(
            slope(problem.drift, problem.count, conjugated)
            for conjugated in (False, True)
        )
        self.shape = _shape(problem)
        self.second_moments = SecondMoments(problem.system, problem.moments)
        self._populations = _populations(problem)

    def solve(self, point: Point) -> MomentResult:
        """Moments in time (`time`, `times`), or stationary ones.

        Raises:
            SolveError: E510-E512 for times, E514 where the integration fails, E520 where nothing
                stationary is reached, E524 for a start that breaks the symmetry.
        """
        options = point.options
        self._refuse_broken(point)
        flow = _Flow(self.problem, self.slopes, self.shape, point)
        first = initial_moments(self.problem.moments, point.initial)
        if "times" in options or options.get("time"):
            series = "times" in options
            times = sampling_of_moments(options, 16 * self.problem.count, _ROOM)
            if not series:
                low, high = options.get("window") or (
                    options.get("burn_in", 0.0),
                    times[-1],
                )
                times = times[
                    (times >= float(low) - 1e-9) & (times <= float(high) + 1e-9)
                ]
            values = flow.run(first, times)
            trust = self._trust(values, {"tolerance": _RELATIVE}, "DOP853")
            return MomentResult(self.problem, times, values, trust, series)
        if flow.values.moving:
            message = "coefficients depend on time: there is no stationary state"
            raise SolveError(Diagnostic("E521", message, help="ask for time = T"))
        values, residual = flow.stationary(first)
        scheme = "Rosenbrock or DOP853, Newton"
        trust = self._trust(values[None, :], {"residual": residual}, scheme)
        factors = flow.values.c[list(self.problem.factors)]
        regression = Regression(self.two_times, factors, values)
        return MomentResult(
            self.problem, None, values[None, :], trust, False, regression
        )

    def _refuse_broken(self, point: Point) -> None:
        """E524 for an initial state with means that the closure takes to vanish."""
        system = self.problem.system
        for key, mode in enumerate(system.algebra.space.modes):
            if mode.kind.name != "boson":
                continue
            moment: Moment = ((key, ("a", 0, 1)),)
            broken = any(system.charges(moment))
            if broken and abs(initial_moments((moment,), point.initial)[0]) > 1e-12:
                raise SolveError(
                    Diagnostic(
                        "E524",
                        f"<{mode.label}> is not zero in the initial state, but zero by symmetry in all others",
                        help="start from vacuum, fock or thermal states: moments with a charge are left out",
                    )
                )

    def _trust(self, values: np.ndarray, found: dict[str, float], scheme: str) -> Trust:
        """Moments that no state can have; values of shape (T, M)."""
        values = values[:: -(-len(values) // _EXAMINED)]
        outside = self._outside(values)
        negative = max(map(self.second_moments.negative, values))
        warnings = []
        help_ = "raise the order, or compare with a density matrix"
        if outside > 1e-9:
            message = f"a population is outside its range by {outside:.2g}: the closure fails here"
            warnings.append(Diagnostic("W525", message, help=help_))
        if negative > _NEGATIVE:
            message = (
                "second moments that no state has: a combination of operators has the negative "
                f"variance {-negative:.2g}, in units of the largest one"
            )
            warnings.append(Diagnostic("W526", message, help=help_))
        facts = {
            "scheme": scheme,
            "closure": f"{self.problem.count} moments of up to {self.problem.order} operators",
        }
        numbers = {**found, "outside_range": outside, "negative_variance": negative}
        return Trust(numbers, facts, tuple(warnings))

    def _outside(self, values: np.ndarray) -> float:
        """How far a population is outside its range."""
        polarized, populated = self._populations
        beyond = np.abs(values[:, polarized].real).max(initial=1.0) - 1.0
        below = -values[:, populated].real.min(initial=0.0)
        return float(max(beyond, below))


def initial_moments(moments: tuple[Any, ...], factors: Any) -> np.ndarray:
    """The moments of a product state, shape (M,); `factors` is what `initial_laws` gives."""
    found = np.empty(len(moments), dtype=complex)
    for place, moment in enumerate(moments):
        value = 1.0 + 0j
        for key, word in moment:
            value *= factors[key].moment(word)
        found[place] = value
    return found


class _Flow:
    """The equations with the numbers of one point."""

    def __init__(
        self,
        problem: CumulantProblem,
        slopes: tuple[Slope, ...],
        shape: tuple[np.ndarray, np.ndarray],
        point: Point,
    ) -> None:
        self.problem, self.slopes, self.shape = problem, slopes, shape
        self.values = numbers(problem, point)  # type: ignore[arg-type]

    def _sum(self, time: float = 0.0) -> Sum:
        c = self.values.at(time) if self.values.moving else self.values.c
        return with_numbers(self.problem.drift, c, self.values.w)

    def run(self, first: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Moments at times, shape (T, M)."""
        found = run_integrator(
            integrator("means_right"),
            first.view(float),
            times,
            lambda t: self._sum(t).arrays,
            self.values.moving,
            (_RELATIVE, _ABSOLUTE),
            0.0,
            "means_right",
        )
        return np.ascontiguousarray(found).view(complex)

    def stationary(self, first: np.ndarray) -> tuple[np.ndarray, float]:
        """The moments that the initial ones run into: evolution, then Newton's method.

        Roots that are unstable, or that the evolution is not close to, are not taken.
        """
        drift = self._sum()
        n = len(first)
        if n == 0:
            return first, 0.0
        slope, other = (pattern.of(drift) for pattern in self.slopes)
        found = self._relaxed(first, drift, slope, other)
        if found is not None:
            return found
        m = first
        fastest = float(np.abs(_real(slope.at(m), other.at(m))).sum(axis=1).max())
        span = 10.0 / max(fastest, 1e-300)
        for _ in range(60):
            before, m = m, self.run(m, np.array([span]))[0]
            found = self._newton(m, drift, slope, other)
            if found is not None:
                root, residual = found
                near = np.abs(root - m).max() < 0.02 * max(np.abs(m).max(), 1e-3)
                moving = np.abs(m - before).max() > 0.5 * np.abs(root - m).max()
                growth = np.linalg.eigvals(
                    _real(slope.at(root), other.at(root))
                ).real.max()
                if (
                    near
                    and moving | (np.abs(root - m).max() < 1e-7)
                    and growth < 1e-9 * fastest
                ):
                    return root, residual
            span *= 1.7
        message = "the moments go on moving: nothing stationary was reached"
        raise SolveError(Diagnostic("E520", message, help="ask for time = T"))

    def _relaxed(
        self, first: np.ndarray, drift: Sum, slope: Sum, other: Sum
    ) -> tuple[np.ndarray, float] | None:
        """The stable root that the flow leads to; None where it is not found in some thousand steps."""
        if len(first) > _COMPILED:
            return None
        equations = (drift.arrays, slope.arrays, other.arrays, *self.shape)
        y, stands, residual = relaxation()(
            first.view(float), equations, _ATTEMPTS, _RESIDUAL, tableau()
        )
        return (y.view(complex), residual) if stands else None

    def _residual(self, root: np.ndarray, drift: Sum, fastest: float) -> float:
        """The rates that are left, in units of the fastest ones."""
        scale = fastest * max(float(np.abs(root).max()), 1.0)
        return float(np.abs(drift.at(root)).max() / max(scale, 1e-300))

    def _newton(
        self, guess: np.ndarray, drift: Sum, slope: Sum, other: Sum
    ) -> tuple[np.ndarray, float] | None:
        m, before = guess, np.inf
        for _ in range(40):
            rate = drift.at(m)
            matrix = _real(slope.at(m), other.at(m))
            try:
                step = np.linalg.solve(matrix, -_flat(rate))
            except np.linalg.LinAlgError:
                step = np.linalg.lstsq(matrix, -_flat(rate), rcond=None)[0]
            m = m + step[0::2] + 1j * step[1::2]
            if not np.isfinite(step).all():
                return None
            length = float(np.abs(step).max() / max(np.abs(m).max(), 1.0))
            if length < _RESIDUAL or (before < ROUNDING and length > 0.5 * before):
                fastest = float(np.abs(matrix).sum(axis=1).max())
                return m, self._residual(m, drift, fastest)
            if length > 1e3 * before:
                return None
            before = length
        return None


def _shape(problem: CumulantProblem) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the real form that are not zero for all times, and the bounds of all of them."""
    algebra = problem.system.algebra
    rows, caps = [], []
    for k, moment in enumerate(problem.moments):
        hermitian = algebra.adjoint(moment) == moment
        rows += [2 * k] if hermitian else [2 * k, 2 * k + 1]
        finite = all(word[0] != "a" for _, word in moment)
        caps += 2 * [_BEYOND if finite else np.inf]
    return np.array(rows, dtype=np.int64), np.array(caps)


def _populations(problem: CumulantProblem) -> tuple[list[int], list[int]]:
    r"""The places of $\langle\sigma^z\rangle$, between -1 and 1, and of populations, from 0 on."""
    words = [(k, m[0][1]) for k, m in enumerate(problem.moments) if len(m) == 1]
    polarized = [k for k, word in words if word == SIGMA_Z]
    populated = [k for k, word in words if word != SIGMA_Z and word[1] == word[2]]
    return polarized, populated


def _flat(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], axis=1).reshape(-1)


def _real(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The real form of b' = P b + Q b^*."""
    n = len(p)
    found = np.empty((2 * n, 2 * n))
    found[0::2, 0::2] = (p + q).real
    found[0::2, 1::2] = (q - p).imag
    found[1::2, 0::2] = (p + q).imag
    found[1::2, 1::2] = (p - q).real
    return found
