r"""Gutzwiller mean field: equations of the factors of $\rho = \bigotimes_c \rho_c$ from H and the jumps.

Tracing a product state over all cells but one leaves, for a term $\prod_c O_c$ of H, the commutator with
$O_c\prod_{c'\ne c}\langle O_{c'}\rangle$, and for a jump $\sum_u X_u Y_u$, X on the cell and Y elsewhere,

$$ \sum_{uv}\gamma\langle Y_v^\dagger Y_u\rangle
   \Big(X_u\rho_c X_v^\dagger - \tfrac12\{X_v^\dagger X_u,\rho_c\}\Big) . $$

`complete(N)` is taken in the limit of large N: a sum over the other sites is a sum over all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from qsyncdsl.algebra.fields import FieldSystem, Pattern
from qsyncdsl.algebra.operators import ONE, Monomial, Polynomial
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.algebra.symmetry import weak_symmetry
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.cells import Cells, Place, cells_of
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.field_equations import Group
from qsyncdsl.lower.kernel_names import KernelNames, sites_of
from qsyncdsl.lower.langevin import field_families
from qsyncdsl.lower.meanfield_text import meanfield_latex, meanfield_texts
from qsyncdsl.lower.pairs import pair_terms
from qsyncdsl.problem import EVERYONE, CellTerm, Lowered, MeanFieldProblem
from qsyncdsl.source import Span

# Pairs of sites that are written out where couplings differ from pair to pair.
_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A term of the equation of one cell, before its instances are counted.

    Attributes:
        target: The cell.
        left, right: With `right`, the jump part $X\\rho Y^\\dagger - \\{Y^\\dagger X, \\rho\\}/2$; without,
            the commutator $[X, \\rho]$.
        factors: What is averaged elsewhere.
        value: The coefficient.
    """

    group: Group
    target: Place
    left: Polynomial
    right: Polynomial | None
    factors: tuple[tuple[Place, Polynomial], ...]
    value: Any
    span: Span = field(repr=False, compare=False)


