"""Mean values along trajectories whose basis moves: operators are made again in every window."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.matrices import monomial_matrix
from qsyncdsl.algebra.operators import Monomial
from qsyncdsl.algebra.windows import space_at
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Request


class MovingOperator:
    """<psi|O|psi> of every state, each in its own window."""

    def __init__(self, times: int, request: Request, problem: LindbladProblem) -> None:
        self.found: list[np.ndarray] = []
        self.values = np.zeros(times, dtype=complex)
        self.problem = problem
        self.dims = [part.dimension for part in problem.parts]
        self.terms = [
            (monomial, complex(value), _label_word(problem, monomial))
            for monomial, value in request.operator.terms.items()
        ]
        self._fixed: dict[Monomial, sp.csr_array] = {}

    def add(self, place: int, states: np.ndarray, where: tuple[Place, ...]) -> None:
        """The means of some states in their windows."""
        total = np.zeros(len(states), dtype=complex)
        for monomial, value, word in self.terms:
            if word is not None:
                total += value * self._by_label(states, where, *word)
                continue
            for k, (state, window) in enumerate(zip(states, where, strict=True)):
                matrix = self._matrix(monomial, window)
                total[k] += value * np.vdot(state, matrix @ state)
        self.values[place : place + len(states)] = total

    def close(self, realization: int) -> None:
        """The realization is finished."""
        self.found.append(self.values.copy())

    def array(self) -> np.ndarray:
        """Shape (n, T) for n realizations."""
        return np.array(self.found)

    def _by_label(
        self, states: np.ndarray, where: tuple[Place, ...], part: int, word: Any
    ) -> np.ndarray:
        """The means of exp(ikx) n^j (n + beta)^i of one rotor."""
        _, k, j, i = word
        size = self.dims[part]
        centers = np.array([place.centers[part] for place in where])
        beta = np.array([place.beta[part] for place in where])
        n = (centers - size // 2)[:, None] + np.arange(size)
        weights = n.astype(float) ** j * (n + beta[:, None]) ** i
        dims = (len(states), *self.dims)
        tensor = np.moveaxis(states.reshape(dims), part + 1, 1)
        tensor = tensor.reshape(len(states), size, -1)
        low, high = max(0, k), size + min(0, k)
        if low >= high:
            return np.zeros(len(states), dtype=complex)
        source = slice(low - k, high - k)
        products = tensor[:, low:high].conj() * tensor[:, source]
        return np.asarray((products.sum(axis=2) * weights[:, source]).sum(axis=1))

    def _matrix(self, monomial: Monomial, place: Place) -> sp.csr_array:
        space = self.problem.space
        if not any(space.modes[k].kind.name == "rotor" for k in _modes_of(monomial)):
            if monomial not in self._fixed:
                self._fixed[monomial] = monomial_matrix(space, monomial, self.dims)
            return self._fixed[monomial]
        return monomial_matrix(space_at(space, place), monomial, self.dims)


def _label_word(problem: LindbladProblem, monomial: Monomial) -> tuple[int, Any] | None:
    """Part and word of a monomial exp(ikx) n^j (n + beta)^i of one rotor; else None."""
    if len(monomial) != 1:
        return None
    key, word = monomial[0]
    if not isinstance(key, int) or word[0] != "e":
        return None
    modes = problem.space.modes
    kept = [k for k, mode in enumerate(modes) if mode.ensemble is None]
    return kept.index(key), word


def _modes_of(monomial: Monomial) -> list[int]:
    return [k for key, _ in monomial for k in ((key,) if isinstance(key, int) else key)]
