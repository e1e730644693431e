"""`locate`: roots, edges of regions and extrema along one parameter; "none in range" is an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.model.types import Override
from qsyncdsl.model.values import Interval
from qsyncdsl.run import cutoffs
from qsyncdsl.run.locking import LockingSearch, locking_edge
from qsyncdsl.run.refine import located
from qsyncdsl.run.searches import SCAN, Condition, edge, extremum, root
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Before
from qsyncdsl.syntax import tree

# Points that a search is expected to take: a third of the scan, then to refine a root, the end of a branch, an
# edge by bisection; a minimum takes the whole scan.
_PART, _SECANTS, _ENDS, _HALVINGS, _GOLDEN = 3, 9, 10, 35, 25


@dataclass(frozen=True)
class Place:
    """Where a goal is reached.

    Attributes:
        value: Of the parameter; NaN for "none in range".
        error: By the cutoffs, where the program chose them; None where they are given.
        highest: The largest population of a highest level at the point next to it that was solved.
    """

    value: float
    error: float | None = None
    highest: float = 0.0


def locate(
    session: Session,
    request: tree.Locate,
    layers: Sequence[Layer],
    case: str | None,
    draw: int = 0,
) -> Place:
    """Where the goal is reached, if it is. The search starts at the first end.

    Raises:
        ModelError: E710 for a range that is not one; and those of solving.
    """
    low, high = ends(session, request, layers)
    if low == high:
        return Place(float("nan"))
    model, options = session.plan.model, session.plan.options
    if session.wish(Environment(model, layers, options.seed, draw)) is None:
        tops: dict[float, float] = {}
        found = _search(
            session, request, layers, (low, high), session.solve, case, draw, tops
        )
        if np.isnan(found) or not tops:
            return Place(found)
        return Place(found, highest=tops[min(tops, key=lambda x: abs(x - found))])
    value, error = located(
        session, list(layers), (low, high), request.parameter.key,
        lambda solve: _search(
            session, request, layers, (low, high), solve, case, draw, {}
        ),
        draw, case,
    )  # fmt: skip
    return Place(value, error)


def solves(goal: tree.Expr | tree.Extremum, branches: bool) -> int:
    """How many points a search is expected to solve.

    Args:
        branches: Whether the solver tells where a branch ends.
    """
    if isinstance(goal, tree.Extremum):
        return 2 * SCAN - 1 + _GOLDEN
    if isinstance(goal, tree.Binary) and goal.operator == "=":
        return SCAN // _PART + _SECANTS
    return SCAN // _PART + (_ENDS if branches else _HALVINGS)


def _search(
    session: Session,
    request: tree.Locate,
    layers: Sequence[Layer],
    between: tuple[float, float],
    solve: Callable[..., Any],
    case: str | None,
    draw: int,
    tops: dict[float, float],
) -> float:
    """Where the goal is reached, each point solved by `solve(layers, case, draw)`.

    Args:
        tops: Takes the largest population of a highest level at every point.
    """
    low, high = between
    name = request.parameter.key
    trail = _Trail(session.follows)

    def solved(x: float) -> Any:
        layer = (Override(name, x),)
        found = solve([*layers, layer], case, draw, None, trail.before)
        trail.end = found.ending if trail.follows else None
        tops[x] = cutoffs.highest(found.trust.numbers)
        return found.evaluator

    scope = session.plan.model.scope
    goal = request.goal
    if isinstance(goal, tree.Extremum):
        sign = -1.0 if goal.word == "maximal" else 1.0
        return extremum(
            lambda x: sign * real(solved(x).evaluate(goal.value, scope), goal.value),
            low,
            high,
            trail.accept,
        )
    if isinstance(goal, tree.Binary) and goal.operator == "=":
        equation = goal
        return root(
            lambda x: difference(solved(x), equation, scope), low, high, trail.accept
        )

    def seen(x: float) -> tuple[bool, float | None]:
        evaluator = solved(x)
        return bool(np.all(evaluator.evaluate(goal, scope))), reach(evaluator)

    condition = Condition(seen)
    if isinstance(goal, tree.Call) and getattr(goal.function, "key", "") == "locked":
        search = LockingSearch(
            session, layers, case, draw, name, condition, solved, trail.accept
        )
        return locking_edge(search, low, high)
    return edge(condition, low, high, trail.accept)


class _Trail:
    """The branch along which a search goes, where points follow one another.

    A search accepts a point that is on the same side; the next one starts from its end.
    """

    def __init__(self, follows: bool) -> None:
        self.follows = follows
        self.before: Before | None = None
        self.end: Callable[[], Any] | None = None

    def accept(self) -> None:
        """The next point starts from the end of the last one."""
        state = self.end() if self.end is not None else None
        if state is not None:
            steps = 0 if self.before is None else self.before.steps
            self.before = Before(state, steps + 1)


def ends(
    session: Session, request: tree.Locate, layers: Sequence[Layer]
) -> tuple[float, float]:
    """The two ends of the range.

    Raises:
        ModelError: E710 for a range that is not one.
    """
    environment = Environment(session.plan.model, layers, session.plan.options.seed)
    interval = environment.numbers.evaluate(request.range, session.plan.model.scope)
    if not isinstance(interval, Interval):
        raise ModelError(
            [Diagnostic("E710", "a range is written low..high", request.range.span)]
        )
    low, high = float(interval.start), float(interval.stop)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ModelError(
            [Diagnostic("E710", "the range needs two finite ends", request.range.span)]
        )
    return low, high


def difference(evaluator: Any, equation: tree.Binary, scope: Any) -> float:
    """The left side of an equation less the right one, at a point that is solved."""
    left, right = equation.left, equation.right
    return real(evaluator.evaluate(left, scope), left) - real(
        evaluator.evaluate(right, scope), right
    )


def reach(evaluator: Any) -> float | None:
    """How far the branch of a point reaches beyond it, negative where it has ended; None where that is not known."""
    scenes = evaluator.scenes
    given = getattr(scenes[0], "given", None) if scenes else None
    return getattr(given, "reach", None)


def real(value: Any, node: tree.Node) -> float:
    """A number that has an order and a sign.

    Raises:
        ModelError: E711 for a complex one.
    """
    number = complex(value)
    if abs(number.imag) > 1e-12 * abs(number):
        raise ModelError(
            [
                Diagnostic(
                    "E711",
                    "a complex number has no order or sign",
                    node.span,
                    help="take abs, real or imag of it",
                )
            ]
        )
    return number.real
