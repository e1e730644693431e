r"""Growth of small perturbations of a stationary product state, without evolution in time.

The linearized equations are $J = \bigoplus_c\mathcal{L}_c + \sum_m B_m C_m$: what a change of the field m does
to the cells, times what the cells do to the field. Rightmost eigenvalues come from shift-invert
Arnoldi iterations along the imaginary axis; the inverse is that of the cells alone, corrected for the few
fields (Woodbury).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.solve.selfconsistent import FieldMap, Stationary

# Unknowns up to which all eigenvalues are found at once.
_DENSE = 700
_SMALL = 120
_SHIFTS = 9


def growth(found: Stationary) -> tuple[float, float]:
    r"""The largest $\mathrm{Re}\,\lambda$ of the linearized equations, and $-\mathrm{Im}\,\lambda$ there.

    In the frame of the state; perturbations of the trace are left out.
    """
    linear = [x for x in _sectors(found) if x.size]
    values = [linear_growth(x) for x in linear]
    best = max(values, key=lambda v: v.real)
    return float(best.real), float(-best.imag)


@dataclass(frozen=True)
class Linear:
    """J on the perturbations of one charge.

    Attributes:
        blocks: L_c - s rho_c Tr for every class.
        force: B, shape (n, r).
        look: C, shape (r, n).
    """

    blocks: list[Any]
    force: np.ndarray
    look: np.ndarray

    @property
    def size(self) -> int:
        """Number of complex unknowns."""
        return len(self.force)


def _sectors(found: Stationary) -> list[Linear]:
    """J, taken apart by the charge of the perturbation where the state has the symmetry."""
    cells = found.cells
    field_map = FieldMap(cells)
    x = cells.mean_values(found.y)[field_map.fields]
    charges = cells.problem.charges
    broken = found.nu != 0 or bool(
        (np.abs(x[~field_map.real]) > 1e-9 * (1 + np.abs(x).max(initial=0))).any()
    )
    if charges is None or broken:
        return [_linear(found, field_map, x, None)]
    steps = {0}
    for look in {cells.look_at(int(p))[0] for p in field_map.fields}:
        kind, operator = cells.operators.looks[look]
        rows, columns = operator.tocoo().coords
        # Tr(O rho) sees the elements (column, row) of rho
        steps |= {int(s) for s in np.unique(charges[kind][columns] - charges[kind][rows])}
    return [_linear(found, field_map, x, step) for step in sorted(steps) if step >= 0]


def _linear(found: Stationary, field_map: FieldMap, x: np.ndarray, step: int | None) -> Linear:
    cells = found.cells
    operators = cells.operators
    g = field_map.strengths(x)
    a, b = field_map.strength_slopes(x)
    slopes = np.concatenate([a, b], axis=1)
    r = len(field_map.fields)
    blocks, forces, looks = [], [], []
    places: dict[tuple[int, int], tuple[int, np.ndarray]] = {}
    begin = 0
    for kind, layout in enumerate(cells.layouts):
        where = operators.bases[kind].sector
        if step is None:
            kept = np.arange(where.size)
        else:
            charge = cells.problem.charges[kind]  # type: ignore[index]
            kept = np.flatnonzero(charge[where.rows] - charge[where.columns] == step)
        trace = (where.rows == where.columns)[kept].astype(float)
        for column in range(len(layout.members)):
            rho = operators.bases[kind].form.to_complex @ cells.vectors(found.y, kind)[:, column]
            total = sp.csr_array((len(kept), len(kept)), dtype=complex)
            force = np.zeros((len(kept), 2 * r), dtype=complex)
            for k, (other, matrix) in enumerate(operators.operators):
                if other != kind:
                    continue
                place = cells.strength_place[k] + column
                rows = matrix[kept]
                if g[place]:
                    total = total + g[place] * rows[:, kept]
                if slopes[place].any():
                    force += np.outer(rows @ rho, slopes[place])
            if found.nu:
                charge = cells.problem.charges[kind]  # type: ignore[index]
                turn = 1j * found.nu * (charge[where.rows] - charge[where.columns])[kept]
                total = total + sp.diags_array(turn)
            if trace.any():
                rate = float(abs(total).sum(axis=0).max())
                total = total - rate * sp.csr_array(np.outer(rho[kept], trace))
            blocks.append(total)
            forces.append(force)
            places[kind, column] = (begin, kept)
            begin += len(kept)
    size = begin
    look = np.zeros((2 * r, size), dtype=complex)
    for m, place in enumerate(field_map.fields):
        number, column = cells.look_at(int(place))
        kind, operator = operators.looks[number]
        dimension = operators.bases[kind].dimension
        for star, matrix in enumerate((operator, operator.conj().T)):
            entries = sp.coo_array(matrix)
            row = np.zeros(dimension**2, dtype=complex)
            row[entries.coords[1] * dimension + entries.coords[0]] = entries.data
            layout = cells.layouts[kind]
            members = range(len(layout.members)) if column < 0 else (column,)
            for c in members:
                first, kept = places[kind, c]
                weight = layout.counts[c] if column < 0 else 1.0
                look[m + star * r, first : first + len(kept)] += weight * row[kept]
    force = np.concatenate(forces) if forces else np.zeros((0, 2 * r), dtype=complex)
    used = np.flatnonzero(force.any(axis=0) & look.any(axis=1))
    return Linear(blocks, np.ascontiguousarray(force[:, used]), look[used])


def linear_growth(linear: Linear) -> complex:
    """The eigenvalue of J with the largest real part."""
    if linear.size <= _DENSE:
        dense = scipy.linalg.block_diag(*(b.toarray() for b in linear.blocks))
        values = np.linalg.eigvals(dense + linear.force @ linear.look)
        return complex(values[np.argmax(values.real)])
    best: complex | None = None
    for shift in _shifts(linear):
        for value in _near(linear, shift, 3):
            if best is None or value.real > best.real:
                best = value
    assert best is not None
    # the neighborhood of the best one, again: nothing may hide behind it
    for value in _near(linear, best + 0.02 * max(abs(best), 0.1), 5):
        if value.real > best.real:
            best = value
    return best


def _shifts(linear: Linear) -> list[complex]:
    """Points beside the imaginary axis at the frequencies at which the fields respond."""
    found: list[float] = [0.0]
    for m in range(linear.force.shape[1]):
        b, c = linear.force[:, m], linear.look[m]
        zero = c @ b
        if abs(zero) < 1e-12 * np.linalg.norm(c) * np.linalg.norm(b):
            continue
        once = _apply(linear.blocks, b)
        twice = _apply(linear.blocks, once)
        center = (c @ once) / zero
        width = np.sqrt(abs((c @ twice) / zero - center**2))
        found += list(center.imag + width * np.linspace(-2, 2, _SHIFTS))
    scale = max(np.ptp(found), 1.0)
    grid: list[float] = []
    for value in sorted(found):
        if not grid or value - grid[-1] > 0.04 * scale:
            grid.append(value)
    return [0.02 * scale + 1j * value for value in grid]


def _apply(blocks: list[Any], vector: np.ndarray) -> np.ndarray:
    found, begin = [], 0
    for block in blocks:
        end = begin + block.shape[0]
        found.append(block @ vector[begin:end])
        begin = end
    return np.concatenate(found)


def _near(linear: Linear, shift: complex, count: int) -> np.ndarray:
    """The eigenvalues of J nearest to a point."""
    solve = _inverse(linear.blocks, shift)
    response = np.stack([solve(b) for b in linear.force.T], axis=1)
    small = np.eye(response.shape[1]) + linear.look @ response
    factors = scipy.linalg.lu_factor(small)

    def apply(b: np.ndarray) -> np.ndarray:
        z = solve(b)
        return np.asarray(z - response @ scipy.linalg.lu_solve(factors, linear.look @ z))

    n = linear.size
    operator = spla.LinearOperator((n, n), matvec=apply, dtype=complex)
    start = np.cos(1.0 + 0.7 * np.arange(n)).astype(complex)
    try:
        inverse = spla.eigs(operator, k=count, v0=start, return_eigenvectors=False, maxiter=300)
    except spla.ArpackNoConvergence as partial:
        inverse = partial.eigenvalues
    return np.asarray(shift + 1 / inverse) if len(inverse) else np.zeros(0, dtype=complex)


def _inverse(blocks: list[Any], shift: complex) -> Callable[[np.ndarray], np.ndarray]:
    """(L - shift)^-1 of the cells alone."""
    same = {block.shape[0] for block in blocks}
    if len(same) == 1 and max(same) <= _SMALL:
        n = same.pop()
        stack = np.array([block.toarray() for block in blocks]) - shift * np.eye(n)
        inverse = np.linalg.inv(stack)
        return lambda b: np.asarray(np.matmul(inverse, b.reshape(-1, n, 1)).reshape(-1))
    factors = [
        spla.splu(sp.csc_array(block - shift * sp.identity(block.shape[0]))) for block in blocks
    ]
    ends = np.cumsum([block.shape[0] for block in blocks])[:-1]

    def solve(b: np.ndarray) -> np.ndarray:
        parts = np.split(b, ends)
        return np.concatenate([f.solve(p) for f, p in zip(factors, parts, strict=True)])

    return solve
