"""Stationary densities of one field: spectral where the diffusion is positive; else, and for large rings, on a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import DensityProblem, Point
from qsyncdsl.result import DensityResult, RadialDensity, Trust
from qsyncdsl.solve.blas import one_thread
from qsyncdsl.solve.density_basis import Basis
from qsyncdsl.solve.density_displaced import about, resting_field
from qsyncdsl.solve.density_displaced import density as displaced_density
from qsyncdsl.solve.density_equation import DensityEquation, equations
from qsyncdsl.solve.density_grid import Grid, faces

# Moments must agree to this between the last two cutoffs; enough of them to go on.
_ACCURACY, _ENOUGH = 1e-9, 1e-4
# Levels to begin with, for each quantum that the field may have, and at most.
_LEVELS, _PER_QUANTUM, _LARGEST = 16, 1.2, 110
# Steps in a row that change more than the one before: the equation is ill-posed.
_VAIN = 3
# On a grid: moments to this, cells at first and at most, unknowns at most.
_GRID_ACCURACY = 3e-4
_CELLS, _MOST_CELLS = 200, 3200
_ORDERS, _MOST_ORDERS = 6, 96
_UNKNOWNS = 130_000
_TAIL = 1e-7
# The moments that are compared: <alpha>, <|alpha|^2>, <alpha^2>, <|alpha|^4>.
_MOMENTS = ((0, 1), (1, 1), (0, 2), (2, 2))

# What turns unknowns into numbers: a basis or a grid.
Space = Basis | Grid


class FokkerPlanckSolver:
    """Finds the stationary densities of one problem at many points."""

    def __init__(self, problem: DensityProblem) -> None:
        self.problem = problem
        self._coupled: Any = None

    def solve(self, point: Point) -> DensityResult:
        """The stationary density; with the mean field of all others on `complete(N)`.

        Raises:
            SolveError: E516 where no resolution is enough, E517 where it is not unique, E520 for mean
                fields that reproduce nothing.
        """
        if self.problem.coupled:
            from qsyncdsl.solve.density_field import CoupledDensities

            if self._coupled is None:
                self._coupled = CoupledDensities(self.problem)
            found: DensityResult = self._coupled.solve(point)
            return found
        (equation,), class_of = equations(self.problem, point)
        lowest = equation.lowest
        warnings: tuple[Diagnostic, ...] = ()
        clips = lowest < 0 and point.options.get("negative", "clip") == "clip"
        spectral = None if clips else self._spectral(equation, point)
        if spectral is not None:
            density, numbers, facts = spectral
        else:
            density, numbers, facts = clipped(
                equation,
                int(point.options.get("points", 0)) if clips else 0,
                float(point.options.get("extent", 0) or 0),
            )
        if clips:
            warnings = (negative(lowest, numbers["negative_diffusion_probability"]),)
        elif lowest < 0:
            warnings = (kept(lowest),)
        trust = Trust({**numbers, "lowest_diffusion": lowest}, facts, warnings)
        return DensityResult(self.problem.families, (density,), class_of, trust)

    def _spectral(
        self, equation: DensityEquation, point: Point
    ) -> tuple[RadialDensity, dict[str, float], dict[str, str]] | None:
        """The density in the basis, or in a displaced one for a large field that rests somewhere.

        None for a field that is too large for both where the diffusion is positive: a grid takes it.

        Raises:
            SolveError: E516.
        """
        needed = int(_PER_QUANTUM * equation.farthest**2)
        levels = int(point.options.get("points", 0))
        positive = equation.lowest >= 0
        if positive and needed > _LARGEST // 2:
            center = resting_field(equation)
            if center is not None:
                other = about(equation, center)
                basis, y, change = _converged(other, levels or _LEVELS, _LARGEST // 2)
                size = max(1.0, abs(center) ** 2)
                if change < _ENOUGH * size:
                    facts = {"scheme": f"spectral, displaced by {center:.4g}"}
                    density = displaced_density(basis, y, center)
                    return density, _numbers(basis, change, size), facts
            if needed > _LARGEST:
                return None
        levels = levels or min(max(_LEVELS, needed), _LARGEST // 2)
        basis, y, change = _converged(equation, levels, _LARGEST, needed)
        size = _size(np.array([basis.moment(p, q) @ y for p, q in _MOMENTS]))
        if not change < _ENOUGH * size:
            if positive:
                return None
            raise _unresolved(change, f"{basis.levels} levels")
        facts = {"scheme": "spectral, Wigner functions of |n><m|"}
        return basis.density(y), _numbers(basis, change, size), facts


def _numbers(basis: Basis, change: float, size: float) -> dict[str, float]:
    return {
        "truncation_error": change,
        "density_change": change / size,
        "levels": float(basis.levels),
    }


def _converged(
    equation: DensityEquation, levels: int, most: int, needed: int = 0
) -> tuple[Basis, np.ndarray, float]:
    """The basis that grows until its moments stand still, the unknowns, and how much they still change.

    Args:
        needed: Levels from which on changes that grow are in vain.
    """
    basis = Basis(levels, 1.0)
    y, moments = _of(equation, basis)
    change, vain = np.inf, 0
    while vain < _VAIN:
        larger = int(np.ceil(basis.levels * 1.25)) + 2
        if larger > most:
            break
        basis, before = Basis(larger, 1.0), change
        y, finer = _of(equation, basis)
        change = float(np.abs(finer - moments).max())
        vain = vain + 1 if change > before and larger > needed else 0
        moments = finer
        if change < _ACCURACY * _size(moments):
            break
    return basis, y, change


def clipped(
    equation: DensityEquation, points: int = 0, extent: float = 0.0
) -> tuple[RadialDensity, dict[str, float], dict[str, str]]:
    """The density with its negative diffusion taken as 0, on a grid that is refined until it stands.

    Args:
        points: Cells of the first grid.
        extent: Largest radius; by default where the density is negligible.

    Raises:
        SolveError: E516.
    """
    cells = points or _CELLS
    orders = _orders(equation, cells, extent)
    grid = Grid(faces(equation, cells, extent), orders)
    moments, change, step = _of(equation, grid)[1], np.inf, np.inf
    while cells < _MOST_CELLS and 2 * cells * (2 * orders + 1) <= _UNKNOWNS:
        cells *= 2
        grid = Grid(faces(equation, cells, extent), orders)
        y, finer = _of(equation, grid)
        before, step = step, float(np.abs(finer - moments).max())
        # changes fall like a geometric series; what is left of it is the error
        ratio = min(step / before, 0.9)
        change = step * max(ratio / (1 - ratio), 0.2) if before < np.inf else step
        moments = finer
        if change < _GRID_ACCURACY * _size(moments):
            break
    if not change < 3e-2 * _size(moments):
        raise _unresolved(change, f"{cells} cells")
    density = grid.density(y)
    inside = equation.noise(density.radii)[1] < 0
    share = float(
        2 * np.pi * density.weights[inside] @ density.harmonics[0].real[inside]
    )
    numbers = {
        "truncation_error": change,
        "density_change": change / _size(moments),
        "cells": float(grid.cells),
        "harmonics": float(orders),
        "negative_diffusion_probability": share,
    }
    scheme = "finite volumes"
    if equation.lowest < 0:
        scheme += ", diffusion max(D, 0)"
    return density, numbers, {"scheme": scheme}


def _orders(equation: DensityEquation, cells: int, extent: float) -> int:
    """How many harmonics it takes."""
    radii = faces(equation, cells, extent)
    orders = _ORDERS
    while True:
        grid = Grid(radii, orders)
        density = grid.density(_of(equation, grid)[0])
        sizes = np.abs(density.harmonics) @ density.weights
        if sizes[-1] < _TAIL * sizes[0] or orders >= _MOST_ORDERS:
            return orders
        orders = int(orders * 1.6)


def _of(equation: DensityEquation, space: Space) -> tuple[np.ndarray, np.ndarray]:
    """The unknowns of the stationary density and its moments."""
    if isinstance(space, Grid):
        matrix = space.generator(equation)
    else:
        matrix = space.generator(equation.drift, equation.diffusion, equation.squeezing)
    right = np.zeros(matrix.shape[0])
    right[0] = 1.0
    y = factored(matrix, space.trace)(right)
    return y, np.array([space.moment(p, q) @ y for p, q in _MOMENTS])


def factored(matrix: Any, trace: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Solutions of G y = b with the integral in place of the first equation, which is redundant.

    Raises:
        SolveError: E517.
    """
    size = matrix.shape[0]
    keep = np.ones(size)
    keep[0] = 0.0
    places = np.flatnonzero(trace)
    row = sp.csr_array(
        (trace[places], (np.zeros(len(places), dtype=int), places)), shape=matrix.shape
    )
    try:
        with one_thread():
            factors = splu(sp.csc_array(sp.diags_array(keep) @ matrix + row))
    except RuntimeError:
        message = "the Fokker-Planck equation has no unique stationary density"
        raise SolveError(Diagnostic("E517", message)) from None
    return lambda b: np.asarray(factors.solve(b))


def _size(moments: np.ndarray) -> float:
    return max(1.0, float(np.abs(moments).max()))


def _unresolved(change: float, what: str) -> SolveError:
    return SolveError(
        Diagnostic(
            "E516",
            f"the density does not converge: moments still change by {change:.2g} at {what}",
            help="is the drift bounded? with negative = keep a negative diffusion makes the equation"
            " ill-posed: take negative = clip, or diffusion = limit_cycle",
        )
    )


def negative(lowest: float, probability: float) -> Diagnostic:
    """W511: a diffusion that was taken as 0."""
    return Diagnostic(
        "W511",
        f"the diffusion is negative at some fields (down to {lowest:.3g}) and taken as 0 there;"
        f" the probability to be there is {max(probability, 0.0):.2g}",
        help="truncated Wigner is not valid there; compare with 'steadystate', or choose"
        " diffusion = limit_cycle",
    )


def kept(lowest: float) -> Diagnostic:
    """W511: a diffusion that is negative."""
    return Diagnostic(
        "W511",
        f"the diffusion is negative at some fields (down to {lowest:.3g})",
        help="the density is a formal solution; choose negative = clip, or diffusion = limit_cycle",
    )
