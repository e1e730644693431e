r"""Channels that overlap, combined into the smallest equivalent set.

Jumps $\sqrt{\gamma_c}L_c$ enter a master equation only through $\sum_c \gamma_c L_c \otimes L_c^*$, so that a
unitary mixture of them is the same channel. The singular value decomposition of the matrix with the rows
$\sqrt{w_c}\operatorname{vec}L_c$ gives as few jumps as there are singular values above rounding: the nodes of
an integral over recoil become a few powers of the recoil.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

# Part of the largest squared singular value below which a combined jump is rounding.
_ROUNDING = 1e-15
# Accuracy of matrix elements of functions of operators: smaller entries of a mixture are noise.
_ACCURACY = 1e-13


@dataclass(frozen=True, slots=True)
class Weighted:
    """A jump with a numerical weight, w D[M], M sparse (D, D), and the jumps it is made of."""

    weight: float
    matrix: sp.csr_array
    origins: tuple[int, ...]


def smallest_set(jumps: Sequence[Weighted]) -> list[Weighted]:
    """An equivalent set of jumps, never larger; those that gain nothing are left as they are."""
    if len(jumps) < 2:
        return list(jumps)
    rows = _rows(jumps)
    gram = (rows @ rows.conj().T).toarray()
    scale = np.sqrt(np.outer(np.diag(gram).real, np.diag(gram).real))
    overlapping = np.abs(gram) > 1e-14 * scale
    _, which = connected_components(sp.csr_array(overlapping), directed=False)
    found: list[Weighted] = []
    for group in range(which.max() + 1):
        members = np.flatnonzero(which == group).tolist()
        chosen = [jumps[k] for k in members]
        mixed = list(_mixed(chosen, sp.csr_array(rows[members])))
        fewer = len(mixed) < len(chosen)
        sparser = _entries(mixed) < _entries(chosen)
        found += mixed if len(members) > 1 and (fewer or sparser) else chosen
    return found


def distance(first: Sequence[Weighted], second: Sequence[Weighted]) -> float:
    r"""Distance of two sets of jumps, $\|C_1 - C_2\|_F/\|C_2\|_F$ with $C = \sum_c w_c L_c\otimes L_c^*$."""
    if not first or not second:
        return 0.0
    rows = _rows([*first, *second])
    signs = np.repeat([1.0, -1.0], [len(first), len(second)])
    overlap = np.abs((rows @ rows.conj().T).toarray()) ** 2
    size = overlap[len(first) :, len(first) :].sum()
    return float(np.sqrt(max(0.0, signs @ overlap @ signs) / size)) if size else 0.0


def _rows(jumps: Sequence[Weighted]) -> sp.csr_array:
    size = int(np.prod(jumps[0].matrix.shape))
    return sp.csr_array(
        sp.vstack(
            [
                np.sqrt(j.weight) * sp.coo_array(j.matrix).reshape((1, size))
                for j in jumps
            ],
            format="csr",
        )
    )


def _mixed(jumps: Sequence[Weighted], rows: sp.csr_array) -> Iterator[Weighted]:
    """The rows of S V' in rows = U S V', as jumps of weight 1."""
    columns = np.unique(rows.indices)
    size = rows.shape[1]
    _, values, vectors = np.linalg.svd(rows[:, columns].toarray(), full_matrices=False)
    shape = jumps[0].matrix.shape
    origins = tuple(k for jump in jumps for k in jump.origins)
    for value, vector in zip(values, vectors, strict=True):
        if value**2 <= _ROUNDING * values[0] ** 2:
            return
        # The phase of a singular vector is free: its largest component is made real.
        lead = vector[np.argmax(np.abs(vector))]
        entries = value * vector * (abs(lead) / lead)
        entries[np.abs(entries) < _ACCURACY * np.abs(rows.data).max()] = 0
        flat = sp.coo_array((entries, (np.zeros_like(columns), columns)), (1, size))
        matrix = sp.csr_array(flat.reshape(shape))
        matrix.eliminate_zeros()
        yield Weighted(1.0, matrix, origins)


def _entries(jumps: Sequence[Weighted]) -> int:
    return sum(jump.matrix.nnz for jump in jumps)


def weight_of(terms: Sequence[tuple[Any, Any]]) -> tuple[Any, float] | None:
    """Symbolic factor and positive number of a coefficient; None if it is not such a product."""
    if len(terms) != 1:
        return None
    factor, number = terms[0]
    value = complex(number)
    if value.imag != 0 or value.real <= 0:
        return None
    return factor, value.real
