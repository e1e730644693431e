"""What measures look at for permutation-symmetric states of ensembles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.result import Part, PermutationResult


@dataclass(frozen=True)
class SymmetricScene:
    """A stationary symmetric state with what is needed to measure it."""

    space: Space
    given: PermutationResult = field(repr=False)
    hbar: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> PermutationResult:
        """What the solver gave."""
        return self.given

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        modes = [m for m in self.space.modes if m.ensemble is None]
        return FieldParts(tuple(Part(m.label, m.kind.name, 0) for m in modes))

    def expect(self, operator: Polynomial) -> complex:
        """<O>."""
        return complex(self.given.answer.expect(operator))

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        """Poles and weights of a correlation."""
        found: tuple[np.ndarray, np.ndarray] = self.given.answer.lines(A, B)
        return found

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def reduced(self, parts: tuple[int, ...]) -> NoReturn:
        """There is no density matrix on a product basis here.

        Raises:
            SolveError: E611.
        """
        raise SolveError(
            Diagnostic(
                "E611",
                "a symmetric state of an ensemble has no density matrix on a product basis",
                help="declare the atoms as qubits",
            )
        )
