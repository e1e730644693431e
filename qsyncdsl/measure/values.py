"""The values of measures that are functions: of a phase, a level, a frequency, or of phase space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError

Function = Callable[[Any], Any]


class Records(np.ndarray):
    """Values along trajectories, shape (R, T)."""


class Lifted(Records):
    """Values of variables along trajectories: angles are not wrapped, so none are unwrapped."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """A function of one variable, exact at any value, with a grid to draw it on.

    Attributes:
        coordinate: Name of the variable: `phi`, `n`, `omega`, `tau`.
        grid: Values of the variable, shape (G,), increasing.
        values: The function there, shape (G,).
        at: The function at any value.
        period: 2 pi for phases, else None.
        discrete: Whether only the grid has a meaning.
    """

    coordinate: str
    grid: np.ndarray
    values: np.ndarray
    at: Function = field(repr=False)
    period: float | None = None
    discrete: bool = False

    def map(self, function: Function) -> Distribution:
        """Apply a function to the values."""
        inner = self.at
        return replace(
            self, values=function(self.values), at=lambda x: function(inner(x))
        )

    def combine(self, other: Any, function: Callable[[Any, Any], Any]) -> Distribution:
        """Combine with a number or with another function of the same variable."""
        if isinstance(other, Distribution):
            inner, outer = self.at, other.at
            values = function(self.values, np.array([outer(x) for x in self.grid]))
            return replace(
                self, values=values, at=lambda x: function(inner(x), outer(x))
            )
        return self.map(lambda v: function(v, other))

    def __add__(self, other: Any) -> Distribution:
        return self.combine(other, lambda x, y: x + y)

    def __sub__(self, other: Any) -> Distribution:
        return self.combine(other, lambda x, y: x - y)

    def __mul__(self, other: Any) -> Distribution:
        return self.combine(other, lambda x, y: x * y)

    def __truediv__(self, other: Any) -> Distribution:
        return self.combine(other, lambda x, y: x / y)

    def __pow__(self, other: Any) -> Distribution:
        return self.combine(other, lambda x, y: x**y)

    def __radd__(self, other: Any) -> Distribution:
        return self + other

    def __rmul__(self, other: Any) -> Distribution:
        return self * other

    def __rsub__(self, other: Any) -> Distribution:
        return self.map(lambda v: other - v)

    def __neg__(self) -> Distribution:
        return self.map(lambda v: -v)


@dataclass(frozen=True, eq=False)
class PhaseSpaceMap:
    """A real function of alpha = x + iy on a grid, values[y, x]; exact at any alpha.

    `axes` names x and y: those of a rotor are `angle` and `momentum`, and alpha is x + ip.
    `outside` is the part of the state that a grid misses which nobody asked for.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    at: Function = field(repr=False)
    axes: tuple[str, str] = ("x", "y")
    outside: float = 0.0

    def checked(self) -> PhaseSpaceMap:
        """A map of a distribution whose integral is 1, with what its grid misses."""
        cell = (self.x[1] - self.x[0]) * (self.y[1] - self.y[0])
        return replace(self, outside=max(0.0, 1 - float(self.values.sum() * cell)))

    def map(self, function: Function) -> PhaseSpaceMap:
        """Apply a function to the values."""
        inner = self.at
        return replace(
            self, values=function(self.values), at=lambda z: function(inner(z))
        )

    def __mul__(self, other: Any) -> PhaseSpaceMap:
        return self.map(lambda v: v * other)

    def __truediv__(self, other: Any) -> PhaseSpaceMap:
        return self.map(lambda v: v / other)

    def __rmul__(self, other: Any) -> PhaseSpaceMap:
        return self * other

    def __neg__(self) -> PhaseSpaceMap:
        return self * -1


def maximum(value: Distribution | PhaseSpaceMap) -> float:
    """Largest value: refined between grid points for a smooth function, on the grid for a map."""
    if isinstance(value, PhaseSpaceMap):
        return float(value.values.max())
    return _peak(value)[1]


def argmax(value: Distribution) -> float:
    """Where a function of one variable is largest; phases in (-pi, pi].

    Raises:
        SolveError: E653 for anything else.
    """
    if not isinstance(value, Distribution):
        raise SolveError(
            Diagnostic(
                "E653",
                "argmax takes a distribution such as phase_distribution(a)",
                help="'locate x : ... where y is maximal' finds a maximum over a parameter",
            )
        )
    return _peak(value)[0]


def _peak(value: Distribution) -> tuple[float, float]:
    """Place and height of the highest peak."""
    from scipy.optimize import minimize_scalar

    heights = np.real(value.values)
    best = int(np.argmax(heights))
    x, height = float(value.grid[best]), float(heights[best])
    if value.discrete or len(value.grid) < 3:
        return x, height
    step_left = (
        value.grid[best] - value.grid[best - 1]
        if best
        else value.grid[1] - value.grid[0]
    )
    step_right = (
        value.grid[best + 1] - value.grid[best]
        if best + 1 < len(value.grid)
        else step_left
    )
    low, high = x - step_left, x + step_right
    if value.period is None:
        low, high = max(low, value.grid[0]), min(high, value.grid[-1])
    found = minimize_scalar(
        lambda z: -float(np.real(value.at(z))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12 * max(1.0, abs(x))},
    )
    if -found.fun > height:
        x, height = float(found.x), float(-found.fun)
    if value.period is not None:
        x = -((-x + value.period / 2) % value.period - value.period / 2)
    return x, height
