"""Phases: coherence, distributions from phase states, moments of the relative phase."""

from __future__ import annotations

from math import pi

import numpy as np

from qsyncdsl.measure.density import densities
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.paths import phase_histogram
from qsyncdsl.measure.scene import Scene, in_numbers
from qsyncdsl.measure.trajectories import jumping
from qsyncdsl.measure.values import Distribution

_POINTS = 361


def phase_coherence(scene: Scene, a: int) -> float:
    r"""$S = |\langle a\rangle| / \sqrt{\langle a^\dagger a\rangle}$; 0 for the vacuum.

    References:
        N. Lörch et al., Phys. Rev. Lett. 117, 073601 (2016), Eq. (7).
    """
    lower = scene.boson(a, "phase_coherence")
    number = scene.expect(lower.dag() * lower).real
    return abs(scene.expect(lower)) / float(np.sqrt(number)) if number > 0 else 0.0


def phase_distribution(scene: Scene, a: int) -> Distribution:
    r"""$P(\phi) = \frac{1}{2\pi}\sum_{mn} e^{i(n-m)\phi}\langle m|\rho|n\rangle$, $\phi = \arg a$.

    Of samples: the density of their phases.
    """
    if sampled(scene):
        return phase_histogram(scene.samples[a])
    if densities(scene):
        return _trigonometric({-k: c for k, c in scene.phases(a).items()})
    rho, _ = in_numbers(scene, (a,))
    size = len(rho)
    moments = {k: complex(np.trace(rho, offset=k)) for k in range(1 - size, size)}
    return _trigonometric({k: c for k, c in moments.items() if c != 0 or k == 0})


def relative_phase(scene: Scene, a: int, b: int) -> Distribution:
    r"""Distribution of $\theta = \phi_a - \phi_b$ in $(-\pi, \pi]$, from phase states.

    $$ P(\theta) = \frac{1}{2\pi}\sum_k C_k e^{-ik\theta}, \qquad
       C_k = \sum \rho_{(n_a, n_b), (n_a - k, n_b + k)} . $$
    """
    if sampled(scene):
        return phase_histogram(scene.samples[a] * scene.samples[b].conj())
    moments = _relative_moments(scene, a, b)
    return _trigonometric({-k: c for k, c in moments.items() if c != 0 or k == 0})


def phase_moment(scene: Scene, a: int, b: int, k: int) -> complex:
    r"""$\langle e^{ik(\phi_a - \phi_b)}\rangle = C_k$ of `relative_phase`."""
    if sampled(scene):
        angle = np.angle(scene.samples[a] * scene.samples[b].conj())
        return complex(np.exp(1j * k * angle).mean())
    return _relative_moments(scene, a, b).get(k, 0j)


def _relative_moments(scene: Scene, a: int, b: int) -> dict[int, complex]:
    """C_k for every k that the cutoffs allow."""
    if jumping(scene):
        return scene.relative_moments(a, b)
    rho, (da, db) = in_numbers(scene, (a, b))
    rho = rho.reshape(da, db, da, db)
    moments = {}
    for k in range(-min(da, db) + 1, min(da, db)):
        na = np.arange(max(0, k), min(da, da + k))
        nb = np.arange(max(0, -k), min(db, db - k))
        block = rho[na[:, None], nb[None, :], (na - k)[:, None], (nb + k)[None, :]]
        moments[k] = complex(block.sum())
    return moments


def _trigonometric(moments: dict[int, complex]) -> Distribution:
    """(1/2 pi) sum_k c_k exp(i k phi), a real function."""
    orders = np.array(list(moments))
    weights = np.array(list(moments.values())) / (2 * pi)

    def at(phi: float) -> float:
        return float((weights * np.exp(1j * orders * np.real(phi))).sum().real)

    grid = np.linspace(-pi, pi, _POINTS)
    values = np.exp(1j * np.outer(grid, orders)) @ weights
    return Distribution("phi", grid, values.real, at, period=2 * pi)
