r"""Stationary states of weakly coupled groups, by GMRES preconditioned with the groups' own evolution.

$\mathcal{L} = \sum_g \mathcal{L}_g + \mathcal{L}_J$ with $\mathcal{L}_g$ on one group of parts and
$\mathcal{L}_J$ what joins them. With $\rho_0 = \bigotimes_g \rho_g$, $\mathcal{L}_g\rho_g = 0$, and
$P = (\sum_g \mathcal{L}_g)^{-1}$ on traceless matrices, $\rho = \rho_0 + x$ and
$$ (1 + P\mathcal{L}_J)\,x = -P\mathcal{L}_J\,\rho_0 . $$
P is diagonal in the products of the eigenmatrices of the $\mathcal{L}_g$. Hermitian matrices are kept as
$\operatorname{Re}X + \operatorname{Im}X$, eigenmatrices of a complex pair as real and imaginary part, so that
all products are real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.effective import effective
from qsyncdsl.solve.groups import (
    Coupling,
    Partition,
    coupling,
    group_states,
    partitions,
    restricted,
)
from qsyncdsl.solve.krylov import gmres

# Elements of a group's density matrix up to which its Liouvillian is diagonalized.
_MOST_ELEMENTS = 2500
# Partitions tried, and iterations after which the error must have fallen to `_HOPE`.
_TRIES = 2
_PATIENCE, _HOPE = 40, 1e-4
_RESTART, _MOST = 40, 160
_TOLERANCE = 1e-14
_WORST_BASIS = 1e9


def uncoupled_steadystate(
    problem: LindbladProblem, f: np.ndarray
) -> tuple[np.ndarray, str] | None:
    """The stationary state and how it was found; None where no partition leads to it."""
    fitting = [
        groups
        for groups in partitions(problem, f)
        if all(_elements(problem, group) <= _MOST_ELEMENTS for group in groups)
    ]
    for groups in fitting[:_TRIES]:
        modes = [_modes(problem, f, group) for group in groups]
        if any(mode is None for mode in modes):
            continue
        answer = _solve(problem, f, groups, [m for m in modes if m is not None])
        if answer is not None:
            rho, iterations = answer
            names = [
                "(" + ", ".join(problem.parts[k].label for k in group) + ")"
                for group in groups
            ]
            text = f"GMRES preconditioned by the uncoupled groups {' '.join(names)}"
            return rho, f"{text}, {iterations} iterations"
    return None


def _elements(problem: LindbladProblem, group: tuple[int, ...]) -> int:
    return prod(problem.parts[k].dimension for k in group) ** 2


# ── one group ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Modes:
    """Eigenmatrices of one group's Liouvillian as real columns.

    Attributes:
        dimension: Of the group, d.
        values: Eigenvalues, shape (d^2,); the stationary one is at `zero`.
        columns, inverse: Real and imaginary parts of the eigenmatrices, and the inverse.
        first: Places of the first of each complex pair; the second follows.
        stationary: The group's stationary state, shape (d, d).
    """

    dimension: int
    values: np.ndarray
    zero: int
    columns: np.ndarray
    inverse: np.ndarray
    first: np.ndarray
    stationary: np.ndarray


def _modes(
    problem: LindbladProblem, f: np.ndarray, group: tuple[int, ...]
) -> _Modes | None:
    """Diagonalize the Liouvillian of a group; None if that is not safe, or its state not unique."""
    matrix = _real_liouvillian(restricted(problem, group), f)
    size = round(np.sqrt(len(matrix)))
    values, vectors = np.linalg.eig(matrix)
    magnitudes = np.sort(np.abs(values))
    if len(values) > 1 and magnitudes[1] < 1e-7 * magnitudes[-1]:
        return None
    first = np.flatnonzero(values.imag > 0)
    if not np.array_equal(values[first + 1], values[first].conj()):
        return None
    columns = np.ascontiguousarray(vectors.real)
    columns[:, first + 1] = vectors[:, first].imag
    try:
        inverse = np.linalg.inv(columns)
    except np.linalg.LinAlgError:
        return None
    if np.linalg.norm(columns, 2) * np.linalg.norm(inverse, 2) > _WORST_BASIS:
        return None
    zero = int(np.argmin(np.abs(values)))
    stationary = to_hermitian(columns[:, zero].reshape(size, size))
    stationary = stationary / np.trace(stationary)
    return _Modes(size, values, zero, columns, inverse, first, stationary)


def _real_liouvillian(problem: LindbladProblem, f: np.ndarray) -> np.ndarray:
    """The Liouvillian of a small problem on Hermitian matrices kept as Re X + Im X."""
    k, jumps = effective(problem, f)
    size = k.shape[0]
    one = sp.identity(size, format="csr")
    total = -1j * sp.kron(k, one) + 1j * sp.kron(one, k.conj())
    for jump in jumps:
        total = total + sp.kron(jump, jump.conj())
    dense = total.toarray()
    flip = np.arange(size * size).reshape(size, size).T.ravel()
    # X = Q r with Q = (1+i)/2 + (1-i)/2 P, P the transposition; Q is unitary.
    dense = (1 + 1j) / 2 * dense + (1 - 1j) / 2 * dense[:, flip]
    return np.asarray(((1 - 1j) / 2 * dense + (1 + 1j) / 2 * dense[flip]).real)


def to_hermitian(r: np.ndarray) -> np.ndarray:
    """X from r = Re X + Im X."""
    return (r + r.T) / 2 + 0.5j * (r - r.T)


# ── all groups together ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Product:
    """Density matrices of all groups together, in the order of the groups.

    Real coefficients have one axis for each group, of length d_g^2.
    """

    modes: list[_Modes]
    rates: np.ndarray

    @property
    def dims(self) -> list[int]:
        return [m.dimension for m in self.modes]

    def to_matrix(self, r: np.ndarray) -> np.ndarray:
        """Hermitian matrix, shape (D, D)."""
        dims, count = self.dims, len(self.dims)
        x = self._twisted(r.astype(complex), (1 + 1j) / 2)
        x = x.reshape([d for d in dims for _ in (0, 1)])
        order = [*range(0, 2 * count, 2), *range(1, 2 * count, 2)]
        return x.transpose(order).reshape(prod(dims), prod(dims))

    def to_real(self, x: np.ndarray) -> np.ndarray:
        """Its coefficients, shape (d_1^2, d_2^2, ...)."""
        dims, count = self.dims, len(self.dims)
        order = [k for g in range(count) for k in (g, count + g)]
        parts = x.reshape([*dims, *dims]).transpose(order)
        shape = [d * d for d in dims]
        return self._twisted(parts.reshape(shape), (1 - 1j) / 2).real

    def _twisted(self, x: np.ndarray, weight: complex) -> np.ndarray:
        """w + w* P along every axis, P the transposition of the group's matrix."""
        for axis, d in enumerate(self.dims):
            flip = np.arange(d * d).reshape(d, d).T.ravel()
            x = weight * x + np.conj(weight) * np.take(x, flip, axis=axis)
        return x

    def invert(self, r: np.ndarray) -> np.ndarray:
        """P of traceless coefficients."""
        for axis, mode in enumerate(self.modes):
            r = _along(mode.inverse, r, axis)
        z = r.astype(complex)
        for axis, mode in enumerate(self.modes):
            z = _paired(z, axis, mode.first, lambda a, b: ((a - 1j * b), (a + 1j * b)))
        z = z / self.rates
        z[tuple(mode.zero for mode in self.modes)] = 0
        for axis, mode in enumerate(self.modes):
            z = _paired(z, axis, mode.first, lambda a, b: ((a + b) / 2, 0.5j * (a - b)))
        r = np.ascontiguousarray(z.real)
        for axis, mode in enumerate(self.modes):
            r = _along(mode.columns, r, axis)
        return r


