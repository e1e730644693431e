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
        system: Where the equations come from (a `MomentSystem`); regression derives those of two
            times from it.
        factors: The functions f_k that are the factors of its coefficients.
    """

    moments: tuple[Any, ...]
    order: int
    drift: Terms
    coefficients: Coefficients
    equations: tuple[tuple[str, str], ...]
    latex: str
    system: Any = field(repr=False)
    factors: tuple[int, ...]
    title: str = ""
    varying: tuple[Varying, ...] = ()
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of moments M."""
        return len(self.moments)
