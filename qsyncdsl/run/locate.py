"""`locate`: roots, edges of regions and extrema along one parameter; "none in range" is an answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.model.types import Override
from qsyncdsl.model.values import Interval
from qsyncdsl.run.refine import located
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Before
from qsyncdsl.syntax import tree

# Points of the first scan of the range.
_SCAN = 49
_PRECISION = 1e-12
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
        return 2 * _SCAN - 1 + _GOLDEN
    if isinstance(goal, tree.Binary) and goal.operator == "=":
        return _SCAN // _PART + _SECANTS
    return _SCAN // _PART + (_ENDS if branches else _HALVINGS)


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
        return _extremum(
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

        return _root(difference, low, high, trail.accept)

    def seen(x: float) -> tuple[bool, float | None]:
        evaluator = solved(x)
        scenes = evaluator.scenes
        given = getattr(scenes[0], "given", None) if scenes else None
        reach = getattr(given, "reach", None)
        return bool(np.all(evaluator.evaluate(goal, scope))), reach

    condition = _Condition(seen)
    if isinstance(goal, tree.Call) and getattr(goal.function, "key", "") == "locked":
        search = _Search(
            session, layers, case, draw, name, condition, solved, trail.accept
        )
        return locking_edge(search, low, high)
    return edge(condition, low, high, trail.accept)


class _Condition:
    """Whether a condition holds along a parameter, and how far branches reach beyond.

    Args:
        look: Gives both at a place; the second is None where it is not known.
    """

    def __init__(self, look: Callable[[float], tuple[bool, float | None]]) -> None:
        self._look = look
        self._known: dict[float, tuple[bool, float | None]] = {}

    def __call__(self, x: float) -> bool:
        self._known[x] = self._look(x)
        return self._known[x][0]

    def reach(self, x: float) -> float:
        """How far the branch reaches beyond, negative where it has ended.

        Raises:
            ValueError: Where that is not known.
        """
        if x not in self._known:
            self(x)
        found = self._known[x][1]
        if found is None:
            raise ValueError
        return found

    def end_of_branch(
        self, begins: bool, first: float, last: float, width: float
    ) -> float | None:
        """The place where a branch ends, if the condition changes with it; None elsewhere.

        Args:
            begins: What the condition is at the first of two places between which it changes.
        """
        from scipy.optimize import brentq

        along = np.sign(last - first) * width
        try:
            if not self.reach(first) * self.reach(last) < 0:
                return None
            found = float(brentq(self.reach, first, last, xtol=width, rtol=1e-14))
        except ValueError:
            return None
        before, after = self(float(found - along)), self(float(found + along))
        return found if before == begins != after else None


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


def _root(
    function: Callable[[float], float],
    low: float,
    high: float,
    accept: Callable[[], None],
) -> float:
    """The first sign change after the first end."""
    from scipy.optimize import brentq

    grid = np.linspace(low, high, _SCAN)
    before = function(float(grid[0]))
    accept()
    for left, right in itertools.pairwise(grid):
        if before == 0:
            return float(left)
        after = function(float(right))
        if before * after < 0:
            return float(
                brentq(
                    function,
                    float(left),
                    float(right),
                    xtol=_tolerance(low, high),
                    rtol=1e-14,
                )
            )
        before = after
        accept()
    return float(grid[-1]) if before == 0 else float("nan")


@dataclass(frozen=True)
class _Search:
    """A search along a parameter, and where it is made."""

    session: Session
    layers: Sequence[Layer]
    case: str | None
    draw: int
    name: str
    holds: _Condition
    solved: Callable[[float], Any]
    accept: Callable[[], None]


# Share of the range to which runs narrow an edge down before its orbit is followed, and how far from
# there the fold may be.
_COARSE = 2e-3
_NEAR = 0.1
# A run is too short to tell slow slips right beyond the edge from locking: shares of the way back to
# where the search began, at which the locked orbit is looked for.
_BACK = (0.0, 0.05, 0.2, 0.6, 1.0)


def locking_edge(search: _Search, low: float, high: float) -> float:
    """The edge of a domain of locking: where the locked orbit meets its partner (a fold).

    A run of finite length cannot tell rare slips from locking; it only says where the orbit begins
    to be followed. Where the orbit does not end in a fold near the edge that runs show, that edge
    is the answer.
    """
    holds, width = search.holds, abs(high - low)
    inside, outside = bracket(holds, low, high, _COARSE * width, search.accept)
    if inside is None or outside is None:
        return float("nan")
    begins = holds(low)
    first, last = (inside, outside) if begins else (outside, inside)
    for back in _BACK if begins else (0.0,):
        found = _fold(search, first + back * (low - first), last)
        near = found is not None and abs(found - (first + last) / 2) < _NEAR * width
        if found is not None and near:
            return found
    return edge(holds, inside, outside, search.accept)


def _fold(search: _Search, inside: float, outside: float) -> float | None:
    """The fold of the orbit that a run at `inside` ends on; None where there is none."""
    from qsyncdsl.measure.dynamics import final_orbit
    from qsyncdsl.solve.folds import fold

    scene = search.solved(inside).scenes[0]
    try:
        orbit = final_orbit(scene)
    except SolveError:
        return None
    if orbit is None:
        return None
    scale = scene.given.extra["dynamics"].flow.scale

    def flow_at(x: float) -> Any:
        layers = [*search.layers, (Override(search.name, x),)]
        flow = search.session.flow(layers, search.case, search.draw)
        assert flow is not None
        flow.scale = scale
        return flow

    width = max(abs(outside - inside), 1e-3 * max(abs(inside), 1.0))
    beyond = inside + np.sign(outside - inside) * 4 * width
    return fold(flow_at, orbit, inside, float(beyond))


def bracket(
    function: Callable[[float], bool],
    low: float,
    high: float,
    width: float,
    accept: Callable[[], None],
) -> tuple[float | None, float | None]:
    """Two places, less than a width apart, between which a condition changes first."""
    found = _scanned(function, low, high, accept)
    return (None, None) if found is None else _narrowed(function, *found, width, accept)


def _scanned(
    function: Callable[[float], bool],
    low: float,
    high: float,
    accept: Callable[[], None],
) -> tuple[bool, float, float] | None:
    """What a condition is at first, and two places of the first scan between which it changes."""
    grid = np.linspace(low, high, _SCAN)
    begins = function(float(grid[0]))
    accept()
    for left, right in itertools.pairwise(grid):
        if function(float(right)) != begins:
            return begins, float(left), float(right)
        accept()
    return None


def _narrowed(
    function: Callable[[float], bool],
    begins: bool,
    inside: float,
    outside: float,
    width: float,
    accept: Callable[[], None],
) -> tuple[float, float]:
    """The same places, less than a width apart (bisection)."""
    while abs(outside - inside) > width:
        middle = (inside + outside) / 2
        if function(middle) == begins:
            inside = middle
            accept()
        else:
            outside = middle
    return inside, outside


def edge(
    condition: _Condition, low: float, high: float, accept: Callable[[], None]
) -> float:
    """The first place after the first end where a condition changes."""
    found = _scanned(condition, low, high, accept)
    if found is None:
        return float("nan")
    begins, inside, outside = found
    width = _tolerance(low, high)
    end = condition.end_of_branch(begins, inside, outside, width)
    if end is not None:
        return end
    inside, outside = _narrowed(condition, begins, inside, outside, width, accept)
    return (inside + outside) / 2


def _extremum(
    function: Callable[[float], float],
    low: float,
    high: float,
    accept: Callable[[], None],
) -> float:
    """The smallest value in the range: the best point of a scan, refined."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(min(low, high), max(low, high), 2 * _SCAN - 1)
    values = np.empty(len(grid))
    for k, x in enumerate(grid):
        values[k] = function(float(x))
        accept()
    best = int(np.argmin(values))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        function,
        bounds=(float(left), float(right)),
        method="bounded",
        options={"xatol": max(1e-10 * abs(high - low), 1e-14)},
    )
    return float(found.x) if found.fun <= values[best] else float(grid[best])


def _tolerance(low: float, high: float) -> float:
    return _PRECISION * max(abs(low), abs(high), abs(high - low))
