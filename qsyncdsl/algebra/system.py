"""A system: modes, Hamiltonian, jump operators and kicks as operators with open parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.source import Span


@dataclass(frozen=True, slots=True)
class Term:
    """One Hamiltonian term, all values of its binders summed."""

    operator: Polynomial
    span: Span = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Jump:
    """One channel: `rate * D[operator]`.

    `per_atom` is the position of the ensemble each of whose atoms has this channel.
    """

    rate: Any
    operator: Polynomial
    span: Span = field(repr=False, compare=False)
    per_atom: int | None = None


@dataclass(frozen=True, slots=True)
class Kick:
    """`exp(-i generator/hbar)` at t = 0, T, 2T, ..."""

    period: Any
    generator: Polynomial
    span: Span = field(repr=False, compare=False)


# A parameter at an index: ("omega", (3,)).
ParameterKey = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class System:
    r"""$\dot\rho = -(i/\hbar)[H, \rho] + \sum_c \gamma_c \mathcal{D}[L_c]\rho$, parameters open.

    Attributes:
        symbols: The symbol of each parameter that occurs in a coefficient.
        structure: Numbers that the form depends on: sizes, indices, cutoffs, arguments of
            functions of operators. Another point with the same ones has the same system.
        positions: Position in the space of each mode and site.
        finer: The jumps of each statement with an integral, with twice as many nodes.
    """

    space: Space
    hamiltonian: tuple[Term, ...]
    jumps: tuple[Jump, ...]
    kicks: tuple[Kick, ...]
    hbar: Any
    symbols: Mapping[ParameterKey, Any]
    structure: Mapping[ParameterKey, Any]
    positions: Mapping[ParameterKey, int]
    finer: tuple[tuple[Span, tuple[Jump, ...]], ...] = ()

    @property
    def total_hamiltonian(self) -> Polynomial:
        """H."""
        total = self.space.scalar(0)
        for term in self.hamiltonian:
            total = total + term.operator
        return total
