r"""Two-time correlations of closed moments by quantum regression, at many points at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.two_times import TwoTimes

# Poles and weights, each of shape (n,).
Lines = tuple[np.ndarray, np.ndarray]


class Regressions:
    r"""$\langle A(\tau)\,\delta B(0)\rangle$ in stationary states of one system.

    What is asked of one of them is found for all at once: a sweep asks each for the same.

    Args:
        factors: Numbers of the factors of coefficients, shape (B, K).
        values: The stationary moments, shape (B, M).
    """

    def __init__(
        self, two_times: TwoTimes, factors: np.ndarray, values: np.ndarray
    ) -> None:
        self.two_times, self.factors, self.values = two_times, factors, values
        self._known: dict[Any, list[Lines] | None] = {}

    def lines(self, place: int, A: Polynomial, B: Polynomial) -> Lines:
        """Those of one state.

        Raises:
            SolveError: E617 for a B that is not the same for all atoms, or closures of order 1.
        """
        key = frozenset(A.terms.items()), frozenset(B.terms.items())
        if key not in self._known:
            self._refuse(B)
            try:
                self._known[key] = self._lines(A, B, slice(None))
            except np.linalg.LinAlgError:
                self._known[key] = None
        known = self._known[key]
        # where one state of all has none, each is on its own
        if known is None:
            return self._lines(A, B, slice(place, place + 1))[0]
        return known[place]

    def _lines(self, A: Polynomial, B: Polynomial, which: slice) -> list[Lines]:
        equations = self.two_times.equations(A, B)
        matrix, seen, first = equations.many(self.factors[which], self.values[which])
        if not equations.rows:
            return list(zip(seen, seen, strict=True))
        poles, vectors = np.linalg.eig(matrix)
        parts = np.linalg.solve(vectors, first[:, :, None])[:, :, 0]
        weights = (seen[:, None, :] @ vectors)[:, 0] * parts
        return list(zip(poles, weights, strict=True))

    def _refuse(self, operator: Polynomial) -> None:
        """E617."""
        algebra = self.two_times.algebra
        if algebra.order < 2 or algebra.alone:
            message = "two-time correlations need order = 2 or more for all modes"
            raise SolveError(Diagnostic("E617", message))
        for mode in operator.modes():
            if algebra.outer.modes[mode].ensemble is not None:
                message = "the operator at time 0 singles out one atom"
                help_ = "use a collective operator there, such as A.Jminus"
                raise SolveError(Diagnostic("E617", message, help=help_))


@dataclass(frozen=True, slots=True)
class Regression:
    """One of the stationary states."""

    shared: Regressions
    place: int

    def lines(self, A: Polynomial, B: Polynomial) -> Lines:
        r"""$\lambda_k$ and $c_k$ of $\langle A(\tau)\delta B(0)\rangle = \sum_k c_k e^{\lambda_k\tau}$.

        Raises:
            SolveError: E617 for a B that is not the same for all atoms, or closures of order 1.
        """
        return self.shared.lines(self.place, A, B)
