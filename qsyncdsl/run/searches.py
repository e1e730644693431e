"""Searches of a function along one parameter, from its first end: roots, edges of conditions, extrema.

Each calls `accept` after a point on the side where it began: where points follow one another, the next one starts
from its end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

# Points of the first scan of the range.
SCAN = 49
_PRECISION = 1e-12


class Condition:
    """Whether a condition holds along a parameter, and how far branches reach beyond.

    Args:
        look: Gives both at a place; the second is None where it is not known.
    """

    def __init__(self, look: Callable[[float], tuple[bool, float | None]]) -> None:
        self._look = look
        self._known: dict[float, tuple[bool, float | None]] = {}

    def __call__(self, x: float) -> bool:
        """Whether it holds at a place."""
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


def root(
    function: Callable[[float], float],
    low: float,
    high: float,
    accept: Callable[[], None],
) -> float:
    """The first sign change after the first end."""
    from scipy.optimize import brentq

    grid = np.linspace(low, high, SCAN)
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
    grid = np.linspace(low, high, SCAN)
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
    condition: Condition, low: float, high: float, accept: Callable[[], None]
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


def extremum(
    function: Callable[[float], float],
    low: float,
    high: float,
    accept: Callable[[], None],
) -> float:
    """The smallest value in the range: the best point of a scan, refined."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(min(low, high), max(low, high), 2 * SCAN - 1)
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
