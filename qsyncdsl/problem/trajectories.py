"""Quantum jumps: the generator between them as sums of matrices, and what is to be recorded."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.problem.common import Coefficients
from qsyncdsl.problem.lindblad import LindbladProblem
from qsyncdsl.result import Part

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, slots=True)
class GeneratorTerm:
    r"""One summand $\prod_k f_k\,A$ of the generator; a conjugated factor has index ~k.

    >>> [~(~3), ~0]
    [3, -1]
    """

    factors: tuple[int, ...]
    matrix: sp.csr_array = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrajectoryProblem:
    r"""The evolution of a state vector between quantum jumps, $\dot\psi = G(t)\psi$.

    $$ G = -\frac{i}{\hbar}H - \tfrac12\sum_c\gamma_c L_c^\dagger L_c
         = \sum_n \Big(\prod_{k \in n} f_k(p, t)\Big) A_n . $$

    Attributes:
        lindblad: The master equation; its matrices are those of H and of the jumps.
        terms: The summands of G. Those whose factors do not depend on time are added up at each
            point and make the generator 0; the others are the generators 1, 2, ... in order.
        offsets: Column minus row of the diagonals that the matrices consist of, ascending.
        source: Python for numba, `term(...)`; empty where there are too many diagonals, or where
            the space is so small that compiling would take longer than it saves.
    """

    lindblad: LindbladProblem
    terms: tuple[GeneratorTerm, ...]
    offsets: tuple[int, ...]
    source: str = field(default="", repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The tensor factors."""
        return self.lindblad.parts

    @property
    def coefficients(self) -> Coefficients:
        """The f_k."""
        return self.lindblad.coefficients

    @property
    def dimension(self) -> int:
        """Dimension D of the Hilbert space."""
        return self.lindblad.dimension

    @property
    def moving(self) -> tuple[GeneratorTerm, ...]:
        """The terms that depend on time."""
        return tuple(term for term in self.terms if self._moves(term))

    @property
    def fixed(self) -> tuple[GeneratorTerm, ...]:
        """The terms that do not."""
        return tuple(term for term in self.terms if not self._moves(term))

    def _moves(self, term: GeneratorTerm) -> bool:
        moving = self.coefficients.time_dependent
        return any(max(k, ~k) in moving for k in term.factors)


@dataclass(frozen=True, slots=True)
class Request:
    """Something that measures need of every state along trajectories.

    Attributes:
        kind: `operator`: the mean of a matrix, for each state by itself; `reduced`: the density
            matrix of some parts, averaged; `phase`: moments of the relative phase of two parts,
            averaged; `husimi`: that of a rotor, on a grid.
        key: What distinguishes it from others of its kind: the parts; part, extent, points and hbar of `husimi`.
        matrix: Of an operator, sparse, shape (D, D); None where the basis moves.
        operator: The operator itself, where the basis moves.
    """

    kind: str
    key: Hashable
    matrix: Any = field(default=None, compare=False, repr=False)
    operator: Any = field(default=None, compare=False, repr=False)
