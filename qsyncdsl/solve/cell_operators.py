"""The superoperators of the terms of one cell, on real vectors of its density matrix.

Populations come first, then real and imaginary parts of the elements above the diagonal, so that density matrices
stay Hermitian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import MeanFieldProblem
from qsyncdsl.solve import real_form, superoperator
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
