r"""Stationary states of many classes of cells of one kind, and how they change, by one elimination for all.

Each class has its own strengths g of the same superoperators, $\mathcal{L} = \sum_k g_k\mathcal{L}_k$. Beside
$\mathcal{L}\rho = 0$ with unit trace, the change along a direction $\delta g$ is wanted,

$$ \mathcal{L}\,\delta\rho = -\sum_k \delta g_k\,\mathcal{L}_k\rho , \qquad \mathrm{Tr}\,\delta\rho = 0 . $$
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve import static_lu, superoperator

# Operations of an elimination up to which the numbers of all lanes stay near the processor.
_MOST_WORK = 3e8
# What an elimination without pivoting may leave, its smallest pivot, and the largest element of a state
# in units of the pinned population.
_RESIDUAL, _PIVOT, _LARGEST = 1e-12, 1e-11, 1e5


@dataclass(frozen=True)
class States:
    """What was found of each class.

    Attributes:
        rho: Real vectors of unit trace, shape (classes, n).
        changes: Along each direction, shape (classes, J, n).
        known: Which classes were found; the others are to be solved with pivoting.
    """

    rho: np.ndarray
    changes: np.ndarray
    known: np.ndarray


class Together:
    """The superoperators of one kind of cell on one sparsity pattern.

    Args:
        parts: Real forms, all of one square shape.
        populations: The unknowns whose sum is the trace.
    """

    def __init__(self, parts: list[sp.csr_array], populations: np.ndarray) -> None:
        self._matrix = superoperator.affine(parts)
        self._populations = populations
        self._patterns: dict[int, static_lu.Pattern] = {}

    def _pattern(self, pin: int) -> static_lu.Pattern:
        if pin not in self._patterns:
            self._patterns[pin] = static_lu.analyze(self._matrix, pin)
        return self._patterns[pin]

    def suits(self) -> bool:
        """Whether the factors of a few classes fit beside one another."""
        return self._pattern(int(self._populations[0])).work <= _MOST_WORK

    def solve(self, strengths: np.ndarray, directions: np.ndarray) -> States:
        """The states of all classes; the largest population is pinned where the first one is too small.

        Args:
            strengths: Of the parts, shape (classes, K).
            directions: Shape (classes, J, K).
        """
        (m, _), n = strengths.shape, self._matrix.size
        states = States(
            np.zeros((m, n)), np.zeros((m, directions.shape[1], n)), np.zeros(m, bool)
        )
        pins = np.full(m, self._populations[0])
        for _ in range(2):
            left = np.flatnonzero(~states.known)
            for pin in np.unique(pins[left]).tolist():
                chosen = left[pins[left] == pin]
                pins[chosen] = self._pinned(pin, chosen, strengths, directions, states)
        return states

    def _pinned(
        self,
        pin: int,
        chosen: np.ndarray,
        strengths: np.ndarray,
        directions: np.ndarray,
        states: States,
    ) -> np.ndarray:
        """Put what is found with one population pinned into its place; better pins."""
        found = static_lu.solve(
            self._pattern(pin), self._matrix, strengths[chosen], directions[chosen]
        )
        x = np.nan_to_num(found.vectors, nan=np.inf, posinf=np.inf, neginf=np.inf)
        good = (found.residuals < _RESIDUAL) & (found.pivots > _PIVOT)
        good &= np.abs(x).max(axis=1) < _LARGEST
        rows, x, changes = chosen[good], x[good], found.changes[good]
        traces = x[:, self._populations].sum(axis=1)
        rho = x / traces[:, None]
        more = changes[:, :, self._populations].sum(axis=2)
        states.rho[rows] = rho
        states.changes[rows] = (changes - more[:, :, None] * rho[:, None]) / traces[
            :, None, None
        ]
        states.known[rows] = True
        sizes = np.nan_to_num(np.abs(found.vectors[:, self._populations]))
        return np.asarray(self._populations[sizes.argmax(axis=1)])
