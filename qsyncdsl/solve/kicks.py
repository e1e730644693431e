"""Kicks of a state vector at t = 0, T, 2T, ..., each kick with its own period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.kick_maps import Turn, moves, periods, turns
from qsyncdsl.solve.kick_times import falls, instants
from qsyncdsl.solve.windows import origin

# Windows whose kicks are kept.
_KEPT = 64


class Kicks:
    r"""The kicks $e^{-iG/\hbar}$ of a problem up to a time, in the order written.

    Attributes:
        times: When anything is kicked, ascending.
        lost: Largest part of a state that one kick took out of the basis.

    Raises:
        SolveError: E540 for a period that is not positive.
    """

    def __init__(
        self,
        problem: LindbladProblem,
        f: np.ndarray,
        end: float,
        values: Sequence[Any] | None = None,
    ) -> None:
        self.problem = problem
        self.f = f
        # with a strength that depends on time each kick is its own
        self._values = values if moves(problem) else None
        self.lost = 0.0
        self.periods = periods(problem, f)
        # the last time included: records end at it, stretches between kicks at the next one
        self.times = (
            tuple(instants(self.periods, end * (1 + 1e-9))) if end > 0 else (0.0,)
        )
        self._turns: dict[tuple[Place, float], list[list[Turn]]] = {}
        self._home = origin(problem)
        self._fixed = not any(_by_label(problem, index) for index in self._matrices)

    @property
    def _matrices(self) -> list[int]:
        return [index for kick in self.problem.kicks for _, index in kick.generator]

    def apply(
        self, state: np.ndarray, time: float, place: Place | None = None
    ) -> np.ndarray:
        """The state after all kicks at a time, with the norm that it had."""
        before = float(np.linalg.norm(state))
        for period, kick in zip(self.periods, self._at(place, time), strict=True):
            if falls(time, period):
                for turn in kick:
                    state = turn.of(state)
        after = float(np.linalg.norm(state))
        self.lost = max(self.lost, 1 - (after / before) ** 2)
        return state * (before / after)

    def _at(self, place: Place | None, time: float) -> list[list[Turn]]:
        """The unitaries of every kick in a window, at a time."""
        place = self._home if place is None or self._fixed else place
        key = place, 0.0 if self._values is None else time
        if key not in self._turns:
            if len(self._turns) >= _KEPT:
                self._turns.clear()
            f = self.f
            if self._values is not None:
                f = coefficients.evaluate(self.problem.coefficients, self._values, time)
            self._turns[key] = [
                turns(self.problem, kick, f, place) for kick in self.problem.kicks
            ]
        return self._turns[key]


def _by_label(problem: LindbladProblem, index: int) -> bool:
    """Whether an operator depends on the label or the momentum of a rotor, not on its angle alone."""
    return any(
        problem.space.modes[k].kind.name == "rotor"
        and (word[0] != "e" or word[2] or word[3])
        for monomial, _ in problem.operators[index]
        for key, word in monomial
        for k in ((key,) if isinstance(key, int) else key)
    )
