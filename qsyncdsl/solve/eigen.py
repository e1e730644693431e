r"""Levels and ground state of a Hamiltonian, group by group of coupled parts.

Of g ground states of one energy none is the ground state: measures are those of the limit of low temperatures,

$$ \rho = \lim_{T\to 0} e^{-H/T}/Z = \frac{1}{g}\sum_{k=1}^{g} |k\rangle\langle k| . $$
"""

from __future__ import annotations

from math import prod

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import EigenProblem, LevelGroup, Point
from qsyncdsl.result import EigenResult, QuantumState, Trust
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import state_trust, top_level

# Dimension up to which a matrix is diagonalized as a whole.
_DENSE = 2500
# Lowest states whose populations are looked at.
_LOWEST = 12
# Levels that are one, in units of the largest energy.
_SAME = 1e-10
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
        counts = [_ground_states(values) for values, _ in solved]
        vectors = [v[:, :g] for (_, v), g in zip(solved, counts, strict=True)]
        state = QuantumState(self.problem.parts, self._ground(vectors))
        numbers, warnings = state_trust(state)
        numbers |= self._tops([v for _, v in solved])
        if prod(counts) > 1:
            warnings = (*warnings, _degenerate(prod(counts), state.pure))
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
        """The products of the groups' ground states, in the order of the parts: a vector, or their mean.

        Of a large space one of them is taken.
        """
        size = prod(part.dimension for part in self.problem.parts)
        if size > _DENSE:
            vectors = [v[:, :1] for v in vectors]
        dims = [part.dimension for part in self.problem.parts]
        order = [k for group in self.problem.groups for k in group.parts]
        total = vectors[0]
        for vector in vectors[1:]:
            total = np.kron(total, vector)
        tensor = total.reshape([*(dims[k] for k in order), -1])
        states = tensor.transpose(*np.argsort(order), len(order)).reshape(size, -1)
        count = states.shape[1]
        return states[:, 0] if count == 1 else states @ states.conj().T / count

    def _tops(self, vectors: list[np.ndarray]) -> dict[str, float]:
        """Populations of the highest levels of bosons in the lowest states, the largest."""
        parts = self.problem.parts
        found = {}
        for group, all_ in zip(self.problem.groups, vectors, strict=True):
            lowest = np.abs(all_[:, : max(self.count, _LOWEST)]) ** 2
            own = lowest.reshape([*(parts[k].dimension for k in group.parts), -1])
            for axis, k in enumerate(group.parts):
                if parts[k].kind == "boson":
                    others = tuple(a for a in range(len(group.parts)) if a != axis)
                    levels = own.sum(axis=others).reshape(parts[k].dimension, -1)
                    tops = [top_level(column) for column in levels.T]
                    found[f"top_population_{parts[k].label}"] = max(tops)
        return found


def _ground_states(values: np.ndarray) -> int:
    """How many levels the lowest one stands for."""
    size = float(np.abs(values).max(initial=0.0))
    return int((values - values[0] <= _SAME * size).sum())


def _degenerate(count: int, pure: bool) -> Diagnostic:
    """W505: several ground states; W506 where only one of them is looked at."""
    which = "one of them" if pure else "their mean, that of low temperatures"
    return Diagnostic(
        "W506" if pure else "W505",
        f"{count} ground states have one energy: measures of the state are those of {which}",
        help="a small term in H tells them apart",
    )


def _sums(levels: list[np.ndarray]) -> np.ndarray:
    """The lowest sums of one level of each group, ascending."""
    total = np.zeros(1)
    for values in levels:
        total = np.sort(np.add.outer(total, values[:_KEPT]).ravel())[:_KEPT]
    return total
