"""The corridor from derivation to numerics: problems as pure data, never functions.

A problem is compiled once per structure of a model (its parts, sizes and cutoffs) and serves
every point of a sweep: what changes from point to point are the numbers `f_k(p)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
        times: Grid of times, where the method needs one.
    """

    values: tuple[complex | float, ...]
    initial: np.ndarray | None = field(default=None, repr=False)
    times: np.ndarray | None = field(default=None, repr=False)
