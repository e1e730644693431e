"""The Husimi function of a rotor, of density matrices and of state vectors in moving windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.algebra.circle import husimi_grid, husimi_of_matrix, packets
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.floquet import MixedScene
from qsyncdsl.measure.trajectories import jumping
from qsyncdsl.measure.values import PhaseSpaceMap
from qsyncdsl.model.rotors import window

# Part of the state that may lie outside the momenta that are shown.
_OUTSIDE = 0.01


def rotor_husimi(scene: Any, a: int, extent: float, points: int) -> PhaseSpaceMap:
    r"""$Q(x, p) = \langle x, p|\rho|x, p\rangle/2\pi\hbar$, integral 1.

    Raises:
        SolveError: E663 for an extent that leaves out more than a hundredth of the state.
    """
    x, p = husimi_grid(extent, points)
    if jumping(scene) and a in scene.given.pulled:
        values = scene.husimi(a, extent, points)
        return _checked(scene, a, x, p, values, _between(x, p, values))
    values = _on(scene, a, x, p)

    def at(place: Any) -> float:
        z = complex(place)
        return float(_on(scene, a, np.array([z.real]), np.array([z.imag]))[0, 0])

    return _checked(scene, a, x, p, values, at)


def _on(scene: Any, a: int, x: np.ndarray, p: np.ndarray) -> np.ndarray:
    if isinstance(scene, MixedScene):
        pairs = zip(scene.members, scene.weights, strict=True)
        return np.asarray(sum(w * _on(member, a, x, p) for member, w in pairs))
    rho = scene.reduced((a,))
    part = scene.state.parts[a]
    mode = scene.space.modes[a]
    labels = part.offset + np.arange(part.dimension)
    momenta = scene.hbar * (labels + window(mode.size).beta)
    return husimi_of_matrix(rho, x, packets(p, momenta, scene.hbar), scene.hbar)


def _checked(
    scene: Any, a: int, x: np.ndarray, p: np.ndarray, values: np.ndarray, at: Any
) -> PhaseSpaceMap:
    """The map, if it holds the state."""
    inside = values[:, :-1].sum(axis=1) * (x[1] - x[0])
    total = float(np.trapezoid(inside, p))
    edges = float(max(inside[0], inside[-1]))
    if total < 1 - _OUTSIDE and edges > 1e-3 * inside.max():
        label = scene.state.parts[a].label
        message = f"momenta from {p[0]:.4g} to {p[-1]:.4g} hold {100 * total:.3g} % of '{label}'"
        help = f"a larger one: husimi({label}, extent = {2 * p[-1]:.4g})"
        raise SolveError(Diagnostic("E663", message, help=help))
    return PhaseSpaceMap(x, p, values, at, ("angle", "momentum"))


def _between(x: np.ndarray, p: np.ndarray, values: np.ndarray) -> Any:
    """A function on a grid between its points."""
    from scipy.interpolate import RectBivariateSpline

    spline = RectBivariateSpline(p, x, values)

    def at(place: Any) -> float:
        z = complex(place)
        angle = (z.real + np.pi) % (2 * np.pi) - np.pi
        return float(spline(z.imag, angle)[0, 0])

    return at
