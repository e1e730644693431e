"""What measures look at under `classical` for rotors: angles and momenta."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.rotor_symbols import NoSymbol, symbol_values
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.result import Part, RotorResult


@dataclass(frozen=True)
class RotorScene:
    """Angles and momenta with weights; mean values are those of symbols.

    Attributes:
        values: Shape (2 R, M).
        weights: Shape (M,), sum 1.
        result: What the solver gave, where times are a dimension.
    """

    values: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    space: Space
    result: RotorResult | None
    hbar: float = 1.0
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def state(self) -> FieldParts:
        """The rotors."""
        return FieldParts(tuple(Part(m.label, "rotor", 0) for m in self.space.modes))

    def expect(self, operator: Polynomial) -> complex:
        """The mean of the symbol of an operator; angles are not taken modulo 2 pi.

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        count = len(self.values) // 2
        try:
            found = symbol_values(
                operator, self.values[:count], self.values[count:], self.hbar
            )
        except NoSymbol as reason:
            raise SolveError(Diagnostic("E610", f"{reason}")) from None
        return complex(found @ self.weights)

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a rotor."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> NoReturn:
        """There are no bosons here.

        Raises:
            SolveError: E601.
        """
        raise SolveError(Diagnostic("E601", f"{word} needs a boson, not a rotor"))

    def reduced(self, parts: tuple[int, ...]) -> NoReturn:
        """There is no density matrix here.

        Raises:
            SolveError: E611.
        """
        raise SolveError(
            Diagnostic(
                "E611",
                "this measure needs a density matrix; classical rotors have none",
                help="solve by 'floquet' or 'evolve'",
            )
        )


def scenes(result: RotorResult, space: Space, hbar: float) -> tuple[RotorScene, ...]:
    """One scene for each time, or one for the average."""
    if result.times is None:
        return (RotorScene(result.values, result.weights, space, None, hbar),)
    one = np.ones(1)
    return tuple(
        RotorScene(result.values[:, k : k + 1], one, space, result, hbar)
        for k in range(len(result.times))
    )
