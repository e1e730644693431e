r"""Stationary vectors by sparse LU of the real form of the Liouvillian."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.algebra.symmetry import Symmetry
from qsyncdsl.diagnostics import Diagnostic, Note, SolveError
from qsyncdsl.problem import Point
from qsyncdsl.solve import superoperator
from qsyncdsl.solve.exchange import Block
from qsyncdsl.solve.factors import Factored, Factorize, superlu
from qsyncdsl.solve.generator import At, Generator, available_memory
from qsyncdsl.solve.reached import has_kernel, outside, refuse_oscillation
from qsyncdsl.solve.uniqueness import component_count, plainly_unique

# A kernel of more than one dimension shows as a solution of this size for a unit right side.
_SINGULAR = 1e11
# A population is empty where another one is this many times as large.
_EMPTY = 1e4
# Unknowns up to which a kernel is found by a dense decomposition.
MOST_DENSE = 4000
# Unknowns up to which it is looked whether something turns for ever.
MOST_TURNING = 1500
# Unknowns from which on the odd blocks are not factorized to look for a second state.
_MANY = 2500


@dataclass(frozen=True)
class Factors:
    """The LU at one point, with one unknown pinned.

    Attributes:
        block: The even unknowns under exchanges of parts; None where all are kept.
        pin, kept: The pinned unknown, and all others.
        inverse: Solves for these.
        column: Of the pinned unknown in their equations.
    """

    block: Block | None
    pin: int
    kept: np.ndarray
    inverse: Factored
    column: np.ndarray

    @property
    def null(self) -> np.ndarray:
        """The other unknowns of the null vector whose pinned one is 1."""
        return self.inverse.solve(-self.column)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The other unknowns for a right side of all unknowns before exchanges."""
        own = right if self.block is None else right[self.block.first]
        return self.inverse.solve(own[self.kept])

    def spread(self, others: np.ndarray, pinned: float) -> np.ndarray:
        """All unknowns before exchanges."""
        y = np.insert(others, self.pin, pinned)
        return y if self.block is None else self.block.basis @ y


@dataclass(frozen=True)
class Stationary:
    """What an LU finds.

    Attributes:
        rho: The density matrix, shape (D, D).
        left: The largest element of L rho.
        factors: The LU it was found by; None where that is of no use.
        symmetric: Whether rho has no elements between different charges.
    """

    rho: np.ndarray
    warnings: tuple[Diagnostic, ...]
    left: float
    factors: Factors | None
    symmetric: bool = True


def direct(at: At, point: Point, factorize: Factorize = superlu) -> Stationary:
    """The stationary state by an LU of the even block under exchanges, or of all unknowns.

    Raises:
        SolveError: E501 (memory), E504 (not unique and no initial state).
    """
    generator = at.generator
    refuse_fill(generator)
    matrix = at.matrix
    x, singular, factors = (
        _even_vector(at, point.sole, factorize)
        if at.blocks
        else null_vector(matrix, generator.form.populations, factorize)
    )
    warnings: tuple[Diagnostic, ...] = ()
    beside = None
    if singular:
        x, warning = degenerate(at, matrix, point)
        warnings, factors = (warning,), None
        beside = outside(at, density(point.start))
    left = float(np.abs(matrix @ x).max()) if x.any() else np.inf
    rho = generator.sector.to_matrix(generator.form.to_complex @ x)
    trace = abs(float(x[generator.form.populations].sum()) or 1.0)
    if beside is not None:
        rho = rho + beside
    return Stationary(rho, warnings, left / trace, factors, beside is None)


def density(start: np.ndarray) -> np.ndarray:
    """A state as a density matrix."""
    return start if start.ndim == 2 else np.outer(start, start.conj())


