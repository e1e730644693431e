"""Dynamics without noise: fixed points, cycles, exponents, attractors, locking."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.paths import lifted_records

# Values of one attractor agree to this, relative to 1 and their size.
_SAME_ATTRACTOR = 1e-4


def fixed_points(scene: Any, starts: int = 40) -> Any:
    """Fixed points by Newton's method from many starts, a row each; columns as the variables.

    Complex variables and bosons have all real parts first, then the imaginary ones. Angles lie in
    (-pi, pi]. Starts are states of the run and random ones in and around its range: a point that
    attracts no start is missed.

    Raises:
        SolveError: E650 under a method with noise, E651 where none is found.
    """
    return tuple(tuple(map(float, p.y)) for p in _points(scene, starts))


def fixed_point_eigenvalues(scene: Any, starts: int = 40) -> Any:
    """Eigenvalues of the Jacobian at each of `fixed_points`, a row each, the least stable first.

    Growth rates of a flow; factors in one step of a map.
    """
    return tuple(tuple(map(complex, p.eigenvalues)) for p in _points(scene, starts))


def period(scene: Any) -> float:
    """Period of the orbit that the run ends on; NaN where it does not close within the window.

    Found by Newton's method (shooting); angles may have turned by whole turns.
    """
    orbit = final_orbit(scene)
    return float("nan") if orbit is None else float(orbit.period)


def floquet_multipliers(scene: Any) -> Any:
    r"""Eigenvalues of $\partial y(T)/\partial y(0)$ on the periodic orbit, the largest first.

    One multiplier of a flow is 1, along the orbit; it is stable where the others are less.

    Raises:
        SolveError: E652 where the run does not end on a periodic orbit.
    """
    orbit = final_orbit(scene)
    if orbit is None:
        raise SolveError(
            Diagnostic(
                "E652",
                "the run does not end on a periodic orbit",
                help="a longer run may come nearer to one; a fixed point has"
                " fixed_point_eigenvalues",
            )
        )
    return tuple(map(complex, orbit.multipliers))


def lyapunov_exponents(scene: Any, k: int = 0) -> Any:
    """The k largest Lyapunov exponents (all of them for k = 0), over a run as long as the window."""
    found, error = _dynamics(scene).lyapunov(int(k))
    scene.given.trust.numbers["lyapunov_error"] = float(error.max())
    return tuple(map(float, found))


def classical_trajectory(scene: Any) -> Any:
    """The orbit: each variable along the times of the run, complex ones in two parts."""
    return tuple(_dynamics(scene).path.T)


def attractors(scene: Any, x: Callable[[tuple[Any, ...]], Any], starts: int = 8) -> Any:
    """A census: x on the attractors reached from several starts, rows (value, share of the starts).

    The first start is the declared one; the others are random: angles anywhere, other variables in
    and around the range of the run. The attractor reached by most comes first.
    """
    chosen = _dynamics(scene).starts(int(starts))
    values = []
    for start in chosen:
        value = np.real(x((scene.rerun(start),)))
        if np.size(value) != 1:
            message = "attractors needs one number of each run"
            help = "write attractors(final(x)) or attractors(timeaverage(x))"
            raise SolveError(Diagnostic("E655", message, help=help))
        values.append(float(np.ravel(value)[0]))
    groups: list[list[float]] = []
    for value in values:
        for group in groups:
            if abs(value - group[0]) < _SAME_ATTRACTOR * (1 + abs(value)):
                group.append(value)
                break
        else:
            groups.append([value])
    groups.sort(key=len, reverse=True)
    scene.given.trust.facts["attractors"] = (
        f"{len(chosen)} starts: the declared one, others random"
    )
    return tuple((float(np.mean(g)), len(g) / len(values)) for g in groups)


def locked(scene: Any, phi1: Any, phi2: Any, m: int, n: int) -> bool:
    r"""Whether $m\phi_1 - n\phi_2$ stays bounded: it slips by less than half a turn in the window.

    The means over the first and the last tenth of the window are compared, so that the modulation
    within a period does not count. At the edge of a domain slips are rare: `locate` goes on from
    here to the fold of the locked orbit.
    """
    first, _ = lifted_records(scene, phi1, "locked")
    second, _ = lifted_records(scene, phi2, "locked")
    difference = m * first - n * second
    part = max(difference.shape[1] // 10, 1)
    begin = difference[:, :part].mean(axis=1)
    end = difference[:, -part:].mean(axis=1)
    return bool(np.all(np.abs(end - begin) < pi))


# ── what measures share ──────────────────────────────────────────────────────────────────────


def _dynamics(scene: Any) -> Any:
    """The right side with the record of the run."""
    extra = getattr(getattr(scene, "given", None), "extra", None) or {}
    if "dynamics" not in extra:
        message = (
            "fixed points, cycles and exponents are those of equations without noise"
        )
        help = "solve by 'classical'"
        if "no_dynamics" in extra:
            message, help = extra["no_dynamics"], ""
        raise SolveError(Diagnostic("E650", message, help=help))
    return extra["dynamics"]


def _points(scene: Any, starts: int) -> Any:
    found = _dynamics(scene).fixed_points(int(starts))
    if not found:
        message = f"no fixed point was found from {2 * int(starts) + 1} starts"
        raise SolveError(Diagnostic("E651", message))
    return found


def final_orbit(scene: Any) -> Any:
    """The periodic orbit at the end of the run, once for all measures."""
    return _dynamics(scene).orbit()
