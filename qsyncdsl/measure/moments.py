"""What measures look at under closed equations of moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn, TypeGuard

import numpy as np

from qsyncdsl.algebra.moments import Moments, NoMoments
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.measure.parts import no_density_matrix
from qsyncdsl.measure.statistics import behind_mean
from qsyncdsl.result import MomentResult, Part


@dataclass(frozen=True)
class MomentScene:
    """Moments with what is needed to measure them.

    Attributes:
        space: The modes, with numbers as coefficients.
        given: What the solver gave.
        at: Place in time; None for all times, over which measures are averaged.
        matrices: Operators, shared between the points of a sweep.
    """

    space: Space
    given: MomentResult = field(repr=False)
    at: int | None = None
    hbar: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    matrices: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> MomentResult | None:
        """The result where times are a dimension."""
        return self.given if self.at is not None else None

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        modes = [m for m in self.space.modes if m.ensemble is None]
        return FieldParts(tuple(Part(m.label, m.kind.name, 0) for m in modes))

    def expect(self, operator: Polynomial) -> complex:
        """<O>, closed where it has more operators than the order; averaged over the times.

        Raises:
            SolveError: E610 for functions of operators.
        """
        values = self.given.values
        chosen = values if self.at is None else values[self.at : self.at + 1]
        try:
            found = self._mean(chosen, operator)
        except NoMoments as reason:
            message = f"this is no polynomial of moments: {reason}"
            raise SolveError(Diagnostic("E610", message)) from None
        return complex(found.mean())

    @cached_property
    def _algebra(self) -> Moments:
        """The moments, coefficients in numbers."""
        sizes = {
            k: float(m.size)
            for k, m in enumerate(self.space.modes)
            if m.kind.name == "ensemble"
        }
        known = self.given.problem.system.algebra
        return Moments(self.space, sizes, known.order, known.factorized, known.alone)

    def _mean(self, values: np.ndarray, operator: Polynomial) -> np.ndarray:
        """<O> from the moments at times, shape (T,)."""
        algebra = self._algebra
        place = {m: k for k, m in enumerate(self.given.problem.moments)}
        total = np.zeros(len(values), dtype=complex)
        for moment, c in algebra.mean(algebra.expanded(operator, frozenset())).items():
            for product, factor in algebra.closed(moment).items():
                term = np.full(len(values), complex(c) * complex(factor))
                for m in product:
                    if m in place:
                        term = term * values[:, place[m]]
                        continue
                    other = place.get(algebra.adjoint(m))
                    term = term * (0.0 if other is None else values[:, other].conj())
                total += term
        return total

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        r"""Poles and weights of $\langle A(\tau)\delta B(0)\rangle$ by regression.

        Raises:
            SolveError: E613 unless the state is stationary.
        """
        if self.given.regression is None:
            message = "this measure needs a stationary state"
            raise SolveError(
                Diagnostic("E613", message, help="solve cumulants without times")
            )
        found: tuple[np.ndarray, np.ndarray] = self.given.regression.lines(A, B)
        return found

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The lowering operator of a part."""
        kind = self.state.parts[part].kind
        if kind not in ("boson", "qubit", "ensemble"):
            message = f"{word} needs a boson, a qubit or an ensemble, not a {kind}"
            raise SolveError(Diagnostic("E601", message))
        return self.letter(
            part, {"boson": "a", "qubit": "minus", "ensemble": "Jminus"}[kind]
        )

    def reduced(self, parts: tuple[int, ...]) -> NoReturn:
        """There is no density matrix here.

        Raises:
            SolveError: E611.
        """
        raise no_density_matrix(
            "here are moments only", "solve by 'steadystate' or 'evolve'"
        )


def momental(scene: Any) -> TypeGuard[MomentScene]:
    """Whether a scene has moments only."""
    return isinstance(scene, MomentScene)


def scenes(
    result: MomentResult,
    space: Space,
    hbar: float,
    options: Mapping[str, Any],
    shared: dict[Any, Any],
) -> tuple[MomentScene, ...]:
    """One scene, or one for each time that was asked for."""
    given = {"window": options.get("window")}
    whole = MomentScene(space, result, None, hbar, given, shared)
    if result.times is None:
        return (whole,)
    if result.series:
        return tuple(replace(whole, at=k) for k in range(len(result.times)))
    behind = behind_mean(
        result.times, options, lambda places: [replace(whole, at=k) for k in places]
    )
    return (replace(whole, parameters={"behind": behind}),)
