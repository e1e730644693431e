"""The corridor from derivation to numerics: problems as pure data, never functions.

A problem is compiled once per structure of a model (its parts, sizes and cutoffs) and serves
every point of a sweep: what changes from point to point are the numbers `f_k(p)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.result import Part

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp


@dataclass(frozen=True, slots=True)
class Coefficients:
    r"""The functions $f_k(p, t)$ as readable source text.

    Attributes:
        parameters: Names of the parameters, in the order of the argument `p`.
        source: `def coefficients(p, t): ... return (f_0, f_1, ...)`; plain Python on `math`
            and `cmath` names, fit to be printed, hashed and sent to a worker.
        count: Number of functions.
        time_dependent: Indices of those in which `t` occurs.
    """

    parameters: tuple[str, ...]
    source: str
    count: int
    time_dependent: frozenset[int] = frozenset()


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
    """

    parts: tuple[Part, ...]
    matrices: tuple[sp.csr_array, ...]
    coefficients: Coefficients
    hamiltonian: Combination
    channels: tuple[Channel, ...]
    kicks: tuple[Kick, ...] = ()
    title: str = ""

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


@dataclass(frozen=True, slots=True)
class Point:
    """One point of parameter space at which a problem is solved.

    Attributes:
        values: Values of `Coefficients.parameters`, in order.
        initial: Density matrix or state vector at the start, where the method needs one.
            For fields means and variances, shape (2, F); for product states the factors of
            all modes; for moments the `Law` of each mode.
        times: Grid of times, where the method needs one.
        options: The options of the solve line at this point.
        seed: Of everything random at this point.
    """

    values: tuple[Any, ...]
    initial: Any = field(default=None, repr=False)
    times: np.ndarray | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FieldFamily:
    """The fields of one declared mode: rows `offset .. offset + size - 1` of every state.

    Attributes:
        shape: Numbers of sites along the coordinates of its lattice; empty for a single mode.
        periodic: Whether these coordinates wrap.
    """

    label: str
    offset: int
    size: int
    shape: tuple[int, ...] = ()
    periodic: bool = False


@dataclass(frozen=True, slots=True)
class Varying:
    """A coefficient that differs from site to site.

    Attributes:
        coefficient: Index of its function f_k.
        gather: For each parameter of f_k that is an array, the position in it for each instance.
    """

    coefficient: int
    gather: Mapping[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoiseChannel:
    r"""A bath that drives several fields at once, with constant strength.

    $E[dz\,dz^T] = C\,dt$ for the real components $z = (\mathrm{Re}, \mathrm{Im})$ of its fields.

    Attributes:
        table: Index of the table whose columns are the fields, one row a bath.
        entries: `(row, column, c, coefficient)`: $E[d\alpha_r\,d\alpha_c^*]$ (c = 1) or
            $E[d\alpha_r\,d\alpha_c]$ (c = 0), as an index of the f_k.
    """

    table: int
    entries: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    r"""Stochastic or deterministic equations for complex fields, $d\alpha = A\,dt + dW$.

    Attributes:
        source: Python for numba: `drift(...)` and `advance(...)`, parameters as arguments.
        coefficients: The f_k(p, t); some parameters are arrays over sites.
        varying: Coefficients that differ from site to site, in the order of the source.
        tables: Fields that a loop of the source goes through, one row for each turn.
        sums: Number of sums over whole lattices that the drift needs.
        noisy: Whether there is any noise.
        dropped: Terms of the Wigner equation that truncated Wigner leaves out, as text.
        equations: Drift and diffusion for the reader: `(left side, right side)`.
        latex: The same in LaTeX.
        clippable: Whether the diffusion can become negative.
    """

    families: tuple[FieldFamily, ...]
    coefficients: Coefficients
    source: str
    varying: tuple[Varying, ...]
    tables: tuple[np.ndarray, ...]
    channels: tuple[NoiseChannel, ...]
    sums: int
    noisy: bool
    clippable: bool
    dropped: tuple[str, ...] = ()
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""

    @property
    def count(self) -> int:
        """Number of fields F."""
        return sum(family.size for family in self.families)


@dataclass(frozen=True, slots=True)
class Terms:
    r"""Sums of monomials, $y_t = \sum_{n: t_n = t} c_n \prod_f (z_f^*)^{p_f} z_f^{q_f}$, as flat arrays.

    Attributes:
        target: t_n, shape (n,).
        coefficient: Index of the function f_k that c_n is; -1 where it differs from site to site.
        varying: Row and column in the coefficients that differ from site to site, shape (2, n).
        start: The factors of term n are `start[n] .. start[n + 1] - 1`, shape (n + 1,).
        fields, p, q: The factors.
        shape: Of y: (F,) for a drift, (F, F) for a diffusion matrix.
    """

    target: np.ndarray = field(repr=False)
    coefficient: np.ndarray = field(repr=False)
    varying: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)
    fields: np.ndarray = field(repr=False)
    p: np.ndarray = field(repr=False)
    q: np.ndarray = field(repr=False)
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GaussianProblem:
    r"""Mean fields and their fluctuations to second order.

    $\dot\alpha = A(\alpha)$; the fluctuations obey the equations linearized about $\alpha(t)$, with
    $E[d\xi_k d\xi_l^*] = N_{kl}\,dt$ and $E[d\xi_k d\xi_l] = M_{kl}\,dt$, symmetrically ordered.

    Attributes:
        drift: A, shape (F,).
        normal, anomalous: N and M, shape (F, F).
        equations, latex: For the reader.
    """

    families: tuple[FieldFamily, ...]
    coefficients: Coefficients
    varying: tuple[Varying, ...]
    drift: Terms
    normal: Terms
    anomalous: Terms
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of fields F."""
        return sum(family.size for family in self.families)


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
class MeanFieldProblem:
    r"""A product state $\rho = \bigotimes_c \rho_c$ and the equations of its factors.

    Attributes:
        kinds: The cells.
        matrices: For each kind the constant operators on one cell.
        terms: The right sides.
        rates: Coefficient and varying row of each dissipator's rate, with its label.
        charges: For each kind the charges of its basis states if there is a continuous symmetry
            under which the coupled equations are invariant; else None.
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
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of cells."""
        return sum(kind.count for kind in self.kinds)


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


# A polynomial in one field: (p, q, index of the coefficient) for alpha*^p alpha^q.
OneField = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class DensityProblem:
    r"""Fokker-Planck equation of one field.

    $$ \partial_t W = -\partial_\alpha (A W) - \partial_{\alpha^*}(A^* W)
       + \partial_\alpha\partial_{\alpha^*}(D W)
       + \tfrac12[\partial_\alpha^2 (S W) + \partial_{\alpha^*}^2 (S^* W)] . $$

    Attributes:
        label: The mode.
        drift, diffusion, squeezing: A, D and S.
        dropped: What truncated Wigner leaves out.
    """

    label: str
    coefficients: Coefficients
    drift: OneField
    diffusion: OneField
    squeezing: OneField
    dropped: tuple[str, ...] = ()
    title: str = ""
