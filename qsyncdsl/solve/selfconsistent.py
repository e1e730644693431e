"""Stationary product states that keep the symmetry, or that stand without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.field_map import TOLERANCE, FieldMap, newton

# Largest change of an element over the last part of a run of a state that stands.
_AT_REST = 1e-7


@dataclass(frozen=True)
class Stationary:
    """A self-consistent state.

    Attributes:
        y: The unknowns.
        nu: Frequency at which it turns; 0 where it does not.
        frequency: For each kind the angular velocity of each part; None where nothing can turn.
        residual: Largest mismatch of a field, relative to the fields.
        reach: How far its branch reaches beyond, see `ProductResult`.
        unique: Whether its fields alone tell the state of each cell.
    """

    cells: CellEquations
    y: np.ndarray
    nu: float
    frequency: tuple[tuple[float, ...], ...] | None
    residual: float
    scheme: str
    reach: float | None = None
    unique: bool = True


def unordered(cells: CellEquations) -> Stationary:
    """The stationary state that is reached from vanishing fields.

    Raises:
        SolveError: E520.
    """
    field_map = FieldMap(cells)
    x = np.zeros(len(field_map.fields), dtype=complex)
    still = field_map.image(x, 0.0, False)
    if np.abs(still.means).max(initial=0.0) < TOLERANCE:
        frequency = angular_velocities(cells, 0.0)
        return Stationary(cells, still.y, 0.0, frequency, 0.0, "incoherent")
    found = newton(field_map, x, 0.0, False)
    if found is None:
        raise not_found()
    _, _, image, error = found
    return Stationary(
        cells, image.y, 0.0, angular_velocities(cells, 0.0), error, "Newton, incoherent"
    )


def relaxed(
    cells: CellEquations,
    y: np.ndarray,
    integrated: Callable[[CellEquations, np.ndarray, np.ndarray], np.ndarray],
) -> Stationary:
    """The static state that the initial one runs into: evolution, then Newton's method.

    Where a cell has several stationary states in given fields, the evolution alone tells which one.

    Raises:
        SolveError: E520 where the state goes on moving.
    """
    field_map = FieldMap(cells)
    span = 10.0
    for _ in range(9):
        y = integrated(cells, y, np.array([span]))[-1]
        x = cells.mean_values(y)[field_map.fields]
        try:
            found = newton(field_map, x, 0.0, False)
        except SolveError as fault:
            if fault.diagnostic.code != "E504":
                raise
            found = None
        if found is not None:
            _, _, image, error = found
            if np.abs(image.y - y).max() < 0.05:
                frequency = angular_velocities(cells, 0.0)
                return Stationary(
                    cells, image.y, 0.0, frequency, error, "evolution, Newton"
                )
        span *= 1.6
    later = integrated(cells, y, np.array([span]))[-1]
    rest = float(np.abs(later - y).max())
    if rest > _AT_REST:
        raise not_found()
    frequency = angular_velocities(cells, 0.0)
    return Stationary(cells, later, 0.0, frequency, rest, "evolution", unique=False)


def not_found() -> SolveError:
    """E520."""
    return SolveError(
        Diagnostic(
            "E520",
            "no stationary product state was found: it may oscillate",
            help="solve meanfield(time = T, window = [T1, T]), or start from another initial state",
        )
    )


def turning_fields(found: Stationary) -> tuple[np.ndarray, float]:
    """The mean fields of a state, and the frequency at which they turn."""
    cells = found.cells
    return cells.mean_values(found.y)[cells.fields], found.nu


def angular_velocities(
    cells: CellEquations, nu: float
) -> tuple[tuple[float, ...], ...] | None:
    """The angular velocity of each part of each kind of cell."""
    charges = cells.problem.charges
    if charges is None:
        return None
    found = []
    for kind, charge in zip(cells.problem.kinds, charges, strict=True):
        table = charge.reshape([part.dimension for part in kind.parts])
        steps = []
        for axis in range(table.ndim):
            first = np.take(table, 1, axis=axis) - np.take(table, 0, axis=axis)
            steps.append(nu * float(first.flat[0]))
        found.append(tuple(steps))
    return tuple(found)
