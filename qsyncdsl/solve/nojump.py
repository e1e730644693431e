r"""Stationary states by GMRES, preconditioned by the evolution without jumps: the jump chain.

$\mathcal{L} = \mathcal{L}_0 + \mathcal{J}$ with $\mathcal{L}_0\rho = -i(K\rho - \rho K^\dagger)$,
$K = H - \tfrac{i}{2}\sum_c \gamma_c L_c^\dagger L_c$, and $\mathcal{J}\rho = \sum_c \gamma_c L_c\rho L_c^\dagger$.
$\mathcal{L}_0$ is inverted in the eigenbasis of $K$, block by block of the conserved charges. The blocks are put
in an order in which most jumps lead forward; these are solved for together with $\mathcal{L}_0$ by
substitution, $M = \mathcal{L}_0 + \mathcal{J}_{\text{forward}}$, and the stationary state is the fixed point of
$-M^{-1}\mathcal{J}_{\text{back}}$. Needs the memory of some density matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from qsyncdsl.solve.blas import one_thread
from qsyncdsl.solve.krylov import gmres

if TYPE_CHECKING:
    from qsyncdsl.solve.generator import At

# Condition number of the eigenvectors of K above which its Schur form is used.
_WORST_BASIS = 1e8
_TOLERANCE = 1e-12
# Part of what is missing of a state of fewer levels that may be left.
_PART = 1e-4
_MOST_ITERATIONS = 2000
# Vectors between restarts, as many as fit into this many numbers.
_RESTARTS, _NUMBERS = (30, 100), 8e6
# Entries for each element of a block up to which a jump is kept as one sparse superoperator.
_SPARSE = 24
# Charges up to which all their orders are tried.
_FEW_CHARGES = 3

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Elements:
    """A density matrix by the blocks that charges leave.

    Attributes:
        blocks: The states of each, and where its elements lie in `x`.
    """

    dimension: int
    blocks: list[tuple[np.ndarray, slice]]
    x: np.ndarray

    def matrix(self) -> np.ndarray:
        """The density matrix, shape (D, D)."""
        rho = np.zeros((self.dimension, self.dimension), dtype=complex)
        for states, place in self.blocks:
            size = len(states)
            rho[np.ix_(states, states)] = self.x[place].reshape(size, size)
        return rho


def no_jump_steadystate(
    at: At,
    most: int = _MOST_ITERATIONS,
    near: tuple[Elements, np.ndarray] | None = None,
) -> tuple[Elements, str, float] | None:
    """The stationary state, how it was found, and max|L rho|; None without convergence.

    Args:
        most: Iterations after which it is given up.
        near: A state of fewer levels and which state each of its states is here: then what is missing of
            it is found to some parts in ten thousand.
    """
    chain = jump_chain(at)
    first = None if near is None else chain.embedded(*near)
    if near is not None and first is None:
        return None
    with one_thread():
        found = chain.stationary(most, first)
    if found is None:
        return None
    x, steps = found
    x /= x[chain.diagonal].sum()
    blocks = f"{len(chain.blocks)} blocks, " if len(chain.blocks) > 1 else ""
    text = f"GMRES preconditioned by the evolution without jumps, {blocks}{steps} iterations"
    places = [(block.states, block.place) for block in chain.blocks]
    return Elements(chain.dimension, places, x), text, chain.residual(x)


@dataclass(frozen=True)
class _Block:
    """The states of one charge, where their elements lie, K on them, and (L_0 - shift)^-1."""

    states: np.ndarray
    place: slice
    effective: sp.csr_array
    invert: Transform


@dataclass(frozen=True)
class _Arrival:
    """What jumps bring into one block from others.

    Attributes:
        sparse: Superoperator on all elements, or None.
        moves: Sources and matrices of jumps with too many entries for that.
    """

    sparse: sp.csr_array | None
    moves: tuple[tuple[_Block, np.ndarray], ...]

    def of(self, x: np.ndarray, size: int) -> np.ndarray:
        """The sum of L x L', shape (size, size)."""
        if self.sparse is not None:
            total = (self.sparse @ x).reshape(size, size)
        else:
            total = np.zeros((size, size), dtype=complex)
        return total + _moved(self.moves, x, size) if self.moves else total


