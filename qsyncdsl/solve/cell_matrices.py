"""The arrays of the right side of a product state with a few inequivalent cells, for `cell_matrix_side`."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve import cell_matrix_side, cell_right_side, right_sides
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.kernels import integrator_source

# Classes of one kind from which on they are better worked on side by side, by sparse superoperators.
MANY = 8


class CellMatrices:
    """What `right` takes, for the numbers of one point."""

    def __init__(self, cells: CellEquations) -> None:
        self.cells = cells
        self.arrays = (*cells.seen, *_arrays(cells))

    def data(self, time: float | None = None) -> tuple[Any, ...]:
        """The arrays at a time."""
        return (*self.arrays, *self.cells.polynomial(time).arrays)


def suits(cells: CellEquations) -> bool:
    """Whether there are few classes of cells, all of their elements kept."""
    pairs = zip(cells.layouts, cells.operators.bases, strict=True)
    return all(
        len(x.members) < MANY and base.unknowns == base.dimension**2
        for x, base in pairs
    )


def _arrays(cells: CellEquations) -> tuple[np.ndarray, ...]:
    """Sparse rows of G with the shares of each strength in them, and the matrices of the jumps."""
    operators = cells.operators
    kinds, indptr, indices = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    shares: list[tuple[int, int]] = []
    share_values: list[np.ndarray] = []
    jumps: list[tuple[int, ...]] = []
    sides = _Sides()
    begin = entries = 0
    for kind, base in enumerate(operators.bases):
        matrices = operators.problem.matrices[kind]
        mine = [k for k, (other, _) in enumerate(operators.operators) if other == kind]
        parts = {k: _generators(matrices, *operators.sides[k]) for k in mine}
        pattern = sp.csr_array((base.dimension, base.dimension))
        for pair in parts.values():
            for part in pair:
                pattern = pattern + abs(part)
        pattern = sp.csr_array(pattern)
        pattern.sort_indices()
        place = pattern.copy()
        place.data = np.arange(1.0, pattern.nnz + 1)
        first, first_jump = len(shares), len(jumps)
        for k in mine:
            found = np.zeros((pattern.nnz, 2), dtype=complex)
            for side, part in enumerate(parts[k]):
                listed = part.tocoo()
                at = place[listed.coords[0], listed.coords[1]]
                where = np.asarray(at).astype(np.int64).reshape(-1) - 1
                found[where, side] = listed.data
            for entry in np.flatnonzero(found.any(axis=1)):
                shares.append((entries + int(entry), cells.strength_place[k]))
                share_values.append(found[entry])
            left, right = operators.sides[k]
            if right is not None:
                a, b = sides.of(kind, left, matrices), sides.of(kind, right, matrices)
                jumps.append((cells.strength_place[k], *a, *b))
        kinds.append(
            (base.dimension, begin, first, len(shares), first_jump, len(jumps))
        )
        indptr.append(pattern.indptr.astype(np.int64) + entries)
        indices.append(pattern.indices.astype(np.int64))
        begin += base.dimension + 1
        entries += pattern.nnz
    return (
        np.array(kinds, dtype=np.int64).reshape(-1, 6),
        np.concatenate(indptr),
        np.concatenate(indices),
        np.array(shares, dtype=np.int64).reshape(-1, 2),
        np.array(share_values, dtype=complex).reshape(-1, 2),
        np.array(jumps, dtype=np.int64).reshape(-1, 5),
        *sides.arrays(),
        np.array([cells.means, cells.strengths], dtype=np.int64),
    )


def _generators(
    matrices: tuple[sp.csr_array, ...], left: int, right: int | None
) -> tuple[sp.csr_array, sp.csr_array]:
    r"""U and V with $G = gU + g^*V$.

    The Hermitian part of $g[A, \rho]$ is that of $G\rho + \rho G^\dagger$ with $G = (gA - g^*A^\dagger)/2$;
    that of $-\tfrac g2\{B^\dagger A, \rho\}$ has $G = -(gB^\dagger A + g^*A^\dagger B)/4$.
    """
    a = matrices[left]
    if right is None:
        return sp.csr_array(a / 2), sp.csr_array(-a.conj().T / 2)
    loss = sp.csr_array(matrices[right].conj().T @ a)
    return sp.csr_array(-loss / 4), sp.csr_array(-loss.conj().T / 4)


class _Sides:
    """Entries of the matrices that stand beside the density matrix, each matrix once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._entries: list[tuple[int, int, complex]] = []

    def of(
        self, kind: int, index: int, matrices: tuple[sp.csr_array, ...]
    ) -> tuple[int, int]:
        """The range of a matrix."""
        key = kind, index
        if key not in self._known:
            listed = matrices[index].tocoo()
            first = len(self._entries)
            self._entries += list(
                zip(*(x.tolist() for x in (*listed.coords, listed.data)), strict=True)
            )
            self._known[key] = first, len(self._entries)
        return self._known[key]

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Rows, columns, values."""
        rows, columns, values = (
            [entry[k] for entry in self._entries] for k in range(3)
        )
        whole = np.int64
        return (
            np.array(rows, dtype=whole),
            np.array(columns, dtype=whole),
            np.array(values, dtype=complex),
        )


@lru_cache(maxsize=1)
def matrix_integrator() -> str:
    """The module with `integrate`; the same for all models."""
    text = [
        inspect.getsource(f)
        for f in (
            right_sides.add_terms,
            cell_right_side.means_of,
            cell_matrix_side.matrix,
            cell_matrix_side.product,
            cell_matrix_side.right,
        )
    ]
    return integrator_source(text)
