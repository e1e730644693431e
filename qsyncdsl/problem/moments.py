"""Closed equations of moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qsyncdsl.problem.common import Coefficients, Varying
from qsyncdsl.problem.fields import Terms


@dataclass(frozen=True, slots=True)
class CumulantProblem:
    r"""Closed equations of moments, $\dot m_k = \sum_n c_n \prod m_j^{q} (m_j^*)^{p}$.

    Attributes:
        moments: Factors (mode, word) of each moment; of a pair of adjoint ones only the first.
        order: Largest number of operators in a moment.
        drift: The right sides, shape (M,).
        drifts: The same as sums of products of moments with symbols, from which they are written.
        system: Where the equations come from (a `MomentSystem`); regression derives those of two
            times from it.
        factors: The functions f_k that are the factors of its coefficients.
        rates: The functions f_k that are rates of dissipators, with the labels of these.
        equations, latex: For the reader; written where they are asked for.
    """

    moments: tuple[Any, ...]
    order: int
    drift: Terms
    coefficients: Coefficients
    drifts: tuple[Any, ...] = field(repr=False)
    system: Any = field(repr=False)
    factors: tuple[int, ...]
    rates: tuple[tuple[int, str], ...] = ()
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    varying: tuple[Varying, ...] = ()
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of moments M."""
        return len(self.moments)
