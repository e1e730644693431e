"""Equations of product states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qsyncdsl.problem.common import Coefficients, Varying
from qsyncdsl.problem.fields import FieldFamily
from qsyncdsl.result import Part

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp


@dataclass(frozen=True, slots=True)
class CellKind:
    """Sites that are alike: the tensor factors of one, and how many there are.

    Attributes:
        parts: The modes of one cell; the first varies slowest.
        offsets: For each part the position in the space of its mode on the first site.
        count: Number of cells; the others follow one by one.
    """

    parts: tuple[Part, ...]
    offsets: tuple[int, ...]
    count: int

    @property
    def dimension(self) -> int:
        """Dimension D of one cell."""
        product = 1
        for part in self.parts:
            product *= part.dimension
        return product


# Cells over which a factor is summed, in place of the number of one.
EVERYONE = -1


@dataclass(frozen=True, slots=True)
class CellTerm:
    r"""A term of the equations of the cells, with strength g.

    $g[A, \rho]$, or $g(A\rho B^\dagger - \tfrac12\{B^\dagger A, \rho\})$;
    $g_c = \sum_n f_n \prod_m \langle O_m\rangle_{c_{nm}}$ over the instances n with target c.

    Attributes:
        kind: The cells it acts on.
        left, right: A and B as indices of the matrices of the kind; no B for a commutator.
        coefficient: Index of the function f_k; -1 where it differs from instance to instance.
        varying: Row in the coefficients that differ; column n belongs to instance n.
        weight: Number that multiplies all f_n.
        targets: c for each instance, shape (n,); None for every cell of the kind alike.
        factors: Kind and matrix of each O_m.
        cells: c_nm, shape (n, m); EVERYONE for a sum over all cells of the kind.
    """

    kind: int
    left: int
    right: int | None
    coefficient: int
    varying: int
    weight: complex
    targets: np.ndarray | None = field(repr=False)
    factors: tuple[tuple[int, int], ...]
    cells: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True)
class PairTerm:
    r"""A term of the equation of two cells that acts on both, with strength f.

    $f[A_jB_k, \rho]$, or $f(u\rho v^\dagger - \tfrac12\{v^\dagger u, \rho\})$ with $u = A_jB_k$ and
    $v = A'_jB'_k$.

    Attributes:
        kinds: Of both cells.
        left, right: A and B, A' and B' as indices of the matrices of the kinds; no second pair for
            a commutator.
        coefficient, varying, weight: As of a `CellTerm`.
        complete: Whether it acts on all pairs of sites, in both orders; then a mean field has a site
            among its own neighbors.
        cells: j and k of each instance, shape (n, 2); none for all pairs of sites alike.
    """

    kinds: tuple[int, int]
    left: tuple[int, int]
    right: tuple[int, int] | None
    coefficient: int
    varying: int
    weight: float
    complete: bool
    cells: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True)
class MeanFieldProblem:
    r"""A product state $\rho = \bigotimes_c \rho_c$ and the equations of its factors.

    Attributes:
        kinds: The cells.
        matrices: For each kind the constant operators on one cell.
        terms: The right sides.
        rates: Coefficient and varying row of each dissipator's rate, with its label.
        charges: For each kind the charges of its basis states if there is a continuous symmetry
            under which the coupled equations are invariant; else None.
        pairs: The terms that act on two cells; None where some act on more.
        equations, latex: For the reader.
    """

    families: tuple[FieldFamily, ...]
    kinds: tuple[CellKind, ...]
    matrices: tuple[tuple[sp.csr_array, ...], ...]
    terms: tuple[CellTerm, ...]
    coefficients: Coefficients
    varying: tuple[Varying, ...]
    rates: tuple[tuple[int, int, str], ...]
    charges: tuple[np.ndarray, ...] | None
    pairs: tuple[PairTerm, ...] | None = None
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of cells."""
        return sum(kind.count for kind in self.kinds)
