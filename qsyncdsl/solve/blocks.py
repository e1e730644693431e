"""Density matrices as vectors, block by block of the elements that the flow keeps apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve import superoperator


@dataclass(frozen=True)
class Layout:
    """The elements of half the density matrix, block by block.

    Attributes:
        rows, columns: The elements, shape (M,).
        starts: Where each block begins, shape (blocks + 1,).
        place: Position of each element, -1 where it is the conjugate of a kept one; shape (D, D).
    """

    rows: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    dimension: int

    @cached_property
    def place(self) -> np.ndarray:
        """Position of each element."""
        table = np.full((self.dimension, self.dimension), -1, dtype=np.int64)
        table[self.rows, self.columns] = np.arange(len(self.rows))
        return table

    @cached_property
    def _shares(self) -> np.ndarray:
        """1/2 for elements that are kept with their conjugates, or are their own."""
        both = self.place[self.columns, self.rows] >= 0
        return np.where(both, 0.5, 1.0)

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.rows)

    def pack(self, rho: np.ndarray) -> np.ndarray:
        """The kept elements of a Hermitian matrix."""
        return np.ascontiguousarray(rho[self.rows, self.columns])

    def unpack(self, vector: np.ndarray) -> np.ndarray:
        """The Hermitian matrix of a vector of elements, whose Hermitian part it is."""
        half = np.zeros((self.dimension, self.dimension), dtype=complex)
        half[self.rows, self.columns] = vector * self._shares
        return half + half.conj().T


def layout(problem: LindbladProblem, on: frozenset[int]) -> Layout:
    """The blocks that the flow does not mix, one of each pair of conjugate ones."""
    symmetry = superoperator.find_symmetry(problem, on)
    labels = superoperator.class_labels(problem, symmetry)
    size = problem.dimension
    rows, columns = (x.ravel() for x in np.indices((size, size)))
    charge, opposite = labels[rows] - labels[columns], labels[columns] - labels[rows]
    for k, modulus in enumerate(symmetry.moduli):
        if modulus:
            charge[:, k] %= modulus
            opposite[:, k] %= modulus
    keep = _not_smaller(charge, opposite)
    rows, columns, charge = rows[keep], columns[keep], charge[keep]
    if not charge.shape[1]:
        return Layout(rows, columns, np.array([0, len(rows)]), size)
    _, which = np.unique(charge, axis=0, return_inverse=True)
    order = np.lexsort((columns, rows, which.ravel()))
    counts = np.bincount(which.ravel())
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Layout(rows[order], columns[order], starts, size)


def _not_smaller(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether rows of x are not smaller than those of y, in lexical order."""
    result = np.ones(len(x), dtype=bool)
    open_ = np.ones(len(x), dtype=bool)
    for k in range(x.shape[1]):
        result[open_ & (x[:, k] < y[:, k])] = False
        open_ &= x[:, k] == y[:, k]
    return result
