"""Periodic orbits continued along a parameter to the fold where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.orbits import Orbit

_STEPS = 300
_CORRECTIONS = 12


@dataclass(frozen=True)
class _Place:
    """A point of the curve: state, period where it is a flow, parameter in units of its range."""

    z: np.ndarray
    tangent: np.ndarray


def fold(
    flow_at: Callable[[float], Flow], orbit: Orbit, inside: float, outside: float
) -> float | None:
    r"""The parameter at which a periodic orbit meets its partner and ends (saddle-node).

    The curve of orbits, $\Phi_T(y; p) = y + 2\pi k$, is followed by pseudo-arclength; the fold is where p
    is extremal along it. Works for flows and for maps.

    Args:
        flow_at: The flow, or map, at a value of the parameter.
        orbit: The orbit at `inside`.
        inside, outside: The fold is sought from the first towards the second.

    Returns:
        The parameter, or None where the orbit goes on beyond `outside` or is lost.

    References:
        E. J. Doedel, in: Numerical Continuation Methods for Dynamical Systems (2007), Chap. 1.
    """
    curve = _Curve(flow_at, orbit, inside, outside)
    try:
        place = curve.start()
    except (SolveError, np.linalg.LinAlgError):
        return None
    length = 0.02
    for _ in range(_STEPS):
        try:
            ahead = curve.step(place, length)
        except (SolveError, np.linalg.LinAlgError):
            ahead = None
        if ahead is None:
            length /= 2
            if length < 1e-6:
                return None
            continue
        if ahead.tangent[-1] <= 0:
            return _refined(curve, place, ahead, length)
        if ahead.z[-1] > 1.5:
            return None
        place = ahead
        length = min(1.5 * length, 0.1)
    return None


def _refined(
    curve: _Curve, before: _Place, after: _Place, length: float
) -> float | None:
    """Where the parameter's share of the tangent vanishes, by the secant rule kept in a bracket."""
    low, high = 0.0, length
    slope_low, slope_high = before.tangent[-1], after.tangent[-1]
    best = after
    for _ in range(30):
        s = low + (high - low) * slope_low / (slope_low - slope_high)
        s = min(max(s, low + 0.02 * (high - low)), high - 0.02 * (high - low))
        place = curve.step(before, s)
        if place is None:
            return None
        best = place
        slope = place.tangent[-1]
        if abs(slope) < 1e-7 or high - low < 1e-9:
            break
        if slope > 0:
            low, slope_low = s, slope
        else:
            high, slope_high = s, slope
    return curve.parameter(best)


class _Curve:
    """The equations of the curve of periodic orbits."""

    def __init__(
        self, flow_at: Callable[[float], Flow], orbit: Orbit, inside: float, outside: float
    ) -> None:  # fmt: skip
        self.flow_at = flow_at
        self.orbit = orbit
        self.inside = inside
        self.width = outside - inside
        flow = flow_at(inside)
        self.discrete = flow.discrete
        self.scale = flow.scale
        self.n = flow.size
        rate = flow.rate(orbit.y) / self.scale
        self.section = rate / np.linalg.norm(rate)
        period = [] if self.discrete else [1.0]
        self.z0 = np.concatenate([orbit.y / self.scale, period, [0.0]])

    def parameter(self, place: _Place) -> float:
        """The parameter at a place."""
        return self.inside + self.width * float(place.z[-1])

    def _flow(self, share: float) -> Flow:
        flow = self.flow_at(self.inside + self.width * share)
        flow.scale = self.scale
        return flow

    def _period(self, z: np.ndarray) -> float:
        return self.orbit.period * (1.0 if self.discrete else float(z[self.n]))

    def equations(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Defect and its derivatives, shapes (m,) and (m, m + 1)."""
        n, y, period = self.n, z[: self.n] * self.scale, self._period(z)
        if not np.isfinite(z).all() or not 0 < period < 20 * self.orbit.period:
            raise SolveError(Diagnostic("E514", "the orbit is lost"))
        flow = self._flow(z[-1])
        end, monodromy = flow.with_tangent(y, np.eye(n), period)
        h = 1e-4
        up = self._flow(z[-1] + h).after(y, period)
        down = self._flow(z[-1] - h).after(y, period)
        defect = (end - y - 2 * np.pi * self.orbit.turns) / self.scale
        size = len(z) - 1
        matrix = np.zeros((size, size + 1))
        matrix[:n, :n] = (monodromy - np.eye(n)) * self.scale / self.scale[:, None]
        matrix[:n, -1] = (up - down) / (2 * h) / self.scale
        if self.discrete:
            return defect, matrix
        matrix[:n, n] = flow.rate(end) / self.scale * self.orbit.period
        matrix[n, :n] = self.section
        phase = self.section @ (z[:n] - self.z0[:n])
        return np.concatenate([defect, [phase]]), matrix

    def start(self) -> _Place:
        """The orbit itself, with the direction in which the parameter grows towards `outside`."""
        _, matrix = self.equations(self.z0)
        tangent = _null(matrix)
        return _Place(self.z0, tangent if tangent[-1] > 0 else -tangent)

    def step(self, place: _Place, length: float) -> _Place | None:
        """A place further along the curve; None where Newton's method does not get there."""
        z = place.z + length * place.tangent
        last = np.inf
        for _ in range(_CORRECTIONS):
            defect, matrix = self.equations(z)
            arc = place.tangent @ (z - place.z) - length
            full = np.vstack([matrix, place.tangent])
            move = np.linalg.solve(full, -np.concatenate([defect, [arc]]))
            size = float(np.abs(move).max())
            if not np.isfinite(size) or size > 1.0:
                return None
            z = z + move
            if size < 1e-10 or (size < 1e-8 and size >= last):
                tangent = _null(matrix)
                return _Place(z, tangent * np.sign(tangent @ place.tangent))
            last = size
        return None


def _null(matrix: np.ndarray) -> np.ndarray:
    """The unit vector that a matrix with one more column than rows takes to zero."""
    return np.asarray(np.linalg.svd(matrix)[2][-1])
