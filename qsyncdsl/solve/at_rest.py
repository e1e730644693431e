r"""Stable fixed points of any equations, and of Gaussian states the covariance about them.

$$ A(\alpha) = 0 , \qquad J C + C J^T + D = 0 , $$

J the Jacobian of A and D the diffusion there (the Lyapunov equation; D. F. Walls, G. J. Milburn, Quantum Optics, 2nd
ed., Sec. 6.2.2). Of several stable fixed points it is the one that the equations run to from their start. Of a map
$y \to F(y)$, A is F(y) - y.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.result import Trust

# First stretch of time, how much longer the next is, and all of them, in units of the fastest rate.
_FIRST, _LONGER, _LONGEST = 10.0, 1.7, 1e5
# How near the fixed point is that is taken, relative to the largest value, and what counts as zero.
_NEAR, _SMALL = 0.02, 1e-3
# Steps of Newton's method, its last one, and how near one is that is at rest already.
_STEPS, _LAST, _THERE = 40, 1e-13, 1e-9
# Rates of decay, in units of the fastest one, below which deviations are not bound.
_BOUND = 1e-9
# Singular values, relative to the largest, of directions in which nothing moves.
_NEUTRAL = 1e-12
# Growth, in units of the fastest rate, that makes a fixed point unstable; equations up to which it is looked for.
_UNSTABLE, _LOOKED_AT = 1e-6, 200
# Equations whose Jacobian is looked at as a matrix.
_MOST = 3000


class Resting(Protocol):
    """What may rest: real values y under a flow or a map."""

    @property
    def discrete(self) -> bool:
        """Whether it is a map."""

    def rate(self, y: np.ndarray) -> np.ndarray:
        """The rates of a flow, the next values of a map; shape (n,)."""

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """Their derivatives, shape (n, n)."""


class Equations(Resting, Protocol):
    """What moves."""

    def at(self, y: np.ndarray, times: np.ndarray) -> np.ndarray:
        """y after some times, or numbers of steps, shape (T, n)."""


class Fluctuating(Protocol):
    """Equations of quadratures with noise."""

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """J, shape (n, n)."""

    def noise(self, y: np.ndarray) -> np.ndarray:
        """D, shape (n, n)."""


def fixed_point(
    flow: Equations, y: np.ndarray, linear: bool = False, bound: bool = True
) -> np.ndarray:
    """The stable fixed point that the equations run to from y.

    Args:
        linear: Whether there is one fixed point only.
        bound: Whether deviations in all directions must decay; else some may stay as they are.

    Raises:
        SolveError: E512 for too many equations, E520 where they go on moving, E527 at rest where deviations grow, or
            are not bound.
    """
    if len(y) > _MOST:
        raise SolveError(_too_many(len(y)))
    fastest = float(np.abs(flow.jacobian(y)).sum(axis=1).max())
    span, time = _FIRST / max(fastest, 1e-300), 0.0
    while True:
        root = root_beside(flow, y, bound)
        if root is not None:
            size = max(float(np.abs(y).max()), float(np.abs(root).max()), _SMALL)
            away = float(np.abs(root - y).max()) / size
            rate = float(growth_rates(flow, root)[0])
            if rate < -_BOUND * fastest and (linear or away < _NEAR):
                return root
            resting = linear or away < (_LAST if bound else _THERE)
            if resting and not bound and rate < _BOUND * fastest:
                return root
            if resting:
                raise SolveError(_unbound(rate))
        if not time < _LONGEST / max(fastest, 1e-300):
            raise SolveError(_moving(time))
        duration = float(np.ceil(span)) if flow.discrete else span
        y = flow.at(y, np.array([duration]))[-1]
        time += duration
        span *= _LONGER


def covariance(flow: Fluctuating, y: np.ndarray) -> np.ndarray:
    """C about a stable fixed point, shape (n, n)."""
    from scipy.linalg import solve_continuous_lyapunov

    found = solve_continuous_lyapunov(flow.jacobian(y), -flow.noise(y))
    return np.asarray((found + found.T) / 2)


def slowest(flow: Fluctuating, y: np.ndarray) -> float:
    """The slowest rate at which deviations decay."""
    return float(-np.linalg.eigvals(flow.jacobian(y)).real.max())


def asked(options: Mapping[str, Any]) -> bool:
    """Whether options name no time: the stationary state is wanted."""
    return not options.get("time") and "times" not in options


def trust(flow: Equations, y: np.ndarray) -> Trust:
    """What is known of a fixed point: its slowest decay."""
    numbers = {"largest_growth_rate": float(growth_rates(flow, y)[0])}
    return Trust(numbers, {"scheme": "fixed point that the start runs to"})


def never(what: str) -> Diagnostic:
    """E521: what depends on time has no stationary state.

    >>> never("kicks act").message
    'kicks act: there is no stationary state'
    """
    return Diagnostic(
        "E521",
        f"{what}: there is no stationary state",
        help="ask for time = T or times = linspace(0, T, n)",
    )


def growth_rates(flow: Resting, y: np.ndarray) -> np.ndarray:
    """Rates at which deviations from a fixed point grow, the largest first; of a map, logarithms of factors."""
    values = np.linalg.eigvals(flow.jacobian(y))
    if flow.discrete:
        return np.sort(np.log(np.maximum(np.abs(values), 1e-300)))[::-1]
    return np.sort(values.real)[::-1]


def unmoved(flow: Any, path: np.ndarray, start: np.ndarray) -> tuple[Diagnostic, ...]:
    """W564 where a run has stayed at the unstable fixed point in which it began.

    Args:
        path: y at the times of the run, shape (T, n).
    """
    size = max(float(np.abs(start).max(initial=0.0)), 1.0)
    if flow.timed or flow.discrete or not 0 < len(start) <= _LOOKED_AT:
        return ()
    if np.abs(path - start).max(initial=0.0) > _THERE * size:
        return ()
    values = np.linalg.eigvals(flow.jacobian(start))
    rate = float(values.real.max())
    if not rate > _UNSTABLE * max(float(np.abs(values).max()), 1e-300):
        return ()
    message = f"the run begins in an unstable fixed point and stays there: deviations grow at {rate:.3g}"
    help_ = "give an initial state beside it"
    return (Diagnostic("W564", message, help=help_),)


def root_beside(flow: Resting, y: np.ndarray, bound: bool = True) -> np.ndarray | None:
    """The root beside some values; None where the method does not settle."""
    one = np.eye(len(y)) if flow.discrete else 0.0
    for _ in range(_STEPS):
        rate = flow.rate(y) - (y if flow.discrete else 0.0)
        matrix = flow.jacobian(y) - one
        if not (np.isfinite(rate).all() and np.isfinite(matrix).all()):
            return None
        step = _step(matrix, -rate, bound)
        y = y + step
        if not np.isfinite(y).all():
            return None
        if np.abs(step).max() <= _LAST * max(float(np.abs(y).max()), 1.0):
            return y
    return None


def _step(matrix: np.ndarray, right: np.ndarray, bound: bool) -> np.ndarray:
    """The solution; the shortest one where there may be directions in which nothing moves."""
    if bound:
        with suppress(np.linalg.LinAlgError):
            return np.linalg.solve(matrix, right)
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=_NEUTRAL)[0])


def _too_many(count: int) -> Diagnostic:
    """E512."""
    return Diagnostic(
        "E512",
        f"the stability of {count} equations at rest does not fit: at most {_MOST} do",
        help="ask for time = T and a window",
    )


def _moving(time: float) -> Diagnostic:
    """E520."""
    return Diagnostic(
        "E520",
        f"the equations go on moving after t = {time:.3g}: no fixed point was reached",
        help="a limit cycle has no stationary state here: ask for time = T and a window;"
        " a slow relaxation ends sooner from an initial state near its end",
    )


def _unbound(rate: float) -> Diagnostic:
    """E527."""
    kind = "grow" if rate > 0 else "are not bound"
    return Diagnostic(
        "E527",
        f"deviations from the fixed point {kind}: the largest rate is {rate:.3g}",
        help="start from other values (initial a = coherent(1)), or ask for times",
    )
