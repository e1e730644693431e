r"""Is a stationary state the only one? Asked of the operators, whichever solver found it.

What L takes to zero without being positive has a positive and a negative part that are both stationary.
On the support of a state that has a part in every invariant subspace, the states are unique exactly if
nothing but the identity commutes with H, all $L_c$ and all $L_c^\dagger$ (Spohn; Baumgartner and Narnhofer).
What commutes with a Hermitian G made of these is diagonal in the eigenbasis of G, where that is not degenerate:

$$ X = \sum_i x_i |i\rangle\langle i|, \qquad (x_i - x_j)\,\langle i|A|j\rangle = 0
   \quad\text{for } A = H, L_c , $$

so that the connected components of the graph of matrix elements count the independent $x_i$. With U(1) charges
only an X that keeps them need be looked at (a connected group does not swap invariant subspaces; parities may),
and of G the part that keeps them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.solve.generator import At

# Dimension of blocks up to which they are diagonalized.
_BLOCK = 1200
# Dimension up to which blocks are not taken apart for a Cholesky decomposition.
_WHOLE = 300
# Populations, in units of the largest one, from which on a state counts as part of the support.
_SUPPORT = 1e-9
# Matrix elements, and differences of eigenvalues, in units of the largest, that count as zero.
_ELEMENT, _GAP = 1e-7, 1e-9
# Negative eigenvalues beyond what slow relaxations make of a small residual.
_NEGATIVE = 1e-3


def component_count(at: At, rho: np.ndarray) -> int | None:
    """How many invariant subspaces the support of a state has; None where that is not known.

    Args:
        rho: A stationary state, shape (D, D), without elements between different charges.
    """
    if plainly_unique(at, rho):
        return 1
    blocks = _blocks(at)
    if max(len(b) for b in blocks) > _BLOCK:
        return None
    effective, jumps = at.effective
    hamiltonian = (effective + effective.conj().T) / 2
    basis, blocks, negative = _support(rho, blocks)
    operators = [_seen(x, basis) for x in (hamiltonian, *jumps) if x.nnz]
    operators = [x for x in operators if x.nnz]
    count = basis.shape[1]
    if not operators:
        return count
    found = _nondegenerate(operators, blocks)
    if found is None:
        return 2 if negative else None
    number = _components(operators, found)
    return max(2, number) if negative else number


def plainly_unique(at: At, rho: np.ndarray) -> bool:
    r"""Whether occupation numbers tell already that a state is the only one; False where more must be asked.

    So it is where all states are populated, where the $L_c^\dagger L_c$ and $L_c L_c^\dagger$ that are
    diagonal tell all states of one charge apart, and where the operators connect all states: then the G
    above is diagonal, and nothing need be diagonalized.

    Args:
        rho: As for `component_count`.
    """
    effective, jumps = at.effective
    weights = iter(np.cos(1.0 + 1.7 * np.arange(2 * len(jumps) + 1) ** 1.3))
    numbers = np.zeros(len(rho))
    for x in jumps:
        squares = np.abs(x.data) ** 2
        scale = squares.max(initial=0.0)
        rows, columns = np.diff(x.indptr), np.bincount(x.indices, minlength=len(rho))
        if scale and rows.max(initial=0) <= 1:
            own = np.bincount(x.indices, squares, minlength=len(rho))
            numbers += next(weights) / scale * own
        if scale and columns.max(initial=0) <= 1:
            own = np.bincount(np.repeat(np.arange(len(rho)), rows), squares, len(rho))
            numbers += next(weights) / scale * own
    blocks = _blocks(at)
    gaps = [np.diff(np.sort(numbers[b])).min(initial=np.inf) for b in blocks]
    if min(gaps) < _GAP * max(float(np.abs(numbers).max()), 1e-300):
        return False
    whole = [np.arange(len(rho))] if len(rho) <= _WHOLE else blocks
    if not all(_populated(rho[np.ix_(b, b)]) for b in whole):
        return False
    return _components(jumps, None) == 1 or _components([effective, *jumps], None) == 1


def _populated(block: np.ndarray) -> bool:
    """Whether all states of a block are part of the support; False where that is not clear."""
    largest = np.abs(block).sum(axis=0).max()
    try:
        np.linalg.cholesky(block - _SUPPORT * largest * np.eye(len(block)))
    except np.linalg.LinAlgError:
        return False
    return True


def _nondegenerate(
    operators: list[sp.csr_array], blocks: list[np.ndarray]
) -> sp.csr_array | None:
    """The eigenbasis of a Hermitian combination without degeneracy; None where there is none."""
    middle: sp.csr_array | None = None
    # Longer words where short ones are degenerate.
    for _ in range(3):
        generic = _generic(operators, middle)
        found = _eigenbasis(generic, blocks)
        if found is not None:
            return found
        middle = operators[0] if middle is None else generic
    return None


def _components(operators: list[sp.csr_array], found: sp.csr_array | None) -> int:
    """How many sets of eigenvectors no operator connects.

    Args:
        found: The eigenvectors as columns; None for the states of the basis.
    """
    if not operators:
        return 0
    count = operators[0].shape[0] if found is None else found.shape[1]
    links, number = sp.csr_array((count, count)), count
    adjoint = None if found is None else sp.csr_array(found.conj().T)
    # Jumps lead from block to block; H does not.
    for x in reversed(operators):
        seen = x if adjoint is None else adjoint @ (x @ found)
        links = links + abs(_cut(seen, x))
        number = int(connected_components(links, directed=False)[0])
        if number == 1:
            break
    return number


def _seen(x: sp.csr_array, basis: sp.csr_array) -> sp.csr_array:
    """An operator on the support, without its multiple of the identity."""
    seen = sp.csr_array(basis.conj().T @ (x @ basis))
    mean = seen.diagonal().mean()
    return _cut(seen - mean * sp.eye_array(seen.shape[0]), x)


def _cut(matrix: sp.csr_array, scale: sp.csr_array) -> sp.csr_array:
    """Without elements that are small against those of another matrix."""
    cut = sp.csr_array(matrix, copy=matrix is scale)
    cut.data[np.abs(cut.data) < _ELEMENT * np.abs(scale.data).max()] = 0.0
    cut.eliminate_zeros()
    return cut


def _blocks(at: At) -> list[np.ndarray]:
    """The basis states of each set of U(1) charges."""
    moduli = np.array(at.generator.symmetry.moduli, dtype=int)
    labels = at.generator.labels[:, moduli == 0]
    if not labels.shape[1]:
        return [np.arange(len(labels))]
    _, which = np.unique(labels, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    return np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])


def _support(
    rho: np.ndarray, blocks: list[np.ndarray]
) -> tuple[sp.csr_array, list[np.ndarray], bool]:
    """The populated eigenvectors as columns, block by block, and whether a population is negative."""
    pairs = [np.linalg.eigh(rho[np.ix_(b, b)]) for b in blocks]
    largest = max(np.abs(values).max() for values, _ in pairs)
    kept = []
    for values, vectors in pairs:
        own = np.abs(values) > _SUPPORT * largest
        # Any basis of a block that is populated throughout will do: that of numbers is sparse.
        kept.append(np.eye(len(own)) if own.all() else vectors[:, own])
    negative = min(values[0] for values, _ in pairs) < -_NEGATIVE * largest
    return *_assembled(blocks, kept, len(rho)), negative


def _assembled(
    rows: list[np.ndarray], vectors: list[np.ndarray], size: int
) -> tuple[sp.csr_array, list[np.ndarray]]:
    """Columns on some rows each as one sparse matrix, and the columns of each block."""
    ends = np.cumsum([v.shape[1] for v in vectors])
    columns = np.split(np.arange(ends[-1]), ends[:-1])
    i = np.concatenate(
        [np.repeat(r, len(c)) for r, c in zip(rows, columns, strict=True)]
    )
    j = np.concatenate([np.tile(c, len(r)) for r, c in zip(rows, columns, strict=True)])
    data = np.concatenate([v.ravel() for v in vectors])
    set_ = np.flatnonzero(data)
    coords = i[set_], j[set_]
    matrix = sp.csr_array((data[set_], coords), shape=(size, int(ends[-1])))
    return matrix, [c for c in columns if len(c)]


def _generic(operators: list[sp.csr_array], inner: sp.csr_array | None) -> sp.csr_array:
    """A Hermitian combination of the operators and their products, about an inner one if it is given."""
    size = operators[0].shape[0]
    total = sp.csr_array((size, size), dtype=complex)
    weights = iter(np.cos(1.0 + 1.7 * np.arange(4 * len(operators) + 1) ** 1.3))
    middle = None if inner is None else inner + inner.conj().T
    for x in operators:
        adjoint = sp.csr_array(x.conj().T)
        words = [x, adjoint @ x, x @ adjoint]
        if middle is not None:
            words.append(adjoint @ middle @ x)
        for word in words:
            norm = np.abs(word.data).max(initial=0.0)
            if norm:
                total = total + word * ((1 + 0.3j) * next(weights) / norm)
    return sp.csr_array(total + total.conj().T)


def _eigenbasis(generic: sp.csr_array, blocks: list[np.ndarray]) -> sp.csr_array | None:
    """The eigenvectors of each block; None where eigenvalues are equal."""
    vectors = []
    for dense in _diagonal_blocks(generic, blocks):
        values, found = np.linalg.eigh(dense)
        size = max(float(np.abs(values).max(initial=0.0)), 1e-300)
        if np.diff(values).min(initial=np.inf) < _GAP * size:
            return None
        vectors.append(found)
    return _assembled(blocks, vectors, generic.shape[0])[0]


def _diagonal_blocks(
    matrix: sp.csr_array, blocks: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """The parts of a matrix that do not leave a block, dense."""
    sizes = [len(block) for block in blocks]
    block_of, inside = np.empty((2, sum(sizes)), dtype=np.int64)
    order = np.concatenate(blocks)
    block_of[order] = np.repeat(np.arange(len(blocks)), sizes)
    inside[order] = np.concatenate([np.arange(n) for n in sizes])
    entries = matrix.tocoo()
    rows, columns = entries.coords
    kept = np.flatnonzero(block_of[rows] == block_of[columns])
    kept = kept[np.argsort(block_of[rows[kept]], kind="stable")]
    counts = np.bincount(block_of[rows[kept]], minlength=len(blocks))
    for size, own in zip(sizes, np.split(kept, np.cumsum(counts)[:-1]), strict=True):
        dense = np.zeros((size, size), dtype=complex)
        dense[inside[rows[own]], inside[columns[own]]] = entries.data[own]
        yield dense


def several(count: int, initial: bool = False) -> Diagnostic:
    """E504: what was found, and what to do."""
    help_ = "solve by 'evolve'" + ("" if initial else ", from an initial state")
    message = f"the stationary state is not unique: {count} invariant subspaces"
    return Diagnostic("E504", message, help=help_)