def _even_vector(
    at: At, sole: bool, factorize: Factorize
) -> tuple[np.ndarray, bool, Factors | None]:
    """The stationary vector from the even block alone; the odd ones are looked at for a second one.

    Args:
        sole: Whether there is known to be none.
    """
    blocks = at.blocks
    assert blocks is not None
    even = blocks.even
    populations = np.flatnonzero(even.first < len(at.generator.form.populations))
    y, singular, factors = null_vector(even.reduced(at.matrix), populations, factorize)
    x = even.basis @ y
    if factors is not None:
        factors = replace(factors, block=even)
    if sole or singular:
        return x, singular, factors
    rho = at.generator.sector.to_matrix(at.generator.form.to_complex @ x)
    rho /= np.trace(rho)
    if plainly_unique(at, rho):
        return x, False, factors
    # The operators tell a second state sooner than the LU of a large odd block.
    if at.generator.unknowns > _MANY:
        count = component_count(at, rho)
        if count is not None:
            return x, count > 1, factors
    several = any(has_kernel(odd.reduced(at.matrix)) for odd in blocks.odd)
    return x, several, factors


def refuse_fill(generator: Generator) -> None:
    """E501: an LU whose fill does not fit; some unknowns^1.6 entries were seen."""
    needed = 16.0 * 6.0 * generator.unknowns**1.6
    room = available_memory()
    if needed > room:
        raise SolveError(
            Diagnostic(
                "E501",
                f"the LU factors of {generator.unknowns} unknowns need about {needed / 1e9:.3g} GB, "
                f"{room / 1e9:.3g} GB are free",
                help="use solve steadystate(solver = iterative), or fewer levels",
            )
        )


