r"""The Liouvillian on a sector of density-matrix elements, with coefficients left open.

The elements $\rho_{mn}$ whose charges $Q(m) - Q(n)$ are equal form a sector; weak symmetries keep
sectors apart. On a sector $\mathcal{L}(p) = \sum_k g_k(p) \mathcal{L}_k$ has one fixed sparsity pattern, so
that another point of a sweep costs one sparse matrix-vector product and no assembly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from qsyncdsl.algebra.symmetry import Symmetry, weak_symmetry
from qsyncdsl.problem import Combination, LindbladProblem


@dataclass(frozen=True, slots=True)
class Side:
    """One summand of the superoperator: `rho -> weight * g * A rho B`; None is the identity.

    g is f_i for `(i,)` and f_r f_i conj(f_j) for `(r, i, j)`.
    """

    factors: tuple[int, ...]
    weight: complex
    left: sp.csr_array | None
    right: sp.csr_array | sp.csc_array | None


def active(problem: LindbladProblem, f: np.ndarray) -> frozenset[int]:
    """Indices of the coefficients that are not zero, or that move in time."""
    return frozenset(np.flatnonzero(f).tolist()) | problem.coefficients.time_dependent


def _present(combination: Combination, on: frozenset[int]) -> Combination:
    return tuple(pair for pair in combination if pair[0] in on)


def _merged(
    problem: LindbladProblem, combination: Combination, on: frozenset[int]
) -> list[tuple[int, sp.csr_array]]:
    """The present terms of an operator, one matrix for each coefficient."""
    found: dict[int, sp.csr_array] = {}
    for k, index in _present(combination, on):
        matrix = problem.matrices[index]
        found[k] = found[k] + matrix if k in found else matrix
    return list(found.items())


def adjoint(matrix: sp.csr_array) -> sp.csr_array:
    """The adjoint, by rows too."""
    turned = matrix.tocsc()
    return sp.csr_array(
        (turned.data.conj(), turned.indices, turned.indptr), shape=matrix.shape[::-1]
    )


def sides(problem: LindbladProblem, on: frozenset[int]) -> list[Side]:
    """The summands of the Liouvillian whose coefficients are not zero."""
    found = []
    for k, matrix in _merged(problem, problem.hamiltonian, on):
        found.append(Side((k,), -1j, matrix, None))
        found.append(Side((k,), 1j, None, matrix))
    for channel in problem.channels:
        if channel.rate not in on:
            continue
        terms = _merged(problem, channel.jump, on)
        adjoints = [adjoint(b) for _, b in terms]
        for i, a in terms:
            for (j, _), b in zip(terms, adjoints, strict=True):
                loss = b @ a
                key = (channel.rate, i, j)
                found.append(Side(key, 1.0, a, b))
                found.append(Side(key, -0.5, loss, None))
                found.append(Side(key, -0.5, None, loss))
    return found


def strength_places(all_sides: list[Side]) -> np.ndarray:
    """Which coefficients are multiplied for each summand, shape (3, K); -1 stands for 1."""
    padded = [(*s.factors, -1, -1)[:3] for s in all_sides]
    return np.array(padded, dtype=int).reshape(-1, 3).T


def strengths(
    all_sides: list[Side], f: np.ndarray, places: np.ndarray | None = None
) -> np.ndarray:
    """The numbers g_k of the summands, shape (..., K), for f of shape (..., number of f_k).

    Args:
        places: What `strength_places` gives, where it is known.
    """
    one = np.ones((*f.shape[:-1], 1))
    known = np.concatenate([f, one], axis=-1)
    first, second, third = places if places is not None else strength_places(all_sides)
    found = known[..., first] * known[..., second] * known[..., third].conj()
    return np.asarray(found, dtype=complex)


def occupations(problem: LindbladProblem) -> np.ndarray:
    """Occupation numbers of every basis state, shape (D, number of parts)."""
    dims = [part.dimension for part in problem.parts]
    return np.stack(np.unravel_index(np.arange(problem.dimension), dims), axis=1)


def embedded(few: LindbladProblem, many: LindbladProblem) -> np.ndarray | None:
    """Which basis state each of a problem with fewer levels is; None where parts differ otherwise."""
    pairs = list(zip(few.parts, many.parts, strict=False))
    alike = len(few.parts) == len(many.parts) and all(
        (a.kind, a.offset) == (b.kind, b.offset) and a.dimension <= b.dimension
        for a, b in pairs
    )
    if not alike:
        return None
    dims = [part.dimension for part in many.parts]
    return np.ravel_multi_index(tuple(occupations(few).T), dims)


def _shifts(matrix: sp.csr_array, states: np.ndarray) -> np.ndarray:
    """The changes of occupations that a matrix makes, each once."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    columns = matrix.indices
    # As one number each, a list of few different changes is found quickly.
    span = 2 * states.max(axis=0, initial=0) + 1
    weights = np.concatenate([np.cumprod(span[::-1])[-2::-1], [1]])
    if float(np.prod(span.astype(float))) > 2.0**62:
        return np.unique(states[rows] - states[columns], axis=0)
    flat = states @ weights
    _, first = np.unique(flat[rows] - flat[columns], return_index=True)
    return np.asarray(states[rows[first]] - states[columns[first]])


