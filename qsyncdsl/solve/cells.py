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
from qsyncdsl.problem import EVERYONE, MeanFieldProblem, Point
from qsyncdsl.solve import cell_right_side, real_form, right_sides, superoperator
from qsyncdsl.solve.fields import numbers
from qsyncdsl.solve.kernels import integrator_source
from qsyncdsl.solve.polynomials import Sum
from qsyncdsl.solve.together import Together

# Patterns of sums of superoperators that are kept.
_ASSEMBLIES = 4


class Assembly:
    """Sums of the same matrices with other factors: their pattern is made once.

    The first row is replaced by the trace.

    Args:
        parts: All of one square shape.
        populations: The unknowns whose sum is the trace.
    """

    def __init__(self, parts: list[sp.csr_array], populations: np.ndarray) -> None:
        n, ones = parts[0].shape[0], np.ones(len(populations))
        rows = [np.zeros(len(populations), dtype=np.int64)]
        columns, values, owners = [populations], [ones], [np.zeros(len(ones), int)]
        for k, part in enumerate(parts):
            entries = part.tocoo()
            kept = entries.coords[0] > 0
            rows.append(entries.coords[0][kept])
            columns.append(entries.coords[1][kept])
            values.append(entries.data[kept])
            owners.append(np.full(len(values[-1]), k + 1))
        flat = np.concatenate(columns).astype(np.int64) * n + np.concatenate(rows)
        places, inverse = np.unique(flat, return_inverse=True)
        given = np.concatenate(values), (inverse, np.concatenate(owners))
        self._values = sp.csr_array(given, shape=(len(places), len(parts) + 1))
        self._indices = (places % n).astype(np.int32)
        self._indptr = np.searchsorted(places // n, np.arange(n + 1)).astype(np.int32)
        self._shape = n, n

    def matrix(self, factors: np.ndarray) -> sp.csc_array:
        """The sum with one factor for each part."""
        data = self._values @ np.concatenate([[1.0], factors])
        return sp.csc_array((data, self._indices, self._indptr), shape=self._shape)


@dataclass(frozen=True)
class Basis:
    """The real unknowns of one kind of cell."""

    dimension: int
    sector: superoperator.Sector
    form: real_form.RealForm

    @property
    def unknowns(self) -> int:
        """D^2, or less in a band about the diagonal."""
        return int(self.form.to_real.shape[0])

    def to_vector(self, rho: np.ndarray) -> np.ndarray:
        """A density matrix as a real vector."""
        where = self.sector
        return np.asarray((self.form.to_real @ rho[where.rows, where.columns]).real)

    def to_matrices(self, vectors: np.ndarray) -> np.ndarray:
        """Real vectors, shape (n, unknowns), as density matrices, shape (n, D, D)."""
        found = np.zeros((len(vectors), self.dimension, self.dimension), dtype=complex)
        flat = (self.form.to_complex @ vectors.T).T
        found[:, self.sector.rows, self.sector.columns] = flat
        return found

    def row(self, operator: sp.csr_array) -> sp.csr_array:
        """The functional rho -> Tr(O rho) on real vectors, shape (1, unknowns), complex."""
        entries = operator.tocoo()
        rows, columns = entries.coords
        places = self.sector.place[columns, rows]
        kept = np.flatnonzero(places >= 0)
        flat = sp.csr_array(
            (entries.data[kept], (np.zeros(len(kept), dtype=int), places[kept])),
            shape=(1, self.sector.size),
        )
        return sp.csr_array(flat @ self.form.to_complex)


def basis(dimension: int, charge: np.ndarray | None = None, band: int = 0) -> Basis:
    """The elements of a density matrix, row by row: all, or those between charges closer than `band`."""
    rows, columns = np.divmod(np.arange(dimension**2), dimension)
    if charge is not None:
        kept = np.abs(charge[rows] - charge[columns]) < band
        rows, columns = rows[kept], columns[kept]
    where = superoperator.Sector(rows, columns, dimension)
    return Basis(dimension, where, real_form.real_form(where))


class CellOperators:
    """Everything about a problem that does not depend on the point.

    Attributes:
        bases: One for each kind.
        operators: The superoperators: kind, and complex matrix on all elements.
        sides: The matrices A and B of each; no B for a commutator.
        real: Their real forms; the strength of the first is Re g, of the second -Im g.
        looks: Kind and operator of the means that others see; adjoints are looked at once.
        look_of: For each (kind, matrix) its look and whether it is the conjugate of it.

    Args:
        band: Coherences between states whose charges differ by this much or more are left out; None
            keeps all.
    """

    def __init__(self, problem: MeanFieldProblem, band: int | None = None) -> None:
        self.problem = problem
        charges = problem.charges if band is not None else None
        self.bases = tuple(
            basis(kind.dimension, charges[k] if charges else None, band or 0)
            for k, kind in enumerate(problem.kinds)
        )
        self.operators: list[tuple[int, sp.csr_array]] = []
        self.sides: list[tuple[int, int | None]] = []
        self.operator_of: list[int] = []
        self.looks: list[tuple[int, sp.csr_array]] = []
        self.look_of: dict[tuple[int, int], tuple[int, bool]] = {}
        self._assemblies: dict[Any, Assembly] = {}
        self._together: dict[Any, Together] = {}
        known: dict[Any, int] = {}
        for term in problem.terms:
            key = (term.kind, term.left, term.right)
            if key not in known:
                known[key] = len(self.operators)
                self.sides.append((term.left, term.right))
                self.operators.append((term.kind, self._complex(*key)))
            self.operator_of.append(known[key])
            for factor in term.factors:
                self._look(factor)
        self.real = [
            (kind, *self._real(self.bases[kind], matrix))
            for kind, matrix in self.operators
        ]

    def _complex(self, kind: int, left: int, right: int | None) -> sp.csr_array:
        """The superoperator of a term; the loss is a product of cut matrices, so that the trace stays."""
        matrices, where = self.problem.matrices[kind], self.bases[kind].sector
        a = matrices[left]
        sides = [(1.0, a, None), (-1.0, None, a)]
        if right is not None:
            back = sp.csr_array(matrices[right].conj().T)
            loss = sp.csr_array(back @ a)
            sides = [(1.0, a, back), (-0.5, loss, None), (-0.5, None, loss)]
        found = [
            superoperator.sector_matrix(superoperator.Side((), w, x, y), where)
            for w, x, y in sides
        ]
        return sp.csr_array(sum(found[1:], found[0]))

    @staticmethod
    def _real(base: Basis, matrix: sp.csr_array) -> tuple[sp.csr_array, sp.csr_array]:
        moved = base.form.to_real @ matrix @ base.form.to_complex
        pair = sp.csr_array(moved.real), sp.csr_array(moved.imag)
        for one in pair:
            one.eliminate_zeros()
        return pair

    def _look(self, factor: tuple[int, int]) -> None:
        if factor in self.look_of:
            return
        kind, index = factor
        matrix = self.problem.matrices[kind][index]
        for k, (other, seen) in enumerate(self.looks):
            if (
                other == kind
                and abs(seen.conj().T - matrix).sum() < 1e-14 * abs(matrix).sum()
            ):
                self.look_of[factor] = (k, True)
                return
        self.look_of[factor] = (len(self.looks), False)
        self.looks.append((kind, matrix))

    def hermitian(self, look: int) -> bool:
        """Whether a mean value is real."""
        matrix = self.looks[look][1]
        return bool(abs(matrix.conj().T - matrix).sum() < 1e-14 * abs(matrix).sum())

    def stationary(self, kind: int, strengths: np.ndarray, nu: float) -> sp.csc_array:
        """The generator with the trace in place of its first row.

        Args:
            strengths: Of the superoperators of this kind.
            nu: Frequency at which the frame turns.
        """
        pairs = np.stack([strengths.real, -strengths.imag], axis=1).reshape(-1)
        factors = np.append(pairs, nu if self.problem.charges is not None else 0.0)
        used = np.flatnonzero(factors)
        key = kind, used.tobytes()
        if key not in self._assemblies:
            if len(self._assemblies) >= _ASSEMBLIES:
                self._assemblies.clear()
            populations = self.bases[kind].form.populations
            self._assemblies[key] = Assembly(self._parts(kind, used), populations)
        return self._assemblies[key].matrix(factors[used])

    def together(self, kind: int, used: np.ndarray) -> Together:
        """Some parts of the generators of one kind, for many classes at once.

        Args:
            used: Of the real forms of its superoperators, then its rotation.
        """
        key = kind, used.tobytes()
        if key not in self._together:
            if len(self._together) >= _ASSEMBLIES:
                self._together.clear()
            populations = self.bases[kind].form.populations
            self._together[key] = Together(self._parts(kind, used), populations)
        return self._together[key]

    def _parts(self, kind: int, used: np.ndarray) -> list[sp.csr_array]:
        """Real forms of the superoperators of a kind, two for each, then its rotation."""
        own = [m for other, *pair in self.real if other == kind for m in pair]
        if self.problem.charges is not None:
            own.append(self.rotation(kind))
        return [own[k] for k in used]

    def rotation(self, kind: int) -> sp.csr_array:
        r"""$\rho \to i[Q, \rho]$ for the charge Q, real form."""
        assert self.problem.charges is not None
        charge = self.problem.charges[kind].astype(float)
        base = self.bases[kind]
        difference = charge[base.sector.rows] - charge[base.sector.columns]
        return self._real(base, sp.csr_array(sp.diags_array(1j * difference)))[0]


def classes(
    operators: CellOperators,
    coefficients: list[np.ndarray],
    start: Mapping[int, list[bytes]],
) -> list[np.ndarray]:
    """The class of every cell of every kind: equal terms, equal start, equal surroundings.

    Colors are refined until their number stands still (the coarsest equitable partition).
    """
    problem = operators.problem
    colors = []
    for kind, cell in enumerate(problem.kinds):
        known: dict[bytes, int] = {}
        given = start.get(kind)
        tokens = (
            [known.setdefault(b, len(known)) for b in given]
            if given
            else [0] * cell.count
        )
        colors.append(
            _mix(np.array(tokens, dtype=np.uint64) + np.uint64(977 * (kind + 1)))
        )
    count = 0
    while True:
        found = sum(len(np.unique(c)) for c in colors)
        if found == count:
            return [np.unique(c, return_inverse=True)[1] for c in colors]
        count = found
        totals = [c.copy() for c in colors]
        for number, (term, values) in enumerate(
            zip(problem.terms, coefficients, strict=True)
        ):
            if term.targets is None:
                continue
            scale = np.abs(values).max() or 1.0
            digits = np.round(values / scale * 2.0**36)
            token = _mix(digits.real.astype(np.int64).view(np.uint64))
            token = _mix(token + digits.imag.astype(np.int64).view(np.uint64))
            token = _mix(token + np.uint64(7919 * (operators.operator_of[number] + 1)))
            for place, (kind, matrix) in enumerate(term.factors):
                cells = term.cells[:, place]
                seen = np.where(cells == EVERYONE, np.uint64(1), colors[kind][cells])
                token = _mix(token ^ _mix(seen + np.uint64(104729 * (matrix + 1))))
            np.add.at(totals[term.kind], term.targets, token)
        colors = [_mix(t) for t in totals]


def _mix(x: np.ndarray) -> np.ndarray:
    """A hash of 64-bit numbers (the finalizer of MurmurHash3)."""
    x = x ^ (x >> np.uint64(33))
    x = x * np.uint64(0xFF51AFD7ED558CCD)
    x = x ^ (x >> np.uint64(33))
    x = x * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(x ^ (x >> np.uint64(33)))


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
