r"""Whether moments belong to a state, as far as those of two operators say.

$\langle X^\dagger X\rangle \ge 0$ for every sum $X$ of operators of single modes and atoms: the covariances

$$ C_{ij} = \langle A_i^\dagger A_j\rangle - \langle A_i\rangle^*\langle A_j\rangle $$

of any state are positive semidefinite. A closure need not keep this. Of an ensemble of N atoms that are alike,
the sums over all atoms, $\sum_m A^{(m)}/\sqrt N$, and the differences between two of them,
$(A^{(1)} - A^{(2)})/\sqrt 2$, have covariances of their own, which are not mixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from qsyncdsl.algebra.moment_system import MomentSystem
from qsyncdsl.algebra.moments import Moment
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.solve.polynomials import Sum

# Rounding in a covariance, relative to the largest second moment; moments are followed to 1e-9.
_ROUNDING = 1e-9

# A product of moments, by their place and whether they are conjugated.
_Product = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class _Row:
    """An operator of a mode, the sum over an ensemble, or a difference of two of its atoms.

    Attributes:
        place: Position of the mode or ensemble in the system.
        operators: Of the mode, or of two atoms.
        own, adjoint: The factors of the first of them, and of its adjoint.
        atoms: Number of atoms in a sum; 1 for a mode, 0 for a difference.
    """

    place: int
    operators: tuple[Polynomial, ...]
    own: Moment
    adjoint: Moment
    atoms: float


class SecondMoments:
    """The covariances of one closure.

    Args:
        moments: Those that are followed, in order.
    """

    def __init__(self, system: MomentSystem, moments: tuple[Moment, ...]) -> None:
        self.algebra = system.algebra
        adjoint = self.algebra.adjoint
        self._places = {adjoint(m): (k, True) for k, m in enumerate(moments)}
        self._places |= {m: (k, False) for k, m in enumerate(moments)}
        rows = list(self._rows(moments)) if self.algebra.order > 1 else []
        self.count = n = len(rows)
        self._identity = np.eye(n)
        terms: list[tuple[int, complex, _Product]] = []
        for i, row in enumerate(rows):
            if row.atoms:
                own = self._mean(row.operators[0], sqrt(row.atoms))
                terms += [(n * n + i, c, product) for c, product in own]
            for j, column in enumerate(rows[i:], start=i):
                for c, product in self._pair(row, column):
                    terms.append((i * n + j, c, product))
                    if i != j:
                        turned = tuple((place, not star) for place, star in product)
                        terms.append((j * n + i, c.conjugate(), turned))
        self._sum = _gathered(terms, n * (n + 1))

    def covariances(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """C, shape (B, n, n), of moments, shape (B, M).

        And the sizes of the second moments that they are differences of, shape (B,).
        """
        n = self.count
        found = self._sum.many(values)
        second, means = found[:, : n * n].reshape(-1, n, n), found[:, n * n :]
        size = np.abs(second).max(axis=(1, 2), initial=0.0)
        return second - np.conj(means)[:, :, None] * means[:, None, :], size

    def negative(self, values: np.ndarray) -> np.ndarray:
        """How far the lowest eigenvalues are below 0, in units of the largest variance, or of 1.

        Args:
            values: Moments, shape (B, M).

        Returns:
            Shape (B,); infinite where a moment is no number.
        """
        found = np.zeros(len(values))
        if not self.count:
            return found
        covariance, size = self.covariances(values)
        fine = np.flatnonzero(np.isfinite(size))
        found[~np.isfinite(size)] = np.inf
        scale = covariance.diagonal(axis1=1, axis2=2).real.max(axis=1)
        scale = np.maximum(scale, 1.0)
        lifted = (_ROUNDING * (scale + size))[fine, None, None] * self._identity
        lifted = lifted + covariance[fine]
        # a factorization is a few times faster than eigenvalues, and mostly enough
        if not _positive(lifted):
            for k, matrix in zip(fine, lifted, strict=True):
                if not _positive(matrix):
                    lowest = float(np.linalg.eigvalsh(covariance[k])[0])
                    found[k] = max(0.0, -lowest) / scale[k]
        return found

    def _rows(self, moments: tuple[Moment, ...]) -> Iterator[_Row]:
        """Sums, then differences, of every operator that occurs in a moment."""
        algebra, modes = self.algebra, self.algebra.outer.modes
        words: dict[int, set[Any]] = {}
        for moment in moments:
            for m in (moment, algebra.adjoint(moment)):
                for letter in algebra.letters(m):
                    if not algebra.uncorrelated(letter):
                        place = algebra.outer_position(letter[0])  # type: ignore[arg-type]
                        words.setdefault(place, set()).add(letter[1])
        for place, found in sorted(words.items()):
            atoms = algebra.atoms(place)
            ensemble = modes[place].kind.name == "ensemble"
            size = float(modes[place].size) if ensemble else 1.0  # type: ignore[arg-type]
            for word in sorted(found):
                two = tuple(algebra.operator(((atom, word),)) for atom in atoms[:2])
                own: Moment = ((atoms[0], word),)
                both = own, algebra.adjoint(own)
                yield _Row(place, two, *both, size)
                if ensemble and size > 1:
                    yield _Row(place, two, *both, 0.0)

    def _pair(self, row: _Row, column: _Row) -> Iterator[tuple[complex, _Product]]:
        """The mean of the adjoint of one operator times another one."""
        if row.place != column.place:
            if row.atoms and column.atoms:
                # operators of different modes: their product is a moment as it is
                moment = self.algebra.canonical(row.adjoint + column.own)
                weight = sqrt(row.atoms * column.atoms)
                one = self.algebra.ring.number(1)
                yield from self._closed(moment, one, weight)
            return
        first, second = row.operators[0].dag(), column.operators
        if row.atoms == column.atoms:
            yield from self._mean(first * second[0], 1.0)
            if row.atoms != 1:
                yield from self._mean(first * second[1], row.atoms - 1)

    def _mean(
        self, operator: Polynomial, weight: float
    ) -> Iterator[tuple[complex, _Product]]:
        """A mean as products of moments; those that are not followed vanish by symmetry."""
        for moment, c in self.algebra.mean(operator).items():
            yield from self._closed(moment, c, weight)

    def _closed(
        self, moment: Moment, c: Any, weight: float
    ) -> Iterator[tuple[complex, _Product]]:
        """A moment, c times, as products of those that are followed."""
        if moment in self._places:
            yield weight * complex(c.terms.get((), 0)), (self._places[moment],)
            return
        for product, factor in self.algebra.closed(moment).items():
            if all(m in self._places for m in product):
                number = (c * factor).terms.get((), 0)
                yield (
                    weight * complex(number),
                    tuple(self._places[m] for m in product),
                )


def _positive(matrices: np.ndarray) -> bool:
    """Whether all are positive definite."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def _gathered(terms: list[tuple[int, complex, _Product]], size: int) -> Sum:
    """Terms as flat arrays."""
    flat = [factor for *_, product in terms for factor in product]
    star = np.array([conjugated for _, conjugated in flat], dtype=np.int64)
    lengths = [len(product) for *_, product in terms]
    arrays = (
        np.array([target for target, *_ in terms], dtype=np.int64),
        np.array([c for _, c, _ in terms], dtype=complex),
        np.cumsum([0, *lengths]).astype(np.int64),
        np.array([place for place, _ in flat], dtype=np.int64),
        star,
        1 - star,
    )
    return Sum(arrays, (size,))
