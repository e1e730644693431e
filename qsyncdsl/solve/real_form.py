r"""The Liouvillian on Hermitian matrices as real vectors.

With coefficients left open for a sweep, or in numbers for one point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from qsyncdsl.solve.superoperator import (
    AffineMatrix,
    Sector,
    Side,
    arriving_entries,
    gathered,
)


@dataclass(frozen=True)
class RealForm:
    """Hermitian matrices of the invariant sector as real vectors.

    Unknowns are the populations, then the real and the imaginary parts of the elements above the
    diagonal. `to_complex` (M x U) makes the elements, `to_real` (U x M) takes them back.

    Attributes:
        re, im: The unknown of the real and of the imaginary part of each element; im is -1 on the diagonal.
        sign: Of the imaginary part: -1 below the diagonal.
    """

    to_complex: sp.csr_array
    to_real: sp.csr_array
    populations: np.ndarray
    re: np.ndarray
    im: np.ndarray
    sign: np.ndarray


def real_form(where: Sector) -> RealForm:
    """The real unknowns of the invariant sector."""
    diagonal = np.flatnonzero(where.rows == where.columns)
    upper = np.flatnonzero(where.rows < where.columns)
    lower = where.place[where.columns[upper], where.rows[upper]]
    d, u = len(diagonal), len(upper)
    re = np.empty(where.size, dtype=np.int32)
    im = np.full(where.size, -1, dtype=np.int32)
    re[diagonal] = np.arange(d)
    re[upper] = re[lower] = d + np.arange(u)
    im[upper] = im[lower] = d + u + np.arange(u)
    sign = np.ones(where.size)
    sign[lower] = -1.0
    both = np.concatenate([upper, lower])
    rows = np.concatenate([np.arange(where.size), both])
    columns = np.concatenate([re, im[both]])
    data = np.concatenate([np.ones(where.size), 1j * sign[both]])
    unknowns = d + 2 * u
    to_complex = sp.csr_array((data, (rows, columns)), shape=(where.size, unknowns))
    kept = np.concatenate([diagonal, upper, upper])
    data = np.concatenate([np.ones(d + u), np.full(u, -1j)])
    to_real = sp.csr_array(
        (data, (np.arange(unknowns), kept)), shape=(unknowns, where.size)
    )
    return RealForm(to_complex, to_real, np.arange(d), re, im, sign)


def real_generator(
    all_sides: list[Side],
    where: Sector,
    form: RealForm,
    phases: frozenset[int] | None = None,
) -> AffineMatrix:
    """The Liouvillian on real unknowns; its strengths are [Re g, -Im g].

    An entry v from element s to element t, of which only those on and above the diagonal are wanted,
    gives v from Re s to Re t, i v from Im s to Re t (-i v below the diagonal), and -i times these to Im t.

    Args:
        phases: Coefficients that may be complex; all if not given. Im g is left out where it is zero.
    """
    size = len(form.populations) + 2 * int((form.sign < 0).sum())
    count = len(all_sides)
    wanted = np.flatnonzero(form.sign > 0).astype(np.int32)
    found = [arriving_entries(side, where, wanted) for side in all_sides]
    turned = [k for k, side in enumerate(all_sides) if _is_complex(side, phases)]
    numbers = [*range(count), *(k + count for k in turned)]
    found += [(t, s, -1j * v) for t, s, v in (found[k] for k in turned)]
    if not found:
        numbers, found = [0], [(wanted[:0], wanted[:0], np.zeros(0, dtype=complex))]
    lengths = [len(value) for _, _, value in found]
    target, source, value = (np.concatenate(x) for x in zip(*found, strict=True))
    which = np.repeat(np.array(numbers, dtype=np.int32), lengths)
    # The diagonal is part of the pattern: SuperLU does not survive an empty column.
    every, nothing = np.arange(size, dtype=np.int32), np.zeros(size)
    pieces = [
        (every, every, np.zeros(size, dtype=np.int32), nothing),
        *_real_entries(which, target, source, value, form),
    ]
    rows, columns, which, data = (np.concatenate(x) for x in zip(*pieces, strict=True))
    order = np.argsort(which, kind="stable")
    return gathered(
        rows[order], columns[order], which[order], data[order], (size, 2 * count)
    )


def matrix_entries(k: sp.csr_array, jumps: list[sp.csr_array], elements: int) -> float:
    """About how many entries `real_matrix` has."""
    filling = [x.nnz / x.shape[0] for x in jumps]
    return elements * (2 * k.nnz / k.shape[0] + sum(f**2 for f in filling))


def _adjoint_by_columns(matrix: sp.csr_array) -> sp.csc_array:
    return sp.csc_array(
        (matrix.data.conj(), matrix.indices, matrix.indptr), shape=matrix.shape[::-1]
    )


def real_matrix(
    k: sp.csr_array, jumps: list[sp.csr_array], where: Sector, form: RealForm
) -> sp.csc_array:
    """The Liouvillian of one point on real unknowns, as `real_generator` without open strengths.

    Args:
        k, jumps: See `solve.effective.effective`.
    """
    size = len(form.populations) + 2 * int((form.sign < 0).sum())
    wanted = np.flatnonzero(form.sign > 0).astype(np.int32)
    all_sides = [
        Side((), -1j, k, None),
        Side((), 1j, None, _adjoint_by_columns(k)),
        *(Side((), 1.0, jump, _adjoint_by_columns(jump)) for jump in jumps),
    ]
    found = [arriving_entries(side, where, wanted) for side in all_sides]
    target, source, value = (np.concatenate(x) for x in zip(*found, strict=True))
    which = np.zeros(len(value), dtype=np.int8)
    # The diagonal is part of the pattern, as there.
    every = np.arange(size, dtype=np.int32)
    pieces = [
        (every, every, which[:0], np.zeros(size)),
        *_real_entries(which, target, source, value, form),
    ]
    rows, columns, _, data = (np.concatenate(x) for x in zip(*pieces, strict=True))
    return sp.csc_array((data, (rows, columns)), shape=(size, size))


def _real_entries(
    which: np.ndarray,
    target: np.ndarray,
    source: np.ndarray,
    value: np.ndarray,
    form: RealForm,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Re v and Im v between real and imaginary parts of elements."""
    for part, pairs in (
        (value.real, ((form.re, form.re, 0.0), (form.im, form.im, 1.0))),
        (value.imag, ((form.re, form.im, -1.0), (form.im, form.re, 0.0))),
    ):
        some = np.flatnonzero(part)
        t, s, own, numbers = target[some], source[some], part[some], which[some]
        for rows, columns, turned in pairs:
            i, j = rows[t], columns[s]
            kept = np.flatnonzero((i >= 0) & (j >= 0))
            data = turned * form.sign[s] * own if turned else own
            yield i[kept], j[kept], numbers[kept], data[kept]


def _is_complex(side: Side, phases: frozenset[int] | None) -> bool:
    """Whether the strength of a summand may be complex."""
    first, *pair = side.factors
    varying = {first} if not pair or pair[0] == pair[1] else {first, *pair}
    return phases is None or not phases.isdisjoint(varying)
