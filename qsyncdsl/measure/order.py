"""Order on lattices: common phases, collective amplitudes, correlations along the axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.density import densities
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.gaussian import gaussian
from qsyncdsl.measure.paths import SHORT, bump
from qsyncdsl.measure.product import factorized


def order_parameter(scene: Any, modes: Any, subtract: str = "static") -> float:
    r"""$R = E\,\big|\frac1N\sum_j e^{i\phi_j}\big|$, $\phi_j = \arg(\alpha_j - \bar\alpha)$.

    The static mean $\bar\alpha$ over sites, times and runs is removed where a term of the model fixes the
    phase: a common displacement is no order. `subtract = none` takes the phases as they are.

    References:
        Y. Kuramoto, Chemical Oscillations, Waves, and Turbulence (1984).
    """
    fields = _fields(scene, modes, "order_parameter")
    fields = _moving(scene, modes, fields, subtract)
    return float(np.abs(_phases(fields).mean(axis=0)).mean())


def collective_amplitude(scene: Any, modes: Any, subtract: str = "static") -> float:
    r"""$r = E\,|Z - \bar Z|$ with $Z = \frac1N\sum_j\alpha_j$ and its mean $\bar Z$ over time and runs.

    The static part does not rotate and is no sign of synchronization. Where phases are free, and at
    single times, all of Z counts.
    """
    mean = _fields(scene, modes, "collective_amplitude").mean(axis=0)
    return float(np.abs(_moving(scene, modes, mean, subtract)).mean())


def phase_correlation(
    scene: Any, modes: Any, d: int, subtract: str = "static"
) -> float:
    r"""$C(d) = \mathrm{Re}\,E\,e^{i(\phi_j - \phi_k)}$ over pairs at distance d along the axes.

    The static mean of the fields is removed as in `order_parameter`.

    References:
        M. Ludwig, F. Marquardt, Phys. Rev. Lett. 111, 073603 (2013), Fig. 4.

    Raises:
        SolveError: E612 unless the modes are all sites of a lattice, or for a distance beyond it.
    """
    fields = _fields(scene, modes, "phase_correlation")
    if isinstance(modes, np.ndarray):
        raise SolveError(
            Diagnostic("E612", "phase_correlation is for modes on a lattice")
        )
    family = scene.family(modes[0])
    if not family.shape or len(modes) != family.size:
        raise SolveError(
            Diagnostic("E612", "phase_correlation needs all sites of a lattice")
        )
    key = ("phases", family.label, subtract)
    if key not in scene.known:
        fields = _moving(scene, modes, fields, subtract)
        scene.known[key] = _phases(fields).reshape(*family.shape, *fields.shape[1:])
    phases = scene.known[key]
    total, count = 0.0, 0
    for axis, length in enumerate(family.shape):
        if length < 2:
            continue
        if not 0 <= d < length:
            raise SolveError(
                Diagnostic("E612", f"the distance {d} does not fit into {length} sites")
            )
        if family.periodic:
            pairs = phases * np.roll(phases, -d, axis=axis).conj()
        else:
            ahead = np.take(phases, range(d, length), axis=axis)
            pairs = np.take(phases, range(length - d), axis=axis) * ahead.conj()
        total += float(pairs.real.sum())
        count += pairs.size
    return total / count


def _fields(scene: Any, modes: tuple[int, ...], word: str) -> np.ndarray:
    """Samples of some modes, or amplitudes of variables, shape (n, R, T)."""
    if isinstance(modes, np.ndarray):
        return modes
    if factorized(scene) or densities(scene):
        return scene.amplitudes(modes, word)
    if not sampled(scene) and not gaussian(scene):
        raise SolveError(
            Diagnostic(
                "E613",
                f"'{word}' looks at phases along trajectories",
                help="solve by 'langevin', 'classical' or 'meanfield'",
            )
        )
    found: Any = scene
    first, count = modes[0], len(modes)
    if tuple(modes) == tuple(range(first, first + count)):
        return np.asarray(found.samples[first : first + count])
    return np.asarray(found.samples[list(modes)])


def _moving(scene: Any, modes: Any, fields: np.ndarray, subtract: str) -> np.ndarray:
    """Fields, shape (..., R, T), without their static mean where it is one."""
    if subtract == "none" or isinstance(modes, np.ndarray):
        return fields
    free = getattr(scene.family(modes[0]), "free", False) or _turning(scene)
    alone = fields.shape[-1] == 1 and (scene.result is not None or _turning(scene))
    return fields if free or alone else fields - _static_mean(scene, fields)


def _static_mean(scene: Any, fields: np.ndarray) -> complex:
    """The mean of fields, shape (..., R, T): over sites, runs and times.

    Without noise times have the weights of `bump`, since a window is no whole number of periods.
    """
    count = fields.shape[-1]
    given = getattr(scene, "given", None)
    quiet = factorized(scene) or not getattr(given, "symmetric", True)
    if quiet and count > SHORT:
        return complex((fields @ bump(count)).mean())
    return complex(fields.mean())


def _turning(scene: Any) -> bool:
    """Whether the only time of a scene is one of a rotating state."""
    if factorized(scene) or densities(scene):
        return scene.turning
    return gaussian(scene)


def _phases(fields: np.ndarray) -> np.ndarray:
    """alpha/|alpha|."""
    size = np.abs(fields)
    return fields / np.where(size > 0, size, 1.0)