def _along(matrix: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Multiply one axis by a matrix."""
    return np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)


def _paired(
    z: np.ndarray,
    axis: int,
    first: np.ndarray,
    change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Coefficients of real and imaginary parts to those of complex pairs, or back."""
    z = np.moveaxis(z, axis, 0).copy()
    z[first], z[first + 1] = change(z[first], z[first + 1])
    return np.moveaxis(z, 0, axis)


def _solve(
    problem: LindbladProblem, f: np.ndarray, groups: Partition, modes: list[_Modes]
) -> tuple[np.ndarray, int] | None:
    """GMRES for one partition."""
    rates = reduce(np.add.outer, [mode.values for mode in modes])
    zero = tuple(mode.zero for mode in modes)
    rates[zero] = 1.0
    if np.abs(rates).min() < 1e-8 * np.abs(rates).max():
        return None
    product = _Product(modes, rates)
    order = group_states(problem, tuple(k for group in groups for k in group))
    joint = coupling(problem, f, groups, order)
    start = reduce(np.kron, [mode.stationary for mode in modes])
    right = -product.invert(product.to_real(joint.apply(start)))
    found = _iterated(product, joint, right)
    if found is None:
        return None
    x, iterations = found
    rho = np.empty((len(order), len(order)), dtype=complex)
    rho[np.ix_(order, order)] = start + product.to_matrix(x)
    return rho, iterations


def _iterated(
    product: _Product, joint: Coupling, right: np.ndarray
) -> tuple[np.ndarray, int] | None:
    """x of (1 + P L_J) x = right, and the number of iterations; None where there are too many."""
    shape = right.shape
    if not right.any():
        return right, 0

    def equation(vector: np.ndarray) -> np.ndarray:
        rho = product.to_matrix(vector.reshape(shape))
        moved = product.invert(product.to_real(joint.apply(rho)))
        return vector + moved.ravel()

    found = gmres(
        equation,
        right.ravel(),
        _TOLERANCE,
        _RESTART,
        _MOST // _RESTART,
        hopeless=lambda steps, norm: steps > _PATIENCE and norm > _HOPE,
    )
    if found is None or (found.failed and not found.steps):
        return None
    return found.x.reshape(shape), found.steps
