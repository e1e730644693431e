r"""Densities about a field: the basis of `density_basis` displaced to where the drift keeps it.

With $\alpha = \alpha_0 + \beta$ and $A(\alpha_0) = 0$ a driven field of any size takes as many levels as its
fluctuations; the density is given about $\alpha = 0$ again.
"""

from __future__ import annotations

from math import comb

import numpy as np

from qsyncdsl.result import RadialDensity
from qsyncdsl.solve.density_basis import Basis
from qsyncdsl.solve.density_equation import DensityEquation, Terms, evaluated

# Directions in which fixed points are looked for, Newton's steps, and how far points are that are two.
_DIRECTIONS, _STEPS, _SAME = 8, 60, 1e-6
# Nodes in a unit of the radius, and angles for each unit of it.
_NODES, _ANGLES = 60, 60


def about(equation: DensityEquation, center: complex) -> DensityEquation:
    r"""The equation of $\beta = \alpha - \alpha_0$."""
    return DensityEquation(
        _shifted(equation.drift, center),
        _shifted(equation.diffusion, center),
        _shifted(equation.squeezing, center),
    )


def _shifted(terms: Terms, center: complex) -> Terms:
    total: dict[tuple[int, int, int], complex] = {}
    for (p, q, m), value in terms.items():
        for j in range(p + 1):
            for k in range(q + 1):
                around = np.conj(center) ** (p - j) * center ** (q - k)
                place = (j, k, m)
                own = value * comb(p, j) * comb(q, k) * around
                total[place] = total.get(place, 0j) + own
    return total


def resting_field(equation: DensityEquation) -> complex | None:
    """The only stable zero of the drift; None where there are none or several."""
    found: list[complex] = []
    for angle in 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        root = _root(equation, equation.farthest * np.exp(1j * angle))
        if root is not None and all(
            abs(root - x) > _SAME * (1 + abs(x)) for x in found
        ):
            found.append(root)
    return found[0] if len(found) == 1 else None


def _root(equation: DensityEquation, alpha: complex) -> complex | None:
    """The stable zero of the drift to which Newton's method leads."""
    for _ in range(_STEPS):
        rate = complex(evaluated(equation.drift, np.array([alpha]))[0])
        matrix = _jacobian(equation.drift, alpha)
        if abs(np.linalg.det(matrix)) < 1e-14:
            return None
        step = np.linalg.solve(matrix, [-rate.real, -rate.imag])
        alpha += complex(*step)
        if not abs(alpha) < 1e6:
            return None
        if abs(complex(*step)) < 1e-12 * (1 + abs(alpha)):
            stable = np.linalg.eigvals(_jacobian(equation.drift, alpha)).real.max() < 0
            return alpha if stable else None
    return None


def _jacobian(drift: Terms, alpha: complex) -> np.ndarray:
    """Of the drift, in real and imaginary parts."""
    plain = other = 0j
    for (p, q, _), value in drift.items():
        if q:
            plain += value * q * np.conj(alpha) ** p * alpha ** (q - 1)
        if p:
            other += value * p * np.conj(alpha) ** (p - 1) * alpha**q
    return np.array(
        [
            [(plain + other).real, (other - plain).imag],
            [(plain + other).imag, (plain - other).real],
        ]
    )


def density(basis: Basis, y: np.ndarray, center: complex) -> RadialDensity:
    """The density about zero, from its unknowns about another field."""
    far = basis.scale * basis.far
    low, high = max(0.0, abs(center) - far), abs(center) + far
    x, w = np.polynomial.legendre.leggauss(int(_NODES * (high - low)))
    radii = low + (x + 1) * (high - low) / 2
    count = 2 * int(_ANGLES * high / 2)
    angles = 2 * np.pi * np.arange(count) / count
    beta = radii[:, None] * np.exp(1j * angles) - center
    inside = np.abs(beta) < far
    values = np.zeros(beta.shape)
    values[inside] = basis.at(y, beta[inside])
    harmonics = np.fft.rfft(values, axis=1).T / count
    weights = w * (high - low) / 2 * radii
    return RadialDensity(radii, weights, harmonics[: count // 2])
