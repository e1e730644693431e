r"""What a stationary product state leaves out, to first order in the correlations of two cells.

The connected part $C_{jk} = \rho_{jk} - \rho_j\rho_k$ is driven by what acts on both cells and is not mean field,

$$ (\mathcal{L}_j + \mathcal{L}_k) C_{jk} = -S_{jk} , \quad S_{jk} = \mathcal{L}_{jk}\rho_j\rho_k
   - \rho_j\,\mathrm{Tr}_j(\cdot) - \mathrm{Tr}_k(\cdot)\,\rho_k , $$

$\mathcal{L}_j$ with the mean fields as they are. It pulls each cell,
$J\,\delta\rho = -\sum_k \mathrm{Tr}_k\,\mathcal{L}_{jk}C_{jk}$, J the linearized equation with all mean fields. On
`complete(N)` also the term of a cell with itself is taken back, by which a sum over all exceeds that over
the others. Three cells are left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from qsyncdsl.problem import PairTerm
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.field_map import FieldMap
from qsyncdsl.solve.selfconsistent import Stationary, turning_fields

# Cubes of the unknowns of all bonds, and bonds, that are worth an estimate at every point.
_MOST, _BONDS = 2e7, 200
# Step in the fields for the change of the cells, relative to the change that is looked for.
_SMALL = 1e-4


@dataclass
class _Bond:
    """A cell, another one, how many alike there are, and what acts on both: term, strength, whether turned round."""

    one: tuple[int, int]
    other: tuple[int, int]
    count: float
    terms: list[tuple[PairTerm, complex, bool]] = field(default_factory=list)


def left_out(found: Stationary) -> dict[str, float]:
    r"""Trace norms of the largest $C_{jk}$ and $\delta\rho_j$; nothing where the estimate is not cheap.

    An expectation value changes by at most the norm of its operator times the second.
    """
    cells = found.cells
    pairs = cells.problem.pairs
    if pairs is None or not pairs or not found.unique:
        return {}
    bases = cells.operators.bases
    if any(base.unknowns != base.dimension**2 for base in bases):
        return {}
    largest = max(base.unknowns for base in bases)
    bonds = _bonds(cells, pairs, min(_BONDS, int(_MOST / largest**3)))
    if bonds is None:
        return {}
    return _Estimate(found).of(bonds)


def _bonds(
    cells: CellEquations, pairs: tuple[PairTerm, ...], most: int
) -> list[_Bond] | None:
    """Those of one cell of each class; None for more than `most`."""
    values, layouts = cells.values, cells.layouts
    members = {
        (kind, int(cell)): (kind, k)
        for kind, layout in enumerate(layouts)
        for k, cell in enumerate(layout.members)
    }
    found: dict[tuple[tuple[int, int], tuple[int, int]], _Bond] = {}

    def bond(one: tuple[int, int], other: tuple[int, int], count: float) -> _Bond:
        kind, cell = other
        place = kind, int(layouts[kind].class_of[cell])
        return found.setdefault((one, other), _Bond(members[one], place, count))

    for term in pairs:
        n = len(term.cells)
        if not n:
            alike = term.weight * complex(values.c[term.coefficient])
            kind = term.kinds[0]
            layout = layouts[kind]
            if len(layout.members) ** 2 > most:
                return None
            for one in layout.members.tolist():
                for k, other in enumerate(layout.members.tolist()):
                    count = float(layout.counts[k]) - (one == other)
                    # the bond to one of its own class has the same two cells as itself
                    if count or term.complete:
                        new = bond((kind, one), (kind, other), count)
                        new.terms += [(term, alike, turned) for turned in (False, True)]
            continue
        f = (
            values.w[term.varying, :n]
            if term.varying >= 0
            else np.full(n, values.c[term.coefficient])
        )
        near = np.zeros(n, dtype=bool)
        for kind, column in zip(term.kinds, term.cells.T, strict=True):
            near |= np.isin(column, layouts[kind].members)
        for (j, k), value in zip(term.cells[near].tolist(), f[near], strict=True):
            one, other = (term.kinds[0], j), (term.kinds[1], k)
            for turned, (a, b) in enumerate(((one, other), (other, one))):
                if a in members:
                    new = bond(a, b, 0.0 if a == b else 1.0)
                    new.terms.append((term, term.weight * complex(value), bool(turned)))
            if len(found) > most:
                return None
    return list(found.values()) if len(found) <= most else None


class _Estimate:
    """The states of all classes, their generators, and what a bond makes of them."""

    def __init__(self, found: Stationary) -> None:
        self.found, self.cells = found, found.cells
        self.field_map = FieldMap(found.cells)
        self.x, self.nu = turning_fields(found)
        self._g = self.field_map.strengths(self.x)
        self._schur: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, bonds: list[_Bond]) -> dict[str, float]:
        """The two numbers."""
        pulls: dict[tuple[int, int], np.ndarray] = defaultdict(lambda: np.zeros(0))
        correlated = 0.0
        for bond in bonds:
            pull = np.zeros(self._vector(bond.one).size)
            raw = self._source(bond)
            a, b = self._vector(bond.one), self._vector(bond.other)
            s, t = self._trace(bond.one[0]), self._trace(bond.other[0])
            if any(term.complete for term, *_ in bond.terms) and self._itself(bond):
                pull -= raw @ t
            if bond.count:
                source = raw - np.outer(raw @ t, b) - np.outer(a, s @ raw)
                c = self._correlation(bond, source)
                correlated = max(correlated, self._size(bond, c))
                pull += bond.count * self._pull(bond, c)
            before = pulls[bond.one]
            pulls[bond.one] = before + pull if before.size else pull
        return {
            "pair_correlation": correlated,
            "beyond_product": self._response(pulls),
        }

    def _itself(self, bond: _Bond) -> bool:
        return bond.one == bond.other

    # ── cells ────────────────────────────────────────────────────────────────────────────────

    def _vector(self, place: tuple[int, int]) -> np.ndarray:
        kind, column = place
        return self.cells.vectors(self.found.y, kind)[:, column]

    def _trace(self, kind: int) -> np.ndarray:
        base = self.cells.operators.bases[kind]
        found = np.zeros(base.unknowns)
        found[base.form.populations] = 1.0
        return found

    def _decomposed(self, place: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The real Schur form of the generator, its stationary state made to decay too."""
        if place not in self._schur:
            kind, column = place
            dense = self.cells.generator(kind, column, self._g).toarray()
            if self.field_map.rotations is not None and self.nu:
                dense += self.nu * self.field_map.rotations[kind].toarray()
            size = max(float(np.abs(dense).max()), 1e-300)
            dense -= size * np.outer(self._vector(place), self._trace(kind))
            self._schur[place] = scipy.linalg.schur(dense)
        return self._schur[place]

    # ── pairs ────────────────────────────────────────────────────────────────────────────────

    def _sides(
        self, term: PairTerm, turned: bool, side: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A and A' on one side of a bond, dense."""
        which = 1 - side if turned else side
        matrices = self.cells.problem.matrices[term.kinds[which]]
        left = matrices[term.left[which]].toarray()
        right = None if term.right is None else matrices[term.right[which]].toarray()
        return left, right

    def _products(
        self, place: tuple[int, int], a: np.ndarray, b: np.ndarray | None
    ) -> list[np.ndarray]:
        """Complex vectors of what a term makes of the state on one side."""
        base = self.cells.operators.bases[place[0]]
        rho = base.to_matrices(self._vector(place)[None])[0]
        if b is None:
            parts = [a @ rho, rho @ a]
        else:
            loss = b.conj().T @ a
            parts = [a @ rho @ b.conj().T, loss @ rho, rho @ loss]
        return [self._coordinates(place[0], part) for part in parts]

    def _coordinates(self, kind: int, matrix: np.ndarray) -> np.ndarray:
        """A matrix in the real basis, with complex numbers where it is not Hermitian."""
        base = self.cells.operators.bases[kind]
        where, adjoint = base.sector, base.form.to_complex.conj().T
        # the basis matrices are orthogonal
        sizes = np.asarray(abs(adjoint).power(2).sum(axis=1)).reshape(-1)
        return np.asarray(adjoint @ matrix[where.rows, where.columns]) / sizes

    def _source(self, bond: _Bond) -> np.ndarray:
        """L_jk on the product of the states, shape (n, m)."""
        sizes = self._vector(bond.one).size, self._vector(bond.other).size
        total = np.zeros(sizes, dtype=complex)
        for term, value, turned in bond.terms:
            a, b = (
                self._products(place, *self._sides(term, turned, side))
                for side, place in enumerate((bond.one, bond.other))
            )
            factors = [1.0, -1.0] if term.right is None else [1.0, -0.5, -0.5]
            for factor, u, v in zip(factors, a, b, strict=True):
                total += value * factor * np.outer(u, v)
        return total.real

    def _correlation(self, bond: _Bond, source: np.ndarray) -> np.ndarray:
        """C of a bond, shape (n, m)."""
        (t, u), (s, v) = self._decomposed(bond.one), self._decomposed(bond.other)
        (solve,) = scipy.linalg.get_lapack_funcs(("trsyl",), (t, s))
        y, scale, _ = solve(t, s, -u.T @ source @ v, tranb="T")
        return np.asarray(u @ (y / scale) @ v.T)

    def _size(self, bond: _Bond, c: np.ndarray) -> float:
        """The trace norm of C."""
        bases = self.cells.operators.bases
        one, other = bases[bond.one[0]], bases[bond.other[0]]
        d, e = one.dimension, other.dimension
        full = one.form.to_complex @ c @ other.form.to_complex.T
        matrix = full.reshape(d, d, e, e).transpose(0, 2, 1, 3).reshape(d * e, d * e)
        return float(np.abs(np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)).sum())

    def _pull(self, bond: _Bond, c: np.ndarray) -> np.ndarray:
        """Tr_k L_jk C."""
        kind, other = bond.one[0], self.cells.operators.bases[bond.other[0]]
        base = self.cells.operators.bases[kind]
        total = np.zeros(base.unknowns, dtype=complex)
        for term, value, turned in bond.terms:
            a, left = self._sides(term, turned, 0)
            b, right = self._sides(term, turned, 1)
            seen = b if right is None else right.conj().T @ b
            weights = c @ other.row(sp.csr_array(seen)).toarray()[0]
            x = np.zeros((base.dimension, base.dimension), dtype=complex)
            x[base.sector.rows, base.sector.columns] = base.form.to_complex @ weights
            if left is None:
                made = a @ x - x @ a
            else:
                loss = left.conj().T @ a
                made = a @ x @ left.conj().T - (loss @ x + x @ loss) / 2
            total += value * self._coordinates(kind, made)
        return total.real

    # ── response ─────────────────────────────────────────────────────────────────────────────

    def _response(self, pulls: dict[tuple[int, int], np.ndarray]) -> float:
        """The largest trace norm of what the pulls change, with what the mean fields answer."""
        cells = self.cells
        change = np.zeros(cells.size)
        for place, pull in pulls.items():
            t, u = self._decomposed(place)
            # quasi-triangular: blocks of two for complex pairs
            moved = -u @ np.linalg.solve(t, u.T @ pull)
            cells.vectors(change, place[0])[:, place[1]] = moved
        change = change + self._answer(cells.mean_values(change)[cells.fields])
        worst = 0.0
        for kind, base in enumerate(cells.operators.bases):
            states = base.to_matrices(cells.vectors(change, kind).T)
            norms = np.abs(np.linalg.eigvalsh(states)).sum(axis=1)
            worst = max(worst, float(norms.max(initial=0.0)))
        return worst

    def _answer(self, means: np.ndarray) -> np.ndarray:
        """What the cells change when the fields follow means that have changed."""
        r = len(means)
        size = float(np.abs(means).max(initial=0.0))
        if size < 1e-13:
            return np.zeros(self.cells.size)
        image = self.field_map.image(self.x, self.nu)
        slope = image.slope.copy()
        slope[:, :r] -= np.eye(r)
        slope[:, r : 2 * r] -= 1j * np.eye(r)
        turning = self.field_map.rotations is not None and np.abs(self.x).max() > 1e-9
        free = slope if turning else slope[:, : 2 * r]
        matrix = np.concatenate([free.real, free.imag])
        right = -np.concatenate([means.real, means.imag])
        # of least norm: the phase of what turns is free
        step = np.linalg.lstsq(matrix, right, rcond=1e-9)[0]
        step = np.append(step, np.zeros(2 * r + 1 - len(step)))
        small = _SMALL / max(float(np.abs(step).max()), 1e-300)
        moved = self.field_map.image(
            self.x + small * (step[:r] + 1j * step[r : 2 * r]),
            self.nu + small * step[-1],
            False,
        )
        return np.asarray((moved.y - image.y) / small)
