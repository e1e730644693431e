"""Stopping rules: `until error(S) < bound`, and `accuracy` on a line with realizations.

Realizations are added until the error of the measure, or of every measure, is small enough; with an
accuracy the step is halved until that is small enough too.

A realization has its own random numbers, so that a run with more of them contains the run with
fewer, and the numbers are those of a run that asks for the final number at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.model.environment import Environment
from qsyncdsl.run.errors import with_errors
from qsyncdsl.run.labels import Labelled, label
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Solved

# Realizations of the first batch where none are given, and of the last one over that.
_FIRST = 16
_MOST = 100
# More at once than the errors so far ask for, and bounds on the growth.
_MARGIN, _LEAST_GROWTH, _MOST_GROWTH = 1.1, 1.3, 8.0
# Times that a step is halved for an accuracy.
_HALVINGS = 6


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

    def judged(self, session: Session, solved: Solved, count: int) -> Judgement:
        """The result with its error, and how many realizations there should be.

        The number grows by the square of the error over its bound; W532 where the most is not enough.
        """
        error = _error(session, solved, self.name)
        if error <= self.bound or count >= self.most:
            return Judgement(_told(solved, self.name, error, self.bound, count), count)
        return Judgement(solved, _more(self, count, error / self.bound))


@dataclass(frozen=True)
class Judgement:
    """What became of a point: more realizations where `count` is larger, or a smaller step.

    Attributes:
        halve: Whether the step shall be halved.
    """

    solved: Solved
    count: int
    halve: bool = False


@dataclass(frozen=True)
class Accuracy:
    r"""Every measure m shall be known to $\epsilon\max(1, |m|)$, in its sampling and in its step.

    Attributes:
        first, most: Realizations to begin with, and at most.
        sampling, step: Whether these are open; where they are not, they are as the line says.
    """

    accuracy: float
    first: int
    most: int
    sampling: bool = True
    step: bool = True

    def judged(
        self, session: Session, solved: Solved, count: int, halvings: int = 0
    ) -> Judgement:
        """The result, or what is to be done: the step first, for it decides what realizations cost.

        A step whose error is below what will be left of the sampling error is small enough.
        W532 where realizations, W533 where halvings of the step are not enough.
        """
        errors, steps = _errors(session, solved, self.accuracy)
        last = np.sqrt(count / max(count, self.most))
        left = {n: max(1.0, last * errors.get(n, 0.0)) for n in steps}
        coarse = any(steps[n] > left[n] for n in steps)
        if coarse and self.step and halvings < _HALVINGS:
            return Judgement(solved, count, True)
        worst = max(errors.values(), default=0.0)
        if worst > 1 and count < self.most:
            return Judgement(solved, _more(self, count, worst))
        steps = {n: e for n, e in steps.items() if self.step and e > left[n]}
        errors = errors if self.sampling else {}
        return Judgement(self._told(solved, errors, steps, count), count)

    def _told(
        self,
        solved: Solved,
        errors: Mapping[str, float],
        steps: Mapping[str, float],
        count: int,
    ) -> Solved:
        """The result with what was reached."""
        trust = solved.trust
        warnings = trust.warnings
        for code, what, found, help_ in (
            ("W532", f"error after {count} realizations", errors, "raise max_realizations"),
            ("W533", f"step error after {_HALVINGS} halvings", steps, "ask for less accuracy"),
        ):  # fmt: skip
            name = max(found, key=lambda n: found[n], default="")
            if name and found[name] > 1:
                size = f"{found[name]:.2g} times what the accuracy allows"
                message = f"the {what} of {name} is {size}"
                warnings = (*warnings, Diagnostic(code, message, help=help_))
        numbers = {**trust.numbers, "realizations_used": float(count)}
        chosen = ("realizations", self.sampling), ("steps", self.step)
        by = " and ".join(word for word, open_ in chosen if open_)
        facts = {**trust.facts, "accuracy": f"{self.accuracy:.1e} by {by}"}
        told = replace(trust, numbers=numbers, facts=facts, warnings=warnings)
        return replace(solved, trust=told)


def _more(rule: Rule | Accuracy, count: int, ratio: float) -> int:
    """How many realizations an error that is `ratio` times too large asks for."""
    growth = _MARGIN * ratio**2 if np.isfinite(ratio) else _MOST_GROWTH
    more = int(np.ceil(count * np.clip(growth, _LEAST_GROWTH, _MOST_GROWTH)))
    return min(more + -more % rule.first, rule.most)


def rule(
    session: Session, environment: Environment, options: Mapping[str, Any]
) -> Rule | Accuracy | None:
    """The stopping rule of a line; at most `max_realizations`, 100 times the first batch unless given.

    An accuracy that is set for an experiment chooses what the line leaves open, realizations and step; one on
    the line chooses both.

    Raises:
        ModelError: E713 for a bound that is not positive.
    """
    first = int(options.get("realizations", _FIRST))
    most = int(options.get("max_realizations", 0)) or _MOST * first
    until = session.line.node.until
    if until is None:
        return _accuracy(session, options, first, most)
    assert until.measure is not None
    bound = environment.numbers.evaluate(until.bound, session.plan.model.scope)
    if not (isinstance(bound, int | float) and bound > 0):
        message = "the error to stop at must be a positive number"
        raise ModelError([Diagnostic("E713", message, until.bound.span)])
    return Rule(until.measure.key, float(bound), min(first, most), most)


def _accuracy(
    session: Session, options: Mapping[str, Any], first: int, most: int
) -> Accuracy | None:
    """The accuracy of a line or of its experiment, for what is left open."""
    given = session.line_options.written
    accuracy = float(options.get("accuracy", 0.0))
    if not accuracy > 0:
        return None
    if "accuracy" in given:
        return Accuracy(accuracy, min(first, most), most)
    sampling, step = "realizations" not in given, "dt" not in given
    if not (sampling or step):
        return None
    most = most if sampling else first
    return Accuracy(accuracy, min(first, most), most, sampling, step)


def _errors(
    session: Session, solved: Solved, accuracy: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Standard errors and step errors of all measures, in units of what is allowed."""
    errors, steps = {}, {}
    for name in session.plan.measures:
        try:
            item, numbers = _measured(session, solved, name)
        except (ModelError, SolveError):
            continue
        values = np.abs(np.asarray(item.values))
        allowed = accuracy * max(1.0, float(np.nanmax(values, initial=0.0)))
        if item.error is not None and np.isfinite(item.error).any():
            errors[name] = float(np.nanmax(item.error)) / allowed
        step = numbers.get(f"step_error of {name}")
        if step is not None:
            steps[name] = step / allowed
    return errors, steps


def _measured(
    session: Session, solved: Solved, name: str
) -> tuple[Labelled, dict[str, float]]:
    """A measure with its errors."""
    request = session.plan.measures[name]
    evaluator = solved.evaluator
    times: Any = evaluator.time if evaluator.series else None
    paths = None if evaluator.series else evaluator.path_times
    found = {name: label(request, evaluator.measure(name), times, {}, paths)}
    items, numbers = with_errors(solved, {name: request}, found, {})
    return items[name], numbers


def _error(session: Session, solved: Solved, name: str) -> float:
    """The largest standard error of a measure; infinite where it has none."""
    item, _ = _measured(session, solved, name)
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
