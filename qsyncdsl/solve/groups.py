"""Groups of parts that a model couples weakly, or not at all.

Every matrix of a problem knows the parts it acts on. Cutting the weakest terms that join parts, one
after the other, gives partitions from coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import Channel, Combination, LindbladProblem

Partition = tuple[tuple[int, ...], ...]


def partitions(problem: LindbladProblem, f: np.ndarray) -> list[Partition]:
    """Partitions into at least two groups, the coarsest first; the parts of each group sorted."""
    links = _links(problem, f)
    found: list[Partition] = []
    for bound in [0.0, *sorted({strength for strength, _ in links})]:
        kept = [support for strength, support in links if strength > bound]
        groups = _components(len(problem.parts), kept)
        if len(groups) > 1 and groups not in found:
            found.append(groups)
    return found


def uncoupled(problem: LindbladProblem, f: np.ndarray) -> Partition:
    """The groups that no term couples."""
    if len(problem.parts) == 1:
        return ((0,),)
    return _components(len(problem.parts), [s for _, s in _links(problem, f)])


def _links(
    problem: LindbladProblem, f: np.ndarray
) -> list[tuple[float, frozenset[int]]]:
    """Sets of parts that a term joins, with the root mean square of the term."""
    found = []
    for k, index in problem.hamiltonian:
        support = problem.supports[index]
        if f[k] and len(support) > 1:
            found.append((abs(f[k]) * _size(problem.matrices[index]), support))
    for channel in problem.channels:
        terms = [
            (abs(f[k]) * _size(problem.matrices[index]), problem.supports[index])
            for k, index in channel.jump
            if f[k] and f[channel.rate]
        ]
        for position, (size, support) in enumerate(terms):
            for other, more in terms[position:]:
                if len(support | more) > 1:
                    rate = float(abs(f[channel.rate]))
                    found.append((rate * size * other, support | more))
    return found


def _size(matrix: sp.csr_array) -> float:
    """Root mean square of the singular values."""
    return float(np.sqrt((np.abs(matrix.data) ** 2).sum() / matrix.shape[0]))


def _components(count: int, links: list[frozenset[int]]) -> Partition:
    groups = [{k} for k in range(count)]
    for link in links:
        touched = [g for g in groups if g & link]
        rest = [g for g in groups if not g & link]
        groups = [*rest, set().union(*touched)] if touched else rest
    return tuple(sorted(tuple(sorted(g)) for g in groups))


# ── the problem of one group ─────────────────────────────────────────────────────────────────


def restricted(problem: LindbladProblem, group: tuple[int, ...]) -> LindbladProblem:
    """The terms that act on one group only, on its own space; numbers count for every group."""
    states = group_states(problem, group)
    inside = [support <= set(group) for support in problem.supports]
    matrices = tuple(
        sp.csr_array(matrix[states, :][:, states]) if own else problem.matrices[0]
        for matrix, own in zip(problem.matrices, inside, strict=True)
    )

    def own_terms(combination: Combination) -> Combination:
        return tuple(pair for pair in combination if inside[pair[1]])

    channels = tuple(
        Channel(channel.rate, terms, channel.label)
        for channel in problem.channels
        if any(problem.supports[index] for _, index in own_terms(channel.jump))
        for terms in [own_terms(channel.jump)]
    )
    place = {part: position for position, part in enumerate(group)}
    return replace(
        problem,
        parts=tuple(problem.parts[k] for k in group),
        matrices=matrices,
        hamiltonian=own_terms(problem.hamiltonian),
        channels=channels,
        supports=tuple(
            frozenset(place[k] for k in support if k in place)
            for support in problem.supports
        ),
    )


def group_states(problem: LindbladProblem, group: tuple[int, ...]) -> np.ndarray:
    """Flat indices of the group's states, all other parts in their first state."""
    dims = [part.dimension for part in problem.parts]
    strides = [prod(dims[k + 1 :]) for k in range(len(dims))]
    flat = np.zeros(1, dtype=np.int64)
    for k in group:
        flat = (flat[:, None] + strides[k] * np.arange(dims[k])).ravel()
    return flat


@dataclass(frozen=True)
class Coupling:
    """What is left of a Liouvillian when the groups' own parts are taken away.

    Attributes:
        hamiltonian: The terms of H that join groups, (D, D).
        channels: Jumps that act on several groups, each with its pieces on single groups.
    """

    hamiltonian: sp.csr_array
    channels: tuple[tuple[sp.csr_array, tuple[sp.csr_array, ...]], ...]

    def apply(self, rho: np.ndarray) -> np.ndarray:
        """The coupling on a Hermitian matrix."""
        half = -1j * (self.hamiltonian @ rho)
        total = half + half.conj().T
        for whole, pieces in self.channels:
            total += _dissipator(whole, rho)
            for piece in pieces:
                total -= _dissipator(piece, rho)
        return total


def _dissipator(jump: sp.csr_array, rho: np.ndarray) -> np.ndarray:
    """D[L] on a Hermitian matrix."""
    left = jump @ rho
    loss = jump.conj().T @ left
    gain = (jump.conj() @ left.T).T
    return np.asarray(gain - (loss + loss.conj().T) / 2)


def coupling(
    problem: LindbladProblem, f: np.ndarray, groups: Partition, order: np.ndarray
) -> Coupling:
    """The terms that join groups, in an order of the basis states."""
    size = problem.dimension

    def total(terms: list[tuple[int, int]]) -> sp.csr_array:
        matrix = sp.csr_array((size, size), dtype=complex)
        for k, index in terms:
            matrix = matrix + f[k] * problem.matrices[index]
        return sp.csr_array(matrix[order, :][:, order])

    def home(index: int) -> int:
        support = problem.supports[index]
        return next((k for k, g in enumerate(groups) if support <= set(g)), -1)

    joint = [pair for pair in problem.hamiltonian if home(pair[1]) < 0]
    channels = []
    for channel in problem.channels:
        homes = {home(i) for k, i in channel.jump if f[k] and problem.supports[i]}
        if not f[channel.rate] or (len(homes) <= 1 and -1 not in homes):
            continue
        root = np.sqrt(f[channel.rate].real)
        # A number in a jump counts in the jump of every group, as in `restricted`.
        pieces = tuple(
            root
            * total(
                [(k, i) for k, i in channel.jump if problem.supports[i] <= set(group)]
            )
            for position, group in enumerate(groups)
            if position in homes
        )
        channels.append((root * total(list(channel.jump)), pieces))
    return Coupling(total(joint), tuple(channels))
