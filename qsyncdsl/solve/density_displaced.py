r"""Densities about a field: the basis of `density_basis` displaced to where the drift keeps it.

With $\alpha = \alpha_0 + \beta$ and $A(\alpha_0) = 0$ a driven field of any size takes as many levels as its
fluctuations; the density is given about $\alpha = 0$ again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from qsyncdsl.result import RadialDensity
from qsyncdsl.solve.at_rest import growth_rates, root_beside
from qsyncdsl.solve.density_basis import Basis
from qsyncdsl.solve.density_equation import DensityEquation, Terms, evaluated
from qsyncdsl.solve.polynomials import real_form

# Directions in which fixed points are looked for, how far out, and how far points are apart that are two.
_DIRECTIONS, _PARTS, _SAME = 8, (0.1, 0.3, 0.6, 1.0), 1e-6
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
    drift, found = _Drift(equation.drift), list[complex]()
    for angle in 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        for part in _PARTS:
            start = part * equation.farthest * np.exp(1j * angle)
            y = root_beside(drift, np.array([start.real, start.imag]))
            if y is None or not growth_rates(drift, y)[0] < 0:
                continue
            root = complex(*y)
            if all(abs(root - x) > _SAME * (1 + abs(x)) for x in found):
                found.append(root)
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class _Drift:
    """The motion of a field without noise, in its real and imaginary part."""

    terms: Terms
    discrete = False

    def rate(self, y: np.ndarray) -> np.ndarray:
        """A."""
        return evaluated(self.terms, y.view(complex)).view(float)

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """dA/dy."""
        plain = {(p, q - 1, m): q * v for (p, q, m), v in self.terms.items() if q}
        other = {(p - 1, q, m): p * v for (p, q, m), v in self.terms.items() if p}
        alpha = y.view(complex)[:, None]
        return real_form(evaluated(plain, alpha), evaluated(other, alpha))


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
