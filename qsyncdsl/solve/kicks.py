"""Kicks of a state vector: instantaneous unitaries at t = 0, T, 2T, ..."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import expm_multiply

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.checks import combine

# Dimension up to which the matrix of a kick is made.
_DENSE = 2500


class Kicks:
    r"""The kicks $e^{-iG/\hbar}$ of a problem up to a time, in the order written.

    Attributes:
        times: When anything is kicked, ascending.
    """

    def __init__(self, problem: LindbladProblem, f: np.ndarray, end: float) -> None:
        self._kicks: list[tuple[float, Callable[[np.ndarray], np.ndarray]]] = []
        times: set[float] = set()
        for kick in problem.kicks:
            period = float(f[kick.period].real)
            if not period > 0:
                message = f"the period of a kick is {period:g} here"
                raise SolveError(
                    Diagnostic("E540", message, help="it must be positive")
                )
            generator = combine(problem, kick.generator, f)
            if generator is None or not generator.nnz:
                continue
            self._kicks.append((period, _unitary(problem, generator)))
            times.update(period * k for k in range(int(end / period) + 2))
        self.times = tuple(sorted(t for t in times if t <= end))

    def apply(self, state: np.ndarray, time: float) -> np.ndarray:
        """The state after all kicks at a time."""
        for period, act in self._kicks:
            turns = time / period
            if abs(turns - round(turns)) < 1e-9 * max(1.0, turns):
                state = act(state)
        return state


def _unitary(
    problem: LindbladProblem, generator: sp.csr_array
) -> Callable[[np.ndarray], np.ndarray]:
    """Multiplication by exp(-i G): on the one part it acts on, or on the whole space."""
    difference = abs(generator - generator.conj().T).max()
    if difference > 1e-10 * abs(generator).max():
        raise SolveError(
            Diagnostic(
                "E541", f"a kick is not Hermitian: G - G† reaches {difference:.2g}"
            )
        )
    dims = tuple(part.dimension for part in problem.parts)
    for axis in range(len(dims)):
        small = _on_part(generator, dims, axis)
        if small is not None:
            matrix = scipy.linalg.expm(-1j * small)

            def act(
                state: np.ndarray, matrix: np.ndarray = matrix, axis: int = axis
            ) -> np.ndarray:
                tensor = np.moveaxis(state.reshape(dims), axis, 0)
                turned = np.tensordot(matrix, tensor, axes=1)
                return np.moveaxis(turned, 0, axis).reshape(-1)

            return act
    if len(generator.indptr) - 1 <= _DENSE:
        full = scipy.linalg.expm(-1j * generator.toarray())
        return lambda state: full @ state
    sparse = sp.csc_array(-1j * generator)
    return lambda state: np.asarray(expm_multiply(sparse, state))


def _on_part(
    generator: sp.csr_array, dims: tuple[int, ...], axis: int
) -> np.ndarray | None:
    """The matrix of an operator of a single part; None if it acts on others too."""
    after = int(np.prod(dims[axis + 1 :], dtype=np.int64))
    before = int(np.prod(dims[:axis], dtype=np.int64))
    size = dims[axis]
    rows = np.arange(size) * after
    small = generator[rows][:, rows].toarray()
    rebuilt = sp.kron(sp.kron(sp.eye_array(before), small), sp.eye_array(after))
    difference = abs(sp.csr_array(rebuilt) - generator)
    return small if not difference.nnz or difference.max() < 1e-13 else None
