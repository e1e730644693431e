r"""Two-time correlations by quantum regression, spectra, eigenvalues of the Liouvillian.

$\langle A(t)B(0)\rangle = \operatorname{Tr}[A e^{\mathcal{L}t} B\rho]$ for $t \ge 0$, worked out in the sectors of the
charges that B carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.resolvent import Resolvent

# Elements of a sector up to which all its eigenvalues are computed.
_DENSE = 1600


@dataclass(frozen=True)
class Half:
    r"""$\sum_k c_k e^{\lambda_k t}$: one sector of $\operatorname{Tr}[A e^{\mathcal{L}t} X]$, $t \ge 0$.

    Where the sector is too large for all eigenvalues, `matrix`, `start` and `end` are kept.
    """

    poles: np.ndarray | None
    weights: np.ndarray | None
    matrix: sp.csc_array
    start: np.ndarray
    end: np.ndarray
    populations: np.ndarray

    def at_time(self, t: float) -> complex:
        """Value at one time."""
        if self.poles is not None and self.weights is not None:
            return complex((self.weights * np.exp(self.poles * t)).sum())
        found = self._resolvent.in_time(self.end, t)
        if found is None:
            found = self.end @ spla.expm_multiply(self.matrix * t, self.start)
        return complex(found)

    @property
    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        """The poles and their weights; those that are seen, where there are too many."""
        if self.poles is not None and self.weights is not None:
            return self.poles, self.weights
        return self._resolvent.lines(self.end)

    def transform(self, frequency: float) -> complex:
        r"""$\int_0^\infty e^{i\omega t}(\cdot)\,dt = -\,\text{end}\,(\mathcal{L} + i\omega)^{-1}\text{start}$."""
        if self.poles is not None and self.weights is not None:
            return complex(-(self.weights / (self.poles + 1j * frequency)).sum())
        return complex(-self.end @ self._resolvent.at(frequency))

    @cached_property
    def _resolvent(self) -> Resolvent:
        """Solutions at many frequencies."""
        return Resolvent(self.matrix, self.start, self.populations)


def halves(at: Any, end: sp.csr_array, start: np.ndarray) -> tuple[Half, ...]:
    r"""$\operatorname{Tr}[A e^{\mathcal{L}t} X]$ by sectors; A sparse, X a matrix without stationary part."""
    generator = at.generator
    found = []
    for charge in _charges(generator, start, end):
        where, affine = generator.other_sector(charge)
        vector = start[where.rows, where.columns]
        weights = np.asarray(end.T.tocsr()[where.rows, where.columns]).ravel()
        if not np.any(np.abs(vector) > 0) or not np.any(np.abs(weights) > 0):
            continue
        populations = np.flatnonzero(where.rows == where.columns)
        found.append(_half(affine.at(at.g), vector, weights, populations))
    return tuple(found)


def _half(
    matrix: sp.csc_array, start: np.ndarray, end: np.ndarray, populations: np.ndarray
) -> Half:
    """Diagonalize a sector where that is affordable."""
    if len(start) > _DENSE:
        return Half(None, None, matrix, start, end, populations)
    values, vectors = np.linalg.eig(matrix.toarray())
    amplitudes = np.linalg.solve(vectors, start) * (end @ vectors)
    # A steady state in the sector has no part in a fluctuation: only rounding is removed here.
    scale = np.abs(values).max(initial=0.0)
    moving = np.abs(values) > 1e-11 * scale
    return Half(values[moving], amplitudes[moving], matrix, start, end, populations)


def _charges(
    generator: Any, start: np.ndarray, end: sp.csr_array
) -> list[tuple[int, ...]]:
    """The charges Q(m) - Q(n) of the elements (m, n) that are not zero in both."""
    labels, symmetry = generator.labels, generator.symmetry

    def of(rows: np.ndarray, columns: np.ndarray) -> set[tuple[int, ...]]:
        difference = labels[rows] - labels[columns]
        for column, modulus in enumerate(symmetry.moduli):
            if modulus:
                difference[:, column] %= modulus
        return (
            {tuple(d) for d in np.unique(difference, axis=0).tolist()}
            if len(rows)
            else set()
        )

    scale = np.abs(start).max(initial=0.0)
    first = of(*np.nonzero(np.abs(start) > 1e-14 * scale)) if scale else set()
    entries = end.T.tocoo()
    return sorted(first & of(*entries.coords))


def spectrum(
    at: Any, rho: np.ndarray, a: sp.csr_array, b: sp.csr_array
) -> tuple[Callable[[float], complex], tuple[Half, ...], complex]:
    r"""$P(\omega) = \int e^{i\omega t}[\langle A(t)B(0)\rangle - \langle A\rangle\langle B\rangle]dt$ over all t.

    Returns:
        The function, the part of positive times by sectors, and the coherent weight
        $\langle A\rangle\langle B\rangle$ of the peak $2\pi\delta(\omega)$ that is left out.
    """
    b_rho, rho_a = b @ rho, (a.T @ rho.T).T
    mean_a, mean_b = complex(np.trace(rho_a)), complex(np.trace(b_rho))
    forward = halves(at, a, b_rho - mean_b * rho)
    if _is_adjoint(a, b):
        return (
            lambda w: 2 * sum(h.transform(w) for h in forward).real,
            forward,
            mean_a * mean_b,
        )  # type: ignore[union-attr]
    backward = halves(at, b, rho_a - mean_a * rho)

    def both(w: float) -> complex:
        return sum(h.transform(w) for h in forward) + sum(
            h.transform(-w) for h in backward
        )

    return both, forward, mean_a * mean_b


def _is_adjoint(a: sp.csr_array, b: sp.csr_array) -> bool:
    return bool(abs(a - b.conj().T).max() == 0)


def decay_rates(at: Any, count: int) -> np.ndarray:
    """The `count` eigenvalues of the Liouvillian of smallest decay rate, over all sectors.

    Raises:
        SolveError: E508 where they do not converge.
    """
    generator = at.generator
    found = [np.zeros(0, dtype=complex)]
    for charge in all_charges(generator):
        where, affine = generator.other_sector(charge)
        matrix = affine.at(at.g)
        if where.size <= _DENSE:
            found.append(scipy.linalg.eigvals(matrix.toarray()))
            continue
        scale = np.abs(matrix.data).max()
        try:
            found.append(
                spla.eigs(
                    sp.csc_matrix(matrix),
                    k=min(count + 2, 12),
                    sigma=1e-6 * scale,
                    return_eigenvectors=False,
                )
            )
        except (spla.ArpackNoConvergence, RuntimeError):
            raise SolveError(
                Diagnostic(
                    "E508",
                    f"the eigenvalues of a sector of {where.size} elements did not converge",
                )
            ) from None
    values = np.concatenate(found)
    order = np.lexsort((values.imag, np.round(-values.real, 9)))
    return values[order][:count]


def all_charges(generator: Any) -> list[tuple[int, ...]]:
    """Every charge that an element of the density matrix can have."""
    labels = np.unique(generator.labels, axis=0)
    if labels.shape[1] == 0:
        return [()]
    differences = (labels[:, None, :] - labels[None, :, :]).reshape(-1, labels.shape[1])
    for column, modulus in enumerate(generator.symmetry.moduli):
        if modulus:
            differences[:, column] %= modulus
    return [tuple(d) for d in np.unique(differences, axis=0).tolist()]
