"""Cells: the sites of a product state, and operators taken apart into factors on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.fields import Family, FieldSystem
from qsyncdsl.algebra.matrices import polynomial_matrix
from qsyncdsl.algebra.operators import ONE, Factor, Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.problem import CellKind
from qsyncdsl.result import Part
from qsyncdsl.source import Span


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of a term: its kind, and which one.

    Attributes:
        cell: Number of the cell; None for the site that an index stands for.
        slot: 0 or 1, the index of the pattern; None for a definite cell.
    """

    kind: int
    cell: int | None = None
    slot: int | None = None


@dataclass(frozen=True)
class Cells:
    """The kinds of cells of a system and the matrices on them, each once.

    A cell is a site of a lattice with all modes on it, or a mode without a lattice.
    """

    system: FieldSystem
    kinds: tuple[CellKind, ...]
    spaces: tuple[Space, ...]
    places: dict[int, tuple[Place, int]]
    _polynomials: list[list[Polynomial]] = field(default_factory=list, repr=False)
    _index: list[dict[Polynomial, int]] = field(default_factory=list, repr=False)

    def split(self, monomial: Monomial, span: Span) -> dict[Place, Monomial]:
        """A monomial as a product of monomials on single cells, numbered within the cell.

        Raises:
            ModelError: E417 for a function of operators of several cells.
        """
        found: dict[Place, list[Factor]] = {}
        for key, word in monomial:
            keys = (key,) if isinstance(key, int) else key
            where = {self.places[k][0] for k in keys}
            if len(where) > 1:
                message = "a function of operators of several sites has no mean field"
                help_ = "solve by 'steadystate' or 'evolve'"
                raise ModelError([Diagnostic("E417", message, span, help=help_)])
            found.setdefault(where.pop(), []).append(self._moved((key, word)))
        return {
            place: tuple(sorted(factors, key=lambda f: str(f[0])))
            for place, factors in found.items()
        }

    def _moved(self, factor: Factor) -> Factor:
        """A factor with its modes numbered within their cell."""
        key, word = factor
        inner = (
            self.places[key][1]
            if isinstance(key, int)
            else tuple(self.places[k][1] for k in key)
        )
        if word[0] == "f":
            argument = word[2]
            kind = self.places[argument.modes()[0]][0].kind
            terms = {
                tuple(self._moved(f) for f in m): complex(c)
                for m, c in argument.terms.items()
            }
            return inner, ("f", word[1], Polynomial(self.spaces[kind], terms))
        if word[0] == "product":
            return inner, ("product", tuple(self._moved(f) for f in word[1]))
        return inner, word

    def operator(self, kind: int, monomial: Monomial) -> Polynomial:
        """A monomial on one cell as an operator."""
        return Polynomial(self.spaces[kind], {monomial: 1.0 + 0j})

    def matrix(self, kind: int, operator: Polynomial) -> int:
        """The number of an operator among the matrices of its kind."""
        while len(self._index) <= kind:
            self._index.append({})
            self._polynomials.append([])
        index = self._index[kind]
        if operator not in index:
            index[operator] = len(index)
            self._polynomials[kind].append(operator)
        return index[operator]

    def polynomial(self, kind: int, index: int) -> Polynomial:
        """The operator with this number."""
        return self._polynomials[kind][index]

    def matrices(self) -> tuple[tuple[sp.csr_array, ...], ...]:
        """All of them, sparse.

        Raises:
            ModelError: E403 for an operator without a matrix.
        """
        found = []
        for kind, cell in enumerate(self.kinds):
            dims = [part.dimension for part in cell.parts]
            operators = self._polynomials[kind] if kind < len(self._polynomials) else []
            try:
                found.append(tuple(polynomial_matrix(o, dims) for o in operators))
            except ValueError as reason:
                raise ModelError([Diagnostic("E403", f"{reason}")]) from None
        return tuple(found)

    def shifts(self, kind: int, monomial: Monomial) -> list[np.ndarray]:
        """The changes of occupations that a monomial makes on a cell, each once."""
        parts = self.kinds[kind].parts
        if monomial == ONE:
            return [np.zeros(len(parts), dtype=int)]
        dims = [part.dimension for part in parts]
        states = np.stack(np.unravel_index(np.arange(prod(dims)), dims), axis=1)
        entries = polynomial_matrix(self.operator(kind, monomial), dims).tocoo()
        rows, columns = entries.coords
        return list(np.unique(states[rows] - states[columns], axis=0))


def cells_of(system: FieldSystem) -> Cells:
    """Group the modes of a system into cells.

    Raises:
        ModelError: E401 for ensembles, E402 for a boson without a number of levels.
    """
    groups: list[list[Family]] = []
    for family in system.families:
        _refuse(system, family)
        mine = next(
            (g for g in groups if family.domain is not None and _alike(g[0], family)),
            None,
        )
        if mine is None:
            groups.append([family])
        else:
            mine.append(family)
    kinds: list[CellKind] = []
    spaces: list[Space] = []
    places: dict[int, tuple[Place, int]] = {}
    for group in groups:
        if group[0].domain is not None:
            for inner, family in enumerate(group):
                for cell in range(family.size):
                    place = Place(len(kinds), cell)
                    places[family.offset + cell] = (place, inner)
                for position, slot in system.slots.items():
                    if slot.mode == family.name:
                        place = Place(len(kinds), None, slot.slot)
                        places[position] = (place, inner)
            _kind(system, kinds, spaces, [f.offset for f in group], group[0].size)
            continue
        for position in range(group[0].offset, group[0].offset + group[0].size):
            places[position] = (Place(len(kinds), 0), 0)
            _kind(system, kinds, spaces, [position], 1)
    return Cells(system, tuple(kinds), tuple(spaces), places)


def _alike(one: Family, other: Family) -> bool:
    return one.domain is other.domain or (
        one.domain == other.domain and one.size == other.size
    )


def _kind(
    system: FieldSystem,
    kinds: list[CellKind],
    spaces: list[Space],
    offsets: list[int],
    count: int,
) -> None:
    modes = tuple(system.space.modes[k] for k in offsets)
    parts = tuple(
        Part(m.label, m.kind.name, m.dimension, m.kind.first(m.size)) for m in modes
    )
    kinds.append(CellKind(parts, tuple(offsets), count))
    spaces.append(Space(tuple(replace(m) for m in modes)))


def _refuse(system: FieldSystem, family: Family) -> None:
    mode: Any = system.space.modes[family.offset]
    if mode.kind.name == "ensemble":
        raise ModelError(
            [
                Diagnostic(
                    "E401",
                    "an ensemble has no density matrix of one site",
                    help="solve by 'cumulants(order = 1)', or put qubits on complete(N)",
                )
            ]
        )
    if mode.kind.name == "boson" and mode.size is None:
        message = f"how many levels of '{family.name}' shall be kept?"
        help_ = f"declare boson(levels = 20), or set levels_{family.name} = 20"
        raise ModelError([Diagnostic("E402", message, help=help_)])
