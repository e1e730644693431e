"""Cells that see the same: one of each class stands for all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qsyncdsl.problem import EVERYONE
from qsyncdsl.solve.cell_operators import CellOperators


def classes(
    operators: CellOperators,
    coefficients: list[np.ndarray],
    start: Mapping[int, list[bytes]],
) -> list[np.ndarray]:
    """The class of every cell of every kind: equal terms, equal start, equal surroundings.

    Colors are refined until their number stands still (the coarsest equitable partition).
    """
    problem = operators.problem
    colors = []
    for kind, cell in enumerate(problem.kinds):
        known: dict[bytes, int] = {}
        given = start.get(kind)
        tokens = (
            [known.setdefault(b, len(known)) for b in given]
            if given
            else [0] * cell.count
        )
        colors.append(
            _mix(np.array(tokens, dtype=np.uint64) + np.uint64(977 * (kind + 1)))
        )
    count = 0
    while True:
        found = sum(len(np.unique(c)) for c in colors)
        if found == count:
            return [np.unique(c, return_inverse=True)[1] for c in colors]
        count = found
        totals = [c.copy() for c in colors]
        for number, (term, values) in enumerate(
            zip(problem.terms, coefficients, strict=True)
        ):
            if term.targets is None:
                continue
            scale = np.abs(values).max() or 1.0
            digits = np.round(values / scale * 2.0**36)
            token = _mix(digits.real.astype(np.int64).view(np.uint64))
            token = _mix(token + digits.imag.astype(np.int64).view(np.uint64))
            token = _mix(token + np.uint64(7919 * (operators.operator_of[number] + 1)))
            for place, (kind, matrix) in enumerate(term.factors):
                cells = term.cells[:, place]
                seen = np.where(cells == EVERYONE, np.uint64(1), colors[kind][cells])
                token = _mix(token ^ _mix(seen + np.uint64(104729 * (matrix + 1))))
            np.add.at(totals[term.kind], term.targets, token)
        colors = [_mix(t) for t in totals]


def _mix(x: np.ndarray) -> np.ndarray:
    """A hash of 64-bit numbers (the finalizer of MurmurHash3)."""
    x = x ^ (x >> np.uint64(33))
    x = x * np.uint64(0xFF51AFD7ED558CCD)
    x = x ^ (x >> np.uint64(33))
    x = x * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(x ^ (x >> np.uint64(33)))
