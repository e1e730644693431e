r"""Exchange of identical parts: a Liouvillian in blocks that it does not mix.

A permutation P of alike parts, alone or with complex conjugation, acts on density matrices by

$$ T\rho = P\rho P^\dagger \quad\text{or}\quad T\rho = P\rho^* P^\dagger , \qquad T^2 = 1 , $$

and on the real unknowns of the invariant sector as a permutation with signs. Where $T\mathcal{L} =
\mathcal{L}T$ the unknowns fall into even and odd ones; a stationary state that is unique is even. The
odd blocks are kept, for a second stationary state may lie there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.result import Part

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
        """For instance `a1 <-> a2 with complex conjugation`."""
        pairs = [
            f"{labels[k]} <-> {labels[j]}" for k, j in enumerate(self.order) if k < j
        ]
        text = ", ".join(pairs)
        if not self.conjugate:
            return f"exchange {text}"
        return (
            f"exchange {text} with complex conjugation"
            if pairs
            else "complex conjugation"
        )


@dataclass(frozen=True)
class Signed:
    """T e_u = sign[u] e_{image[u]}, with T^2 = 1."""

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
    """The even block, all others, and the exchanges that were found."""

    even: Block
    odd: tuple[Block, ...]
    found: tuple[Exchange, ...]


def exchanges(generator: Generator, matrix: sp.csc_array) -> Blocks | None:
    """The blocks of a real Liouvillian at one point; None where no exchange commutes with it."""
    if generator.unknowns < _FEW:
        return None
    blocks: list[Block] = []
    kept: list[tuple[Exchange, Signed]] = []
    for candidate, action in _candidates(generator):
        if len(kept) == _MOST:
            break
        if not all(action.commutes(other) for _, other in kept):
            continue
        if not _commutes(matrix, action):
            continue
        now = blocks or [_whole(len(action.image))]
        inside = [_inside(action, block) for block in now]
        if inside[0].trivial:
            continue
        blocks = [
            new
            for block, own in zip(now, inside, strict=True)
            for new in _halves(block, own)
        ]
        kept.append((candidate, action))
    if not kept:
        return None
    odd = tuple(block for block in blocks[1:] if len(block.first))
    return Blocks(blocks[0], odd, tuple(candidate for candidate, _ in kept))


def _candidates(generator: Generator) -> Iterator[tuple[Exchange, Signed]]:
    for exchange in possible(generator.problem.parts):
        if exchange not in generator.exchanges:
            generator.exchanges[exchange] = _action(generator, exchange)
        action = generator.exchanges[exchange]
        if action is not None:
            yield exchange, action


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


def _commutes(matrix: sp.csc_array, action: Signed) -> bool:
    """Whether T L = L T, on a vector without any structure."""
    v = np.cos(1.0 + 0.7 * np.arange(matrix.shape[0]) ** 1.1)
    there, back = matrix @ action.of(v), action.of(matrix @ v)
    largest = float(np.abs(back).max(initial=0.0))
    return bool(np.abs(there - back).max(initial=0.0) <= _ROUNDING * largest)


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


def _halves(block: Block, action: Signed) -> tuple[Block, Block]:
    """The even and the odd combinations of the orbits of a block."""
    own = np.arange(len(action.image))
    pairs = own < action.image
    fixed = own == action.image
    return (
        _half(block, action, pairs | (fixed & (action.sign > 0)), 1.0),
        _half(block, action, pairs | (fixed & (action.sign < 0)), -1.0),
    )


def _half(block: Block, action: Signed, kept: np.ndarray, parity: float) -> Block:
    mine = np.flatnonzero(kept)
    column = np.arange(len(mine))
    two = action.image[mine] != mine
    rows = np.concatenate([mine, action.image[mine[two]]])
    columns = np.concatenate([column, column[two]])
    data = np.concatenate([np.ones(len(mine)), parity * action.sign[mine[two]]])
    shape = (len(action.image), len(mine))
    sums = sp.csc_array((data, (rows, columns)), shape=shape)
    first = block.first[mine]
    chosen = sp.csr_array(
        (np.ones(len(mine)), (column, first)), shape=(len(mine), block.basis.shape[0])
    )
    return Block(sp.csc_array(block.basis @ sums), first, chosen)
