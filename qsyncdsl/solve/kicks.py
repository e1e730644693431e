"""Kicks of a state vector at t = 0, T, 2T, ..., each kick with its own period."""

from __future__ import annotations

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.kick_maps import Turn, turns
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

    def __init__(self, problem: LindbladProblem, f: np.ndarray, end: float) -> None:
        self.problem = problem
        self.f = f
        self.lost = 0.0
        self.periods = [float(f[kick.period].real) for kick in problem.kicks]
        times: set[float] = set()
        for period in self.periods:
            if not period > 0:
                message = f"the period of a kick is {period:g} here"
                raise SolveError(
                    Diagnostic("E540", message, help="it must be positive")
                )
            times.update(period * k for k in range(int(end / period) + 2))
        self.times = tuple(sorted(t for t in times if t <= end))
        self._turns: dict[Place, list[list[Turn]]] = {}
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
        for period, kick in zip(self.periods, self._at(place), strict=True):
            rounds = time / period
            if abs(rounds - round(rounds)) < 1e-9 * max(1.0, rounds):
                for turn in kick:
                    state = turn.of(state)
        after = float(np.linalg.norm(state))
        self.lost = max(self.lost, 1 - (after / before) ** 2)
        return state * (before / after)

    def _at(self, place: Place | None) -> list[list[Turn]]:
        """The unitaries of every kick in a window."""
        place = self._home if place is None or self._fixed else place
        if place not in self._turns:
            if len(self._turns) >= _KEPT:
                self._turns.clear()
            self._turns[place] = [
                turns(self.problem, kick, self.f, place) for kick in self.problem.kicks
            ]
        return self._turns[place]


def _by_label(problem: LindbladProblem, index: int) -> bool:
    """Whether an operator depends on the label or the momentum of a rotor, not on its angle alone."""
    return any(
        problem.space.modes[k].kind.name == "rotor"
        and (word[0] != "e" or word[2] or word[3])
        for monomial, _ in problem.operators[index]
        for key, word in monomial
        for k in ((key,) if isinstance(key, int) else key)
    )
