"""Fixed points and periodic orbits of any flow or map, with their stability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.flow import Flow

# Newton's method has converged where a step is smaller, in units of the scales of the variables.
_CONVERGED = 1e-10
_NEWTON = 40
# Points nearer than this are one.
_SAME = 1e-6


@dataclass(frozen=True)
class FixedPoint:
    """A state that stays, and the eigenvalues of the Jacobian there.

    For a flow they are growth rates, for a map the factors in one step; the least stable first.
    """

    y: np.ndarray
    eigenvalues: np.ndarray


@dataclass(frozen=True)
class Orbit:
    r"""A periodic orbit, $y(t + T) = y(t) + 2\pi k$ with whole numbers k for the angles.

    Attributes:
        y: A state on it.
        period: T; for a map the number of steps.
        turns: k, shape (n,); 0 for variables that are no angles.
        multipliers: Floquet multipliers, the largest first; one of a flow is 1.
    """

    y: np.ndarray
    period: float
    turns: np.ndarray
    multipliers: np.ndarray = field(repr=False)


def fixed_points(flow: Flow, starts: Iterable[np.ndarray]) -> list[FixedPoint]:
    """The fixed points that Newton's method finds from some starts, each once, in order.

    Raises:
        SolveError: E560 for equations in which t occurs.
    """
    _autonomous(flow)
    found: list[FixedPoint] = []
    for start in starts:
        y = _newton_point(flow, np.array(start, dtype=float))
        if y is None:
            continue
        y[flow.angles] = (y[flow.angles] + np.pi) % (2 * np.pi) - np.pi
        gaps = [np.abs(flow.apart(y - p.y) / flow.scale).max() for p in found]
        if gaps and min(gaps) < _SAME:
            continue
        values = np.linalg.eigvals(flow.jacobian(y))
        size = np.abs(values) if flow.discrete else values.real
        found.append(FixedPoint(y, values[np.argsort(-size)]))
    found.sort(key=lambda p: tuple(np.round(p.y, 8)))
    return found


def _newton_point(flow: Flow, y: np.ndarray) -> np.ndarray | None:
    """A zero of F, or of F(y) - y modulo turns of the angles."""

    def defect(x: np.ndarray) -> np.ndarray:
        rate = flow.rate(x)
        return flow.apart(rate - x) if flow.discrete else rate

    value = defect(y)
    for _ in range(_NEWTON):
        if not np.isfinite(value).all():
            return None
        matrix = flow.jacobian(y) - (np.eye(len(y)) if flow.discrete else 0.0)
        step = np.linalg.lstsq(matrix, -value, rcond=1e-12)[0]
        size = np.abs(step / flow.scale).max()
        if not np.isfinite(size):
            return None
        damping = min(1.0, 2.0 / size) if size > 0 else 1.0
        for _ in range(12):
            trial = defect(y + damping * step)
            if np.linalg.norm(trial) <= np.linalg.norm(value) * (1 + 1e-9):
                break
            damping /= 2
        y, value = y + damping * step, trial
        if size < _CONVERGED:
            small = np.linalg.norm(value) <= 1e-8 * (1 + np.linalg.norm(matrix))
            return y if small else None
    return None


def starts_around(flow: Flow, path: np.ndarray, count: int) -> list[np.ndarray]:
    """Starts: states of a record, shape (T, n), and random ones in a box around 0 that holds it."""
    rng = np.random.default_rng(0)
    chosen = path[np.linspace(0, len(path) - 1, min(count, len(path))).astype(int)]
    high = 1.5 * np.maximum(np.abs(path).max(axis=0), flow.scale)
    low = -high
    low[flow.angles], high[flow.angles] = -np.pi, np.pi
    randoms = low + (high - low) * rng.random((count, flow.size))
    return [np.zeros(flow.size), *chosen, *randoms]


# ── periodic orbits ──────────────────────────────────────────────────────────────────────────


def periodic_orbit(flow: Flow, y: np.ndarray, longest: float) -> Orbit | None:
    """The periodic orbit on which, or near which, a state is; None if it does not return.

    Args:
        longest: Time, or number of steps, in which it must return.

    Raises:
        SolveError: E560 for equations in which t occurs.
    """
    _autonomous(flow)
    y = y.copy()
    y[flow.angles] %= 2 * np.pi
    if flow.discrete:
        return _map_orbit(flow, y, int(longest))
    if np.abs(flow.rate(y) / flow.scale).max() < 1e-8:
        return None
    for period, turns in _returns(flow, y, longest):
        orbit = shoot(flow, y, period, turns)
        if orbit is None or abs(orbit.period / period - 1) > 0.2:
            continue
        if _attracts(orbit):
            return orbit
    return None


# A run ends on an orbit whose multipliers are no larger than this.
_NEUTRAL = 1 + 1e-4


def _attracts(orbit: Orbit) -> bool:
    """Whether a run can end on an orbit: a chaotic one comes near many that it leaves again."""
    return bool(np.abs(orbit.multipliers).max() < _NEUTRAL)


# Samples in the time in which the fastest variable turns by a radian, and of all at most.
_DENSE = 16
_MOST = 400_000
# How near a state must come to itself, in units of the path's extent.
_NEAR = 0.05


def _returns(
    flow: Flow, y: np.ndarray, longest: float
) -> Iterable[tuple[float, np.ndarray]]:
    """Times at which the state comes near itself again, the first ones first."""
    step = 1 / (_DENSE * flow.fastest(y))
    count = int(min(longest / step, _MOST))
    if count < 3:
        return
    times = np.arange(count + 1) * (longest / count)
    path = flow.at(y, times)
    away = flow.apart(path - y) / flow.scale
    distance = np.sqrt((away**2).mean(axis=1))
    extent = distance.max()
    left = np.flatnonzero(distance > 2 * _NEAR * extent)
    if not len(left) or extent < 1e-9:
        return
    for k in range(left[0] + 1, count):
        nearest = distance[k] <= distance[k - 1] and distance[k] <= distance[k + 1]
        if nearest and distance[k] < _NEAR * extent:
            turns = np.zeros(flow.size)
            moved = (path[k] - y)[flow.angles]
            turns[flow.angles] = np.round(moved / (2 * np.pi))
            yield float(times[k]), turns


def shoot(flow: Flow, y: np.ndarray, period: float, turns: np.ndarray) -> Orbit | None:
    r"""Newton's method for $\Phi_T(y) - y - 2\pi k = 0$, T found with y where it is a flow."""
    n = len(y)
    section = flow.rate(y) / flow.scale**2
    section = section / np.linalg.norm(section)
    first = y.copy()
    for _ in range(_NEWTON):
        try:
            end, monodromy = flow.with_tangent(y, np.eye(n), period)
        except SolveError:
            return None
        value = end - y - 2 * np.pi * turns
        matrix = np.zeros((n + 1, n + 1))
        matrix[:n, :n] = monodromy - np.eye(n)
        matrix[:n, n] = flow.rate(end)
        matrix[n, :n] = section
        right = np.concatenate([-value, [-section @ (y - first)]])
        try:
            step = np.linalg.solve(matrix, right)
        except np.linalg.LinAlgError:
            return None
        size = np.abs(step[:n] / flow.scale).max()
        if not np.isfinite(size) or size > 1e3:
            return None
        damping = min(1.0, 0.5 / size) if size > 0 else 1.0
        y, period = y + damping * step[:n], period + damping * step[n]
        if period <= 0:
            return None
        if size < _CONVERGED:
            return Orbit(y, float(period), turns, _sorted(monodromy))
    return None


