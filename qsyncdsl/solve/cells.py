r"""A product state at one point: inequivalent cells, their unknowns and their right sides.

Cells that see the same, from the same start, have the same density matrix for all times: one of
each class is kept. Density matrices are real vectors (populations, then real and imaginary parts of the
elements above the diagonal), so that they stay Hermitian.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import EVERYONE, Point
from qsyncdsl.solve import cell_right_side, right_sides
from qsyncdsl.solve.cell_classes import classes
from qsyncdsl.solve.cell_operators import CellOperators
from qsyncdsl.solve.fields import numbers
from qsyncdsl.solve.kernels import integrator_source
from qsyncdsl.solve.polynomials import Sum


@dataclass(frozen=True)
class Layout:
    """The unknowns of the classes of one kind.

    Attributes:
        offset: First place in y.
        class_of: Class of every cell.
        members: A cell of each class.
        counts: Cells of each class.
        tally: First place in the list of counts of all kinds.
    """

    offset: int
    class_of: np.ndarray
    members: np.ndarray
    counts: np.ndarray
    tally: int


class CellEquations:
    """The equations of the inequivalent cells with the numbers of one point.

    Args:
        start: For each kind the initial states of its cells as bytes, where they matter.
    """

    def __init__(
        self, operators: CellOperators, point: Point, start: Mapping[int, list[bytes]]
    ) -> None:
        self.operators = operators
        self.problem = operators.problem
        self.values = numbers(self.problem, point)
        self._refuse_rates()
        coefficients = self._coefficients(self.values.c)
        found = classes(operators, coefficients, start)
        self.layouts: list[Layout] = []
        offset = tally = 0
        for kind, class_of in enumerate(found):
            _, members, counts = np.unique(
                class_of, return_index=True, return_counts=True
            )
            self.layouts.append(Layout(offset, class_of, members, counts, tally))
            offset += operators.bases[kind].unknowns * len(members)
            tally += len(members)
        self.size = offset
        self._arrange(coefficients)

    def _refuse_rates(self) -> None:
        """E503 for a rate that is negative or complex."""
        for index, row, label in self.problem.rates:
            rates = self.values.c[index : index + 1] if row < 0 else self.values.w[row]
            bad = rates[(np.abs(rates.imag) > 1e-12 * np.abs(rates)) | (rates.real < 0)]
            if len(bad):
                message = (
                    f"the rate of the dissipator {label} is {bad[0].real:.6g} here"
                )
                raise SolveError(
                    Diagnostic("E503", message, help="a rate is real and not negative")
                )
        if not np.isfinite(self.values.c).all():
            raise SolveError(
                Diagnostic("E507", "a coefficient of the model is not finite here")
            )

    def _coefficients(self, c: np.ndarray) -> list[np.ndarray]:
        """f_n with its weight for every instance of every term."""
        found = []
        for term in self.problem.terms:
            n = len(term.cells)
            values = (
                self.values.w[term.varying, :n]
                if term.varying >= 0
                else np.full(n, c[term.coefficient])
            )
            found.append(term.weight * values)
        return found

    # ── arrays ───────────────────────────────────────────────────────────────────────────────

    def _arrange(self, coefficients: list[np.ndarray]) -> None:
        """Places of means and strengths, and the strengths as sums of products of means."""
        place = 0
        self.look_place = []
        for kind, _ in self.operators.looks:
            self.look_place.append(place)
            place += len(self.layouts[kind].members)
        self.sum_place: dict[int, int] = {}
        for term in self.problem.terms:
            for m, factor in enumerate(term.factors):
                look, _ = self.operators.look_of[factor]
                if (term.cells[:, m] == EVERYONE).any() and look not in self.sum_place:
                    self.sum_place[look] = place
                    place += 1
        self.means = place
        self.strength_place = []
        strengths = 0
        for kind, _ in self.operators.operators:
            self.strength_place.append(strengths)
            strengths += len(self.layouts[kind].members)
        self.strengths = strengths
        target, coefficient, lengths, fields, conjugated = [], [], [], [], []
        self._sources: list[tuple[int, np.ndarray]] = []
        for number, term in enumerate(self.problem.terms):
            rows, chosen = self._rows(number, term)
            columns, stars = [], []
            for m, factor in enumerate(term.factors):
                look, star = self.operators.look_of[factor]
                cells = term.cells[chosen, m]
                kind = factor[0]
                own = (
                    self.look_place[look]
                    + self.layouts[kind].class_of[np.maximum(cells, 0)]
                )
                columns.append(
                    np.where(cells == EVERYONE, self.sum_place.get(look, -1), own)
                )
                stars.append(np.full(len(cells), star))
            n = len(rows)
            target.append(rows)
            coefficient.append(coefficients[number][chosen])
            self._sources.append((number, chosen))
            lengths.append(np.full(n, len(columns)))
            fields.append(
                np.stack(columns, axis=1).reshape(-1) if columns else np.zeros(0, int)
            )
            conjugated.append(
                np.stack(stars, axis=1).reshape(-1) if stars else np.zeros(0, bool)
            )
        empty = np.zeros(0, dtype=np.int64)
        self._target = np.concatenate([empty, *target]).astype(np.int64)
        self._coefficient = np.concatenate([np.zeros(0, complex), *coefficient])
        self._lengths = np.concatenate([empty, *lengths]).astype(np.int64)
        self._fields = np.concatenate([empty, *fields]).astype(np.int64)
        self._star = np.concatenate([np.zeros(0, bool), *conjugated]).astype(np.int64)

    def _rows(self, number: int, term: Any) -> tuple[np.ndarray, np.ndarray]:
        """Strengths that a term adds to, and the instance that each takes."""
        layout = self.layouts[term.kind]
        first = self.strength_place[self.operators.operator_of[number]]
        if term.targets is None:
            rows = first + np.arange(len(layout.members))
            return rows, np.zeros(len(rows), dtype=np.int64)
        member = np.full(len(layout.class_of), -1)
        member[layout.members] = np.arange(len(layout.members))
        chosen = np.flatnonzero(member[term.targets] >= 0)
        return first + member[term.targets[chosen]], chosen

    def polynomial(self, time: float | None = None) -> Sum:
        """The strengths g as polynomials of the means."""
        coefficient = self._coefficient
        if time is not None and self.values.moving:
            now = self._coefficients(self.values.at(time))
            coefficient = np.concatenate(
                [now[k][chosen] for k, chosen in self._sources]
            )
        start = np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)
        arrays = (
            self._target,
            coefficient,
            start,
            self._fields,
            self._star,
            1 - self._star,
        )
        return Sum(arrays, (self.strengths,))

    @cached_property
    def static(self) -> Sum:
        """The strengths without any means."""
        return self._chosen(self._lengths == 0)

    def _chosen(self, keep: np.ndarray) -> Sum:
        factors = np.repeat(keep, self._lengths)
        lengths = self._lengths[keep]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        arrays = (
            self._target[keep], self._coefficient[keep], start,
            self._fields[factors], self._star[factors], 1 - self._star[factors],
        )  # fmt: skip
        return Sum(arrays, (self.strengths,))

    @cached_property
    def fields(self) -> np.ndarray:
        """The means that occur in strengths, as places."""
        return np.unique(self._fields)

    def look_at(self, place: int) -> tuple[int, int]:
        """Look and class (-1 for the sum) of a mean."""
        for look, where in self.sum_place.items():
            if where == place:
                return look, -1
        look = int(np.searchsorted(self.look_place, place, side="right")) - 1
        return look, place - self.look_place[look]

    # ── evaluation ───────────────────────────────────────────────────────────────────────────

    def vectors(self, y: np.ndarray, kind: int) -> np.ndarray:
        """The unknowns of one kind, shape (D^2, classes)."""
        layout = self.layouts[kind]
        n, m = self.operators.bases[kind].unknowns, len(layout.members)
        return y[layout.offset : layout.offset + n * m].reshape(n, m)

    def state(self, y: np.ndarray, kind: int, cell: int) -> np.ndarray:
        """The density matrix of a cell."""
        column = self.layouts[kind].class_of[cell]
        vector = self.vectors(y, kind)[:, column]
        return np.asarray(self.operators.bases[kind].to_matrices(vector[None])[0])

    @cached_property
    def _functionals(self) -> list[sp.csr_array]:
        return [self.operators.bases[k].row(o) for k, o in self.operators.looks]

    def mean_values(self, y: np.ndarray) -> np.ndarray:
        """All means."""
        mu = np.zeros(self.means, dtype=complex)
        for look, (kind, _) in enumerate(self.operators.looks):
            found = (self._functionals[look] @ self.vectors(y, kind))[0]
            first = self.look_place[look]
            mu[first : first + len(found)] = found
            if look in self.sum_place:
                mu[self.sum_place[look]] = self.layouts[kind].counts @ found
        return mu

    def generator(self, kind: int, column: int, g: np.ndarray) -> sp.csr_array:
        """The real generator of a class for given strengths."""
        n = self.operators.bases[kind].unknowns
        total = sp.csr_array((n, n))
        for (other, re, im), first in zip(
            self.operators.real, self.strength_place, strict=True
        ):
            if other == kind:
                strength = g[first + column]
                if strength.real:
                    total = total + strength.real * re
                if strength.imag:
                    total = total - strength.imag * im
        return sp.csr_array(total)

    # ── compiled right side ──────────────────────────────────────────────────────────────────

    def data(self, time: float | None = None) -> tuple[Any, ...]:
        """The arrays that the compiled right side takes."""
        if not self.values.moving:
            return self._fixed
        return (*self._fixed[:11], *self.polynomial(time or 0.0).arrays)

    @cached_property
    def seen(self) -> tuple[np.ndarray, ...]:
        """The arrays of the means that cells see of one another."""
        blocks = np.array(
            [
                (x.offset, b.unknowns, len(x.members), x.tally)
                for x, b in zip(self.layouts, self.operators.bases, strict=True)
            ],
            dtype=np.int64,
        )
        looks, index, value = [], [np.zeros(0, np.int64)], [np.zeros(0, complex)]
        begin = 0
        for look, (kind, _) in enumerate(self.operators.looks):
            row = self._functionals[look]
            looks.append((kind, begin, begin + row.nnz, self.look_place[look]))
            index.append(row.indices.astype(np.int64))
            value.append(row.data.astype(complex))
            begin += row.nnz
        sums = [
            (place, self.look_place[look], self.operators.looks[look][0])
            for look, place in self.sum_place.items()
        ]
        return (
            blocks,
            np.array(looks, dtype=np.int64).reshape(-1, 4),
            np.concatenate(index),
            np.concatenate(value),
            np.array(sums, dtype=np.int64).reshape(-1, 3),
            np.concatenate([x.counts for x in self.layouts]).astype(float),
        )

    @cached_property
    def _fixed(self) -> tuple[Any, ...]:
        parts, matrices = self._parts()
        indptr, indices, values = [], [], []
        rows = entries = 0
        listed = []
        for (kind, place, imaginary), matrix in zip(parts, matrices, strict=True):
            listed.append((kind, rows, place, imaginary))
            indptr.append(matrix.indptr.astype(np.int64) + entries)
            indices.append(matrix.indices.astype(np.int64))
            values.append(matrix.data.astype(float))
            rows += len(matrix.indptr)
            entries += matrix.nnz
        polynomial = (
            self._moving_terms() if not self.values.moving else self.polynomial(0.0)
        )
        return (
            *self.seen,
            np.array(listed, dtype=np.int64).reshape(-1, 4),
            np.concatenate([np.zeros(0, np.int64), *indptr]),
            np.concatenate([np.zeros(0, np.int64), *indices]),
            np.concatenate([np.zeros(0), *values]),
            np.array([self.means, self.strengths], dtype=np.int64),
            *polynomial.arrays,
        )

    @cached_property
    def _uniform(self) -> np.ndarray:
        """Superoperators whose static strength is the same for all classes and times."""
        g = self.static.at(np.zeros(self.means, dtype=complex))
        found = np.zeros(len(self.operators.operators), dtype=bool)
        for k, (kind, _) in enumerate(self.operators.operators):
            first = self.strength_place[k]
            mine = g[first : first + len(self.layouts[kind].members)]
            found[k] = not self.values.moving and bool(np.all(mine == mine[0]))
        return found

    def _moving_terms(self) -> Sum:
        """The terms whose strength is not part of the constant matrices."""
        operator_of = (
            np.searchsorted(self.strength_place, self._target, side="right") - 1
        )
        return self._chosen(~(self._uniform[operator_of] & (self._lengths == 0)))

    def _parts(self) -> tuple[list[tuple[int, int, int]], list[sp.csr_array]]:
        """Matrices of the right side: one constant matrix for each kind, then those with strengths."""
        g = self.static.at(np.zeros(self.means, dtype=complex))
        dynamic = np.zeros(len(self.operators.operators), dtype=bool)
        place_of = np.searchsorted(self.strength_place, self._target, side="right") - 1
        dynamic[place_of[self._lengths > 0]] = True
        parts, matrices = [], []
        for kind, base in enumerate(self.operators.bases):
            total = sp.csr_array((base.unknowns, base.unknowns))
            for k, (other, re, im) in enumerate(self.operators.real):
                if other != kind:
                    continue
                first = self.strength_place[k]
                if self._uniform[k]:
                    total = total + g[first].real * re - g[first].imag * im
                if dynamic[k] or not self._uniform[k]:
                    for imaginary, matrix in enumerate((re, im)):
                        if matrix.nnz:
                            parts.append((kind, first, imaginary))
                            matrices.append(matrix)
            parts.append((kind, -1, 0))
            matrices.append(sp.csr_array(total))
        return parts, matrices


@lru_cache(maxsize=1)
def integrator() -> str:
    """The module with `integrate`; the same for all models."""
    text = [
        inspect.getsource(f)
        for f in (
            right_sides.add_terms,
            cell_right_side.means_of,
            cell_right_side.right,
        )
    ]
    return integrator_source(text)
