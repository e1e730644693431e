r"""Two-time correlations of closed moments by quantum regression."""

from __future__ import annotations

import numpy as np

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.two_times import TwoTimes


class Regression:
    r"""$\langle A(\tau)\,\delta B(0)\rangle$ in a stationary state.

    Args:
        factors: Numbers of the factors of coefficients.
        values: The stationary moments.
    """

    def __init__(
        self, two_times: TwoTimes, factors: np.ndarray, values: np.ndarray
    ) -> None:
        self.two_times = two_times
        self.factors = factors
        self.values = values

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        r"""$\lambda_k$ and $c_k$ of $\langle A(\tau)\delta B(0)\rangle = \sum_k c_k e^{\lambda_k\tau}$.

        Raises:
            SolveError: E617 for a B that is not the same for all atoms, or closures of order 1.
        """
        self._refuse(B)
        equations = self.two_times.equations(A, B)
        matrix, seen, first = equations.at(self.factors, self.values)
        if not equations.rows:
            return seen, seen
        values, vectors = np.linalg.eig(matrix)
        return values, (seen @ vectors) * np.linalg.solve(vectors, first)

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
