r"""Fixed points of mean fields and the covariance about them.

$$ A(\alpha) = 0 , \qquad J C + C J^T + D = 0 , $$

J the Jacobian of A and D the diffusion there (the Lyapunov equation; D. F. Walls, G. J. Milburn, Quantum Optics, 2nd
ed., Sec. 6.2.2). Of several stable fixed points it is the one that the mean fields run to from their start.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError

# First stretch of time, how much longer the next is, and all of them, in units of the fastest rate.
_FIRST, _LONGER, _LONGEST = 10.0, 1.7, 3e5
# How near the fixed point is that is taken, relative to the largest field, and what counts as zero.
_NEAR, _SMALL = 0.02, 1e-3
# Steps of Newton's method, and its last one.
_STEPS, _LAST = 40, 1e-13
# Rates of decay, in units of the fastest one, below which fluctuations are not bound.
_BOUND = 1e-9


class Means(Protocol):
    """The equations of mean fields."""

    def drift(self, alpha: np.ndarray) -> np.ndarray:
        """A, shape (F,)."""

    def jacobian(self, alpha: np.ndarray) -> np.ndarray:
        """J in quadratures, shape (2F, 2F)."""

    def noise(self, alpha: np.ndarray) -> np.ndarray:
        """D in quadratures, shape (2F, 2F)."""

    def means(self, alpha: np.ndarray, start: float, end: float) -> np.ndarray:
        """The mean fields after a time."""


def fixed_point(flow: Means, alpha: np.ndarray, linear: bool) -> np.ndarray:
    """The stable fixed point that the mean fields run to.

    Args:
        linear: Whether there is one fixed point only.

    Raises:
        SolveError: E520 where they go on moving, E527 at rest where fluctuations are not bound.
    """
    fastest = float(np.abs(flow.jacobian(alpha)).sum(axis=1).max())
    span, time = _FIRST / max(fastest, 1e-300), 0.0
    while True:
        root = _newton(flow, alpha)
        if root is not None:
            size = max(float(np.abs(alpha).max()), float(np.abs(root).max()), _SMALL)
            away = float(np.abs(root - alpha).max()) / size
            rate = float(np.linalg.eigvals(flow.jacobian(root)).real.max())
            if rate < -_BOUND * fastest and (linear or away < _NEAR):
                return root
            if linear or away < _LAST:
                raise SolveError(_unbound(rate))
        if not time < _LONGEST / max(fastest, 1e-300):
            raise SolveError(_moving(time))
        alpha = flow.means(alpha, 0.0, span)
        time += span
        span *= _LONGER


def covariance(flow: Means, alpha: np.ndarray) -> np.ndarray:
    """C about a stable fixed point, shape (2F, 2F)."""
    from scipy.linalg import solve_continuous_lyapunov

    found = solve_continuous_lyapunov(flow.jacobian(alpha), -flow.noise(alpha))
    return np.asarray((found + found.T) / 2)


def slowest(flow: Means, alpha: np.ndarray) -> float:
    """The slowest rate at which fluctuations decay."""
    return float(-np.linalg.eigvals(flow.jacobian(alpha)).real.max())


def _newton(flow: Means, alpha: np.ndarray) -> np.ndarray | None:
    """The root beside some fields; None where the method does not settle."""
    for _ in range(_STEPS):
        rate = np.ascontiguousarray(flow.drift(alpha)).view(float)
        try:
            step = np.linalg.solve(flow.jacobian(alpha), -rate).view(complex)
        except np.linalg.LinAlgError:
            step = np.linalg.lstsq(flow.jacobian(alpha), -rate, rcond=None)[0]
            step = step.view(complex)
        alpha = alpha + step
        if not np.isfinite(alpha).all():
            return None
        if np.abs(step).max() <= _LAST * max(float(np.abs(alpha).max()), 1.0):
            return alpha
    return None


def _moving(time: float) -> Diagnostic:
    """E520."""
    return Diagnostic(
        "E520",
        f"the mean fields go on moving after t = {time:.3g}: no fixed point was reached",
        help="a limit cycle has no stationary state here: ask for time = T and a window;"
        " a slow relaxation ends sooner from an initial state near its end",
    )


def _unbound(rate: float) -> Diagnostic:
    """E527."""
    kind = "grow" if rate > 0 else "are not bound"
    return Diagnostic(
        "E527",
        f"fluctuations about the fixed point {kind}: the largest rate is {rate:.3g}",
        help="start from other fields (initial a = coherent(1)), or ask for times",
    )
