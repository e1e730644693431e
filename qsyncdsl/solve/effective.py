"""A master equation at one point in numbers: evolution without jumps, and the jumps."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.checks import combine
from qsyncdsl.solve.superoperator import adjoint


def effective(
    problem: LindbladProblem, f: np.ndarray
) -> tuple[sp.csr_array, list[sp.csr_array]]:
    r"""$K = H - \tfrac{i}{2}\sum_c\gamma_c L_c^\dagger L_c$ and the $\sqrt{\gamma_c}L_c$, sparse (D, D)."""
    size = problem.dimension
    hamiltonian = combine(problem, problem.hamiltonian, f)
    jumps = [
        sp.csr_array(np.sqrt(f[c.rate].real) * combine(problem, c.jump, f))
        for c in problem.channels
        if f[c.rate] != 0 and c.jump
    ]
    total = sp.csr_array((size, size), dtype=complex)
    if problem.hamiltonian:
        total = total + hamiltonian
    if jumps:
        every = sp.vstack(jumps, format="csr")
        total = total - 0.5j * (adjoint(every) @ every)
    return sp.csr_array(total), jumps


def liouvillian(
    k: sp.csr_array, jumps: list[sp.csr_array], rho: np.ndarray
) -> np.ndarray:
    """L on a Hermitian matrix, -i(K rho - rho K') + sum L rho L'."""
    half = -1j * (k @ rho)
    total = half + half.conj().T
    for jump in jumps:
        total += (jump.conj() @ (jump @ rho).T).T
    return np.asarray(total)
