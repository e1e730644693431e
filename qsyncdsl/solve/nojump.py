r"""Stationary states by GMRES, preconditioned by the evolution without jumps.

$\mathcal{L} = \mathcal{L}_0 + \mathcal{J}$ with $\mathcal{L}_0\rho = -i(K\rho - \rho K^\dagger)$,
$K = H - \tfrac{i}{2}\sum_c \gamma_c L_c^\dagger L_c$, and $\mathcal{J}\rho = \sum_c \gamma_c L_c\rho L_c^\dagger$. The
stationary state is the fixed point of $-\mathcal{L}_0^{-1}\mathcal{J}$. $\mathcal{L}_0$ is inverted in the
eigenbasis of $K$, block by block of the conserved charges: memory of a few density matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

if TYPE_CHECKING:
    from qsyncdsl.solve.generator import At

# Condition number of the eigenvectors of K above which its Schur form is used.
_WORST_BASIS = 1e8
_TOLERANCE = 1e-13
_MOST_ITERATIONS = 2000


@dataclass(frozen=True)
class _Block:
    """The states of one charge, and how L_0 - shift is inverted on them."""

    states: np.ndarray
    invert: Any


@dataclass(frozen=True)
class _Jump:
    """The part of one jump operator that leads from one block to another."""

    source: int
    target: int
    matrix: Any


def no_jump_steadystate(at: At) -> tuple[np.ndarray, str] | None:
    """The stationary state and how it was found; None without convergence."""
    generator = at.generator
    effective, jumps = at.effective
    groups = _groups(generator.labels)
    shift = _shift(effective)
    blocks = [_Block(states, _inverse(effective, states, shift)) for states in groups]
    moves = _moves(jumps, groups, len(generator.labels))
    sizes = [len(block.states) for block in blocks]
    ends = np.cumsum([n * n for n in sizes])

    def split(vector: np.ndarray) -> list[np.ndarray]:
        return [
            v.reshape(n, n)
            for v, n in zip(np.split(vector, ends[:-1]), sizes, strict=True)
        ]

    def propagate(vector: np.ndarray) -> np.ndarray:
        """-(L_0 - shift)^-1 (J + shift) rho."""
        rho = split(vector)
        gain = [shift * block for block in rho]
        for move in moves:
            left = move.matrix @ rho[move.source]
            gain[move.target] = gain[move.target] + (move.matrix.conj() @ left.T).T
        return np.concatenate(
            [-b.invert(x).ravel() for b, x in zip(blocks, gain, strict=True)]
        )

    identity = np.concatenate([np.eye(n).ravel() for n in sizes]) / sum(sizes)
    diagonal = np.flatnonzero(identity)
    start = propagate(identity)
    start = start / start[diagonal].sum()

    def equation(vector: np.ndarray) -> np.ndarray:
        return vector - propagate(vector) + start * vector[diagonal].sum()

    size = int(ends[-1])
    operator = spla.LinearOperator((size, size), matvec=equation, dtype=complex)
    steps: list[float] = []
    restart = min(80, size)
    answer, failed = spla.gmres(
        operator,
        start,
        x0=start,
        rtol=_TOLERANCE,
        atol=0.0,
        restart=restart,
        maxiter=max(1, _MOST_ITERATIONS // restart),
        callback=steps.append,
        callback_type="pr_norm",
    )
    if failed and (not steps or steps[-1] > 1e-10):
        return None
    rho = np.zeros((len(generator.labels),) * 2, dtype=complex)
    for block, part in zip(blocks, split(answer), strict=True):
        rho[np.ix_(block.states, block.states)] = part
    return rho, f"no-jump preconditioned GMRES, {len(steps)} iterations"


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    """The basis states of each charge."""
    if labels.shape[1] == 0:
        return [np.arange(len(labels))]
    _, which = np.unique(labels, axis=0, return_inverse=True)
    return [np.flatnonzero(which.ravel() == k) for k in range(which.max() + 1)]


def _shift(effective: sp.csr_array) -> float:
    """A rate that keeps L_0 invertible where a state neither decays nor jumps."""
    decay = -2 * effective.diagonal().imag
    typical = float(np.median(decay[decay > 0])) if (decay > 0).any() else 1.0
    return 0.0 if decay.min() > 1e-6 * typical else 0.05 * typical


def _inverse(effective: sp.csr_array, states: np.ndarray, shift: float) -> Any:
    """A function that solves -i(K x - x K') - shift x = y on one block."""
    matrix = -1j * effective[states, :][:, states].toarray() - shift / 2 * np.eye(
        len(states)
    )
    values, vectors = np.linalg.eig(matrix)
    inverse = np.linalg.inv(vectors) if np.linalg.cond(vectors) < _WORST_BASIS else None
    if inverse is None:
        return lambda y: scipy.linalg.solve_sylvester(matrix, matrix.conj().T, y)
    sums = values[:, None] + values[None, :].conj()
    left, right = vectors, inverse

    def solve(y: np.ndarray) -> np.ndarray:
        inner = (left_inverse @ y) @ left_inverse.conj().T
        return np.asarray((left @ (inner / sums)) @ left.conj().T)

    left_inverse = right
    return solve


def _moves(jumps: list[Any], groups: list[np.ndarray], dimension: int) -> list[_Jump]:
    """The jump operators cut into pieces between blocks."""
    block_of = np.empty(dimension, dtype=int)
    for k, states in enumerate(groups):
        block_of[states] = k
    found = []
    for jump in jumps:
        matrix = sp.csr_array(jump)
        entries = matrix.tocoo()
        pairs = np.unique(
            np.stack(
                [block_of[entries.coords[1]], block_of[entries.coords[0]]], axis=1
            ),
            axis=0,
        )
        for source, target in pairs.tolist():
            piece = matrix[groups[target], :][:, groups[source]]
            dense = piece.nnz > 0.1 * piece.shape[0] * piece.shape[1]
            found.append(
                _Jump(source, target, piece.toarray() if dense else sp.csr_array(piece))
            )
    return found
