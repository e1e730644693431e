r"""Closed equations of moments: in time, stationary, and two-time correlations by regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.moments import SIGMA_Z, Moment, Moments
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.lower.cumulants import charges, open_algebra
from qsyncdsl.problem import CumulantProblem, Point
from qsyncdsl.result import MomentResult, Trust
from qsyncdsl.solve.fields import numbers, sampling_of_moments
from qsyncdsl.solve.kernels import integrator_source, run_integrator
from qsyncdsl.solve.polynomials import Sum, derivative, pieces, with_numbers

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
_ROOM = 1 << 30
_RESIDUAL = 1e-12


class CumulantSolver:
    """Solves one closure at many points."""

    def __init__(self, problem: CumulantProblem) -> None:
        self.problem = problem

    def solve(self, point: Point) -> MomentResult:
        """Moments in time (`time`, `times`), or stationary ones.

        Raises:
            SolveError: E510-E512 for times, E514 where the integration fails, E520 where nothing
                stationary is reached, E524 for a start that breaks the symmetry.
        """
        options = point.options
        self._refuse_broken(point)
        flow = _Flow(self.problem, point)
        first = initial_moments(self.problem.moments, point.initial)
        if "times" in options or options.get("time"):
            series = "times" in options
            times = sampling_of_moments(options, 16 * self.problem.count, _ROOM)
            if not series:
                low, high = options.get("window") or (options.get("burn_in", 0.0), times[-1])
                times = times[(times >= float(low) - 1e-9) & (times <= float(high) + 1e-9)]
            values = flow.run(first, times)
            trust = self._trust(values[-1], {"tolerance": _RELATIVE}, "DOP853")
            return MomentResult(self.problem, times, values, trust, series)
        if flow.values.moving:
            message = "coefficients depend on time: there is no stationary state"
            raise SolveError(Diagnostic("E521", message, help="ask for time = T"))
        values, residual = flow.stationary(first)
        trust = self._trust(values, {"residual": residual}, "DOP853, Newton")
        regression = Regression(self.problem, point, values)
        return MomentResult(self.problem, None, values[None, :], trust, False, regression)

    def _refuse_broken(self, point: Point) -> None:
        """E524 for an initial state with means that the closure takes to vanish."""
        ring_free = Moments(self.problem.system.space, {}, 1)
        for key, mode in enumerate(ring_free.space.modes):
            if mode.kind.name != "boson" or mode.ensemble is not None:
                continue
            moment: Moment = ((key, ("a", 0, 1)),)
            broken = any(charges(ring_free, self.problem.symmetry, self.problem.modes, moment))
            if broken and abs(initial_moments((moment,), point.initial)[0]) > 1e-12:
                raise SolveError(
                    Diagnostic(
                        "E524",
                        f"<{mode.label}> is not zero in the initial state, but zero by symmetry in all others",
                        help="start from vacuum, fock or thermal states: moments with a charge are left out",
                    )
                )

    def _trust(self, values: np.ndarray, found: dict[str, float], scheme: str) -> Trust:
        """Moments that no state can have."""
        warnings = []
        worst = 0.0
        for moment, value in zip(self.problem.moments, values, strict=True):
            if len(moment) != 1:
                continue
            ((_, word),) = moment
            if word == SIGMA_Z:
                worst = max(worst, abs(value.real) - 1.0)
            elif word[1] == word[2]:
                worst = max(worst, -value.real)
        if worst > 1e-9:
            message = f"a population is outside its range by {worst:.2g}: the closure fails here"
            warnings.append(Diagnostic("W525", message, help="raise the order, or compare with a density matrix"))
        facts = {
            "scheme": scheme,
            "closure": f"{self.problem.count} moments of up to {self.problem.order} operators",
        }
        return Trust({**found, "outside_range": max(worst, 0.0)}, facts, tuple(warnings))


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

    def __init__(self, problem: CumulantProblem, point: Point) -> None:
        self.problem = problem
        self.values = numbers(problem, point)  # type: ignore[arg-type]

    def _sum(self, time: float = 0.0) -> Sum:
        c = self.values.at(time) if self.values.moving else self.values.c
        return with_numbers(self.problem.drift, c, self.values.w)

    def run(self, first: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Moments at times, shape (T, M)."""
        found = run_integrator(
            integrator_source(pieces("means_right")),
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
        slope, other = derivative(drift, n, False), derivative(drift, n, True)
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
                growth = np.linalg.eigvals(_real(slope.at(root), other.at(root))).real.max()
                if near and moving | (np.abs(root - m).max() < 1e-7) and growth < 1e-9 * fastest:
                    return root, residual
            span *= 1.7
        message = "the moments go on moving: nothing stationary was reached"
        raise SolveError(Diagnostic("E520", message, help="ask for time = T"))

    def _newton(
        self, guess: np.ndarray, drift: Sum, slope: Sum, other: Sum
    ) -> tuple[np.ndarray, float] | None:
        m = guess
        for _ in range(12):
            rate = drift.at(m)
            matrix = _real(slope.at(m), other.at(m))
            try:
                step = np.linalg.solve(matrix, -_flat(rate))
            except np.linalg.LinAlgError:
                step = np.linalg.lstsq(matrix, -_flat(rate), rcond=None)[0]
            m = m + step[0::2] + 1j * step[1::2]
            if not np.isfinite(step).all():
                return None
            if np.abs(step).max() < _RESIDUAL * max(np.abs(m).max(), 1.0):
                scale = np.abs(matrix).sum(axis=1).max() * max(np.abs(m).max(), 1e-300)
                return m, float(np.abs(drift.at(m)).max() / max(scale, 1e-300))
        return None


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


class Regression:
    r"""Two-time correlations $\langle O(\tau)\,\delta B(0)\rangle$ in a stationary state.

    The equations of motion hold for $\langle O(\tau)\delta B\rangle$ too; B counts as one more operator in the
    closure. With $\kappa$ for joint cumulants,
    $\langle m\,\delta B\rangle = \sum_{\emptyset\ne S\subseteq m}\kappa(S, B)\langle m\setminus S\rangle$ with $|S|$ less
    than the order.
    """

    def __init__(self, problem: CumulantProblem, point: Point, values: np.ndarray) -> None:
        self.problem = problem
        self.point = point
        self.known = dict(zip(problem.moments, values, strict=True))

    def _algebra(self) -> tuple[Moments, Any, Any]:
        """Numbers in place of parameters."""
        system = self.problem.system
        symbols = {
            symbol: value
            for (key, symbol) in system.symbols.items()
            for name, value in zip(self.problem.coefficients.parameters, self.point.values, strict=True)
            if str(symbol) == name
        }

        def value(expression: Any) -> complex:
            return complex(sympy.sympify(expression).xreplace(
                {s: sympy.sympify(v) for s, v in symbols.items()}
            ))

        options = {"order": self.problem.order}
        algebra, hamiltonian, channels, _ = open_algebra(system, NUMERIC, options, value)
        algebra = Moments(
            algebra.outer, algebra.sizes, algebra.order, frozenset(self.problem.factorized)
        )
        return algebra, hamiltonian, channels

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        r"""$\lambda_k$ and $c_k$ of $\langle A(\tau)\delta B(0)\rangle = \sum_k c_k e^{\lambda_k\tau}$.

        Raises:
            SolveError: E617 for a B that is not the same for all atoms, or closures of order 1.
        """
        if self.problem.order < 2:
            raise SolveError(Diagnostic("E617", "two-time correlations need order = 2 or more"))
        algebra, hamiltonian, channels = self._algebra()
        outer = algebra.outer
        for mode in B.modes():
            if outer.modes[mode].ensemble is not None:
                message = "the operator at time 0 singles out one atom"
                help_ = "use a collective operator there, such as A.Jminus"
                raise SolveError(Diagnostic("E617", message, help=help_))
        weights = algebra.mean(algebra.expanded(Polynomial(outer, A.terms), frozenset()))
        start = [m for m in weights if m]
        rows: dict[Moment, int] = {}
        equations: list[dict[Moment, complex]] = []
        waiting = []
        for moment in start:
            waiting += list(self._pairs(algebra, moment, {}))
        while waiting:
            moment = waiting.pop()
            if moment in rows:
                continue
            rows[moment] = len(equations)
            motion = algebra.motion(algebra.operator(moment), hamiltonian, channels)
            found: dict[Moment, complex] = {}
            for m, c in algebra.mean(motion).items():
                self._pairs(algebra, m, found, complex(c))
            equations.append(found)
            waiting += [m for m in found if m not in rows]
        n = len(rows)
        matrix = np.zeros((n, n), dtype=complex)
        for row, found in enumerate(equations):
            for m, c in found.items():
                matrix[row, rows[m]] += c
        first = np.array([self._together(algebra, m, B) for m in rows])
        look = np.zeros(n, dtype=complex)
        for moment, c in weights.items():
            if moment:
                found = {}
                self._pairs(algebra, moment, found, complex(c))
                for m, value in found.items():
                    look[rows[m]] += value
        values, vectors = np.linalg.eig(matrix)
        return values, (look @ vectors) * np.linalg.solve(vectors, first)

    def _pairs(
        self, algebra: Moments, moment: Moment, total: dict[Moment, complex], factor: complex = 1.0
    ) -> dict[Moment, complex]:
        """<m dB> as a sum over <S dB> with fewer operators than the order; added to `total`."""
        letters = algebra.letters(moment)
        most = algebra.order - 1
        if not letters:
            return total
        if len(letters) <= most and moment not in algebra.factorized:
            total[moment] = total.get(moment, 0) + factor
            return total
        for subset in range(1, 1 << len(letters)):
            chosen = [k for k in range(len(letters)) if subset >> k & 1]
            if len(chosen) > most:
                continue
            rest = algebra.joined(letters[k] for k in range(len(letters)) if not subset >> k & 1)
            mean = self.mean(algebra, rest)
            if mean == 0:
                continue
            self._cumulant(algebra, [letters[k] for k in chosen], total, factor * mean)
        return total

    def _cumulant(
        self, algebra: Moments, letters: list[Any], total: dict[Moment, complex], factor: complex
    ) -> None:
        """kappa(S, B) = <S dB> less the sum over smaller subsets."""
        whole = algebra.joined(letters)
        total[whole] = total.get(whole, 0) + factor
        for subset in range(1, (1 << len(letters)) - 1):
            chosen = [x for k, x in enumerate(letters) if subset >> k & 1]
            rest = algebra.joined(x for k, x in enumerate(letters) if not subset >> k & 1)
            mean = self.mean(algebra, rest)
            if mean:
                self._cumulant(algebra, chosen, total, -factor * mean)

    def mean(self, algebra: Moments, moment: Moment) -> complex:
        """A moment in the stationary state, closed where it is too long."""
        total = 0j
        for product, factor in algebra.closed(moment).items():
            value = complex(factor)
            for m in product:
                value *= self._value(algebra, m)
            total += value
        return total

    def _value(self, algebra: Moments, moment: Moment) -> complex:
        if moment in self.known:
            return complex(self.known[moment])
        adjoint = algebra.adjoint(moment)
        return complex(np.conj(self.known[adjoint])) if adjoint in self.known else 0j

    def _together(self, algebra: Moments, moment: Moment, B: Polynomial) -> complex:
        """<O dB> at equal times."""
        operator = algebra.operator(moment)
        support = frozenset(operator.modes())
        there = algebra.expanded(Polynomial(algebra.outer, B.terms), support)
        both = self.expect(algebra, operator * there)
        alone = self.expect(algebra, algebra.expanded(Polynomial(algebra.outer, B.terms), frozenset()))
        return both - self.mean(algebra, moment) * alone

    def expect(self, algebra: Moments, operator: Polynomial) -> complex:
        """The mean of an operator on atoms."""
        return sum(
            (complex(c) * self.mean(algebra, m) for m, c in algebra.mean(operator).items()), 0j
        )


def mean_of(
    problem: CumulantProblem, values: np.ndarray, operator: Polynomial, sizes: Mapping[int, Any]
) -> np.ndarray:
    """<O> from the moments at times, shape (T,)."""
    algebra = Moments(operator.space, sizes, problem.order, frozenset(problem.factorized))
    place = {m: k for k, m in enumerate(problem.moments)}
    total = np.zeros(len(values), dtype=complex)
    for moment, c in algebra.mean(algebra.expanded(operator, frozenset())).items():
        for product, factor in algebra.closed(moment).items():
            term = np.full(len(values), complex(c) * complex(factor))
            for m in product:
                if m in place:
                    term = term * values[:, place[m]]
                else:
                    adjoint = algebra.adjoint(m)
                    term = term * (values[:, place[adjoint]].conj() if adjoint in place else 0.0)
            total += term
    return total