def meanfield(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the equations of a product state.

    Raises:
        ModelError: E401, E402, E403, E417 (functions across sites), E418 (too many pairs).
    """
    cells = cells_of(system)
    pieces = _merged([p for x in system.patterns for p in _pieces(cells, x)])
    names = KernelNames(system)
    terms = tuple(t for piece in pieces for t in _terms(cells, names, piece))
    rates = tuple(_rate(names, p) for p in system.patterns if p.rate is not None)
    charges = _charges(cells, system)
    pairs = pair_terms(cells, names, tuple(system.patterns))
    coefficients, keys = coefficient_source(names.expressions, names.sortable())
    problem = MeanFieldProblem(
        families=field_families(system),
        kinds=cells.kinds,
        matrices=cells.matrices(),
        terms=terms,
        coefficients=coefficients,
        varying=tuple(names.varying),
        rates=rates,
        charges=charges,
        pairs=pairs,
        equations=meanfield_texts(cells, pieces),
        latex=meanfield_latex(cells, pieces),
        title=title,
    )
    return Lowered(problem, tuple(names.plain(key) for key in keys))


# ── tracing out ──────────────────────────────────────────────────────────────────────────────


def _pieces(cells: Cells, pattern: Pattern) -> Iterator[Piece]:
    """What a pattern adds to the equation of each of its cells."""
    group = Group(pattern.graph, pattern.edges)
    split = {m: cells.split(m, pattern.span) for m in pattern.operator.terms}
    if pattern.rate is None:
        hbar = cells.system.hbar
        for monomial, value in pattern.operator.terms.items():
            factors = split[monomial]
            for target, own in factors.items():
                others = tuple(
                    (place, cells.operator(place.kind, m))
                    for place, m in factors.items()
                    if place != target
                )
                number = -SYMBOLIC.imaginary * value / hbar
                operator = cells.operator(target.kind, own)
                yield Piece(group, target, operator, None, others, number, pattern.span)
        return
    targets = sorted({p for f in split.values() for p in f}, key=str)
    for (u, c), (v, d) in product(pattern.operator.terms.items(), repeat=2):
        value = pattern.rate * c * SYMBOLIC.conjugate(d)
        for target in targets:
            yield from _jump_pieces(
                cells, group, target, split[u], split[v], value, pattern.span
            )


def _jump_pieces(
    cells: Cells,
    group: Group,
    target: Place,
    u: Mapping[Place, Monomial],
    v: Mapping[Place, Monomial],
    value: Any,
    span: Span,
) -> Iterator[Piece]:
    """A pair of terms of a jump, traced over all cells but the target."""
    one, other = u.get(target, ONE), v.get(target, ONE)
    if one == ONE and other == ONE:
        return
    factors = []
    for place in {**u, **v}:
        if place == target:
            continue
        left = cells.operator(place.kind, v.get(place, ONE)).dag()
        averaged = left * cells.operator(place.kind, u.get(place, ONE))
        factors.append((place, averaged))
    x = cells.operator(target.kind, one)
    y = cells.operator(target.kind, other)
    half = value / SYMBOLIC.number(2)
    if other == ONE:
        yield Piece(group, target, x, None, tuple(factors), half, span)
    elif one == ONE:
        yield Piece(group, target, y.dag(), None, tuple(factors), -half, span)
    else:
        yield Piece(group, target, x, y, tuple(factors), value, span)


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Pieces that differ in their coefficients only, added."""
    found: dict[Any, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(
            (piece.group, piece.target, piece.left, piece.right, piece.factors), []
        ).append(piece)
    result = []
    for same in found.values():
        value = SYMBOLIC.add([p.value for p in same])
        if not SYMBOLIC.is_zero(value):
            first = same[0]
            result.append(
                Piece(
                    first.group,
                    first.target,
                    first.left,
                    first.right,
                    first.factors,
                    value,
                    first.span,
                )
            )
    return result


# ── instances ────────────────────────────────────────────────────────────────────────────────


def _terms(cells: Cells, names: KernelNames, piece: Piece) -> Iterator[CellTerm]:
    """A piece for every site or edge of its lattice; means of sums of operators one by one."""
    left = cells.matrix(piece.target.kind, piece.left)
    right = (
        None if piece.right is None else cells.matrix(piece.target.kind, piece.right)
    )
    complete = piece.group.edges and piece.group.graph.name == "complete"
    expression = names.oriented(piece.value, 0)
    uniform = complete and not names.differs(expression)
    arrays = _arrays(piece.group, piece.span, uniform)
    first, second = arrays["site"], arrays["other"]
    n = len(first)
    weight = 0.5 if complete else 1.0
    slots = {p.slot for p in (piece.target, *(p for p, _ in piece.factors))} - {None}
    if uniform:
        weight *= float(sites_of(piece.group.graph)) ** (2 - len(slots))
    row = names.by_site(expression, arrays)
    index = -1 if row is not None else names.index(expression)

    def cell_of(place: Place) -> np.ndarray:
        if place.slot is None:
            assert place.cell is not None
            return np.full(n, place.cell)
        if uniform:
            return np.full(n, EVERYONE)
        return second if place.slot else first

    targets = (
        None if uniform and piece.target.slot is not None else cell_of(piece.target)
    )
    choices = []
    for place, operator in piece.factors:
        choices.append(
            [
                (
                    complex(c),
                    (
                        place.kind,
                        cells.matrix(place.kind, cells.operator(place.kind, m)),
                    ),
                )
                if m != ONE
                else (complex(c), None)
                for m, c in operator.terms.items()
            ]
        )
    places = [place for place, _ in piece.factors]
    for choice in product(*choices):
        number = np.prod([c for c, _ in choice]) if choice else 1.0
        kept = [k for k, (_, f) in enumerate(choice) if f is not None]
        more = 1.0
        if uniform:
            # the mean of the identity on the other sites, once for each of them
            lost = sum(
                places[k].slot is not None for k in range(len(choice)) if k not in kept
            )
            more = float(sites_of(piece.group.graph)) ** lost
        columns = [cell_of(places[k]) for k in kept]
        yield CellTerm(
            kind=piece.target.kind,
            left=left,
            right=right,
            coefficient=index,
            varying=-1 if row is None else row,
            weight=weight * more * complex(number),
            targets=targets,
            factors=tuple(choice[k][1] for k in kept),  # type: ignore[misc]
            cells=np.stack(columns, axis=1)
            if columns
            else np.zeros((n, 0), dtype=np.int64),
        )


def _arrays(group: Group, span: Span, uniform: bool) -> dict[str, np.ndarray]:
    """The first and the second site of every instance.

    Raises:
        ModelError: E418 for more pairs than can be written out.
    """
    graph = group.graph
    if graph is None or uniform:
        alone = np.zeros(1, dtype=np.int64)
        return {"site": alone, "other": alone}
    n = sites_of(graph)
    if not group.edges:
        return {"site": np.arange(n), "other": np.arange(n)}
    if graph.name == "complete":
        if n * n > _PAIRS:
            message = f"couplings that differ between {n * n} pairs of sites do not fit"
            help_ = f"at most {int(_PAIRS**0.5)} sites"
            raise ModelError([Diagnostic("E418", message, span, help=help_)])
        first, second = np.divmod(np.arange(n * n), n)
        return {"site": first, "other": second}
    edges = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
    return {
        "site": np.ascontiguousarray(edges[:, 0]),
        "other": np.ascontiguousarray(edges[:, 1]),
    }


def _rate(names: KernelNames, pattern: Pattern) -> tuple[int, int, str]:
    """Where the rate of a dissipator is found: its coefficient, or the row where sites differ."""
    expression = names.oriented(pattern.rate, 0)
    label = str(pattern.operator)
    if not names.differs(expression):
        return names.index(expression), -1, label
    arrays = _arrays(Group(pattern.graph, pattern.edges), pattern.span, False)
    return -1, names.by_site(expression, arrays) or 0, label


# ── symmetry ─────────────────────────────────────────────────────────────────────────────────


def _charges(cells: Cells, system: FieldSystem) -> tuple[np.ndarray, ...] | None:
    """A charge of the basis states of each kind that all terms keep; None if there is none."""
    starts = np.cumsum([0, *(len(kind.parts) for kind in cells.kinds)])
    vectors: set[tuple[int, ...]] = set()
    for pattern in system.patterns:
        found = [
            _shifts(cells, cells.split(m, pattern.span), starts)
            for m in pattern.operator.terms
        ]
        if pattern.rate is None:
            vectors.update(v for shifts in found for v in shifts)
        elif found:
            every = [np.array(v) for shifts in found for v in shifts]
            vectors.update(tuple((v - every[0]).tolist()) for v in every)
    symmetry = weak_symmetry(vectors, int(starts[-1]))
    for charge, modulus in zip(symmetry.charges, symmetry.moduli, strict=True):
        if modulus == 0:
            return tuple(
                _levels(kind) @ np.array(charge[a:b])
                for kind, a, b in zip(cells.kinds, starts, starts[1:], strict=False)
            )
    return None


def _levels(kind: Any) -> np.ndarray:
    dims = [part.dimension for part in kind.parts]
    flat = np.arange(kind.dimension)
    return np.stack(np.unravel_index(flat, dims), axis=1)


def _shifts(
    cells: Cells, factors: Mapping[Place, Monomial], starts: np.ndarray
) -> list[tuple[int, ...]]:
    """Changes of the occupations, added over cells of the same kind."""
    totals = [np.zeros(int(starts[-1]), dtype=int)]
    for place, monomial in factors.items():
        mine = slice(starts[place.kind], starts[place.kind + 1])
        longer = []
        for total, shift in product(totals, cells.shifts(place.kind, monomial)):
            more = total.copy()
            more[mine] += shift
            longer.append(more)
        totals = longer
    return [tuple(t.tolist()) for t in totals]