def find_symmetry(problem: LindbladProblem, on: frozenset[int]) -> Symmetry:
    """The weak symmetries of the terms that are present.

    Every term of H must keep the charges; all terms of one jump must change them alike.
    """
    states = occupations(problem)
    vectors = [
        shift
        for _, index in _present(problem.hamiltonian, on)
        for shift in _shifts(problem.matrices[index], states)
    ]
    for channel in problem.channels:
        terms = _present(channel.jump, on)
        if channel.rate not in on or not terms:
            continue
        shifts = np.concatenate(
            [_shifts(problem.matrices[index], states) for _, index in terms]
        )
        vectors += list(shifts - shifts[:1])
    return weak_symmetry([tuple(v.tolist()) for v in vectors], len(problem.parts))


def class_labels(problem: LindbladProblem, symmetry: Symmetry) -> np.ndarray:
    """Charges of every basis state, shape (D, number of charges)."""
    states = occupations(problem)
    if not symmetry.charges:
        return np.zeros((problem.dimension, 0), dtype=int)
    labels = states @ np.array(symmetry.charges, dtype=int).T
    for column, modulus in enumerate(symmetry.moduli):
        if modulus:
            labels[:, column] %= modulus
    return labels


@dataclass(frozen=True)
class Sector:
    """The elements (row, column) of the density matrix with one charge.

    Attributes:
        rows, columns: The elements, shape (M,), sorted by row.
        place: Position of an element in the sector, or -1; shape (D, D).
    """

    rows: np.ndarray
    columns: np.ndarray
    dimension: int

    @cached_property
    def place(self) -> np.ndarray:
        """Position of each element in the sector, -1 outside."""
        table = np.full((self.dimension, self.dimension), -1, dtype=np.int32)
        table[self.rows, self.columns] = np.arange(len(self.rows), dtype=np.int32)
        return table

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.rows)

    def to_matrix(self, vector: np.ndarray) -> np.ndarray:
        """A vector of the sector as a density matrix."""
        rho = np.zeros((self.dimension, self.dimension), dtype=complex)
        rho[self.rows, self.columns] = vector
        return rho


def sector(labels: np.ndarray, symmetry: Symmetry, charge: tuple[int, ...]) -> Sector:
    """The elements (m, n) with Q(m) - Q(n) = charge."""
    dimension = len(labels)
    shifted = labels - np.array(charge, dtype=int)
    for column, modulus in enumerate(symmetry.moduli):
        if modulus:
            shifted[:, column] %= modulus
    # One number for each set of charges.
    _, code = np.unique(np.concatenate([labels, shifted]), axis=0, return_inverse=True)
    own, wanted = np.split(code.ravel(), 2)
    partners = np.argsort(own, kind="stable")
    counts = np.bincount(own, minlength=int(code.max(initial=0)) + 1)
    starts = np.cumsum(counts) - counts
    rows, entries = _ranges(starts[wanted], counts[wanted])
    return Sector(rows, partners[entries], dimension)


def element_count(labels: np.ndarray) -> int:
    """Number of elements of the invariant sector."""
    if labels.shape[1] == 0:
        return len(labels) ** 2
    _, counts = np.unique(labels, axis=0, return_counts=True)
    return int((counts.astype(np.int64) ** 2).sum())


def _ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers from each start on, as many as its count; with which start each belongs to."""
    which = np.repeat(np.arange(len(counts)), counts)
    first = starts - (np.cumsum(counts) - counts)
    return which, np.arange(len(which)) + first[which]


def _expand(
    matrix: sp.csr_array | sp.csc_array, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each key, the entries of that row (column, for CSC): (which key, place, value)."""
    starts = matrix.indptr[keys]
    which, entries = _ranges(starts, matrix.indptr[keys + 1] - starts)
    return which, matrix.indices[entries], matrix.data[entries]


