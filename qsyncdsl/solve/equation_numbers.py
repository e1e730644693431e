"""The numbers that the generated source of typed equations takes, and noises of a given spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import EquationProblem, NoiseSource, Point
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.kick_times import positive_period

# Share of its maximum that a spectrum without a cutoff may have at the end of what a step resolves.
_TAIL = 1e-3

# The last spectrum on its grid.
_SHAPES: dict[Any, np.ndarray] = {}

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def data_of(problem: EquationProblem, values: tuple[Any, ...]) -> Data:
    """p, q, g, c and room for the noises, at the values of the parameters."""
    p = np.zeros(1 + max((k + pair for k, pair in problem.scalars.values()), default=0))
    for k, (place, pair) in problem.scalars.items():
        number = complex(values[k])
        p[place] = number.real
        if pair:
            p[place + 1] = number.imag
    parts = []
    for k, (_, pair) in sorted(problem.arrays.items(), key=lambda item: item[1][0]):
        numbers = np.asarray(values[k], dtype=complex).ravel()
        parts += [numbers.real, numbers.imag] if pair else [numbers.real]
    q = np.concatenate([*parts, np.zeros(1)])
    # also a deterministic method reads the noises, as 0
    return p, q, problem.g, problem.c, np.zeros(max(problem.sources, 1))


def strengths(problem: EquationProblem, values: tuple[Any, ...]) -> np.ndarray:
    """The f_k: strengths and cutoffs.

    Raises:
        SolveError: E515 for one that is negative or not real.
    """
    own = [values[k] for k in problem.places]
    found = coefficients.evaluate(problem.coefficients, own)
    if np.any(np.abs(found.imag) > 0) or np.any(found.real < 0):
        raise SolveError(
            Diagnostic("E515", "the strength of a noise is negative or not real here")
        )
    return found.real


def periods(problem: EquationProblem, values: tuple[Any, ...]) -> list[float]:
    """The periods of the kicks.

    Raises:
        SolveError: E540 for one that is not positive.
    """
    if not problem.kicks:
        return []
    own = [values[k] for k in problem.places]
    found = coefficients.evaluate(problem.coefficients, own)
    return [positive_period(complex(found[k])) for k, _ in problem.kicks]


def noises(
    problem: EquationProblem, point: Point, data: Data, spectrum: Any, dt: float,
    steps: int, realization: int,
) -> np.ndarray:  # fmt: skip
    r"""Values of all noises in each step, shape (steps, m), for one realization.

    White noise has variance $S/\Delta t$ in a step (S in a step of a map). A noise of spectrum $f$ is
    white noise whose Fourier components are multiplied by $\sqrt{f(\omega)}$: it repeats itself
    after the whole run.
    """
    chosen = strengths(problem, point.values)
    length = dt if not problem.discrete else 1.0
    total = sum(noise.size for noise in problem.noises)
    found = np.empty((steps, max(total, 1)))
    for number, noise in enumerate(problem.noises):
        rng = np.random.default_rng([point.seed, realization, number])
        z = rng.standard_normal((steps, noise.size))
        columns = slice(noise.offset, noise.offset + noise.size)
        if noise.kind == "white":
            scale = np.sqrt(chosen[list(noise.strengths)] / length)
            found[:, columns] = z * scale
            continue
        shape = _shape(noise, chosen, data, spectrum(noise.spectrum), length, steps)
        transform = np.fft.rfft(z, axis=0) * np.sqrt(shape / length)[:, None]
        found[:, columns] = np.fft.irfft(transform, n=steps, axis=0)
    return found


def _on_grid(spectrum: Any, omega: np.ndarray, data: Data) -> np.ndarray:
    """A spectrum on a grid that is finer than it needs: every realization has the same."""
    key = (id(spectrum), len(omega), float(omega[-1]), data[0].tobytes())
    if key not in _SHAPES:
        _SHAPES.clear()
        _SHAPES[key] = np.array([spectrum(w, data) for w in omega])
    return _SHAPES[key]


def _shape(
    noise: NoiseSource, chosen: np.ndarray, data: Data, spectrum: Any, dt: float, steps: int
) -> np.ndarray:  # fmt: skip
    """f(w) at the frequencies of the run.

    Raises:
        SolveError: E562 for a spectrum that is negative or infinite, E561 for one that does not
            end where the step does.
    """
    omega = 2 * np.pi * np.fft.rfftfreq(steps, dt)
    # formulas such as w coth(w/2T) have a limit at 0, not a value
    omega[0] = 1e-6 * omega[1]
    values = _on_grid(spectrum, omega, data)
    if noise.cutoff >= 0:
        limit = chosen[noise.cutoff]
        if limit > np.pi / dt:
            raise SolveError(
                Diagnostic(
                    "E561",
                    f"the cutoff {limit:.4g} of '{noise.label}' is beyond pi/dt ="
                    f" {np.pi / dt:.4g}",
                    help=f"choose dt below {np.pi / limit:.3g}",
                )
            )
        values = np.where(omega <= limit, values, 0.0)
    if not np.isfinite(values).all() or np.any(values < 0):
        bad = omega[np.flatnonzero(~(np.isfinite(values) & (values >= 0)))[0]]
        message = (
            f"the spectrum of '{noise.label}' has no positive value at w = {bad:.4g}"
        )
        raise SolveError(Diagnostic("E562", message))
    if not values.any():
        return values
    if noise.cutoff < 0 and values[-1] > _TAIL * values.max():
        raise SolveError(
            Diagnostic(
                "E561",
                f"the spectrum of '{noise.label}' does not end below pi/dt = {omega[-1]:.4g}:"
                " results would depend on the step",
                help="state a cutoff: colored(f, cutoff = w), or let f fall off",
            )
        )
    return values
