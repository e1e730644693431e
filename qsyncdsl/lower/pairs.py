r"""What acts on two cells at once: the part of H and of the jumps that a product state does not see.

For a term AB of H the commutator $-iv[A_jB_k, \rho]$, and for two terms u, v of a jump
$\gamma(u\rho v^\dagger - \tfrac12\{v^\dagger u, \rho\})$ with $u = A_jB_k$ and $v = A'_jB'_k$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from qsyncdsl.algebra.fields import Pattern
from qsyncdsl.algebra.operators import ONE, Monomial
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.lower.cells import Cells, Place
from qsyncdsl.lower.kernel_names import KernelNames, sites_of
from qsyncdsl.problem import PairTerm

# Terms of one operator, and sites of a complete graph with couplings that differ, up to which pairs are listed.
_SITES = 64


def pair_terms(
    cells: Cells, names: KernelNames, patterns: tuple[Pattern, ...]
) -> tuple[PairTerm, ...] | None:
    """The terms on two cells; None where some act on three and more, or are too many."""
    found = []
    for pattern in patterns:
        if len(pattern.operator.terms) > _SITES:
            return None
        split = {m: cells.split(m, pattern.span) for m in pattern.operator.terms}
        for factors, others, value in _products(cells, pattern, split):
            places = sorted({**factors, **(others or {})}, key=str)
            if len(places) == 1 and _complete(pattern) and places[0].slot is not None:
                # on one site, but once for each of the others
                places.append(replace(places[0], slot=1 - places[0].slot))
            if len(places) < 2:
                continue
            term = None
            if len(places) == 2:
                pair = places[0], places[1]
                term = _term(cells, names, pattern, pair, factors, others, value)
            if term is None:
                return None
            found.append(term)
    return tuple(found)


def _complete(pattern: Pattern) -> bool:
    return bool(pattern.edges) and pattern.graph.name == "complete"


def _products(
    cells: Cells, pattern: Pattern, split: Mapping[Monomial, Mapping[Place, Monomial]]
) -> list[tuple[Mapping[Place, Monomial], Mapping[Place, Monomial] | None, Any]]:
    """The factors u and v of each term with its coefficient; no v for a commutator."""
    terms = pattern.operator.terms
    if pattern.rate is None:
        factor = -SYMBOLIC.imaginary / cells.system.hbar
        return [(split[m], None, factor * value) for m, value in terms.items()]
    return [
        (split[u], split[v], pattern.rate * c * SYMBOLIC.conjugate(d))
        for (u, c), (v, d) in product(terms.items(), repeat=2)
    ]


def _term(
    cells: Cells,
    names: KernelNames,
    pattern: Pattern,
    places: tuple[Place, Place],
    factors: Mapping[Place, Monomial],
    others: Mapping[Place, Monomial] | None,
    value: Any,
) -> PairTerm | None:
    one, other = places

    def pair(by_place: Mapping[Place, Monomial]) -> tuple[int, int]:
        a, b = (
            cells.matrix(p.kind, cells.operator(p.kind, by_place.get(p, ONE)))
            for p in (one, other)
        )
        return a, b

    expression = names.oriented(value, 0)
    complete = _complete(pattern)
    if complete and None in (one.slot, other.slot):
        return None
    listed = _sites(pattern, complete and not names.differs(expression))
    if listed is None:
        return None
    first, second = listed
    row = names.by_site(expression, {"site": first, "other": second})
    columns = [_cells(p, first, second) for p in (one, other)]
    return PairTerm(
        kinds=(one.kind, other.kind),
        left=pair(factors),
        right=None if others is None else pair(others),
        coefficient=-1 if row is not None else names.index(expression),
        varying=-1 if row is None else row,
        weight=0.5 if complete else 1.0,
        complete=complete,
        cells=np.stack(columns, axis=1) if len(first) else np.zeros((0, 2), int),
    )


def _cells(place: Place, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if place.slot is None:
        assert place.cell is not None
        return np.full(len(first), place.cell)
    return second if place.slot else first


def _sites(pattern: Pattern, uniform: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """The first and the second site of every instance; none where all pairs are alike."""
    graph = pattern.graph
    if graph is None:
        return np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    if uniform:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    n = sites_of(graph)
    if not pattern.edges:
        return np.arange(n), np.arange(n)
    if _complete(pattern):
        if n > _SITES:
            return None
        first, second = np.divmod(np.arange(n * n), n)
        return first, second
    edges = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
    return np.ascontiguousarray(edges[:, 0]), np.ascontiguousarray(edges[:, 1])
