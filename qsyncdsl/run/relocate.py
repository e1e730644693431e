"""How far other levels move a located value, from a few points about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsyncdsl.model.environment import Layer
from qsyncdsl.model.types import Override
from qsyncdsl.run.locate import difference, reach, real
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Solved
from qsyncdsl.syntax import tree

# First step of a secant, in units of the value; how many follow, and when one has moved the place by little.
_STEP, _SECANTS, _LITTLE = 1e-4, 4, 1e-2
# How near a branch ends where an edge is its end, in units of the value.
_END = 1e-6
# Distances at which an edge is looked for, in units of the value.
_FIRST, _FACTOR = 1e-5, 10.0
# The three points through which a parabola is laid, in units of the range.
_APART = 1e-3
# What a value near zero is measured by, in units of the range.
_LEAST = 1e-3


@dataclass(frozen=True)
class Look:
    """Points along a parameter, solved in one way, each once."""

    session: Session
    layers: Sequence[Layer]
    name: str
    case: str | None
    draw: int
    known: dict[float, Solved] = field(default_factory=dict)

    def at(self, x: float) -> list[Layer]:
        """The settings of a point."""
        return [*self.layers, (Override(self.name, x),)]

    def __call__(self, x: float) -> Solved:
        """The point, solved."""
        if x not in self.known:
            self.known[x] = self.session.solve(self.at(x), self.case, self.draw)
        return self.known[x]

    def evaluator(self, x: float) -> Any:
        """What the measures of a point are read from."""
        return self(x).evaluator


def moved(
    request: tree.Locate,
    between: tuple[float, float],
    x: float,
    before: Look,
    after: Look,
) -> float | None:
    """The distance from a located value to that of points that are solved in another way.

    A root is followed by secants, and so is the end of a branch, where the solver tells how far that reaches.
    Other edges are held between two places: their distance from the value is a bound. The shift of an extremum
    is that of the vertices of two parabolas; None where these have none.

    Args:
        between: The range of the search.
        x: What `before` gives.
    """
    low, high = min(between), max(between)
    scale = max(abs(x), _LEAST * (high - low))
    goal, scope = request.goal, before.session.plan.model.scope
    if isinstance(goal, tree.Extremum):
        sought = goal.value

        def height(look: Look, place: float) -> float:
            return real(look.evaluator(place).evaluate(sought, scope), sought)

        return _vertices_apart(
            lambda place: height(before, place),
            lambda place: height(after, place),
            x, low, high,
        )  # fmt: skip
    if isinstance(goal, tree.Binary) and goal.operator == "=":
        equation = goal
        root = _secants(
            lambda place: difference(after.evaluator(place), equation, scope),
            x, _STEP * scale, low, high,
        )  # fmt: skip
        return abs(root - x)
    if abs(_reach(before, x)) < _END * scale:
        end = _secants(lambda place: _reach(after, place), x, _STEP * scale, low, high)
        return abs(end - x)
    return _edge_within(
        lambda place: bool(np.all(after.evaluator(place).evaluate(goal, scope))),
        x, scale, low, high,
    )  # fmt: skip


def _reach(look: Look, x: float) -> float:
    """How far the branch reaches beyond a place; infinite where that is not known."""
    found = reach(look.evaluator(x))
    return float("inf") if found is None else found


def _secants(
    function: Callable[[float], float], x: float, step: float, low: float, high: float
) -> float:
    """A root near x; an end of the range where there is none near."""
    a, b = x, x + step if x + step <= high else x - step
    at_a, at_b = function(a), function(b)
    for _ in range(_SECANTS):
        slope = (at_b - at_a) / (b - a)
        if slope == 0:
            return high if high - x > x - low else low
        c = float(np.clip(b - at_b / slope, low, high))
        if abs(c - b) <= _LITTLE * abs(c - x) or at_b == 0:
            return c
        a, at_a, b, at_b = b, at_b, c, function(c)
        if b == a:
            break
    return b


def _edge_within(
    holds: Callable[[float], bool], x: float, scale: float, low: float, high: float
) -> float:
    """The smallest of some distances within which a condition changes; that of the farther end if none is."""
    distance, farthest = _FIRST * scale, max(x - low, high - x)
    while distance < farthest:
        if holds(max(x - distance, low)) != holds(min(x + distance, high)):
            return distance
        distance *= _FACTOR
    return farthest


def _vertices_apart(
    one: Callable[[float], float],
    other: Callable[[float], float],
    x: float,
    low: float,
    high: float,
) -> float | None:
    """The distance of the extrema of two functions near x; None where one has none there."""
    apart = _APART * (high - low)
    middle = float(np.clip(x, low + apart, high - apart))
    found = []
    for function in (one, other):
        left, here, right = (function(middle + k * apart) for k in (-1, 0, 1))
        bend = left - 2 * here + right
        if bend == 0:
            return None
        found.append(middle + apart / 2 * (left - right) / bend)
    return float(abs(found[1] - found[0]))