def _map_orbit(flow: Flow, y: np.ndarray, longest: int) -> Orbit | None:
    """The shortest period with which a map returns, by Newton's method."""
    count = max(min(longest, _MOST), 1)
    path = flow.at(y, np.arange(count + 1))
    distance = np.abs(flow.apart(path - y) / flow.scale).max(axis=1)
    for period in np.flatnonzero(distance[1:] < 1e-3)[:20] + 1:
        turns = np.zeros(flow.size)
        moved = (path[period] - y)[flow.angles]
        turns[flow.angles] = np.round(moved / (2 * np.pi))
        orbit = shoot_map(flow, y, int(period), turns)
        near = orbit and np.abs((orbit.y - y) / flow.scale).max() < 0.1
        if orbit is not None and near and _attracts(orbit):
            return orbit
    return None


def shoot_map(
    flow: Flow, y: np.ndarray, period: int, turns: np.ndarray
) -> Orbit | None:
    """Newton's method for a periodic point of a map."""
    for _ in range(_NEWTON):
        try:
            end, monodromy = flow.with_tangent(y, np.eye(len(y)), period)
            step = np.linalg.solve(
                monodromy - np.eye(len(y)), y + 2 * np.pi * turns - end
            )
        except (SolveError, np.linalg.LinAlgError):
            return None
        size = np.abs(step / flow.scale).max()
        if not np.isfinite(size) or size > 1e3:
            return None
        y = y + step * min(1.0, 0.5 / size if size > 0 else 1.0)
        if size < _CONVERGED:
            return Orbit(y, float(period), turns, _sorted(monodromy))
    return None


def _sorted(matrix: np.ndarray) -> np.ndarray:
    """Eigenvalues, the largest modulus first."""
    values = np.linalg.eigvals(matrix)
    return np.asarray(values[np.argsort(-np.abs(values))])


def _autonomous(flow: Flow) -> None:
    if flow.timed:
        raise SolveError(
            Diagnostic(
                "E560",
                "equations in which t occurs have no fixed points and no period of their own",
                help="write the phase of the drive as a variable: d/dt theta = omega",
            )
        )
