"""Classical rotors: angles and momenta between kicks and at kicks."""

from __future__ import annotations

from dataclasses import dataclass, field

from qsyncdsl.problem.common import Coefficients


@dataclass(frozen=True, slots=True)
class RotorProblem:
    r"""Equations of $y = (x_1, \dots, x_R, p_1, \dots, p_R)$.

    Attributes:
        labels: The rotors.
        coefficients: Periods of the kicks; then, where the rates are affine, their matrix with the
            constant part behind each row; then the parameters of the source, `c`, behind which the
            length of time is put.
        source: `rates(y, c, out)`, `kick(y, c, out)` and `right(y, data, out)`: the map of a
            period for kicked rotors, else the rates.
        kicks, affine: Numbers of periods and of entries of the matrix among the coefficients.
        equations: To be read.
    """

    labels: tuple[str, ...]
    coefficients: Coefficients
    source: str = field(repr=False)
    kicks: int
    affine: int
    equations: tuple[tuple[str, str], ...] = ()
    title: str = ""
    noisy: bool = False
