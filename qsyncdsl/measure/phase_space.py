"""Wigner and Husimi functions over alpha, and populations of levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure import gaussian
from qsyncdsl.measure.density import densities
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.paths import density_map
from qsyncdsl.measure.rotor_husimi import rotor_husimi
from qsyncdsl.measure.scene import Scene, in_numbers
from qsyncdsl.measure.values import Distribution, PhaseSpaceMap

# How far maps reach where nothing is said.
_EXTENT = 5.0


def wigner(
    scene: Scene, a: int, extent: float | None = None, points: int = 201
) -> PhaseSpaceMap:
    r"""Wigner function over $\alpha$, $\int W d^2\alpha = 1$, $W(0) = \frac{2}{\pi}\langle(-1)^n\rangle$.

    Raises:
        SolveError: E606 for a part that is not a boson.
    """
    if extent is None:
        return wigner(scene, a, _EXTENT, points).checked()
    if gaussian.gaussian(scene):
        return gaussian.density(scene, a, extent, points, 0.0)
    if sampled(scene):
        return density_map(scene.samples[a], extent, points)
    if densities(scene):
        return scene.map(a, extent, points)
    from qutip import Qobj
    from qutip import wigner as qutip_wigner

    rho = Qobj(_boson_state(scene, a, "wigner"))
    axis = np.linspace(-extent, extent, points)
    center = scene.space.modes[a].center

    def on(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # g = 2 makes QuTiP's coordinates the real and imaginary parts of alpha.
        return np.asarray(qutip_wigner(rho, x - center.real, y - center.imag, g=2))

    def at(alpha: Any) -> float:
        z = complex(alpha)
        return float(on(np.array([z.real]), np.array([z.imag]))[0, 0])

    return PhaseSpaceMap(axis, axis, on(axis, axis), at)


def husimi(
    scene: Scene, a: int, extent: float | None = None, points: int = 201
) -> PhaseSpaceMap:
    r"""$Q(\alpha) = \langle\alpha|\rho|\alpha\rangle/\pi$, integral 1.

    Of a rotor $Q(x, p) = \langle x, p|\rho|x, p\rangle/2\pi\hbar$ with packets of the widths
    $\sqrt{\hbar/2}$ (`algebra.circle`), over all angles and the momenta -extent .. extent.

    Raises:
        SolveError: E606 for a part that is neither a boson nor a rotor, E663 for an extent that leaves
            out more than a hundredth of a rotor's state.
    """
    rotor = not gaussian.gaussian(scene) and scene.state.parts[a].kind == "rotor"
    if rotor:
        return rotor_husimi(scene, a, _EXTENT if extent is None else extent, points)
    if extent is None:
        return husimi(scene, a, _EXTENT, points).checked()
    if gaussian.gaussian(scene):
        return gaussian.density(scene, a, extent, points, 0.5)
    rho = _boson_state(scene, a, "husimi")
    n = np.arange(len(rho))
    axis = np.linspace(-extent, extent, points)
    center = scene.space.modes[a].center

    def on(alpha: np.ndarray) -> np.ndarray:
        alpha = alpha - center
        modulus = np.abs(alpha)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = (
                np.where(n == 0, 0.0, n * np.log(modulus))
                - modulus**2 / 2
                - gammaln(n + 1) / 2
            )
        amplitudes = np.exp(logs + 1j * n * np.angle(alpha)[..., None])
        return np.asarray(
            np.einsum(
                "...n,nm,...m->...", amplitudes.conj(), rho, amplitudes, optimize=True
            ).real
            / np.pi
        )

    grid = axis[None, :] + 1j * axis[:, None]
    return PhaseSpaceMap(
        axis, axis, on(grid), lambda z: float(on(np.array(complex(z))))
    )


def fock_distribution(scene: Scene, a: int) -> Distribution:
    """Populations of the levels of a part, against their labels."""
    rho, _ = in_numbers(scene, (a,))
    populations = np.diag(rho).real
    first = scene.state.parts[a].offset
    labels = first + np.arange(len(populations))

    def at(n: Any) -> float:
        k = int(np.real(n)) - first
        return float(populations[k]) if 0 <= k < len(populations) else 0.0

    return Distribution("n", labels, populations, at, discrete=True)


def _boson_state(scene: Scene, a: int, word: str) -> np.ndarray:
    part = scene.state.parts[a]
    if part.kind != "boson":
        raise SolveError(
            Diagnostic(
                "E606",
                f"{word} needs a boson, '{part.label}' is of kind {part.kind}",
                help="of a rotor there is husimi" if part.kind == "rotor" else "",
            )
        )
    return scene.reduced((a,))
