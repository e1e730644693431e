r"""How far samples or densities of truncated Wigner obey the equations of the full quantum model.

In a stationary state $\langle\mathcal{L}^\dagger[O]\rangle = 0$ for every O. Truncated Wigner keeps this where the
derivatives that it leaves out do not act, as for $O = a^\dagger a$; for $O = a^{\dagger 2}a^2$, and where a phase is
fixed for $O = a^\dagger a^2$, which feels an anharmonic H, the mean over the samples is what the left out terms
would add:

$$ r = \frac{|\langle\mathcal{L}^\dagger[O]\rangle|}{\sum_m |c_m\langle m\rangle|}, \qquad
   \mathcal{L}^\dagger[O] = \sum_m c_m m . $$
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import moves, numeric
from qsyncdsl.algebra.heisenberg import drift
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.measure.density import DensityScene, densities
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model

# Modes up to which the equations are looked at, samples that are looked at, and parts for the error of r.
_MODES, _SAMPLES, _PARTS = 6, 200_000, 8
# Standard errors of r that are taken off.
_ERRORS = 2.0
# Standard errors above which the terms of an equation say something.
_NOISE = 10.0
# Sums of terms that are rounding.
_ROUNDING = 1e-9


def moment_residuals(
    model: Model, environment: Environment, scene: Any
) -> dict[str, float]:
    """`wigner_residual_MODE` for each boson: r, of samples less two of its standard errors.

    Empty where the model is large, depends on time or has kicks, or where there are too few samples.
    """
    if densities(scene):
        # the phase of a state that turns is no stationary number
        orders = 1 if scene.turning else 2
        return _found(
            model, environment, len(scene.given.class_of), scene, _of_density, orders
        )
    samples = getattr(scene, "samples", None)
    if samples is None or samples.ndim != 3 or not scene.given.symmetric:
        return {}
    if samples.shape[1] < _PARTS:
        return {}
    every = max(1, samples[0].size // _SAMPLES)
    few = replace(scene, samples=samples[:, :, ::every], known={})
    return _found(model, environment, len(samples), few, _relative, 2)


def _found(
    model: Model,
    environment: Environment,
    count: int,
    scene: Any,
    residual: Callable[[Any, Polynomial], float],
    orders: int,
) -> dict[str, float]:
    """The largest residual of each mode."""
    if model.kicks or model.variables or count > _MODES:
        return {}
    try:
        system = numeric(model, environment)
        if moves(model, environment) or any(
            j.per_atom is not None for j in system.jumps
        ):
            return {}
        bosons = [k for k, m in enumerate(system.space.modes) if m.kind.name == "boson"]
        if len(bosons) != count or len(bosons) != len(system.space.modes):
            return {}
        jumps = [(complex(j.rate), j.operator) for j in system.jumps]
        found = {}
        for k in bosons:
            a = system.space.letter(k, "a")
            rights = [
                drift(x, system.total_hamiltonian, jumps, system.hbar)
                for x in (a.dag() * a.dag() * a * a, a.dag() * a * a)[:orders]
            ]
            label = system.space.modes[k].label
            residuals = [residual(scene, right) for right in rights]
            found[f"wigner_residual_{label}"] = max(residuals)
    except (ModelError, SolveError, TypeError, ValueError, ArithmeticError):
        return {}
    return {name: r for name, r in found.items() if np.isfinite(r)}


def _of_density(scene: DensityScene, right: Polynomial) -> float:
    """r of one equation in stationary densities; 0 where all terms are rounding."""
    terms = [
        scene.expect(Polynomial(right.space, {monomial: value}))
        for monomial, value in right.terms.items()
    ]
    scale = sum(map(abs, terms))
    return abs(sum(terms)) / scale if scale > _ROUNDING else 0.0


def _relative(scene: Any, right: Polynomial) -> float:
    """r of one equation, from the means of parts of the realizations; 0 where all terms are noise."""
    total, scale = 0.0, 0.0
    for monomial, value in right.terms.items():
        one = Polynomial(right.space, {monomial: value})
        values = scene.values(one)
        scale += abs(complex(values.mean()))
        total = total + values.mean(axis=1)
    whole = np.asarray(total)
    error = float(whole.std(ddof=1)) / np.sqrt(len(whole))
    if scale < _NOISE * error:
        return 0.0
    return max(0.0, abs(complex(whole.mean())) - _ERRORS * error) / max(scale, 1e-300)
