r"""Closed equations of moments: in time, stationary, and two-time correlations by regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qsyncdsl.algebra.moments import SIGMA_Z, Moment
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import CumulantProblem, Point
from qsyncdsl.result import MomentResult, Trust
from qsyncdsl.solve.checks import refuse_rate
from qsyncdsl.solve.fields import Numbers, numbers
from qsyncdsl.solve.kernels import run_integrator, tableau
from qsyncdsl.solve.moment_jacobian import (
    Form,
    Jacobian,
    Pattern,
    jacobian,
    thin_pattern,
)
from qsyncdsl.solve.polynomials import (
    Slope,
    Sum,
    integrator,
    relaxation,
    slope,
    with_numbers,
)
from qsyncdsl.solve.regression import Regression, Regressions
from qsyncdsl.solve.relaxation import ROUNDING
from qsyncdsl.solve.second_moments import SecondMoments
from qsyncdsl.solve.times import sampling_of_moments, window_of_moments
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
# Steps that are taken at most where that does not lead to a root, and where there are more moments.
_STEPS = 100_000
# How near the root is where it is taken, and the way after which it is given up, relative to the largest moment.
_NEAR, _FAR = 0.02, 0.3
# What is left of a step by the next one with the same factors, at most.
_SHRINKS = 0.1
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
        self.form = _form(problem)
        self.pattern = thin_pattern(self.slopes, self.form)
        self.second_moments = SecondMoments(problem.system, problem.moments)
        self._populations = _populations(problem)
        self._broken = _charged(problem)
        self._facts = {
            "closure": f"{problem.count} moments of up to {problem.order} operators"
        }

    def solve(self, point: Point) -> MomentResult:
        """Moments in time (`time`, `times`), or stationary ones.

        Raises:
            SolveError: E503 for a rate below zero, E510-E512 for times, E514 where the integration fails,
                E520 where nothing stationary is reached, E524 for a start that breaks the symmetry.
        """
        (found,) = self.solve_many([point])
        if isinstance(found, SolveError):
            raise found
        return found

    def solve_many(self, points: Sequence[Point]) -> list[MomentResult | SolveError]:
        """The same at some points; a fault stands for a point without an answer.

        Stationary moments are found together; they do not depend on what they were found together with.
        """
        found: dict[int, MomentResult | SolveError] = {}
        stationary: list[tuple[int, _Flow]] = []
        starts: dict[int, np.ndarray] = {}
        for k, point in enumerate(points):
            try:
                values = numbers(self.problem, point)  # type: ignore[arg-type]
                for place, label in self.problem.rates:
                    refuse_rate(complex(values.c[place]), label)
                flow = _Flow(self.problem, self.slopes, self.pattern, values)
                if point.previous is not None:
                    flow.first = point.previous["moments"].copy()
                elif id(point.initial) not in starts:
                    self._refuse_broken(point)
                    first = initial_moments(self.problem.moments, point.initial)
                    starts[id(point.initial)] = first
                if point.previous is None:
                    flow.first = starts[id(point.initial)]
                if "times" in point.options or point.options.get("time"):
                    found[k] = self._evolved(flow, point)
                elif flow.values.moving:
                    message = (
                        "coefficients depend on time: there is no stationary state"
                    )
                    raise SolveError(
                        Diagnostic("E521", message, help="ask for time = T")
                    )
                else:
                    stationary.append((k, flow))
            except SolveError as fault:
                found[k] = fault
        answers = self._stationary([flow for _, flow in stationary])
        found |= {k: x for (k, _), x in zip(stationary, answers, strict=True)}
        return [found[k] for k in range(len(points))]

    def _evolved(self, flow: _Flow, point: Point) -> MomentResult:
        """Moments in time."""
        options = point.options
        series = "times" in options
        times = sampling_of_moments(options, 16 * self.problem.count, _ROOM)
        if not series:
            times = window_of_moments(options, times)
        values = flow.run(flow.first, times, point.coarser)
        numbers = {"tolerance": _RELATIVE * point.coarser}
        (trust,) = self._trust(values[None], [numbers], "DOP853")
        return MomentResult(self.problem, times, values, trust, series)

    def _stationary(self, flows: list[_Flow]) -> list[MomentResult | SolveError]:
        """Stationary moments with what is known of their error."""
        if not flows:
            return []
        roots, residuals, faults = self._relaxed(flows)
        there = [k for k in range(len(flows)) if k not in faults]
        scheme = "DOP853 or Rosenbrock, Newton"
        facts = [{"residual": float(residuals[k])} for k in there]
        trusts = self._trust(roots[there, None, :], facts, scheme)
        chosen = list(self.problem.factors)
        factors = np.array([flows[k].values.c[chosen] for k in there])
        shared = Regressions(self.two_times, factors, roots[there])
        found: list[MomentResult | SolveError] = [
            faults.get(k) or SolveError(_moving()) for k in range(len(flows))
        ]
        for place, k in enumerate(there):
            found[k] = MomentResult(
                self.problem,
                None,
                roots[k : k + 1],
                trusts[place],
                False,
                Regression(shared, place),
            )
        return found

    def _relaxed(
        self, flows: list[_Flow]
    ) -> tuple[np.ndarray, np.ndarray, dict[int, SolveError]]:
        """Moments, shape (B, M), with the rates that are left, and faults by place."""
        roots = np.array([flow.first for flow in flows])
        count, residuals = self.problem.count, np.zeros(len(flows))
        faults: dict[int, SolveError] = {}
        if count == 0:
            return roots, residuals, faults
        stand = np.zeros(len(flows), dtype=bool)
        if count <= _COMPILED:
            values = np.array([flow.drift.arrays[1] for flow in flows])
            stand, residuals = relaxation("relaxed")(
                roots.view(float),
                values,
                _pattern(flows[0].drift),
                *(_derived(pattern) for pattern in self.slopes),
                self.form,
                _ATTEMPTS,
                _RESIDUAL,
                tableau(),
            )
        for k in np.flatnonzero(~stand):
            try:
                roots[k], residuals[k] = flows[k].stationary(self.form)
            except SolveError as fault:
                faults[int(k)] = fault
        return roots, residuals, faults

    def _refuse_broken(self, point: Point) -> None:
        """E524 for an initial state with means that the closure takes to vanish."""
        for moment, label in self._broken:
            if abs(initial_moments((moment,), point.initial)[0]) > 1e-12:
                raise SolveError(
                    Diagnostic(
                        "E524",
                        f"<{label}> is not zero in the initial state, but zero by symmetry in all others",
                        help="start from vacuum, fock or thermal states: moments with a charge are left out",
                    )
                )

    def _trust(
        self, values: np.ndarray, found: list[dict[str, float]], scheme: str
    ) -> list[Trust]:
        """Moments that no state can have; values of shape (B, T, M)."""
        looked = values[:, :: -(-values.shape[1] // _EXAMINED)]
        outside = self._outside(looked)
        flat = looked.reshape(-1, looked.shape[-1])
        negative = self.second_moments.negative(flat).reshape(looked.shape[:2])
        facts = {"scheme": scheme, **self._facts}
        return [
            Trust(
                {**one, "outside_range": beyond, "negative_variance": below},
                facts,
                _doubts(beyond, below),
            )
            for one, beyond, below in zip(
                found, outside.tolist(), negative.max(axis=1).tolist(), strict=True
            )
        ]

    def _outside(self, values: np.ndarray) -> np.ndarray:
        """How far a population is outside its range, shape (B,)."""
        polarized, populated = self._populations
        beyond = np.abs(values[..., polarized].real).max(axis=(1, 2), initial=1.0)
        below = -values[..., populated].real.min(axis=(1, 2), initial=0.0)
        return np.maximum(beyond - 1.0, below)


def _doubts(outside: float, negative: float) -> tuple[Diagnostic, ...]:
    """W525 and W526 for moments that no state has."""
    if outside <= 1e-9 and negative <= _NEGATIVE:
        return ()
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
    return tuple(warnings)


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

    first: np.ndarray

    def __init__(
        self,
        problem: CumulantProblem,
        slopes: tuple[Slope, ...],
        pattern: Pattern | None,
        values: Numbers,
    ) -> None:
        self.problem, self.slopes, self.values = problem, slopes, values
        self.pattern = pattern

    @property
    def drift(self) -> Sum:
        """The right side at time 0."""
        return self._sum()

    def _sum(self, time: float = 0.0) -> Sum:
        c = self.values.at(time) if self.values.moving else self.values.c
        return with_numbers(self.problem.drift, c, self.values.w)

    def run(
        self, first: np.ndarray, times: np.ndarray, coarser: float = 1.0
    ) -> np.ndarray:
        """Moments at times, shape (T, M)."""
        found = run_integrator(
            integrator("means_right"),
            first.view(float),
            times,
            lambda t: self._sum(t).arrays,
            self.values.moving,
            (max(_RELATIVE * coarser, 1e-13), _ABSOLUTE * coarser),
            0.0,
            "means_right",
            self.values.at,
        )
        return np.ascontiguousarray(found).view(complex)

    def stationary(self, form: Form) -> tuple[np.ndarray, float]:
        """The moments that the initial ones run into: evolution, then Newton's method.

        Roots that are unstable, or that the evolution is not close to, are not taken.

        Raises:
            SolveError: E508 where stability is not settled, E514 for moments that grow without bound, E520.
        """
        drift = self.drift
        slopes = jacobian(self.slopes, form, self.pattern, drift)
        others = (pattern.of(drift).arrays for pattern in self.slopes)
        equations = (drift.arrays, *others, *form)
        m, follow = self.first.copy(), relaxation("followed")
        y, middle, k = m.view(float), np.empty(2 * len(m)), np.empty((13, 2 * len(m)))
        fastest = slopes.fastest(slopes.at(m))
        span = 10.0 / max(fastest, 1e-300)
        h, left, time = 0.01 * span, _STEPS, 0.0
        k[0] = drift.at(m).view(float)
        found: tuple[np.ndarray, float] | None = None
        while left > 0:
            before = m.copy()
            h, taken, passed, fine = follow(
                y, h, span, _RELATIVE, left, equations, tableau(), k, middle
            )
            left, time = left - taken, time + passed
            if not fine and left > 0:
                message = f"the integration ended at t = {time:.4g}"
                help_ = "do moments grow without bound?"
                raise SolveError(Diagnostic("E514", message, help=help_))
            # the root of the stretch before serves where the evolution has come near it
            if found is None or np.abs(found[0] - m).max() >= _NEAR * _size(m):
                found = _newton(m, drift, slopes)
            if found is not None:
                root, residual = found
                near = np.abs(root - m).max() < _NEAR * _size(m)
                moving = np.abs(m - before).max() > 0.5 * np.abs(root - m).max()
                reached = near and (moving or np.abs(root - m).max() < 1e-7)
                if reached and slopes.growth(slopes.at(root)) < 1e-9 * fastest:
                    return root, residual
            span *= 1.7
        raise SolveError(_moving())


def _newton(
    guess: np.ndarray, drift: Sum, slopes: Jacobian
) -> tuple[np.ndarray, float] | None:
    """The root beside a guess with the rates that are left in units of the fastest; None for one far away.

    The factors of a Jacobian serve as long as steps with them shrink fast.
    """
    m, before, far = guess, np.inf, _FAR * _size(guess)
    matrix, solve = slopes.at(m), None
    for _ in range(60):
        rate = drift.at(m)
        fresh = solve is None
        if solve is None:
            matrix = slopes.at(m)
            solve = slopes.inverse(matrix)
        step = None if solve is None else -solve(rate)
        if step is None or not np.isfinite(step).all():
            return None
        m = m + step
        if np.abs(m - guess).max() > far:
            return None
        length = float(np.abs(step).max() / max(np.abs(m).max(), 1.0))
        if length < _RESIDUAL or (before < ROUNDING and length > 0.5 * before):
            scale = slopes.fastest(matrix) * max(float(np.abs(m).max()), 1.0)
            return m, float(np.abs(drift.at(m)).max() / max(scale, 1e-300))
        if length > 1e3 * before and fresh:
            return None
        if length > _SHRINKS * before:
            solve = None
        before = length
    return None


def _size(m: np.ndarray) -> float:
    """The largest moment."""
    return max(float(np.abs(m).max()), 1e-3)


def _moving() -> Diagnostic:
    """E520."""
    message = "the moments go on moving: nothing stationary was reached"
    return Diagnostic("E520", message, help="ask for time = T")


def _pattern(terms: Sum) -> Any:
    """A polynomial without its coefficients, as the compiled relaxation takes it."""
    target, _, *rest = terms.arrays
    return (target, *rest)


def _derived(slope: Slope) -> Any:
    """A derivative without its coefficients, as the compiled relaxation takes it."""
    return (slope.terms, slope.powers.astype(float), *slope.arrays)


def _form(problem: CumulantProblem) -> Form:
    """The rows of the real form that are not zero for all times, the bounds of all of them, and their
    places among these rows, -1 for others.
    """
    algebra = problem.system.algebra
    rows, caps = [], []
    for k, moment in enumerate(problem.moments):
        hermitian = algebra.adjoint(moment) == moment
        rows += [2 * k] if hermitian else [2 * k, 2 * k + 1]
        finite = all(word[0] != "a" for _, word in moment)
        caps += 2 * [_BEYOND if finite else np.inf]
    places = np.full(len(caps), -1)
    places[rows] = np.arange(len(rows))
    return np.array(rows, dtype=np.int64), np.array(caps), places


def _charged(problem: CumulantProblem) -> list[tuple[Moment, str]]:
    """The means of bosons that the closure takes to vanish, with the labels of these."""
    system, found = problem.system, []
    for key, mode in enumerate(system.algebra.space.modes):
        moment: Moment = ((key, ("a", 0, 1)),)
        if mode.kind.name == "boson" and any(system.charges(moment)):
            found.append((moment, mode.label))
    return found


def _populations(problem: CumulantProblem) -> tuple[list[int], list[int]]:
    r"""The places of $\langle\sigma^z\rangle$, between -1 and 1, and of populations, from 0 on."""
    words = [(k, m[0][1]) for k, m in enumerate(problem.moments) if len(m) == 1]
    polarized = [k for k, word in words if word == SIGMA_Z]
    populated = [k for k, word in words if word != SIGMA_Z and word[1] == word[2]]
    return polarized, populated
