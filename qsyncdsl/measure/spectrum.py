"""Spectra, correlations, lines and levels, in the field's signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.density import densities
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.moments import momental
from qsyncdsl.measure.paths import frequency, power_spectrum, turning_rate
from qsyncdsl.measure.product import factorized
from qsyncdsl.measure.scene import Scene
from qsyncdsl.measure.symmetric import SymmetricScene
from qsyncdsl.measure.trajectories import jumping
from qsyncdsl.measure.values import Distribution, argmax

_POINTS = 801
# Lines lower than this part of the highest do not widen the default range of frequencies.
_VISIBLE = 1e-3


def spectrum(
    scene: Scene, A: Polynomial, B: Polynomial, frequencies: Any = None
) -> Distribution:
    r"""$P(\omega) = \int e^{+i\omega t}[\langle A(t)B(0)\rangle - \langle A\rangle\langle B\rangle]\,dt$.

    The incoherent part; `coherent_weight` is what stands before $2\pi\delta(\omega)$. With $A = a^\dagger$,
    $B = a$ and $H = \omega_0 a^\dagger a$ the line is at $-\omega_0$: the sign of Lörch et al. (2016).
    """
    if isinstance(A, np.ndarray):
        if not np.array_equal(np.conj(A), B):
            raise SolveError(
                Diagnostic(
                    "E615", "on trajectories the spectrum is that of x and conj(x)"
                )
            )
        return power_spectrum(scene, np.atleast_2d(np.asarray(A)))
    if sampled(scene):
        if A.dag() != B:
            raise SolveError(
                Diagnostic(
                    "E615", "on trajectories the spectrum is that of A and its adjoint"
                )
            )
        return power_spectrum(scene, scene.values(A))
    at, forward, _ = _at(scene).spectrum(
        scene.state.rho, scene.matrix(A), scene.matrix(B)
    )
    grid = (
        np.asarray(frequencies, dtype=float) if frequencies else _frequencies(forward)
    )
    values = np.array([at(w) for w in grid])
    if np.abs(values.imag).max(initial=0.0) <= 1e-12 * np.abs(values).max(initial=0.0):
        values = values.real
    return Distribution("omega", grid, values, at)


def coherent_weight(scene: Scene, A: Polynomial, B: Polynomial) -> complex:
    r"""$\langle A\rangle\langle B\rangle$, the weight of $2\pi\delta(\omega)$ in the full spectrum."""
    return scene.expect(A) * scene.expect(B)


def correlation(
    scene: Scene, A: Polynomial, B: Polynomial, times: Any = None
) -> Distribution:
    r"""$\langle A(t)B(0)\rangle$ for $t \ge 0$ in the stationary state."""
    parts = _at(scene).correlation(scene.state.rho, scene.matrix(A), scene.matrix(B))
    constant = coherent_weight(scene, A, B)

    def at(t: Any) -> complex:
        return constant + sum(part.at_time(float(np.real(t))) for part in parts)

    if times:
        grid = np.asarray(times, dtype=float)
    else:
        slow = [rate for part in parts for rate in _decays(part)]
        grid = np.linspace(0, 8 / max(min(slow, default=1.0), 1e-12), 401)
    return Distribution("tau", grid, np.array([at(t) for t in grid]), at)


def _decays(part: Any) -> list[float]:
    """Decay rates of one sector: all, or of those that are seen where there are too many."""
    if part.poles is not None:
        return [-p.real for p in part.poles]
    poles, weights = part.lines
    seen = np.abs(weights) > _VISIBLE * np.abs(weights).max(initial=0.0)
    return [-p.real for p in poles[seen & (poles.real < 0)]]


def peak(scene: Scene, A: Polynomial, B: Polynomial) -> float:
    """Frequency of the highest point of `spectrum(A, B)`."""
    return argmax(spectrum(scene, A, B))


def observed_frequency(scene: Scene, a: int) -> float:
    r"""Physical frequency of a mode: $H = \omega a^\dagger a$ gives $+\omega$.

    Minus the place of the highest peak of `spectrum(a', a)`; along trajectories the mean angular
    velocity.
    """
    if sampled(scene):
        return frequency(scene, a)
    if densities(scene) and scene.given.frequency is not None:
        return scene.frequency(a)
    if factorized(scene):
        known = scene.frequency(a)
        if known is not None:
            return known
        if scene.result is not None:
            message = "a frequency is measured over a run, not at single times"
            raise SolveError(Diagnostic("E613", message, help="ask for time = T"))
        amplitude = scene.amplitudes((a,), "observed_frequency")[0]
        return turning_rate(amplitude, np.asarray(scene.given.times))
    lower = scene.boson(a, "observed_frequency")
    return -peak(scene, lower.dag(), lower)


def poles(scene: Scene, A: Polynomial, B: Polynomial) -> tuple[complex, ...]:
    r"""The $\lambda_k$ of $\langle A(t)B(0)\rangle = \sum_k c_k e^{\lambda_k t}$, the strongest line first."""
    values, weights = _lines(scene, A, B)
    heights = np.abs(weights) / np.maximum(-values.real, 1e-300)
    order = np.argsort(-heights)
    kept = [k for k in order if heights[k] > 1e-9 * heights.max(initial=0.0)]
    return tuple(complex(values[k]) for k in kept)


def linewidth(scene: Scene, A: Polynomial, B: Polynomial) -> float:
    r"""Full width $-2\,\mathrm{Re}\,\lambda$ of the strongest line."""
    found = poles(scene, A, B)
    if not found:
        raise SolveError(
            Diagnostic("E607", "there is no line: the correlation does not decay")
        )
    return -2 * found[0].real


def liouvillian_gap(scene: Scene) -> float:
    r"""Smallest $-\mathrm{Re}\,\lambda > 0$ of the eigenvalues of the Liouvillian, over all sectors.

    Under `floquet` that of the multipliers $\mu = e^{\lambda bT}$ of a cycle of b periods.
    """
    values = _generator(scene).decay_rates(6)
    scale = max(np.abs(values).max(initial=0.0), 1e-300)
    moving = values[np.abs(values) > 1e-9 * scale]
    if not len(moving):
        raise SolveError(
            Diagnostic("E608", "the Liouvillian has no decaying mode here")
        )
    return float((-moving.real).min())


def eigenvalues(scene: Scene, k: Any = None) -> tuple[complex, ...]:
    """The k eigenvalues of the Liouvillian of slowest decay, or those of a matrix.

    Under `floquet` the multipliers of a cycle, that of the steady state, 1, before the others.
    """
    if isinstance(k, tuple | np.ndarray):
        matrix = np.array(k, dtype=complex)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise SolveError(
                Diagnostic("E609", "eigenvalues needs a square matrix or a count")
            )
        if np.allclose(matrix, matrix.conj().T):
            return tuple(float(x) for x in np.linalg.eigvalsh(matrix))
        return tuple(complex(x) for x in np.linalg.eigvals(matrix))
    count = 6 if k is None else int(k)
    if count < 1:
        raise SolveError(Diagnostic("E609", "eigenvalues needs a count of at least 1"))
    generator = _generator(scene)
    if hasattr(generator, "multipliers"):
        return tuple(complex(x) for x in generator.multipliers(count))
    return tuple(complex(x) for x in generator.decay_rates(count))


def eigenenergies(
    scene: Scene, k: int, part: tuple[int, ...] | None = None
) -> tuple[float, ...]:
    """The k lowest levels of H; of one uncoupled part where it is named."""
    result = scene.result
    if not hasattr(result, "energies"):
        raise SolveError(Diagnostic("E610", "eigenenergies needs 'solve eigen'"))
    energies = result.energies
    if part is not None:
        for group, levels in result.groups:
            if set(part) == set(group):
                energies = levels
                break
        else:
            label = scene.state.parts[part[0]].label
            raise SolveError(
                Diagnostic(
                    "E611",
                    f"'{label}' is coupled to other modes: it has no levels of its own",
                )
            )
    if k < 1:
        raise SolveError(Diagnostic("E612", "at least 1 level must be asked for"))
    if len(energies) < k:
        raise SolveError(
            Diagnostic("E612", f"only {len(energies)} levels were computed")
        )
    return tuple(float(e) * scene.hbar for e in energies[:k])


def _at(scene: Scene) -> Any:
    """The Liouvillian at the point.

    Raises:
        SolveError: E613 without one, E616 where it depends on time.
    """
    generator = _generator(scene)
    if hasattr(generator, "multipliers"):
        message = "two-time functions of models that depend on time are not computed"
        raise SolveError(Diagnostic("E616", message))
    return generator


def _generator(scene: Scene) -> Any:
    """The Liouvillian, or the period map."""
    generator = getattr(scene.result, "generator", None)
    if jumping(scene):
        raise SolveError(
            Diagnostic(
                "E613",
                "two-time means are not those of the records of single trajectories",
                help="use 'solve steadystate', or winding(along(arg(<a>))) for a frequency",
            )
        )
    if generator is None:
        raise SolveError(
            Diagnostic(
                "E613",
                "this measure needs a stationary density matrix and its generator",
                help="use 'solve steadystate'",
            )
        )
    return generator


def _lines(scene: Scene, a: Polynomial, b: Polynomial) -> tuple[np.ndarray, np.ndarray]:
    """All poles and weights of a correlation."""
    if momental(scene) or isinstance(scene, SymmetricScene):
        return scene.lines(a, b)
    parts = _at(scene).correlation(scene.state.rho, scene.matrix(a), scene.matrix(b))
    if any(part.poles is None for part in parts):
        raise SolveError(
            Diagnostic("E614", "the sector is too large for all its poles")
        )
    empty = np.zeros(0, dtype=complex)
    values = np.concatenate([empty, *(part.poles for part in parts)])
    return values, np.concatenate([empty, *(part.weights for part in parts)])


def _frequencies(parts: Any) -> np.ndarray:
    """Frequencies that show every visible line, denser at the lines."""
    lines = [part.lines for part in parts]
    values = np.concatenate([np.zeros(0), *(poles for poles, _ in lines)])
    weights = np.concatenate([np.zeros(0), *(weights for _, weights in lines)])
    if not len(values):
        return np.linspace(-10.0, 10.0, _POINTS)
    widths = np.maximum(-values.real, 1e-12)
    heights = np.abs(weights) / widths
    seen = heights > _VISIBLE * heights.max()
    low = float((-values.imag - 8 * widths)[seen].min())
    high = float((-values.imag + 8 * widths)[seen].max())
    near = np.concatenate(
        [
            -v.imag + w * np.linspace(-4, 4, 33)
            for v, w in zip(values[seen], widths[seen], strict=True)
        ]
    )
    near = near[: 33 * 60]
    return np.unique(np.concatenate([np.linspace(low, high, _POINTS), near]))
