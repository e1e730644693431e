"""The stopping rule `until error(S) < bound`: realizations are added until it holds.

A realization has its own random numbers, so that a run with more of them contains the run with
fewer, and the numbers are those of a run that asks for the final number at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.run.errors import with_errors
from qsyncdsl.run.labels import label
from qsyncdsl.run.session import Session, Solved

# Realizations of the first batch where none are given, and of the last one over that.
_FIRST = 16
_MOST = 100
# More at once than the errors so far ask for, and bounds on the growth.
_MARGIN, _LEAST_GROWTH, _MOST_GROWTH = 1.1, 1.3, 8.0


@dataclass(frozen=True)
class Rule:
    """When a point has enough realizations.

    Attributes:
        name: The measure that shall be known well enough.
        bound: Of its error.
        first, most: Realizations to begin with, and at most.
    """

    name: str
    bound: float
    first: int
    most: int

    def judged(
        self, session: Session, solved: Solved, count: int
    ) -> tuple[Solved, int]:
        """The result with its error, and how many realizations there should be.

        The number grows by the square of the error over its bound; W532 where the most is not enough.
        """
        error = _error(session, solved, self.name)
        if error <= self.bound or count >= self.most:
            return _told(solved, self.name, error, self.bound, count), count
        growth = _MOST_GROWTH
        if np.isfinite(error):
            growth = _MARGIN * (error / self.bound) ** 2
        more = int(np.ceil(count * np.clip(growth, _LEAST_GROWTH, _MOST_GROWTH)))
        return solved, min(more + -more % self.first, self.most)


def rule(
    session: Session, environment: Environment, options: Mapping[str, Any]
) -> Rule | None:
    """The stopping rule of a line; at most `max_realizations`, 100 times the first batch unless given.

    Raises:
        ModelError: E713 for a bound that is not positive.
    """
    until = session.line.node.until
    if until is None:
        return None
    assert until.measure is not None
    bound = environment.numbers.evaluate(until.bound, session.plan.model.scope)
    if not (isinstance(bound, int | float) and bound > 0):
        message = "the error to stop at must be a positive number"
        raise ModelError([Diagnostic("E713", message, until.bound.span)])
    first = int(options.get("realizations", _FIRST))
    most = int(options.get("max_realizations", 0)) or _MOST * first
    return Rule(until.measure.key, float(bound), min(first, most), most)


def _error(session: Session, solved: Solved, name: str) -> float:
    """The largest standard error of a measure; infinite where it has none."""
    request = session.plan.measures[name]
    evaluator = solved.evaluator
    times: Any = evaluator.time if evaluator.series else None
    paths = None if evaluator.series else evaluator.path_times
    found = {name: label(request, evaluator.measure(name), times, {}, paths)}
    item = with_errors(solved, {name: request}, found, {})[0][name]
    if item.error is None or not np.isfinite(item.error).any():
        return float("inf")
    return float(np.nanmax(item.error))


def _told(solved: Solved, name: str, error: float, bound: float, count: int) -> Solved:
    """The result with its error, and a warning where that is too large."""
    trust = solved.trust
    numbers = {**trust.numbers, "realizations_used": float(count)}
    warnings = trust.warnings
    if np.isfinite(error):
        numbers[f"error of {name}"] = error
    if not error <= bound:
        size = f"{error:.2g}" if np.isfinite(error) else "not known"
        message = f"the error of {name} is {size} after {count} realizations, not below {bound:.2g}"
        help = "raise max_realizations, or run each realization for longer"
        warnings = (*warnings, Diagnostic("W532", message, help=help))
    return replace(solved, trust=replace(trust, numbers=numbers, warnings=warnings))
