r"""The map from mean fields to the means that cells produce in them, and its fixed points.

For given fields x and frequency $\nu$ the cells are linear, $(\mathcal{L}_c(x) + i\nu[Q, \cdot])\rho_c = 0$;
Newton's method solves $\langle O\rangle(x, \nu) = x$ with derivatives from the same factorization.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.blas import one_thread
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.polynomials import Sum, derivative
from qsyncdsl.solve.together import States

# Unknowns of a cell up to which its equations are solved densely.
DENSE = 260
# Fields up to which their self-consistency is solved by Newton's method.
_FIELDS = 64
TOLERANCE = 1e-11
# Smallest pivot over the largest one of a cell that has one stationary state.
_SINGULAR = 1e-15


@dataclass(frozen=True)
class Image:
    """The stationary cells in given fields, and how their means respond.

    Attributes:
        y: The unknowns.
        means: Of the fields, shape (r,).
        slope: d means/d directions: (Re x, Im x) of each field, then nu; shape (r, 2r + 1).
    """

    y: np.ndarray
    means: np.ndarray
    slope: np.ndarray


class FieldMap:
    """The map from fields to the means that they produce."""

    def __init__(self, cells: CellEquations) -> None:
        self.cells = cells
        self.fields = cells.fields
        if len(self.fields) > _FIELDS:
            raise SolveError(
                Diagnostic(
                    "E520",
                    f"{len(self.fields)} different mean fields are too many for a stationary solution",
                    help="solve meanfield(time = T)",
                )
            )
        self.real = np.array(
            [cells.operators.hermitian(cells.look_at(int(p))[0]) for p in self.fields]
        )
        self._strengths = cells.polynomial()
        self._slopes = [
            derivative(self._strengths, cells.means, star) for star in (False, True)
        ]
        rotating = cells.problem.charges is not None
        kinds = range(len(cells.layouts))
        self.rotations = (
            [cells.operators.rotation(k) for k in kinds] if rotating else None
        )

    def normalized(self, size: float) -> tuple[FieldMap, Any]:
        """The map with its couplings divided by their size, and all numbers that it depends on.

        Couplings are rounded to 12 digits, so that those of all sizes have the same bits.
        """
        found = copy(self)
        target, coefficient, start, *rest = self._strengths.arrays
        pulls = np.diff(start) > 0
        rounded = coefficient.copy()
        rounded[pulls] = np.round(coefficient[pulls] / size, 12) + 0.0
        found._strengths = Sum((target, rounded, start, *rest), self._strengths.shape)
        found._slopes = [
            derivative(found._strengths, self.cells.means, star)
            for star in (False, True)
        ]
        classes = tuple(layout.class_of.tobytes() for layout in self.cells.layouts)
        return found, (rounded.tobytes(), classes)

    def strengths(self, x: np.ndarray) -> np.ndarray:
        """g for given fields."""
        return self._strengths.at(self._means(x))

    def _means(self, x: np.ndarray) -> np.ndarray:
        mu = np.zeros(self.cells.means, dtype=complex)
        mu[self.fields] = x
        return mu

    def strength_slopes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dg/dx and dg/dx*, shape (strengths, r)."""
        mu = self._means(x)
        a, b = (slope.at(mu)[:, self.fields] for slope in self._slopes)
        return a, b

    def radius(self) -> float:
        r"""The size $\sqrt{\langle O^\dagger O\rangle}$ of the first field's operator without fields."""
        kind, column, operator = self._first
        vector = self.cells.vectors(self._still.y, kind)[:, column]
        number = self.cells.operators.bases[kind].row(operator.conj().T @ operator)
        return float(np.sqrt(abs((number @ vector)[0])))

    def fastest(self) -> float:
        """The largest static rate of change of the lowest coherences."""
        cells = self.cells
        g = cells.static.at(np.zeros(cells.means, dtype=complex))
        found = 0.0
        for (kind, _), first in zip(
            cells.operators.operators, cells.strength_place, strict=True
        ):
            mine = np.abs(g[first : first + len(cells.layouts[kind].members)])
            found += float(np.median(mine))
        return found

    def turning(self, x: np.ndarray) -> float:
        r"""The frequency at which fields x turn a cell whose operator has its `radius`.

        That of the cell, $-\mathrm{Im}\,\mathrm{Tr}(O\mathcal{L}\sigma)/\mathrm{Tr}(O\sigma)$ for a small turn
        $\sigma$ of the unordered state out of its symmetry, and $-\mathrm{Im}\,d\langle O\rangle/dt/r$ by the fields.
        """
        kind, column, operator = self._first
        base = self.cells.operators.bases[kind]
        vector = self.cells.vectors(self._still.y, kind)[:, column]
        look = base.row(operator)
        free, driven = (
            self.cells.generator(kind, column, self.strengths(fields))
            for fields in (np.zeros_like(x), x)
        )
        turned = operator.conj().T @ base.to_matrices(vector[None])[0]
        turn = base.to_vector(turned + turned.conj().T)
        own = (look @ (free @ turn))[0] / (look @ turn)[0]
        push = (look @ (driven @ vector - free @ vector))[0]
        return -float(own.imag) - float(push.imag) / self.radius()

    def edge(self, y: np.ndarray) -> float:
        """The largest coherence at the edge of the band that is kept, relative to the largest element."""
        charges = self.cells.problem.charges
        worst = 0.0
        for kind, charge in enumerate(charges or ()):
            base = self.cells.operators.bases[kind]
            away = np.abs(charge[base.sector.rows] - charge[base.sector.columns])
            elements = np.abs(base.form.to_complex @ self.cells.vectors(y, kind))
            if len(elements) < base.dimension**2:
                last = elements[away == away.max()].max(initial=0.0)
                worst = max(worst, float(last / elements.max()))
        return worst

    @cached_property
    def _still(self) -> Image:
        """The cells without fields."""
        return self.image(np.zeros(len(self.fields), dtype=complex), 0.0, False)

    @cached_property
    def _first(self) -> tuple[int, int, Any]:
        """Kind, class and operator of the first field."""
        number, column = self.cells.look_at(int(self.fields[0]))
        kind, operator = self.cells.operators.looks[number]
        return kind, max(column, 0), operator

    def image(self, x: np.ndarray, nu: float, slopes: bool = True) -> Image:
        """Solve all classes of cells in given fields."""
        cells, r = self.cells, len(self.fields)
        g = self.strengths(x)
        directions = np.zeros((cells.strengths, 2 * r), dtype=complex)
        if slopes:
            a, b = self.strength_slopes(x)
            directions[:, :r], directions[:, r:] = a + b, 1j * (a - b)
        y = np.empty(cells.size)
        changes = np.zeros((cells.size, 2 * r + 1))
        for kind, layout in enumerate(cells.layouts):
            n, m = cells.operators.bases[kind].unknowns, len(layout.members)
            own = slice(layout.offset, layout.offset + n * m)
            found, slope = np.zeros((n, m)), np.zeros((n, m, 2 * r + 1))
            left = np.arange(m)
            if m > 1 or n <= DENSE:
                along = directions if slopes else directions[:, :0]
                states = self._stack(kind, g, along, nu)
                if states is not None:
                    found[:] = states.rho.T
                    slope[:, :, : states.changes.shape[1]] = states.changes.transpose(
                        2, 0, 1
                    )
                    left = np.flatnonzero(~states.known)
            for column in left:
                found[:, column], slope[:, column] = self._cell(
                    kind, int(column), g, directions, nu, slopes
                )
            y[own] = found.reshape(-1)
            changes[own] = slope.reshape(n * m, -1)
        means = cells.mean_values(y)[self.fields]
        slope = np.zeros((r, 2 * r + 1), dtype=complex)
        if slopes:
            for k in range(2 * r + 1):
                slope[:, k] = cells.mean_values(changes[:, k])[self.fields]
        return Image(y, means, slope)

    def _stack(
        self, kind: int, g: np.ndarray, directions: np.ndarray, nu: float
    ) -> States | None:
        """All classes at once, their changes along the directions and then with nu; None if too large."""
        operators, rotating = self.cells.operators, self.rotations is not None
        m = len(self.cells.layouts[kind].members)
        firsts = [
            first
            for (other, _), first in zip(
                operators.operators, self.cells.strength_place, strict=True
            )
            if other == kind
        ]
        own = np.array(firsts)[:, None] + np.arange(m)
        strengths = _pairs(g[own].T, nu if rotating else 0.0)
        moved = _pairs(directions[own].transpose(1, 2, 0), 0.0)
        if rotating and moved.shape[1]:
            turned = np.zeros((m, 1, moved.shape[2]))
            turned[..., -1] = 1.0
            moved = np.concatenate([moved, turned], axis=1)
        used = strengths.any(axis=0) | moved.any(axis=(0, 1))
        together = operators.together(kind, np.flatnonzero(used))
        if not together.suits():
            return None
        return together.solve(strengths[:, used], moved[:, :, used])

    def _cell(
        self,
        kind: int,
        column: int,
        g: np.ndarray,
        directions: np.ndarray,
        nu: float,
        slopes: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One class: its state, and its change along each direction."""
        cells = self.cells
        operators = cells.operators
        n, populations = (
            operators.bases[kind].unknowns,
            operators.bases[kind].form.populations,
        )
        if n <= DENSE:
            matrix = cells.generator(kind, column, g)
            if self.rotations is not None and nu:
                matrix = matrix + nu * self.rotations[kind]
            factors = _dense_solver(matrix, populations)
        else:
            place = cells.strength_place
            own = [
                g[first + column]
                for (other, _, _), first in zip(operators.real, place, strict=True)
                if other == kind
            ]
            factors = _solver(operators.stationary(kind, np.array(own), nu))
        if factors is None:
            raise _not_unique(cells, kind)
        solve = factors
        right = np.zeros(n)
        right[0] = 1.0
        rho = solve(right)
        if not slopes:
            return rho, np.zeros((n, directions.shape[1] + 1))
        forces = np.zeros((n, directions.shape[1] + 1))
        for k, (other, re, im) in enumerate(operators.real):
            row = (
                directions[cells.strength_place[k] + column] if other == kind else None
            )
            if row is None or not row.any():
                continue
            forces[:, :-1] -= np.outer(re @ rho, row.real) - np.outer(
                im @ rho, row.imag
            )
        if self.rotations is not None:
            forces[:, -1] = -(self.rotations[kind] @ rho)
        forces[0] = 0.0
        used = np.flatnonzero(forces.any(axis=0))
        found = np.zeros_like(forces)
        for one in used:
            found[:, one] = solve(forces[:, one])
        return rho, found


def _pairs(g: np.ndarray, nu: float) -> np.ndarray:
    """Factors of the real forms for strengths, shape (..., K), and of the rotation: shape (..., 2K + 1)."""
    *shape, count = g.shape
    found = np.full((*shape, 2 * count + 1), nu)
    found[..., 0:-1:2], found[..., 1:-1:2] = g.real, -g.imag
    return found


def _not_unique(cells: CellEquations, kind: int) -> SolveError:
    """E504: in given fields nothing relaxes a cell."""
    names = [part.label for part in cells.problem.kinds[kind].parts]
    listed = " and ".join(f"'{name}'" for name in names)
    return SolveError(
        Diagnostic(
            "E504",
            f"in given mean fields the stationary state of {listed} is not unique",
            help="solve meanfield(time = T) from an initial state",
        )
    )


def _dense_solver(
    matrix: Any, populations: np.ndarray
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Solutions of L x = b with a given trace in place of the first population's equation; None if singular."""
    dense = matrix.toarray()
    dense[0] = 0.0
    dense[0, populations] = 1.0
    # Unlike lu_factor, no warning where a pivot is exactly zero.
    lu, pivots, _ = scipy.linalg.lapack.dgetrf(dense)
    sizes = np.abs(lu.diagonal())
    if sizes.min() < _SINGULAR * sizes.max():
        return None
    factors = lu, pivots
    return lambda b: np.asarray(scipy.linalg.lu_solve(factors, b, check_finite=False))


def _solver(whole: sp.csc_array) -> Callable[[np.ndarray], np.ndarray] | None:
    """Solutions with a large matrix, with the trace in place of the first population's equation; None if singular."""
    # In a fast frame the turning is far larger than the decay: pivots beside the diagonal would fill
    # the factors. Every unknown decays, so that none are needed; one refinement mends the rounding.
    options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0}
    try:
        with one_thread():
            factors = spla.splu(whole, options={"SymmetricMode": True}, **options)
    except RuntimeError:
        return None

    def solve(b: np.ndarray) -> np.ndarray:
        first = factors.solve(b)
        return np.asarray(first + factors.solve(b - whole @ first))

    return solve


