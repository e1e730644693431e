"""The only door to QuTiP's solvers: a problem at a point as Qobj, solved the plain way."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.checks import combine


def operators(problem: LindbladProblem, f: np.ndarray) -> tuple[Any, list[Any]]:
    """H/hbar and the collapse operators sqrt(rate) L of a problem at a point, as Qobj."""
    import qutip

    dims = [[part.dimension for part in problem.parts]] * 2

    def quantum(matrix: Any) -> Any:
        return qutip.Qobj(matrix.tocsr(), dims=dims)

    hamiltonian = combine(problem, problem.hamiltonian, f)
    jumps = [
        np.sqrt(f[c.rate].real) * quantum(combine(problem, c.jump, f))
        for c in problem.channels
        if f[c.rate] != 0 and c.jump
    ]
    if hamiltonian is None:
        size = problem.dimension
        return qutip.Qobj(np.zeros((size, size)), dims=dims), jumps
    return quantum(hamiltonian), jumps


def steadystate(problem: LindbladProblem, f: np.ndarray) -> np.ndarray:
    """`qutip.steadystate`, direct method."""
    import qutip

    hamiltonian, jumps = operators(problem, f)
    return np.asarray(qutip.steadystate(hamiltonian, jumps).full())
