r"""Accuracy instead of cutoffs: levels are chosen and enlarged until every measure holds still.

From a start (the neighbor's levels in a sweep, or the classical amplitude) the levels of each boson
grow by the decay of its populations until those that are cut off are small; then all of them go one
rung up the ladder, and the change of each measure is its error:

$$ |m(N') - m(N)| \le \epsilon\,\max(1, |m(N')|) . $$
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.values import Distribution, PhaseSpaceMap
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.run import cutoffs

# Codes of faults that a cutoff may be the cause of: a state that does not fit, no convergence.
_TOO_SMALL = frozenset({"E340", "E504", "E505", "E520", "E608"})
_ATTEMPTS = 24
_VERIFICATIONS = 10
# Larger spaces, one after the other, in which a distribution has no end.
_FLAT = 4
# Entries of lists whose length depends on the cutoff, and points of functions, that are compared.
_COMPARED, _POINTS = 4, 41

Levels = dict[str, int]
# Solves with some levels; given what was found with others before, if anything was.
Solve = Callable[[Levels, Any], Any]


@dataclass(frozen=True)
class Wish:
    """What shall be refined.

    Attributes:
        start: Levels that are declared; None where they are open.
        free: The options that may change.
        accuracy: The error aimed at.
    """

    start: Mapping[str, int | None]
    free: tuple[str, ...]
    accuracy: float


def wish(environment: Environment, accuracy: float) -> Wish | None:
    """What a point leaves to the program; None where all levels are given and no accuracy.

    With an accuracy, levels that are given are where the search starts.
    """
    start = cutoffs.declared(environment)
    open_ = tuple(name for name, count in start.items() if count is None)
    if not start or (not accuracy and not open_):
        return None
    return Wish(
        start, tuple(start) if accuracy else open_, accuracy or cutoffs.ACCURACY
    )


def refined(
    wish: Wish,
    environment: Environment,
    solve: Solve,
    guess: Mapping[str, int],
    displaced: Mapping[str, int] | None = None,
) -> Any:
    """A solved point whose measures hold the accuracy; it depends on no other point.

    Args:
        guess: Levels to begin with about the vacuum, where none are declared.
        displaced: Those of modes in a displaced frame, declared or not.

    Raises:
        SolveError: E530 where they cannot, with the accuracy that was reached.
        ModelError: As solving, where more levels do not help.
    """
    search = _Search(wish, environment, solve)
    given = {n: c for n, c in wish.start.items() if c is not None}
    return search.verified(search.settled({**guess, **given, **(displaced or {})}))


class _Search:
    """The search at one point."""

    def __init__(self, wish: Wish, environment: Environment, solve: Solve) -> None:
        self.wish = wish
        self.model = environment.model
        self._solve = solve
        self._solved: dict[tuple[tuple[str, int], ...], Any] = {}
        self._last: Any = None
        self.reached: tuple[Levels, dict[str, float]] | None = None

    def settled(self, levels: Levels) -> Levels:
        """The lowest rungs above which no population is lost."""
        fault: ModelError | SolveError | None = None
        failures = flat = 0
        for _ in range(_ATTEMPTS):
            try:
                solved = self._at(levels)
            except (ModelError, SolveError) as found:
                if _code(found) not in _TOO_SMALL or failures > 8:
                    raise
                fault, failures = found, failures + 1
                levels = levels | {n: cutoffs.above(levels[n], 2) for n in self.free}
                continue
            grown = self._grown(solved, levels)
            if grown is None:
                return self._needed(solved, levels)
            flat = flat + 1 if self._flat(solved) else 0
            if flat >= _FLAT:
                reason = (
                    "the populations do not fall off towards high levels. Is gain stronger than loss, "
                    "or H without a lowest level?"
                )
                raise self._unreached(reason, levels)
            levels = grown
        if fault is not None:
            raise fault
        raise self._unreached("more levels are needed than were tried", levels)

    @property
    def free(self) -> tuple[str, ...]:
        """The options that may change."""
        return self.wish.free

    def _populations(self, solved: Any) -> dict[str, np.ndarray]:
        found = cutoffs.by_option(self.model, solved.populations())
        return {n: p for n, p in found.items() if n in self.free}

    def _grown(self, solved: Any, levels: Levels) -> Levels | None:
        """Larger levels for the modes that lose population; None if none does."""
        accuracy = self.wish.accuracy
        short = {
            name: cutoffs.grown(p, accuracy)
            for name, p in self._populations(solved).items()
            if cutoffs.needed(p, accuracy) is None
        }
        return levels | short if short else None

    def _flat(self, solved: Any) -> bool:
        """Whether the highest levels of some mode are populated as the others are."""
        return any(
            p[-2:].max() > 0.5 * p.max() for p in self._populations(solved).values()
        )

    def _needed(self, solved: Any, levels: Levels) -> Levels:
        """No more levels than the tails ask for."""
        found = {
            name: cutoffs.needed(p, self.wish.accuracy)
            for name, p in self._populations(solved).items()
        }
        return levels | {n: c for n, c in found.items() if c is not None}

    def verified(self, levels: Levels) -> Any:
        """Solve on two successive rungs until all measures agree."""
        before = self._tried(levels)
        for _ in range(_VERIFICATIONS):
            larger = levels | {n: cutoffs.above(levels[n]) for n in self.free}
            after = self._tried(larger)
            if before is not None and after is not None:
                changes = differences(before, after)
                self.reached = (larger, {n: c for n, (c, _) in changes.items()})
                held = all(c <= self.wish.accuracy * s for c, s in changes.values())
                if held:
                    return self._told(after, larger)
            levels, before = larger, after
        if before is None:
            self._at(levels)
        raise self._unreached("measures still change with the levels", levels)

    def _tried(self, levels: Levels) -> Any | None:
        """A solution, or None where the levels are too few for one."""
        try:
            return self._at(levels)
        except (ModelError, SolveError) as fault:
            if _code(fault) not in _TOO_SMALL:
                raise
            return None

    def _told(self, solved: Any, levels: Levels) -> Any:
        assert self.reached is not None
        errors = self.reached[1]
        trust = solved.trust
        numbers = {
            **trust.numbers,
            **{f"truncation_error of {n}": e for n, e in errors.items()},
            **{name: float(levels[name]) for name in self.free},
        }
        facts = {**trust.facts, "accuracy": f"{self.wish.accuracy:.1e} by levels"}
        kept = tuple(w for w in trust.warnings if w.code != "W502")
        told = replace(trust, numbers=numbers, facts=facts, warnings=kept)
        return replace(solved, trust=told, errors=errors, levels=levels)

    def _at(self, levels: Levels) -> Any:
        """The solution for some levels, kept.

        Raises:
            SolveError: E530 in place of E501.
        """
        key = tuple(sorted(levels.items()))
        if key not in self._solved:
            try:
                self._solved[key] = self._last = self._solve(levels, self._last)
            except SolveError as fault:
                if fault.diagnostic.code != "E501":
                    raise
                raise self._unreached(fault.diagnostic.message, levels) from None
        return self._solved[key]

    def _unreached(self, reason: str, levels: Levels) -> SolveError:
        """E530: an accuracy that cannot be had, with what was reached."""
        wanted = {n: levels[n] for n in self.free}
        message = f"the accuracy {self.wish.accuracy:.1e} is not reached: {reason}"
        if self.reached is None:
            help_ = f"{cutoffs.text(wanted)} would be the next try"
        else:
            had, errors = self.reached
            chosen = {n: had[n] for n in self.free}
            name = max(errors, key=lambda n: errors[n]) if errors else ""
            change = f" '{name}' changed by {errors[name]:.1e}" if name else " nothing"
            help_ = f"with {cutoffs.text(chosen)}{change}; ask for less accuracy"
        return SolveError(Diagnostic("E530", message, help=help_))


def _code(fault: ModelError | SolveError) -> str:
    found = fault.diagnostics[0] if isinstance(fault, ModelError) else fault.diagnostic
    return found.code


# ── what changed ─────────────────────────────────────────────────────────────────────────────


def differences(before: Any, after: Any) -> dict[str, tuple[float, float]]:
    """The change of every measure between two solutions, and its size: at least 1.

    Measures that fail in both are left out; those that fail in one changed by infinity.
    """
    return changes(before.evaluator, after.evaluator)


def changes(before: Any, after: Any) -> dict[str, tuple[float, float]]:
    """The same of two evaluators."""
    found = {}
    for name in after.measures:
        values = [_measured(evaluator, name) for evaluator in (before, after)]
        if values[0] is None and values[1] is None:
            continue
        if values[0] is None or values[1] is None:
            found[name] = (float("inf"), 1.0)
            continue
        found[name] = change(values[0], values[1])
    return found


def _measured(evaluator: Any, name: str) -> Any:
    try:
        return evaluator.measure(name)
    except (ModelError, SolveError):
        return None


def change(before: Any, after: Any) -> tuple[float, float]:
    """Largest difference of two values of a measure, and the larger of 1 and the value."""
    if isinstance(before, Distribution) and isinstance(after, Distribution):
        return _change_of_functions(before, after)
    if isinstance(before, PhaseSpaceMap) and isinstance(after, PhaseSpaceMap):
        return _change(before.values, after.values)
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [change(before[k], after[k]) for k in before.keys() & after.keys()]
        return _largest(parts)
    if isinstance(before, tuple) and isinstance(after, tuple):
        count = min(len(before), len(after))
        if len(before) != len(after):
            count = min(count, _COMPARED)
        parts = [
            change(a, b) for a, b in zip(before[:count], after[:count], strict=True)
        ]
        return _largest(parts)
    return _change(before, after)


def _change_of_functions(
    before: Distribution, after: Distribution
) -> tuple[float, float]:
    """Functions of one variable, on the grid of the first."""
    grid = before.grid
    every = 1 if before.discrete else max(1, len(grid) // _POINTS)
    points = grid[::every]
    return _change(
        before.values[::every], np.array([after.at(float(x)) for x in points])
    )


def _change(before: Any, after: Any) -> tuple[float, float]:
    try:
        x, y = np.asarray(before, dtype=complex), np.asarray(after, dtype=complex)
    except (TypeError, ValueError):
        return 0.0, 1.0
    if x.shape != y.shape:
        return float("inf"), 1.0
    both = np.isnan(x) & np.isnan(y)
    size = float(np.max(np.abs(np.where(both, 0.0, y)), initial=1.0))
    moved = np.where(both, 0.0, x - y)
    largest = float(np.max(np.abs(moved), initial=0.0))
    return (float("inf") if np.isnan(largest) else largest), size


def _largest(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """The worst of several."""
    return max(parts, key=lambda p: p[0] / p[1], default=(0.0, 1.0))


# ── located values ───────────────────────────────────────────────────────────────────────────


def located(
    session: Any,
    layers: list[Layer],
    ends: tuple[float, float],
    name: str,
    search: Callable[[Any], float],
    draw: int,
    case: str | None,
) -> tuple[float, float]:
    """A located value on two successive rungs of levels, and its change.

    The levels are those of the ends and the middle of the range, about the vacuum, and the same for
    the whole search, so that no step of the levels is taken for a feature of a measure.

    Raises:
        SolveError: E530 where the two do not agree.
    """
    from qsyncdsl.model.types import Override

    def levels_at(x: float) -> Levels:
        point = [*layers, (Override(name, x),)]
        return dict(session.solve(point, case, draw).levels)

    with session.frames.still():
        levels: Levels = {}
        for x in (ends[0], (ends[0] + ends[1]) / 2, ends[1]):
            found = levels_at(x)
            levels = {n: max(c, levels.get(n, 0)) for n, c in found.items()}
        environment = Environment(session.plan.model, layers, session.plan.options.seed)
        request = session.wish(environment)
        before = search(partial(session.solve_with, levels))
        for _ in range(_VERIFICATIONS):
            larger = levels | {n: cutoffs.above(levels[n]) for n in request.free}
            after = search(partial(session.solve_with, larger))
            if np.isnan(before) and np.isnan(after):
                return after, 0.0
            moved = abs(after - before)
            if moved <= request.accuracy * max(1.0, abs(after)):
                return after, moved
            before, levels = after, larger
        message = f"the accuracy {request.accuracy:.1e} is not reached"
        help_ = f"the located value still moves by {moved:.1e} with the levels"
        raise SolveError(Diagnostic("E530", message, help=help_))
