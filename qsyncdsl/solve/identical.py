r"""Groups of permutations of identical parts: translations of rings, all permutations of complete graphs.

Every g of a group G acts on the real unknowns as a permutation with signs, $g e_u = s_u e_{g(u)}$. Where all
of them commute with L, so does $P = |G|^{-1}\sum_g g$: a stationary state that is unique lies in $P$, whose basis
are the orbits of unknowns,

$$ v_O = \sum_{u \in O} \sigma_u e_u , $$

without those orbits whose signs contradict one another; the rest, $1 - P$, is a block of its own. The group is
never written out: a few generators join unknowns to orbits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from qsyncdsl.result import Part


@dataclass(frozen=True)
class Orbits:
    """Unknowns joined by generators.

    Attributes:
        number: The orbit of each unknown with sign 1 and with sign -1, shape (2, U).
    """

    number: np.ndarray

    @classmethod
    def of(cls, images: list[np.ndarray], signs: list[np.ndarray]) -> Orbits:
        """The orbits of some signed permutations, each given as image and sign."""
        size = len(images[0])
        rows, columns = [], []
        for image, sign in zip(images, signs, strict=True):
            for copy in (0, 1):
                there = np.where(sign > 0, copy, 1 - copy)
                rows.append(copy * size + np.arange(size))
                columns.append(there * size + image)
        joined = np.concatenate(rows), np.concatenate(columns)
        graph = sp.csr_array((np.ones(len(joined[0])), joined), shape=(2 * size,) * 2)
        _, number = connected_components(graph, directed=False)
        return cls(number.reshape(2, size))

    def holds(self, image: np.ndarray, sign: np.ndarray) -> bool:
        """Whether another permutation keeps every orbit, with its signs."""
        plus, minus = self.number
        return np.array_equal(np.where(sign > 0, plus[image], minus[image]), plus)

    def split(
        self, columns: np.ndarray, weights: np.ndarray, count: int
    ) -> tuple[sp.csc_array, sp.csc_array]:
        r"""The invariant combinations of some vectors that are orbits of a subgroup, and the others.

        Args:
            columns: The unknown that each of the vectors begins with, with sign 1, shape (u,).
            weights: How many unknowns it has, shape (u,).

        Returns:
            Combinations of the vectors as columns: $\sum_j \sigma_j v_j$ over each orbit, and
            $v_k - (\sigma_k w_k/\sigma_0 w_0) v_0$ for all others of it, which P takes to 0. In each column the
            vector it stands for has the factor 1.
        """
        plus, minus = self.number[:, columns]
        low = np.minimum(plus, minus)
        order = np.argsort(low, kind="stable")
        new = np.append(True, low[order][1:] != low[order][:-1])
        first = np.empty(count, dtype=np.int64)
        first[order] = order[new][np.cumsum(new) - 1]
        sign = np.where(plus == plus[first], 1.0, -1.0)
        held = plus != minus
        own = np.arange(count)
        even = own[held & (first == own)]
        column = np.empty(count, dtype=np.int64)
        column[even] = np.arange(len(even))
        members = own[held]
        invariant = sp.csc_array(
            (sign[held], (members, column[first[held]])), shape=(count, len(even))
        )
        rest = own[~held | (first != own)]
        place = np.arange(len(rest))
        moved = held[rest]
        ratio = -sign * weights / weights[first]
        rows = np.concatenate([rest, first[rest[moved]]])
        entries = np.concatenate([np.ones(len(rest)), ratio[rest[moved]]])
        places = np.concatenate([place, place[moved]])
        others = sp.csc_array((entries, (rows, places)), shape=(count, len(rest)))
        return invariant, others

    def kept(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which vectors stand for the invariant combinations, and which for the others."""
        plus, minus = self.number[:, columns]
        low = np.minimum(plus, minus)
        _, first = np.unique(low, return_index=True)
        leads = np.zeros(len(columns), dtype=bool)
        leads[first] = True
        even = leads & (plus != minus)
        return np.flatnonzero(even), np.flatnonzero(~even)


def moves(parts: tuple[Part, ...], most: int) -> Iterator[tuple[int, ...]]:
    """Permutations of alike parts that may generate more than pairs that change places.

    Translations of lines and of planes of alike parts, in the order they are listed; of more than `most`
    parts, all of which are not tried, also exchanges of neighbors and the reflection.
    """
    classes: dict[tuple[str, int, int], list[int]] = {}
    for k, part in enumerate(parts):
        classes.setdefault((part.kind, part.dimension, part.offset), []).append(k)
    found: set[tuple[int, ...]] = set()
    for size in sorted({len(c) for c in classes.values() if len(c) > 2}):
        together = [c for c in classes.values() if len(c) == size]
        for there in _shuffles(size, len(parts) > most):
            order = list(range(len(parts)))
            for places in together:
                for k, j in enumerate(there):
                    order[places[k]] = places[j]
            if tuple(order) not in found:
                found.add(tuple(order))
                yield tuple(order)


def _shuffles(size: int, many: bool) -> Iterator[list[int]]:
    """Where each of some alike parts goes."""
    own = np.arange(size)
    for width in range(size, 1, -1):
        if size % width:
            continue
        table = own.reshape(-1, width)
        # along a row of the table, and from row to row
        for axis in (1, 0):
            if table.shape[axis] > 1:
                yield np.roll(table, -1, axis=axis).ravel().tolist()
    if many:
        for k in range(size - 1):
            swapped = own.copy()
            swapped[[k, k + 1]] = k + 1, k
            yield swapped.tolist()
        yield own[::-1].tolist()


def cycles(order: tuple[int, ...]) -> list[list[int]]:
    """The cycles of more than one part."""
    left, found = set(range(len(order))), []
    while left:
        start = min(left)
        cycle = [start]
        left.discard(start)
        while order[cycle[-1]] != start:
            cycle.append(order[cycle[-1]])
            left.discard(cycle[-1])
        if len(cycle) > 1:
            found.append(cycle)
    return found


def joined(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Parts that pairs changing places join: all permutations of each set."""
    sets: list[set[int]] = []
    for pair in pairs:
        touched = [s for s in sets if s & set(pair)]
        sets = [s for s in sets if s not in touched] + [set(pair).union(*touched)]
    return sorted(sorted(s) for s in sets)
