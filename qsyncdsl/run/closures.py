"""What another closure changes of each measure: the same point with moments of the next even order, or with
fluctuations that act back on the means.

The difference of two closures is an estimate of what the closure leaves out, and no bound: where the
hierarchy does not converge, neither of them is near the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Solved
from qsyncdsl.run.steps import FAULTS, moved, values_of
from qsyncdsl.syntax import tree


class Closures:
    """The other closure of the points of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._others: dict[str, Session] = {}

    def told(
        self,
        solved: Solved,
        measures: Mapping[str, tree.Measure],
        found: Mapping[str, Labelled],
        grids: Mapping[str, np.ndarray],
        examined: Callable[[int], bool],
        solve: Callable[[Session], Solved],
    ) -> Solved:
        """A point with `closure_difference of NAME`, or `back_action of NAME`, for each measure in its trust report.

        Args:
            examined: Whether a point is among some of a line.
            solve: Solves the same point in another session.
        """
        closure = solved.closure()
        if closure is None or not examined(closure.points):
            return solved
        word = closure.word
        try:
            other = solve(self._other(closure.options))
        except FAULTS as fault:
            return _with(solved, {}, f"{word} gives no answer: {_message(fault)}")
        numbers = {}
        for name, item in found.items():
            if name not in measures:
                continue
            try:
                value = values_of(other.evaluator, measures[name], grids)
            except FAULTS:
                continue
            away = moved(item.values, value)
            if away is not None:
                numbers[f"{closure.name} of {name}"] = away
        return _with(solved, numbers, f"compared with {word}")

    def _other(self, change: Mapping[str, object]) -> Session:
        key = repr(sorted(change.items()))
        if key not in self._others:
            session = self.session
            self._others[key] = Session(session.plan, session.line, changed=change)
        return self._others[key]


def _with(solved: Solved, numbers: Mapping[str, float], fact: str) -> Solved:
    trust = solved.trust
    return replace(
        solved,
        trust=replace(
            trust,
            numbers={**trust.numbers, **numbers},
            facts={**trust.facts, "closures": fact},
        ),
    )


def _message(fault: BaseException) -> str:
    if isinstance(fault, ModelError):
        return fault.diagnostics[0].message
    return fault.diagnostic.message if isinstance(fault, SolveError) else "no numbers"