def _moved(
    moves: tuple[tuple[_Block, np.ndarray], ...], x: np.ndarray, size: int
) -> np.ndarray:
    """The sum of L x L' of some jumps, shape (size, size)."""
    total = np.zeros((size, size), dtype=complex)
    for source, jump in moves:
        inner = x[source.place].reshape(len(source.states), -1)
        total += jump @ inner @ jump.conj().T
    return total


@dataclass(frozen=True)
class JumpChain:
    """A Liouvillian in blocks, in an order in which most jumps lead forward."""

    dimension: int
    blocks: list[_Block]
    forward: list[_Arrival]
    back: list[_Arrival]
    shift: float

    @property
    def size(self) -> int:
        """Number of elements in all blocks."""
        return self.blocks[-1].place.stop

    @cached_property
    def sparse_back(self) -> sp.csr_array | None:
        """The sparse jumps back of all blocks at once; None where there are none."""
        sizes = [(len(b.states) ** 2, self.size) for b in self.blocks]
        rows = [a.sparse for a in self.back]
        if all(r is None for r in rows):
            return None
        return sp.vstack(
            [
                sp.csr_array(n) if r is None else r
                for r, n in zip(rows, sizes, strict=True)
            ],
            format="csr",
        )

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Places of the populations."""
        sizes = [(b.place.start, len(b.states)) for b in self.blocks]
        return np.concatenate([start + np.arange(n) * (n + 1) for start, n in sizes])

    @cached_property
    def flip(self) -> np.ndarray:
        """Place of the transposed element."""
        sizes = [(b.place.start, len(b.states)) for b in self.blocks]
        return np.concatenate(
            [start + np.arange(n * n).reshape(n, n).T.ravel() for start, n in sizes]
        )

    def residual(self, x: np.ndarray) -> float:
        """The largest |L x|."""
        worst = 0.0
        for block, forward, back in zip(
            self.blocks, self.forward, self.back, strict=True
        ):
            size = len(block.states)
            half = -1j * (block.effective @ x[block.place].reshape(size, size))
            gain = back.of(x, size) + forward.of(x, size)
            worst = max(worst, float(np.abs(half + half.conj().T + gain).max()))
        return worst

    def propagate(self, x: np.ndarray) -> np.ndarray:
        """-M^-1 (J_back + shift) x for elements of Hermitian blocks."""
        found = np.zeros_like(x)
        arriving = self.shift * x
        if self.sparse_back is not None:
            arriving += self.sparse_back @ x
        for block, forward, back in zip(
            self.blocks, self.forward, self.back, strict=True
        ):
            size = len(block.states)
            gain = forward.of(found, size) + arriving[block.place].reshape(size, size)
            if back.moves:
                gain += _moved(back.moves, x, size)
            found[block.place] = -block.invert(gain).ravel()
        return found

    def embedded(self, few: Elements, states: np.ndarray) -> np.ndarray | None:
        """A state of fewer levels; None where its blocks are not parts of these."""
        block_of, inside = np.empty((2, self.dimension), dtype=np.int64)
        for k, block in enumerate(self.blocks):
            block_of[block.states] = k
            inside[block.states] = np.arange(len(block.states))
        x = np.zeros(self.size, dtype=complex)
        for own, place in few.blocks:
            (number, *others) = np.unique(block_of[states[own]])
            if others:
                return None
            block, at = self.blocks[number], inside[states[own]]
            where = np.add.outer(at * len(block.states), at).ravel()
            x[block.place.start + where] = few.x[place]
        return x

    def stationary(
        self, most: int = _MOST_ITERATIONS, first: np.ndarray | None = None
    ) -> tuple[np.ndarray, int] | None:
        """The elements of the stationary state and the number of iterations.

        Args:
            first: Elements of unit trace of which most is right: what is missing is found to a part of itself.
        """
        identity = np.zeros(self.size, dtype=complex)
        diagonal, flip = self.diagonal, self.flip
        identity[diagonal] = 1 / len(diagonal)
        start = _real(self.propagate(identity))
        start /= start[diagonal].sum()

        def equation(r: np.ndarray) -> np.ndarray:
            moved = _real(self.propagate(_hermitian(r, flip)))
            return r - moved + start * r[diagonal].sum()

        begin, relative, absolute = start, _TOLERANCE, 0.0
        if first is not None:
            begin = _real(first)
            left = float(np.linalg.norm(start - equation(begin)))
            relative, absolute = 0.0, _PART * left
        few, many = _RESTARTS
        restart = min(self.size, max(few, min(many, int(_NUMBERS / self.size))))
        cycles = max(1, _MOST_ITERATIONS // restart)
        found = gmres(
            equation, start, relative, restart, cycles, absolute, begin,
            lambda steps, norm: steps > most,
        )  # fmt: skip
        if found is None or (
            found.failed and (first is not None or found.norm > 1e-10)
        ):
            return None
        return _hermitian(found.x, flip), found.steps


def _real(x: np.ndarray) -> np.ndarray:
    """Hermitian blocks as Re x + Im x."""
    return np.asarray(x.real + x.imag)


def _hermitian(r: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """x from Re x + Im x."""
    other = r[flip]
    return (r + other) / 2 + 0.5j * (r - other)


# ── building the chain ───────────────────────────────────────────────────────────────────────


def jump_chain(at: At) -> JumpChain:
    """The chain of a model at a point."""
    effective, jumps = at.effective
    labels = at.generator.labels
    groups = _groups(labels)
    shift = _shift(effective)
    moves = list(_moves(jumps, groups, len(labels)))
    order = _order(np.array([labels[g[0]] for g in groups]), moves)
    rank = np.argsort(order)
    blocks: list[_Block] = []
    done = 0
    for k in order:
        states = groups[k]
        place = slice(done, done + len(states) ** 2)
        own = sp.csr_array(effective[states, :][:, states])
        blocks.append(_Block(states, place, own, _inverse(own.toarray(), shift)))
        done = place.stop
    incoming: list[tuple[list[_Move], list[_Move]]] = [([], []) for _ in blocks]
    for move in moves:
        source, target = int(rank[move.source]), int(rank[move.target])
        incoming[target][0 if source < target else 1].append(
            _Move(source, target, move.matrix)
        )
    forward = [
        _arrival(m, blocks, blocks[k], done) for k, (m, _) in enumerate(incoming)
    ]
    back = [_arrival(m, blocks, blocks[k], done) for k, (_, m) in enumerate(incoming)]
    return JumpChain(len(labels), blocks, forward, back, shift)


@dataclass(frozen=True)
class _Move:
    """The part of one jump operator that leads from one block to another."""

    source: int
    target: int
    matrix: sp.csr_array


def _arrival(
    moves: list[_Move], blocks: list[_Block], target: _Block, size: int
) -> _Arrival:
    """Jumps into a block, sparse ones as one superoperator."""
    elements = len(target.states) ** 2
    sparse = [m for m in moves if m.matrix.nnz**2 <= _SPARSE * elements]
    dense = [m for m in moves if m.matrix.nnz**2 > _SPARSE * elements]
    total = None
    if sparse:
        pieces = [
            _superoperator(m.matrix, blocks[m.source].place.start) for m in sparse
        ]
        rows, columns, data = (
            np.concatenate(numbers) for numbers in zip(*pieces, strict=True)
        )
        total = sp.csr_array((data, (rows, columns)), shape=(elements, size))
    return _Arrival(total, tuple((blocks[m.source], m.matrix.toarray()) for m in dense))


def _superoperator(
    jump: sp.csr_array, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L x L' on elements row by row: rows, columns from `first` on, values."""
    entries = jump.tocoo()
    rows, columns = (c.astype(np.int64) for c in entries.coords)
    size, other = jump.shape
    return (
        np.add.outer(rows * size, rows).ravel(),
        first + np.add.outer(columns * other, columns).ravel(),
        np.multiply.outer(entries.data, entries.data.conj()).ravel(),
    )


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    """The basis states of each charge."""
    if labels.shape[1] == 0:
        return [np.arange(len(labels))]
    _, which = np.unique(labels, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel()))
    return np.split(order, ends[:-1])


