"""Master equations and Hamiltonians on the tensor product of the modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.problem.common import Coefficients
from qsyncdsl.result import Part

if TYPE_CHECKING:
    import scipy.sparse as sp


# One operator is a sum of constant matrices with coefficients: sum_k f_k(p, t) M_k,
# written as pairs (index of the coefficient, index of the matrix).
Combination = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """One dissipator: `rate * D[jump]`, with the index of the rate's coefficient."""

    rate: int
    jump: Combination
    label: str = ""


@dataclass(frozen=True, slots=True)
class Kick:
    """`exp(-i G/hbar)` at t = 0, T, 2T, ...; period and hbar as indices of coefficients."""

    period: int
    generator: Combination


@dataclass(frozen=True, slots=True)
class Force:
    r"""A static force on a rotor, by its quasi-momentum: $\dot\beta$ = f/hbar.

    $p = \hbar(n + \beta)$; when $\beta$ reaches 1 (or falls below 0) the label n becomes n + 1 (n - 1).

    Attributes:
        part: The rotor among the parts.
        rate: Index of the coefficient f/hbar.
    """

    part: int
    rate: int


@dataclass(frozen=True, slots=True)
class LindbladProblem:
    r"""A master equation with parameters left open.

    $$ \dot\rho = -\frac{i}{\hbar}[H, \rho] + \sum_c \gamma_c \Big( L_c \rho L_c^\dagger
       - \tfrac12 \{L_c^\dagger L_c, \rho\} \Big), \qquad
       H = \sum_k f_k(p, t) M_k, \quad L_c = \sum_k f_k(p, t) M_k . $$

    Attributes:
        parts: The tensor factors; the first varies slowest in the flat basis index.
        matrices: Constant operators $M_k$, sparse (CSR), shape (D, D), complex or real.
        coefficients: The $f_k$.
        hamiltonian: $H/\hbar$ as a combination.
        channels: The dissipators.
        kicks: Instantaneous unitaries, in the order written.
        title: For messages and headers.
        supports: The parts that each matrix acts on.
        forces: Rotors whose quasi-momentum moves; `matrices` are those at quasi-momentum 0.
        operators: For models with kicks or forces, the polynomial behind each matrix as pairs of
            monomial and number: kicks are computed on a larger space, rotors at other windows.
        space: The modes that the monomials act on.
        quadrature: Largest relative change of a channel when the nodes of its integral are doubled.
        warnings: What was noticed when the problem was made.
    """

    parts: tuple[Part, ...]
    matrices: tuple[sp.csr_array, ...]
    coefficients: Coefficients
    hamiltonian: Combination
    channels: tuple[Channel, ...]
    kicks: tuple[Kick, ...] = ()
    title: str = ""
    supports: tuple[frozenset[int], ...] = ()
    forces: tuple[Force, ...] = ()
    operators: tuple[Any, ...] = field(default=(), repr=False)
    space: Any = field(default=None, repr=False)
    quadrature: float = 0.0
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def dimension(self) -> int:
        """Dimension D of the Hilbert space."""
        product = 1
        for part in self.parts:
            product *= part.dimension
        return product


@dataclass(frozen=True, slots=True)
class PermutationTerm:
    """A term of a Liouvillian that is the same for all atoms of an ensemble.

    Attributes:
        kind: `hamiltonian` (-i[u, rho]), `jump` (u rho v' - {v'u, rho}/2) or `atom`, the same for
            each atom, summed.
        coefficient: Index of the function f_k.
        words: The monomials u, v.
        part: The ensemble of an `atom` term.
    """

    kind: str
    coefficient: int
    words: tuple[Any, ...]
    part: int = 0


@dataclass(frozen=True, slots=True)
class PermutationProblem:
    """A master equation on permutation-symmetric density matrices.

    Attributes:
        parts: The modes; the dimension of an ensemble is its number of atoms.
        kept: Their positions in the space.
    """

    parts: tuple[Part, ...]
    kept: tuple[int, ...]
    space: Any = field(repr=False)
    terms: tuple[PermutationTerm, ...]
    coefficients: Coefficients
    symmetry: Any
    title: str = ""


@dataclass(frozen=True, slots=True)
class LevelGroup:
    """Parts that H couples with one another and with no others; H/hbar on their own space."""

    parts: tuple[int, ...]
    hamiltonian: Combination


@dataclass(frozen=True, slots=True)
class EigenProblem:
    """The levels of a Hamiltonian, group by group of coupled parts.

    Attributes:
        matrices: Each on the space of its own group.
    """

    parts: tuple[Part, ...]
    matrices: tuple[sp.csr_array, ...]
    coefficients: Coefficients
    groups: tuple[LevelGroup, ...]
    title: str = ""