def newton(
    field_map: Any, x: np.ndarray, nu: float, turning: bool
) -> tuple[np.ndarray, float, Image, float] | None:
    """Fields and frequency that reproduce themselves, near a guess; None where it does not converge.

    While it turns, the phase of the largest field is kept.
    """
    r = len(x)
    scale = max(float(np.abs(x).max(initial=0.0)), 1e-3)
    free = [*range(r), *(r + k for k in range(r) if not field_map.real[k])]
    main = int(np.argmax(np.where(field_map.real, 0.0, np.abs(x)))) if r else 0
    image = field_map.image(x, nu)
    for _ in range(30):
        miss = image.means - x
        error = float(np.abs(miss).max(initial=0.0)) / scale
        if error < TOLERANCE or not r:
            return x, nu, image, error
        slope = image.slope.copy()
        slope[:, :r] -= np.eye(r)
        slope[:, r : 2 * r] -= 1j * np.eye(r)
        columns = [*free, 2 * r] if turning else free
        matrix = np.concatenate([slope.real, slope.imag[~field_map.real]])[:, columns]
        right = -np.concatenate([miss.real, miss.imag[~field_map.real]])
        if turning:
            gauge = np.zeros(len(columns))
            unit = x[main] / abs(x[main])
            gauge[columns.index(main)], gauge[columns.index(r + main)] = (
                -unit.imag,
                unit.real,
            )
            matrix, right = np.vstack([matrix, gauge]), np.append(right, 0.0)
        step = np.linalg.lstsq(matrix, right, rcond=None)[0]
        full = np.zeros(2 * r + 1)
        full[columns] = step
        length = 1.0
        while True:
            trial = x + length * (full[:r] + 1j * full[r : 2 * r])
            turned = nu + length * full[-1]
            moved = field_map.image(trial, turned)
            now = float(np.abs(moved.means - trial).max()) / scale
            if now < error or length < 1e-3:
                break
            length *= 0.5
        if now >= error:
            return (x, nu, image, error) if error < 1e-8 else None
        x, nu, image = trial, turned, moved
    return None