def _order(labels: np.ndarray, moves: list[_Move]) -> np.ndarray:
    """An order of the blocks in which as much as possible of the jumps leads forward."""
    count = labels.shape[1]
    if count == 0 or len(labels) == 1:
        return np.arange(len(labels))
    source = np.array([m.source for m in moves], dtype=int)
    target = np.array([m.target for m in moves], dtype=int)
    weight = np.array([(np.abs(m.matrix.data) ** 2).sum() for m in moves])
    best, found = -1.0, np.arange(len(labels))
    firsts = permutations(range(count)) if count <= _FEW_CHARGES else [range(count)]
    for columns in firsts:
        for signs in product((1, -1), repeat=min(count, _FEW_CHARGES)):
            keys = [
                labels[:, c] * s
                for c, s in zip(columns, (*signs, *[1] * count), strict=False)
            ]
            order = np.lexsort(keys[::-1])
            rank = np.argsort(order)
            score = float(weight[rank[source] < rank[target]].sum())
            if score > best * (1 + 1e-12):
                best, found = score, order
    return found


def _shift(effective: sp.csr_array) -> float:
    """A rate that keeps L_0 invertible where a state neither decays nor jumps."""
    decay = -2 * effective.diagonal().imag
    typical = float(np.median(decay[decay > 0])) if (decay > 0).any() else 1.0
    return 0.0 if decay.min() > 1e-6 * typical else 0.05 * typical


