r"""What is left for ever of the part of an initial state that a symmetry of L does not keep.

Elements between different charges evolve by themselves, $\dot x = L_q x$. Where states are stationary that the
symmetry does not keep, a part of them stays: the projection on the kernel of $L_q$ along its image,

$$ x_\infty = R\,(K^\dagger R)^{-1} K^\dagger x_0 , \qquad L_q R = 0 , \quad K^\dagger L_q = 0 . $$

Where $L_q$ has an eigenvalue $i\omega$ that the initial state meets, nothing stationary is reached.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.factors import superlu
from qsyncdsl.solve.generator import At

# Elements of a sector up to which it is decomposed.
_DENSE = 1500
# Rates, in units of the largest singular value, that count as none; parts of a state likewise.
_NONE, _PART = 1e-10, 1e-9
# A kernel shows as a solution of this size for a unit right side.
_SINGULAR = 1e11


def outside(at: At, start: np.ndarray) -> np.ndarray | None:
    """What stays of the elements outside of the invariant sector, shape (D, D); None if nothing does.

    Args:
        start: The initial state, shape (D, D).

    Raises:
        SolveError: E504 where it goes on oscillating, or where a sector is too large to tell.
    """
    generator = at.generator
    total = np.zeros_like(start, dtype=complex)
    for charge in _charges(at, start):
        where, affine = generator.other_sector(charge)
        # the adjoint was found with the opposite charge
        if np.abs(total[where.columns, where.rows]).any():
            total[where.rows, where.columns] = total[where.columns, where.rows].conj()
            continue
        x = start[where.rows, where.columns]
        total[where.rows, where.columns] = left_over(affine.at(at.g), x)
    return total if np.abs(total).max() > _PART else None


def left_over(matrix: sp.csc_array, x: np.ndarray) -> np.ndarray:
    """The limit of exp(L t) x.

    Raises:
        SolveError: E504.
    """
    if matrix.shape[0] > _DENSE:
        if has_kernel(matrix):
            raise SolveError(_oscillates(None))
        return np.zeros_like(x)
    dense = matrix.toarray()
    left, values, right = np.linalg.svd(dense)
    refuse_oscillation(dense, values[0], x)
    small = values < _NONE * max(values[0], 1e-300)
    if not small.any():
        return np.zeros_like(x)
    kernel, dual = right[small].conj().T, left[:, small].conj().T
    return np.asarray(kernel @ np.linalg.solve(dual @ kernel, dual @ x))


def refuse_oscillation(dense: np.ndarray, scale: float, x: np.ndarray) -> None:
    """E504 where x has a part that turns for ever."""
    rates = np.linalg.eigvals(dense)
    turning = (np.abs(rates.real) < _NONE * scale) & (np.abs(rates) > 1e-7 * scale)
    found = np.unique(np.round(rates[turning].imag, 12))
    for rate in sorted(found.tolist(), key=abs):
        shifted = dense - 1j * rate * np.eye(len(dense))
        left, values, right = np.linalg.svd(shifted)
        small = values < 1e-8 * scale
        kernel, dual = right[small].conj().T, left[:, small].conj().T
        part = kernel @ np.linalg.lstsq(dual @ kernel, dual @ x, rcond=None)[0]
        if np.abs(part).max(initial=0.0) > _PART:
            raise SolveError(_oscillates(float(abs(rate))))


def has_kernel(matrix: sp.csc_array) -> bool:
    """Whether a block without populations has a vector that L takes to zero."""
    factors = superlu(sp.csc_matrix(matrix))
    if factors is None:
        return True
    right = np.cos(1.0 + np.arange(matrix.shape[0]) * 0.7)
    probe = factors.solve(right.astype(matrix.dtype))
    scale = np.abs(matrix.data).max(initial=0.0)
    return bool(not np.isfinite(probe).all() or np.abs(probe).max() * scale > _SINGULAR)


def _charges(at: At, start: np.ndarray) -> list[tuple[int, ...]]:
    """The charges of the elements that are not zero, but not those of the invariant sector."""
    labels, moduli = at.generator.labels, at.generator.symmetry.moduli
    rows, columns = np.nonzero(np.abs(start) > 0)
    difference = labels[rows] - labels[columns]
    for column, modulus in enumerate(moduli):
        if modulus:
            difference[:, column] %= modulus
    found = [tuple(d) for d in np.unique(difference, axis=0).tolist()]
    return [charge for charge in found if any(charge)]


def _oscillates(frequency: float | None) -> Diagnostic:
    """E504: no state is reached."""
    message = (
        "the stationary state is not unique, and the initial state reaches none of them: "
        f"it goes on oscillating at {frequency:.6g}"
        if frequency is not None
        else "the stationary state is not unique: which one is reached cannot be told on so many levels"
    )
    return Diagnostic("E504", message, help="solve by 'evolve'")
