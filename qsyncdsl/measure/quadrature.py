"""Quadratures: Mari's measures, covariance, g2, variances; all from normal-ordered moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure import gaussian
from qsyncdsl.measure.scene import Scene


@gaussian.of_whole_runs
def sync_complete(scene: Scene, a: int, b: int, subtract: str = "mean") -> Any:
    r"""$S_c = \langle\delta q_-^2 + \delta p_-^2\rangle^{-1} \le 1$, $q_- = (q_a - q_b)/\sqrt2$.

    Fluctuations about the means, as for the limit cycles of the source: with $\delta a = a - \langle a\rangle$
    $S_c^{-1} = 1 + \langle\delta a^\dagger\delta a\rangle + \langle\delta b^\dagger\delta b\rangle
    - 2\,\mathrm{Re}\langle\delta a^\dagger\delta b\rangle$. `subtract = none` takes a and b themselves, so
    that different means count as a lack of synchronization.

    References:
        A. Mari et al., Phys. Rev. Lett. 111, 103605 (2013), Eqs. (1), (2).
    """
    if subtract == "mean" and gaussian.gaussian(scene):
        return gaussian.sync_complete(scene, a, b)
    x, y = scene.boson(a, "sync_complete"), scene.boson(b, "sync_complete")
    na, nb = scene.expect(x.dag() * x).real, scene.expect(y.dag() * y).real
    inverse = 1 + na + nb - 2 * scene.expect(x.dag() * y).real
    if subtract == "mean":
        inverse -= abs(scene.expect(x) - scene.expect(y)) ** 2
    return 1 / inverse


@gaussian.of_whole_runs
def sync_phase(scene: Scene, a: int, b: int) -> Any:
    r"""$S_p = \tfrac12\langle p_-'^2\rangle^{-1}$, fluctuations in the frame of the mean phases.

    $a' = (a - \langle a\rangle) e^{-i\arg\langle a\rangle}$, $p_-' = (p_a' - p_b')/\sqrt2$. Not bounded by 1.

    Raises:
        SolveError: E602 where a mean amplitude vanishes, so that it has no phase.

    References:
        A. Mari et al., Phys. Rev. Lett. 111, 103605 (2013).
    """
    if gaussian.gaussian(scene):
        return gaussian.sync_phase(scene, a, b)
    turned = []
    for part in (a, b):
        lower = scene.boson(part, "sync_phase")
        mean = scene.expect(lower)
        if abs(mean) < 1e-9:
            label = scene.state.parts[part].label
            raise SolveError(
                Diagnostic(
                    "E602",
                    f"sync_phase needs the phase of <{label}>, which is zero here",
                    help="use relative_phase for states without a mean amplitude",
                )
            )
        turned.append((lower - mean) * complex(np.exp(-1j * np.angle(mean))))
    momenta = [(x.dag() - x) * (1j / np.sqrt(2)) for x in turned]
    difference = (momenta[0] - momenta[1]) / np.sqrt(2)
    return float(0.5 / scene.expect(difference * difference).real)


def covariance(scene: Scene, parts: Any) -> Any:
    r"""$V_{ij} = \tfrac12\langle\{r_i, r_j\}\rangle - \langle r_i\rangle\langle r_j\rangle$.

    For modes the quadratures are $r = (q_1, p_1, \dots)$ and the result a matrix; for two operators it is
    one number.

    Raises:
        SolveError: E654 for anything else.
    """
    listed = parts if len(parts) > 1 or not isinstance(parts[0], tuple) else parts[0]
    if all(isinstance(x, Polynomial) for x in listed) and len(listed) == 2:
        return _covariance(scene, listed[0], listed[1])
    if any(isinstance(x, Polynomial) for x in listed):
        message = "covariance takes modes, or two operators"
        help = "covariance(a, b) is a matrix, covariance(a.q, b.p) a number"
        raise SolveError(Diagnostic("E654", message, help=help))
    if gaussian.gaussian(scene):
        return tuple(tuple(float(x) for x in row) for row in scene.block(listed))
    operators: list[Polynomial] = []
    for part in listed:
        operators += [scene.letter(part, "q"), scene.letter(part, "p")]
    return tuple(tuple(_covariance(scene, x, y) for y in operators) for x in operators)


def _covariance(scene: Scene, x: Polynomial, y: Polynomial) -> float:
    both = scene.expect(x * y + y * x).real / 2
    return float(both - (scene.expect(x) * scene.expect(y)).real)


def g2(scene: Scene, a: int) -> float:
    r"""$g^{(2)}(0) = \langle a^{\dagger2}a^2\rangle/\langle a^\dagger a\rangle^2$."""
    lower = scene.boson(a, "g2")
    number = scene.expect(lower.dag() * lower).real
    pairs = scene.expect(lower.dag() ** 2 * lower**2).real
    return float(pairs / number**2) if number else float("nan")


def variance(scene: Scene, operator: Polynomial) -> float:
    r"""$\langle O^2\rangle - \langle O\rangle^2$ of a Hermitian operator."""
    if isinstance(operator, np.ndarray):
        return float(np.var(np.asarray(operator)))
    return float(
        scene.expect(operator * operator).real - scene.expect(operator).real ** 2
    )