def _inverse(effective: np.ndarray, shift: float) -> Transform:
    """A function that solves -i(K x - x K') - shift x = y on one block."""
    matrix = -1j * effective - shift / 2 * np.eye(len(effective))
    values, vectors = np.linalg.eig(matrix)
    if np.linalg.cond(vectors) > _WORST_BASIS:
        return lambda y: scipy.linalg.solve_sylvester(matrix, matrix.conj().T, y)
    inverse = np.linalg.inv(vectors)
    adjoint, inverse_adjoint = vectors.conj().T.copy(), inverse.conj().T.copy()
    reciprocal = 1 / (values[:, None] + values[None, :].conj())

    def solve(y: np.ndarray) -> np.ndarray:
        inner = inverse @ y @ inverse_adjoint
        inner *= reciprocal
        return np.asarray(vectors @ inner @ adjoint)

    return solve


def _moves(
    jumps: list[sp.csr_array], groups: list[np.ndarray], dimension: int
) -> Iterator[_Move]:
    """The jump operators cut into pieces between blocks."""
    block_of = np.empty(dimension, dtype=np.int64)
    inside = np.empty(dimension, dtype=np.int64)
    for k, states in enumerate(groups):
        block_of[states] = k
        inside[states] = np.arange(len(states))
    for jump in jumps:
        entries = jump.tocoo()
        rows, columns = entries.coords
        key = block_of[columns] * len(groups) + block_of[rows]
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        for chosen in np.split(order, starts[1:]):
            if not len(chosen):
                continue
            source, target = divmod(int(key[chosen[0]]), len(groups))
            shape = (len(groups[target]), len(groups[source]))
            coords = (inside[rows[chosen]], inside[columns[chosen]])
            piece = sp.csr_array((entries.data[chosen], coords), shape=shape)
            yield _Move(source, target, piece)
