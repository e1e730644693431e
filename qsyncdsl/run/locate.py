"""`locate`: roots, edges of regions and extrema along one parameter; "none in range" is an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.model.types import Override
from qsyncdsl.model.values import Interval
from qsyncdsl.run.locking import LockingSearch, locking_edge
from qsyncdsl.run.refine import located
from qsyncdsl.run.searches import SCAN, Condition, edge, extremum, root
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Before
from qsyncdsl.syntax import tree

# Points that a search is expected to take: a third of the scan, then to refine a root, the end of a branch, an
# edge by bisection; a minimum takes the whole scan.
_PART, _SECANTS, _ENDS, _HALVINGS, _GOLDEN = 3, 9, 10, 35, 25


def locate(
    session: Session,
    request: tree.Locate,
    layers: Sequence[Layer],
    case: str | None,
    draw: int = 0,
) -> float:
    """Where the goal is reached; NaN for "none in range". The search starts at the first end.

    Raises:
        ModelError: E710 for a range that is not one; and those of solving.
    """
    low, high = _ends(session, request, layers)
    if low == high:
        return float("nan")
    model, options = session.plan.model, session.plan.options
    if session.wish(Environment(model, layers, options.seed, draw)) is None:
        return _search(session, request, layers, (low, high), session.solve, case, draw)
    value, _ = located(
        session, list(layers), (low, high), request.parameter.key,
        lambda solve: _search(
            session, request, layers, (low, high), solve, case, draw
        ),
        draw, case,
    )  # fmt: skip
    return value


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
    ends: tuple[float, float],
    solve: Callable[..., Any],
    case: str | None,
    draw: int,
) -> float:
    """Where the goal is reached, each point solved by `solve(layers, case, draw)`."""
    low, high = ends
    name = request.parameter.key
    trail = _Trail(session.follows)

    def solved(x: float) -> Any:
        layer = (Override(name, x),)
        found = solve([*layers, layer], case, draw, None, trail.before)
        trail.end = found.ending if trail.follows else None
        return found.evaluator

    scope = session.plan.model.scope
    goal = request.goal
    if isinstance(goal, tree.Extremum):
        sign = -1.0 if goal.word == "maximal" else 1.0
        return extremum(
            lambda x: sign * _real(solved(x).evaluate(goal.value, scope), goal.value),
            low,
            high,
            trail.accept,
        )
    if isinstance(goal, tree.Binary) and goal.operator == "=":
        left, right = goal.left, goal.right

        def difference(x: float) -> float:
            evaluator = solved(x)
            return _real(evaluator.evaluate(left, scope), left) - _real(
                evaluator.evaluate(right, scope), right
            )

        return root(difference, low, high, trail.accept)

    def seen(x: float) -> tuple[bool, float | None]:
        evaluator = solved(x)
        scenes = evaluator.scenes
        given = getattr(scenes[0], "given", None) if scenes else None
        reach = getattr(given, "reach", None)
        return bool(np.all(evaluator.evaluate(goal, scope))), reach

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


def _ends(
    session: Session, request: tree.Locate, layers: Sequence[Layer]
) -> tuple[float, float]:
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


def _real(value: Any, node: tree.Node) -> float:
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
