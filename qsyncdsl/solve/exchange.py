r"""Exchange of identical parts: a Liouvillian in blocks that it does not mix.

A permutation P of alike parts, alone or with complex conjugation, acts on density matrices by

$$ T\rho = P\rho P^\dagger \quad\text{or}\quad T\rho = P\rho^* P^\dagger , \qquad T^2 = 1 , $$

and on the real unknowns of the invariant sector as a permutation with signs. Where $T\mathcal{L} =
\mathcal{L}T$ the unknowns fall into even and odd ones; a stationary state that is unique is even. The
odd blocks are kept, for a second stationary state may lie there. What more there is of translations and
permutations that do not commute, see `solve.identical`, leaves still fewer of the even ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.result import Part
from qsyncdsl.solve.identical import Orbits, cycles, joined, moves

if TYPE_CHECKING:
    from qsyncdsl.solve.generator import Generator

# Unknowns from which on a smaller LU is worth looking for; parts up to which all exchanges are tried;
# exchanges that are used together.
_FEW, _PARTS, _MOST = 200, 6, 3
# Relative difference of T L v and L T v that is rounding.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Exchange:
    """Part k goes to place `order[k]`; complex conjugation besides, or not."""

    order: tuple[int, ...]
    conjugate: bool

    def describe(self, labels: list[str]) -> str:
        """For instance `exchange a1 <-> a2 with complex conjugation`."""
        found = cycles(self.order)
        if not found:
            return "complex conjugation"
        link = " <-> " if self.involution else " -> "
        text = ", ".join(link.join(labels[k] for k in cycle) for cycle in found)
        word = "exchange" if self.involution else "translation"
        return f"{word} {text}" + " with complex conjugation" * self.conjugate

    @property
    def involution(self) -> bool:
        """Whether twice is nothing."""
        return all(self.order[j] == k for k, j in enumerate(self.order))

    @property
    def pair(self) -> tuple[int, int] | None:
        """The two parts that change places, where nothing else happens."""
        found = cycles(self.order)
        if self.conjugate or len(found) != 1 or len(found[0]) != 2:
            return None
        return found[0][0], found[0][1]


def described(found: tuple[Exchange, ...], labels: list[str]) -> list[str]:
    """Exchanges in words; pairs that share parts as all permutations of them."""
    pairs = [x.pair for x in found if x.pair is not None]
    sets = [s for s in joined(pairs) if len(s) > 2]
    words = []
    for exchange in found:
        own = [s for s in sets if exchange.pair is not None and exchange.pair[0] in s]
        text = exchange.describe(labels)
        if own:
            text = "permutations of " + ", ".join(labels[k] for k in own[0])
        if text not in words:
            words.append(text)
    return words


@dataclass(frozen=True)
class Signed:
    """T e_u = sign[u] e_{image[u]}."""

    image: np.ndarray
    sign: np.ndarray

    def of(self, v: np.ndarray) -> np.ndarray:
        """T v."""
        moved = np.empty_like(v)
        moved[self.image] = self.sign * v
        return moved

    def commutes(self, other: Signed) -> bool:
        """Whether the order of two does not matter."""
        return np.array_equal(
            self.image[other.image], other.image[self.image]
        ) and np.array_equal(
            self.sign[other.image] * other.sign, other.sign[self.image] * self.sign
        )

    @property
    def trivial(self) -> bool:
        """Whether nothing changes."""
        return bool((self.sign > 0).all()) and np.array_equal(
            self.image, np.arange(len(self.image))
        )


@dataclass(frozen=True)
class Block:
    """Unknowns y of which x = basis y are of one parity under every exchange.

    Attributes:
        basis: Orbits as columns with entries 1 and -1, (U, u).
        first: One unknown of each orbit, shape (u,): where x is y.
        chosen: The matrix that takes these, (u, U).
    """

    basis: sp.csc_array
    first: np.ndarray
    chosen: sp.csr_array

    def reduced(self, matrix: sp.csc_array) -> sp.csc_array:
        """The matrix on y."""
        return sp.csc_array(self.chosen @ (matrix @ self.basis))


@dataclass(frozen=True)
class Blocks:
    """The even block, and the exchanges that were found: generators of their group.

    Attributes:
        together, more: What those do to the unknowns that commute with one another, and the others.
    """

    even: Block
    found: tuple[Exchange, ...]
    together: tuple[Signed, ...]
    more: tuple[Signed, ...]

    @cached_property
    def odd(self) -> tuple[Block, ...]:
        """All other blocks; few ask for them."""
        blocks = [_whole(self.even.basis.shape[0])]
        for action in self.together:
            blocks = [
                _half(block, _inside(action, block), parity)
                for block in blocks
                for parity in (1.0, -1.0)
            ]
        if self.more:
            rest = _parted(blocks[0], [*self.together, *self.more])[1]
            blocks = [self.even, rest, *blocks[1:]]
        return tuple(block for block in blocks[1:] if len(block.first))


def exchanges(generator: Generator, matrix: sp.csc_array) -> Blocks | None:
    """The blocks of a real Liouvillian at one point; None where no exchange commutes with it."""
    if generator.unknowns < _FEW:
        return None
    probe = _Probe(matrix)
    even = _whole(matrix.shape[0])
    kept: list[tuple[Exchange, Signed]] = []
    left: list[tuple[Exchange, Signed]] = []
    for candidate, action in _candidates(generator):
        full = len(kept) == _MOST
        if full or not all(action.commutes(other) for _, other in kept):
            left.append((candidate, action))
            continue
        if not probe.commutes(action):
            continue
        inside = _inside(action, even)
        if inside.trivial:
            continue
        even = _half(even, inside, 1.0)
        kept.append((candidate, action))
    more = _more(generator, probe, kept, left)
    if not kept and not more:
        return None
    together, others = (tuple(action for _, action in x) for x in (kept, more))
    if others:
        even = _parted(even, [*together, *others])[0]
    found = tuple(candidate for candidate, _ in kept + more)
    return Blocks(even, found, together, others)


def _more(
    generator: Generator,
    probe: _Probe,
    kept: list[tuple[Exchange, Signed]],
    left: list[tuple[Exchange, Signed]],
) -> list[tuple[Exchange, Signed]]:
    """Permutations that commute with L and not with one another, as far as they join more unknowns."""
    found: list[tuple[Exchange, Signed]] = []
    orbits = _orbits([action for _, action in kept]) if kept else None
    # What is said in few words goes first.
    pairs = [item for item in left if item[0].pair]
    others = [item for item in left if not item[0].pair]
    for candidate, action in (*pairs, *_translations(generator), *others):
        if orbits is not None and orbits.holds(action.image, action.sign):
            continue
        if not probe.commutes(action):
            continue
        found.append((candidate, action))
        orbits = _orbits([action for _, action in kept + found])
    return found


def _orbits(actions: list[Signed]) -> Orbits:
    return Orbits.of([a.image for a in actions], [a.sign for a in actions])


def _parted(block: Block, actions: list[Signed]) -> tuple[Block, Block]:
    """The invariant combinations of the orbits of a block, and the others."""
    orbits = _orbits(actions)
    count = len(block.first)
    weights = np.diff(block.basis.indptr).astype(float)
    sums = orbits.split(block.first, weights, count)
    return tuple(  # type: ignore[return-value]
        _chosen(block, first, own)
        for first, own in zip(orbits.kept(block.first), sums, strict=True)
    )


def _chosen(block: Block, mine: np.ndarray, sums: sp.csc_array) -> Block:
    """A block of combinations of the vectors of another, each with the one that stands for it."""
    first = block.first[mine]
    ones = np.ones(len(mine)), (np.arange(len(mine)), first)
    chosen = sp.csr_array(ones, shape=(len(mine), block.basis.shape[0]))
    return Block(sp.csc_array(block.basis @ sums), first, chosen)


def _translations(generator: Generator) -> Iterator[tuple[Exchange, Signed]]:
    for order in moves(generator.problem.parts, _PARTS):
        for conjugate in (False, True):
            yield from _tried(generator, Exchange(order, conjugate))


def _tried(
    generator: Generator, exchange: Exchange
) -> Iterator[tuple[Exchange, Signed]]:
    """An exchange with what it does to the unknowns, if it keeps the sector."""
    if exchange not in generator.exchanges:
        generator.exchanges[exchange] = _action(generator, exchange)
    action = generator.exchanges[exchange]
    if action is not None:
        yield exchange, action


def _candidates(generator: Generator) -> Iterator[tuple[Exchange, Signed]]:
    for exchange in possible(generator.problem.parts):
        yield from _tried(generator, exchange)


def most_gain(parts: tuple[Part, ...]) -> float:
    """How much less the work of an LU may be: the square of what is left of the unknowns."""
    alike = Counter((part.kind, part.dimension, part.offset) for part in parts)
    return 16.0 * factorial(min(_PARTS, max(alike.values()))) ** 2


def possible(parts: tuple[Part, ...]) -> Iterator[Exchange]:
    """All exchanges of parts that are alike in kind and dimension, the smallest first."""
    every = tuple(range(len(parts)))
    alike = [(p.kind, p.dimension, p.offset) for p in parts]
    orders = permutations(every) if len(parts) <= _PARTS else [every]
    found = [
        order
        for order in orders
        if all(order[order[k]] == k and alike[order[k]] == alike[k] for k in every)
    ]
    found.sort(key=lambda order: sum(a != b for a, b in zip(order, every, strict=True)))
    for order in found:
        if order != every:
            yield Exchange(order, False)
    for order in found:
        yield Exchange(order, True)


def _action(generator: Generator, exchange: Exchange) -> Signed | None:
    """What an exchange does to the real unknowns; None where it leaves the sector."""
    form, where = generator.form, generator.sector
    moved = _states(generator.problem, exchange.order)
    upper = np.flatnonzero(form.sign > 0)
    target = where.place[moved[where.rows[upper]], moved[where.columns[upper]]]
    if (target < 0).any():
        return None
    size = generator.unknowns
    image, sign = np.empty(size, dtype=int), np.ones(size)
    image[form.re[upper]] = form.re[target]
    off = form.im[upper] >= 0
    mine = form.im[upper[off]]
    image[mine] = form.im[target[off]]
    sign[mine] = form.sign[target[off]] * (-1.0 if exchange.conjugate else 1.0)
    return Signed(image, sign)


def _states(problem: LindbladProblem, order: tuple[int, ...]) -> np.ndarray:
    """Where each basis state goes."""
    dims = [part.dimension for part in problem.parts]
    occupations = np.unravel_index(np.arange(problem.dimension), dims)
    moved = [occupations[order.index(k)] for k in range(len(dims))]
    return np.asarray(np.ravel_multi_index(moved, dims))


class _Probe:
    """Whether T L = L T, asked of a vector without any structure."""

    def __init__(self, matrix: sp.csc_array) -> None:
        self.matrix = matrix
        self.vector = np.cos(1.0 + 0.7 * np.arange(matrix.shape[0]) ** 1.1)
        self.image = matrix @ self.vector
        self.largest = float(np.abs(self.image).max(initial=0.0))

    def commutes(self, action: Signed) -> bool:
        """Whether T L v = L T v."""
        there = self.matrix @ action.of(self.vector)
        change = np.abs(there - action.of(self.image)).max(initial=0.0)
        return bool(change <= _ROUNDING * self.largest)


def _whole(size: int) -> Block:
    one = sp.eye_array(size, format="csc")
    return Block(one, np.arange(size), sp.csr_array(one))


def _inside(action: Signed, block: Block) -> Signed:
    """What T does to the orbits of a block."""
    orbit = np.full(len(action.image), -1)
    entries = block.basis.tocoo()
    weight = np.zeros(len(action.image))
    orbit[entries.coords[0]] = entries.coords[1]
    weight[entries.coords[0]] = entries.data
    there = action.image[block.first]
    return Signed(orbit[there], action.sign[block.first] * weight[there])


def _half(block: Block, action: Signed, parity: float) -> Block:
    """The even or the odd combinations of the orbits of a block."""
    own = np.arange(len(action.image))
    fixed = (own == action.image) & (action.sign * parity > 0)
    mine = np.flatnonzero((own < action.image) | fixed)
    column = np.arange(len(mine))
    two = action.image[mine] != mine
    rows = np.concatenate([mine, action.image[mine[two]]])
    columns = np.concatenate([column, column[two]])
    data = np.concatenate([np.ones(len(mine)), parity * action.sign[mine[two]]])
    shape = (len(action.image), len(mine))
    sums = sp.csc_array((data, (rows, columns)), shape=shape)
    return _chosen(block, mine, sums)
