"""Polynomials of the fields of whole lattices as flat arrays of terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.phase_space import FieldMonomial, FieldPolynomial
from qsyncdsl.lower.field_equations import Group
from qsyncdsl.lower.kernel_names import KernelNames, sites_of
from qsyncdsl.problem import Terms


class TermList:
    """Collects terms; a pattern is written out for every site or edge of its lattice."""

    def __init__(self, names: KernelNames, shape: tuple[int, ...]) -> None:
        self.names = names
        self.shape = shape
        self._target: list[np.ndarray] = []
        self._coefficient: list[np.ndarray] = []
        self._varying: list[np.ndarray] = []
        self._factors: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        self._sites: dict[Group, dict[str, np.ndarray]] = {}

    def add(
        self, group: Group, targets: tuple[int, ...], polynomial: FieldPolynomial
    ) -> None:
        """Add a polynomial to the entry of y that the modes `targets` stand for."""
        sites = self._of(group)
        count = len(sites["site"])
        row = self._rows(targets[0], sites)
        for target in targets[1:]:
            row = row * self.shape[1] + self._rows(target, sites)
        for fields, value in polynomial.items():
            expression = self.names.oriented(value, 0)
            k = self.names.by_site(expression, sites)
            index = -1 if k is not None else self.names.index(expression)
            self._target.append(np.broadcast_to(row, count))
            self._coefficient.append(np.full(count, index))
            place = np.zeros(count, dtype=np.int64) if k is None else np.arange(count)
            self._varying.append(np.stack([np.full(count, k or 0), place]))
            self._factors.append(self._powers(fields, sites, count))

    def _of(self, group: Group) -> dict[str, np.ndarray]:
        if group not in self._sites:
            if group.graph is None:
                first = second = np.zeros(1, dtype=np.int64)
            elif group.edges:
                edges = np.array(list(group.graph.edges()), dtype=np.int64)
                first, second = edges.reshape(-1, 2).T - 1
            else:
                first = second = np.arange(sites_of(group.graph))
            self._sites[group] = {"site": first, "other": second}
        return self._sites[group]

    def _rows(self, position: int, sites: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows of the fields that a mode stands for, one for each site or edge."""
        slot = self.names.system.slots.get(position)
        if slot is None:
            return np.full(len(sites["site"]), position)
        offset = self.names.system.family(slot.mode).offset
        return offset + sites["other" if slot.slot else "site"]

    def _powers(
        self, fields: FieldMonomial, sites: Mapping[str, np.ndarray], count: int
    ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        if not fields:
            empty = np.zeros((count, 0), dtype=np.int64)
            return 0, empty, empty, empty
        rows = np.stack([self._rows(key, sites) for key, _, _ in fields], axis=1)
        p = np.broadcast_to([p for _, p, _ in fields], rows.shape)
        q = np.broadcast_to([q for _, _, q in fields], rows.shape)
        return len(fields), rows, p, q

    def terms(self) -> Terms:
        """The arrays."""

        def joined(parts: Iterable[np.ndarray]) -> np.ndarray:
            listed = [np.asarray(x, dtype=np.int64).reshape(-1) for x in parts]
            return np.concatenate([*listed, np.zeros(0, dtype=np.int64)])

        lengths = joined(
            np.full(len(rows), number) for number, rows, _, _ in self._factors
        )
        varying = [np.zeros((2, 0), dtype=np.int64), *self._varying]
        return Terms(
            target=joined(self._target),
            coefficient=joined(self._coefficient),
            varying=np.ascontiguousarray(np.concatenate(varying, axis=1)),
            start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            fields=joined(rows for _, rows, _, _ in self._factors),
            p=joined(p for _, _, p, _ in self._factors),
            q=joined(q for _, _, _, q in self._factors),
            shape=self.shape,
        )


def drift_terms(
    names: KernelNames, count: int, drift: Mapping[Group, Mapping[int, Any]]
) -> Terms:
    """The drift of all fields."""
    found = TermList(names, (count,))
    for group, polynomials in drift.items():
        for position, polynomial in polynomials.items():
            found.add(group, (position,), polynomial)
    return found.terms()
