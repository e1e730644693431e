"""Equations of motion of fields as data: what patterns over sites or edges add to drift and diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qsyncdsl.algebra.linear_forms import LinearForm
from qsyncdsl.algebra.phase_space import Derivative, FieldMonomial, FieldPolynomial


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns that run over the same set: sites, edges, or nothing."""

    graph: Any
    edges: bool

    def __hash__(self) -> int:
        return hash((id(self.graph), self.edges))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Group)
            and other.graph is self.graph
            and other.edges == self.edges
        )


@dataclass(frozen=True, slots=True)
class Bath:
    """The noise of one channel that is not of one field alone: polynomials by pair of modes.

    Entries as in `PhaseSpaceEquation.diffusion`.
    """

    group: Group
    entries: dict[tuple[int, int, int], FieldPolynomial]


@dataclass(frozen=True, slots=True)
class WaveDrift:
    """What a function of linear forms adds to the drift of a mode: coefficient * fields * function.

    Attributes:
        function: Expression of the symbols of the forms.
        nonlinear: Whether the Wigner equation has derivatives of third order beside it.
    """

    group: Group
    target: int
    fields: FieldMonomial
    coefficient: Any
    forms: tuple[LinearForm, ...]
    function: Any
    nonlinear: bool


@dataclass(frozen=True)
class FieldEquations:
    """Drift and diffusion by group and by position in the space of the system.

    Attributes:
        drift: For each group and mode a polynomial.
        local: Isotropic noise of single fields, $E|d\\alpha_k|^2/dt$, by group and mode.
        baths: Noise shared by several fields, or unequal in the two quadratures.
        dropped: Third and higher derivatives, by group.
        waves: Drift by functions of quadratures in H.
    """

    drift: Mapping[Group, Mapping[int, FieldPolynomial]]
    local: Mapping[Group, Mapping[int, FieldPolynomial]]
    baths: tuple[Bath, ...]
    dropped: Mapping[Group, Mapping[Derivative, FieldPolynomial]]
    waves: tuple[WaveDrift, ...] = ()
