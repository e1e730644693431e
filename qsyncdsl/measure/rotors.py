"""What measures look at under `classical` for rotors: angles and momenta."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeGuard

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.measure.parts import no_density_matrix
from qsyncdsl.measure.values import Lifted
from qsyncdsl.result import Part, RotorResult


@dataclass(frozen=True)
class RotorScene:
    """Angles and momenta with weights; mean values are those of symbols.

    Attributes:
        points: Shape (2 R, M).
        weights: Shape (M,), sum 1.
        given: What the solver gave.
        place: The time that is meant, where times are a dimension.
    """

    points: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    space: Space
    given: RotorResult = field(repr=False)
    place: int | None = None
    hbar: float = 1.0
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> RotorResult | None:
        """The result where times are a dimension."""
        return self.given if self.place is not None else None

    @property
    def times(self) -> np.ndarray:
        """Times along the path."""
        return self.given.path_times

    @property
    def state(self) -> FieldParts:
        """The rotors."""
        return FieldParts(tuple(Part(m.label, "rotor", 0) for m in self.space.modes))

    def expect(self, operator: Polynomial) -> complex:
        """The mean of the symbol of an operator; angles are not taken modulo 2 pi.

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        return complex(self._symbol(operator, self.points) @ self.weights)

    def values(self, operator: Polynomial) -> np.ndarray:
        """The symbol of an operator along the path, shape (1, T); whole turns of angles count.

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        points = self.points if self.place is not None else self.given.path.T
        return self._symbol(operator, points)[None, :].view(Lifted)

    def rerun(self, start: np.ndarray) -> RotorScene:
        """The same point from another start."""
        result = self.given.extra["again"](start)
        return scenes(result, self.space, self.hbar)[0]

    def _symbol(self, operator: Polynomial, points: np.ndarray) -> np.ndarray:
        from qsyncdsl.algebra.rotor_symbols import NoSymbol, symbol_values

        count = len(points) // 2
        try:
            found = symbol_values(operator, points[:count], points[count:], self.hbar)
        except NoSymbol as reason:
            raise SolveError(Diagnostic("E610", f"{reason}")) from None
        return np.asarray(found)

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
        raise no_density_matrix(
            "classical rotors have none", "solve by 'floquet' or 'evolve'"
        )


def turning(scene: Any) -> TypeGuard[RotorScene]:
    """Whether a scene has classical rotors."""
    return isinstance(scene, RotorScene)


def scenes(result: RotorResult, space: Space, hbar: float) -> tuple[RotorScene, ...]:
    """One scene for each time, or one for the average."""
    if result.times is None:
        return (RotorScene(result.values, result.weights, space, result, None, hbar),)
    one = np.ones(1)
    return tuple(
        RotorScene(result.values[:, k : k + 1], one, space, result, k, hbar)
        for k in range(len(result.times))
    )