def null_vector(
    matrix: sp.csc_array, populations: np.ndarray, factorize: Factorize = superlu
) -> tuple[np.ndarray, bool, Factors | None]:
    """The stationary vector with unit trace, whether there are several, and the LU.

    One population is pinned to 1 and its equation dropped (the sum of the equations of the
    populations is zero), so that no dense trace row fills the factors.
    """
    pin = int(populations[likely_population(matrix, populations)])
    for _ in range(3):
        x, singular, factors = _pinned(matrix, pin, factorize)
        best = (
            int(populations[np.argmax(np.abs(x[populations]))]) if x is not None else -1
        )
        # what is found with a pin that is hardly populated tells nothing of other solutions
        if x is not None and abs(x[best]) < _EMPTY:
            break
        singular = True
        if best in (pin, -1):
            best = int(populations[len(populations) // 2])
        pin = best
    if x is None:
        return np.zeros(matrix.shape[0]), True, None
    trace = x[populations].sum()
    return x / trace, singular, factors


def likely_population(matrix: sp.csc_array, populations: np.ndarray) -> int:
    """Which population is probably large: that of the rates between populations alone.

    The chain is restarted everywhere at a small rate, so that it has one answer.
    """
    rates = sp.csc_matrix(matrix[:, populations][populations, :])
    restart = 1e-3 * float(np.abs(rates.data).max(initial=0.0))
    if restart == 0:
        return 0
    size = len(populations)
    chain = sp.csc_matrix(rates - restart * sp.identity(size))
    return int(np.argmax(np.abs(spla.spsolve(chain, -np.ones(size)))))


def _pinned(
    matrix: sp.csc_array, pin: int, factorize: Factorize
) -> tuple[np.ndarray | None, bool, Factors | None]:
    """Solve with one unknown fixed to 1; the second value tells of a second solution."""
    size = matrix.shape[0]
    if size == 1:
        return np.ones(1), False, None
    factors, reduced = pinned(matrix, pin, factorize)
    if factors is None:
        return None, True, None
    solve = factors.inverse.solve
    x = factors.null
    x -= solve(factors.column + reduced @ x)
    probe = solve(np.cos(1.0 + np.arange(size - 1) * 0.7))
    scale = np.abs(matrix.data).max()
    growth = np.abs(probe).max() * scale / max(1.0, np.abs(x).max())
    full = np.insert(x, pin, 1.0)
    bad = not np.isfinite(full).all() or np.abs(full).max() > 1e9
    several = bad or growth > _SINGULAR
    return (None if not np.isfinite(full).all() else full), several, factors


def pinned(
    matrix: sp.csc_array, pin: int, factorize: Factorize = superlu
) -> tuple[Factors | None, sp.csc_matrix]:
    """The LU without one unknown and its equation, None where that is singular; and the matrix of it."""
    kept = np.delete(np.arange(matrix.shape[0]), pin)
    reduced = sp.csc_matrix(matrix[:, kept][kept, :])
    inverse = factorize(reduced)
    if inverse is None:
        return None, reduced
    column = matrix[:, [pin]].toarray()[kept, 0]
    return Factors(None, pin, kept, inverse, column), reduced


def degenerate(
    at: At, matrix: sp.csc_array, point: Point
) -> tuple[np.ndarray, Diagnostic]:
    """Several stationary states: the one reached from the initial state, or E504.

    The state reached is the projection on the kernel along the image of L, by the left and right
    null vectors.
    """
    dense = matrix.toarray() if matrix.shape[0] <= MOST_DENSE else None
    count = "several"
    kernel = None
    scale, notes = 0.0, []
    if dense is not None:
        left, values, right = np.linalg.svd(dense)
        scale = max(float(values[0]), 1e-300)
        small = values < 1e-10 * scale
        count = str(int(small.sum()))
        kernel = (left[:, small], right[small].T)
        slow = float(values[small].max(initial=0.0))
        if slow > 1e-15 * len(values) * scale:
            text = f"a rate near {slow:.1e} is too slow beside the fastest, {scale:.1e}, to be told from none"
            notes.append(Note(text))
    found = f"the stationary state is not unique: {count} independent ones"
    kept = conserved(at, matrix)
    if kept:
        found += f"; conserved: {', '.join(kept)}"
    if point.start is None or kernel is None:
        raise SolveError(
            Diagnostic(
                "E504",
                found,
                notes=tuple(notes),
                help="give an initial state ('initial a = vacuum'), or solve by 'evolve'",
            )
        )
    rho = density(point.start)
    where = at.generator.sector
    x0 = (at.generator.form.to_real @ rho[where.rows, where.columns]).real
    if dense is not None and len(dense) <= MOST_TURNING:
        refuse_oscillation(dense, scale, x0)
    left, right = kernel
    x = right @ np.linalg.solve(left.T @ right, left.T @ x0)
    warning = Diagnostic(
        "W501",
        found,
        notes=(Note("this is the one that is reached from the initial state"), *notes),
    )
    return x, warning


def conserved(at: At, matrix: sp.csc_array) -> list[str]:
    r"""Numbers and parities that nothing changes, which tell several stationary states apart.

    A diagonal operator Q is conserved if $\mathcal{L}^\dagger Q = 0$: its vector is a left null vector.
    """
    problem, where = at.generator.problem, at.generator.sector
    diagonal = np.flatnonzero(where.rows == where.columns)
    states = superoperator.occupations(problem)[where.rows[diagonal]]
    labels = [part.label for part in problem.parts]
    candidates = {f"n({label})": states[:, k] for k, label in enumerate(labels)}
    symmetry = at.generator.symmetry
    for charge, modulus in zip(symmetry.charges, symmetry.moduli, strict=True):
        if modulus == 0 and np.count_nonzero(charge) > 1:
            text = Symmetry((charge,), (0,)).describe(labels).removeprefix("U(1) ")
            candidates[text] = states @ np.array(charge)
    for k, label in enumerate(labels):
        candidates[f"(-1)^n({label})"] = (-1.0) ** states[:, k]
    if len(labels) > 1:
        candidates["(-1)^(total n)"] = (-1.0) ** states.sum(axis=1)
    scale = float(np.abs(matrix.data).max(initial=0.0))
    found: list[str] = []
    for text, values in candidates.items():
        vector = np.zeros(matrix.shape[0])
        vector[at.generator.form.populations] = values
        size = float(np.abs(vector).max(initial=0.0))
        constant = np.ptp(values) == 0
        # What is conserved because a number is would be said twice.
        said = any(known.endswith(text.removeprefix("(-1)^")) for known in found)
        if not constant and not said and size:
            change = float(np.abs(matrix.T @ vector).max(initial=0.0))
            if change <= 1e-10 * scale * size:
                found.append(text)
    return found
