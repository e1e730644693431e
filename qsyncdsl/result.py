"""The corridor from numerics to measures: states of a system with what is known of their error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor factor of the Hilbert space.

    Attributes:
        label: The mode as the user writes it: `a`, `b[2, 3]`, `left.a`.
        kind: Word of the mode kind: `boson`, `qubit`, `spin`, `levels`, `ensemble`, `rotor`.
        dimension: Number of basis states kept.
        offset: Label of the first basis state: 0, or -nmax for a rotor.
    """

    label: str
    kind: str
    dimension: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Trust:
    """What a solver knows of the error of its answer, as numbers with names.

    Attributes:
        numbers: For instance `residual`, `trace_error`, `smallest_eigenvalue`, `top_population`.
        facts: Choices and findings in words: the solver, the symmetry, the sector.
        warnings: Diagnostics with W codes.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Numbers, facts and warnings as one flat document."""
        return {
            **self.numbers,
            **self.facts,
            "warnings": [warning.to_json() for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class QuantumState:
    """A density matrix on named tensor factors.

    Attributes:
        parts: The factors; the first varies slowest in the flat basis index.
        rho: Density matrix, shape (D, D), complex, trace 1.
    """

    parts: tuple[Part, ...]
    rho: np.ndarray = field(repr=False)

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of the factors."""
        return tuple(part.dimension for part in self.parts)


@dataclass(frozen=True, slots=True)
class SteadyResult:
    """The stationary state of one point; the generator is kept for spectra and gaps."""

    state: QuantumState
    generator: Any
    trust: Trust


@dataclass(frozen=True, slots=True)
class EvolutionResult:
    """States on a grid of times, shape (T,)."""

    times: np.ndarray
    states: tuple[QuantumState, ...]
    trust: Trust


@dataclass(frozen=True, slots=True)
class EigenResult:
    """Eigenvalues (ascending) and eigenvectors (columns) of H, in H's own units.

    Attributes:
        energies: Shape (D,), real.
        vectors: Shape (D, K): the K lowest eigenvectors.
        parts: The tensor factors.
        groups: Sets of part indices that H does not couple, with the levels of each group.
    """

    energies: np.ndarray
    vectors: np.ndarray
    parts: tuple[Part, ...]
    groups: tuple[tuple[tuple[int, ...], np.ndarray], ...]
    trust: Trust