def sector_entries(
    side: Side, where: Sector
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A summand on a sector, without its strength: elements reached, elements left, values."""
    source = np.arange(where.size)
    m, n = where.rows, where.columns
    value = np.full(where.size, side.weight, dtype=complex)
    if side.left is not None:
        which, reached, data = _expand(side.left.tocsc(), m)
        source, m, n, value = source[which], reached, n[which], value[which] * data
    if side.right is not None:
        which, reached, data = _expand(side.right, n)
        source, m, n, value = source[which], m[which], reached, value[which] * data
    target = where.place[m, n]
    inside = target >= 0
    return target[inside], source[inside], value[inside]


def arriving_entries(
    side: Side, where: Sector, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of `sector_entries` that reach some elements only."""
    target, m, n = targets, where.rows[targets], where.columns[targets]
    value = np.full(len(targets), side.weight, dtype=complex)
    if side.left is not None:
        which, left, data = _expand(side.left, m)
        target, m, n, value = target[which], left, n[which], value[which] * data
    if side.right is not None:
        which, left, data = _expand(side.right.tocsc(), n)
        target, m, n, value = target[which], m[which], left, value[which] * data
    source = where.place[m, n]
    inside = source >= 0
    if inside.all():
        return target, source, value
    return target[inside], source[inside], value[inside]


def sector_matrix(side: Side, where: Sector) -> sp.csr_array:
    """A summand as a matrix on a sector, without its strength."""
    target, source, value = sector_entries(side, where)
    return sp.csr_array((value, (target, source)), shape=(where.size, where.size))


@dataclass(frozen=True)
class AffineMatrix:
    """sum_k g_k M_k on one sparsity pattern (CSC)."""

    indices: np.ndarray
    indptr: np.ndarray
    values: sp.csr_array
    size: int

    def at(self, g: np.ndarray) -> sp.csc_array:
        """The matrix for given strengths."""
        data = self.values @ g
        return sp.csc_array(
            (data, self.indices, self.indptr), shape=(self.size, self.size)
        )


def affine(matrices: list[sp.csr_array]) -> AffineMatrix:
    """Bring several matrices to the union of their patterns."""
    entries = [matrix.tocoo() for matrix in matrices]
    return gathered(
        np.concatenate([e.coords[0] for e in entries]),
        np.concatenate([e.coords[1] for e in entries]),
        np.repeat(np.arange(len(entries)), [e.nnz for e in entries]),
        np.concatenate([e.data for e in entries]),
        (matrices[0].shape[0], len(matrices)),
    )


def gathered(
    rows: np.ndarray,
    columns: np.ndarray,
    which: np.ndarray,
    data: np.ndarray,
    shape: tuple[int, int],
) -> AffineMatrix:
    """Entries of several matrices, on the union of their patterns.

    Args:
        which: Ascending.
        shape: Size of the matrices and their number.
    """
    size, count = shape
    keys = columns.astype(np.int64) * size + rows
    # A stable order leaves the matrices of one place ascending.
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    ends = np.append(first, len(keys))
    values = sp.csr_array((data[order], which[order], ends), shape=(len(first), count))
    values.has_sorted_indices = True
    values.sum_duplicates()
    found, places = np.divmod(keys[first], size)
    starts = np.searchsorted(found, np.arange(size + 1))
    return AffineMatrix(places.astype(np.int32), starts.astype(np.int32), values, size)


def entry_estimate(all_sides: list[Side], elements: int) -> float:
    """About how many entries the Liouvillian has on some elements."""

    def filling(matrix: sp.csr_array | None) -> float:
        return 1.0 if matrix is None else matrix.nnz / matrix.shape[0]

    return elements * sum(filling(s.left) * filling(s.right) for s in all_sides)


def band_cost(matrix: sp.csc_array | AffineMatrix) -> float:
    """n b^2, b the half width of the band in the reverse Cuthill-McKee order."""
    size = len(matrix.indptr) - 1
    # Ones: the pattern of A + A' is wanted, in which numbers may cancel.
    ones = np.ones(len(matrix.indices))
    pattern = sp.csr_array((ones, matrix.indices, matrix.indptr), (size, size))
    order = reverse_cuthill_mckee(pattern, symmetric_mode=False)
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    columns = np.repeat(place, np.diff(matrix.indptr))
    width = float(np.abs(place[matrix.indices] - columns).max(initial=0))
    return size * width**2


def complex_generator(all_sides: list[Side], where: Sector) -> AffineMatrix:
    """The Liouvillian on a sector, on complex elements."""
    return affine([sector_matrix(side, where) for side in all_sides])
