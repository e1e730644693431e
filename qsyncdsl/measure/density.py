"""A stationary density over alpha, kept as the matrix whose Wigner function it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from scipy.special import eval_genlaguerre, gammaln

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.scene import Scene


@dataclass(frozen=True)
class DensityScene(Scene):
    """A density of phase space: it has moments and a picture, but is no state."""

    def reduced(self, parts: tuple[int, ...]) -> np.ndarray:
        """There is no density matrix here.

        Raises:
            SolveError: E611.
        """
        raise SolveError(
            Diagnostic(
                "E611",
                "this measure needs a density matrix; a density of phase space is none",
                help="solve by 'steadystate'",
            )
        )


def phase_harmonics(rho: np.ndarray) -> dict[int, complex]:
    r"""$E\,e^{ik\phi}$ over the phase of the Wigner function of rho, by quadrature over the radius."""
    levels = len(rho)
    r = np.linspace(0, np.sqrt(levels) + 3, 800)
    x = 4 * r**2
    found: dict[int, complex] = {}
    for k in range(levels):
        total = 0j
        for n in range(levels - k):
            value = rho[n + k, n]
            if abs(value) < 1e-16:
                continue
            log = 0.5 * (gammaln(n + 1) - gammaln(n + k + 1)) - 2 * r**2
            with np.errstate(divide="ignore"):
                log = log + (k * np.log(2 * r) if k else 0.0)
            shape = (2 / pi) * (-1) ** n * np.exp(log) * eval_genlaguerre(n, k, x)
            total += value * 2 * pi * np.trapezoid(shape * r, r)
        found[k], found[-k] = total, np.conj(total)
    return found
