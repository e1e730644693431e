"""Levels and ground state of a Hamiltonian, group by group of coupled parts."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import EigenProblem, LevelGroup, Point
from qsyncdsl.result import EigenResult, QuantumState, Trust
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import state_trust

# Dimension up to which a matrix is diagonalized as a whole.
_DENSE = 2500
# Levels that are kept when groups are put together.
_KEPT = 200


class EigenSolver:
    """Diagonalizes H of one problem at any number of points."""

    def __init__(self, problem: EigenProblem, count: int = 0) -> None:
        self.problem = problem
        self.count = count

    def solve(self, point: Point) -> EigenResult:
        """The lowest levels of H/hbar and the ground state.

        Raises:
            SolveError: E502 (H not Hermitian), E506 (time), E507 (not finite), E512 (no convergence).
        """
        if self.problem.coefficients.time_dependent:
            raise SolveError(
                Diagnostic("E506", "a Hamiltonian that depends on time has no levels")
            )
        f = coefficients.evaluate(self.problem.coefficients, point.values)
        if not np.isfinite(f).all():
            raise SolveError(
                Diagnostic("E507", "a coefficient of the model is not finite here")
            )
        solved = [self._group(group, f) for group in self.problem.groups]
        state = QuantumState(
            self.problem.parts, self._ground([v[:, 0] for _, v in solved])
        )
        numbers, warnings = state_trust(state)
        facts = {"solver": f"{len(solved)} uncoupled group(s) of modes"}
        groups = tuple(
            (group.parts, values)
            for group, (values, _) in zip(self.problem.groups, solved, strict=True)
        )
        energies = _sums([values for _, values in groups])
        return EigenResult(state, energies, groups, Trust(numbers, facts, warnings))

    def _group(self, group: LevelGroup, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels and eigenvectors of one group."""
        size = int(np.prod([self.problem.parts[k].dimension for k in group.parts]))
        matrix = sp.csr_array((size, size), dtype=complex)
        for k, index in group.hamiltonian:
            matrix = matrix + f[k] * self.problem.matrices[index]
        defect = abs(matrix - matrix.conj().T).max() if matrix.nnz else 0.0
        if defect > 1e-10 * abs(matrix).max():
            raise SolveError(
                Diagnostic(
                    "E502",
                    f"the Hamiltonian is not Hermitian here: H - H† reaches {defect:.2g}",
                )
            )
        if size <= _DENSE:
            return np.linalg.eigh(matrix.toarray())
        try:
            values, vectors = spla.eigsh(
                matrix, k=min(max(self.count, 12), size - 2), which="SA"
            )
        except spla.ArpackNoConvergence:
            raise SolveError(
                Diagnostic(
                    "E512",
                    f"the levels of a space of dimension {size} did not converge",
                )
            ) from None
        order = np.argsort(values)
        return values[order], vectors[:, order]

    def _ground(self, vectors: list[np.ndarray]) -> np.ndarray:
        """The product of the groups' ground states, in the order of the parts."""
        dims = [part.dimension for part in self.problem.parts]
        order = [k for group in self.problem.groups for k in group.parts]
        total = vectors[0]
        for vector in vectors[1:]:
            total = np.kron(total, vector)
        return (
            total.reshape([dims[k] for k in order]).transpose(np.argsort(order)).ravel()
        )


def _sums(levels: list[np.ndarray]) -> np.ndarray:
    """The lowest sums of one level of each group, ascending."""
    total = np.zeros(1)
    for values in levels:
        total = np.sort(np.add.outer(total, values[:_KEPT]).ravel())[:_KEPT]
    return total
