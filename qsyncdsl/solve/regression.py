r"""Two-time correlations of closed moments by quantum regression."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from qsyncdsl.algebra.moment_system import MomentSystem
from qsyncdsl.algebra.moments import Moment
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError

_Split = tuple[Moment, Moment]


class TwoTimes:
    """Equations of two-time correlations with open coefficients, each derived once."""

    def __init__(self, system: MomentSystem) -> None:
        self.system = system
        self._motions: dict[Moment, dict[Moment, Any]] = {}
        self._splits: dict[Moment, tuple[_Split, ...]] = {}
        self._together: dict[Any, dict[Moment, Any]] = {}

    def motion(self, moment: Moment) -> dict[Moment, Any]:
        """L'[O] of a moment's operator."""
        if moment not in self._motions:
            self._motions[moment] = self.system.motion(moment)
        return self._motions[moment]

    def splits(self, moment: Moment) -> tuple[_Split, ...]:
        """A moment as a smaller one and the rest, in all ways that are needed; ascending in size."""
        if moment not in self._splits:
            algebra = self.system.algebra
            letters = algebra.letters(moment)
            sizes = range(1, min(algebra.order - 1, len(letters)) + 1)
            self._splits[moment] = tuple(
                (algebra.joined(chosen), algebra.joined(rest))
                for size in sizes
                for chosen, rest in _parts(letters, size)
            )
        return self._splits[moment]

    def mean(self, operator: Polynomial, moment: Moment = ()) -> dict[Moment, Any]:
        """The mean of O B, O being the operator of a moment."""
        terms = [(m, complex(c)) for m, c in operator.terms.items()]
        key = (moment, tuple(sorted(terms, key=str)))
        if key not in self._together:
            algebra = self.system.algebra
            left = algebra.operator(moment)
            right = algebra.expanded(
                self.system.moved(operator), frozenset(left.modes())
            )
            self._together[key] = algebra.mean(left * right)
        return self._together[key]


class Regression:
    r"""$\langle O(\tau)\,\delta B(0)\rangle$ in a stationary state.

    The equations of motion hold for $\langle O(\tau)\delta B\rangle$ too; B counts as one more operator
    in the closure. With $\kappa$ for joint cumulants,
    $\langle m\,\delta B\rangle = \sum_{\emptyset\ne S\subseteq m}\kappa(S, B)\langle m\setminus S\rangle$
    with $|S|$ less than the order.

    Args:
        factors: Numbers of the factors of coefficients.
        values: The stationary moments.
    """

    def __init__(
        self,
        two_times: TwoTimes,
        moments: tuple[Moment, ...],
        factors: np.ndarray,
        values: np.ndarray,
    ) -> None:
        self.two_times = two_times
        self.algebra = two_times.system.algebra
        self.factors = factors
        self.known = dict(zip(moments, values, strict=True))
        self._means: dict[Moment, complex] = {}

    def number(self, coefficient: Any) -> complex:
        """A coefficient at this point."""
        total = 0j
        for key, value in coefficient.terms.items():
            term = complex(value)
            for k in key:
                term *= self.factors[k]
            total += term
        return total

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        r"""$\lambda_k$ and $c_k$ of $\langle A(\tau)\delta B(0)\rangle = \sum_k c_k e^{\lambda_k\tau}$.

        Raises:
            SolveError: E617 for a B that is not the same for all atoms, or closures of order 1.
        """
        self._refuse(B)
        look: dict[Moment, complex] = {}
        for moment, c in self.two_times.mean(A).items():
            self._pairs(moment, look, self.number(c))
        rows: dict[Moment, int] = {}
        equations: list[dict[Moment, complex]] = []
        waiting = list(look)
        while waiting:
            moment = waiting.pop()
            if moment in rows:
                continue
            rows[moment] = len(equations)
            found: dict[Moment, complex] = {}
            for m, c in self.two_times.motion(moment).items():
                self._pairs(m, found, self.number(c))
            equations.append(found)
            waiting += [m for m in found if m not in rows]
        matrix = np.zeros((len(rows), len(rows)), dtype=complex)
        for row, found in enumerate(equations):
            for m, value in found.items():
                matrix[row, rows[m]] += value
        alone = self._sum(self.two_times.mean(B))
        first = np.array(
            [self._sum(self.two_times.mean(B, m)) - self.mean(m) * alone for m in rows],
            dtype=complex,
        )
        seen = np.zeros(len(rows), dtype=complex)
        for m, value in look.items():
            seen[rows[m]] += value
        if not rows:
            return seen, seen
        values, vectors = np.linalg.eig(matrix)
        return values, (seen @ vectors) * np.linalg.solve(vectors, first)

    def _refuse(self, operator: Polynomial) -> None:
        """E617."""
        if self.algebra.order < 2 or self.algebra.alone:
            message = "two-time correlations need order = 2 or more for all modes"
            raise SolveError(Diagnostic("E617", message))
        for mode in operator.modes():
            if self.algebra.outer.modes[mode].ensemble is not None:
                message = "the operator at time 0 singles out one atom"
                help_ = "use a collective operator there, such as A.Jminus"
                raise SolveError(Diagnostic("E617", message, help=help_))

    def _pairs(
        self, moment: Moment, total: dict[Moment, complex], factor: complex
    ) -> None:
        """Add <m dB> as a sum over <S dB> with fewer operators than the order."""
        if not moment or factor == 0:
            return
        splits = self.two_times.splits(moment)
        if not splits[-1][1] and moment not in self.algebra.factorized:
            total[moment] = total.get(moment, 0) + factor
            return
        for chosen, rest in splits:
            mean = self.mean(rest)
            if mean:
                self._cumulant(chosen, total, factor * mean)

    def _cumulant(
        self, moment: Moment, total: dict[Moment, complex], factor: complex
    ) -> None:
        """Add kappa(S, B) = <S dB> less the sum over smaller subsets."""
        total[moment] = total.get(moment, 0) + factor
        for chosen, rest in self.two_times.splits(moment):
            mean = self.mean(rest) if rest else 0.0
            if mean:
                self._cumulant(chosen, total, -factor * mean)

    def _sum(self, means: dict[Moment, Any]) -> complex:
        return sum((self.number(c) * self.mean(m) for m, c in means.items()), 0j)

    def mean(self, moment: Moment) -> complex:
        """A moment in the stationary state, closed where it is too long."""
        if moment not in self._means:
            total = 0j
            for product, factor in self.algebra.closed(moment).items():
                value = self.number(factor)
                for m in product:
                    value *= self._value(m)
                total += value
            self._means[moment] = total
        return self._means[moment]

    def _value(self, moment: Moment) -> complex:
        if moment in self.known:
            return complex(self.known[moment])
        adjoint = self.algebra.adjoint(moment)
        return complex(np.conj(self.known[adjoint])) if adjoint in self.known else 0j


def _parts(
    letters: tuple[Any, ...], size: int
) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """All subsets of a size with what is left."""
    places = range(len(letters))
    return [
        (
            tuple(letters[k] for k in chosen),
            tuple(letters[k] for k in places if k not in chosen),
        )
        for chosen in combinations(places, size)
    ]
