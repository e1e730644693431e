r"""Weak symmetries from the changes of occupation numbers that the operators make.

If every term of H and, within each jump, all differences of its terms change the occupations by vectors
of a lattice $\Lambda$, then elements $\rho_{mn}$ with $m - n$ in different classes of
$\mathbb{Z}^k/\Lambda$ do not mix. The free part of that group are U(1) charges, the finite part parities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Symmetry:
    """The group of charges: row vectors over the modes, each with its modulus (0 for U(1)).

    >>> weak_symmetry([(1, -1)], 2)
    Symmetry(charges=((1, 1),), moduli=(0,))
    >>> weak_symmetry([(2,)], 1)
    Symmetry(charges=((1,),), moduli=(2,))
    """

    charges: tuple[tuple[int, ...], ...]
    moduli: tuple[int, ...]

    def classify(self, vector: Sequence[int]) -> tuple[int, ...]:
        """Charges of a change of occupations; all zero in the invariant sector."""
        found = []
        for charge, modulus in zip(self.charges, self.moduli, strict=True):
            value = sum(c * x for c, x in zip(charge, vector, strict=True))
            found.append(value % modulus if modulus else value)
        return tuple(found)

    def describe(self, labels: Sequence[str]) -> str:
        """The symmetries in words, `U(1) n(a1) + n(a2)`, or `none`."""
        parts = []
        for charge, modulus in zip(self.charges, self.moduli, strict=True):
            terms = [
                (
                    f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c)} '}n({label})"
                )
                for c, label in zip(charge, labels, strict=True)
                if c
            ]
            text = " ".join(terms).removeprefix("+ ")
            parts.append(f"U(1) {text}" if modulus == 0 else f"Z{modulus} {text}")
        return ", ".join(parts) or "none"


def weak_symmetry(shifts: Iterable[Sequence[int]], count: int) -> Symmetry:
    """The charges that all the given changes of occupations leave alone.

    The Smith normal form D = U A V of the matrix whose rows are the shifts; x is in their lattice
    exactly if the components of x V are multiples of the diagonal of D.
    """
    rows = sorted({tuple(int(x) for x in shift) for shift in shifts if any(shift)})
    matrix = [list(row) for row in rows]
    columns = [[int(i == j) for j in range(count)] for i in range(count)]
    diagonal = _smith(matrix, columns, count)
    charges, moduli = [], []
    for k in range(count):
        modulus = diagonal[k] if k < len(diagonal) else 0
        if modulus == 1:
            continue
        charge = [columns[i][k] for i in range(count)]
        charges.append(_tidy(charge, modulus))
        moduli.append(modulus)
    return Symmetry(tuple(charges), tuple(moduli))


def _tidy(charge: list[int], modulus: int) -> tuple[int, ...]:
    """First entry positive; residues small."""
    if modulus:
        charge = [
            (c + modulus // 2 - (modulus % 2 == 0)) % modulus
            - modulus // 2
            + (modulus % 2 == 0)
            for c in charge
        ]
    lead = next((c for c in charge if c), 0)
    return tuple(-c if lead < 0 else c for c in charge)


def _smith(matrix: list[list[int]], columns: list[list[int]], count: int) -> list[int]:
    """Diagonalize by integer row and column operations; the column ones act on `columns` too."""
    diagonal: list[int] = []
    step = 0
    while step < min(len(matrix), count):
        pivot = _smallest(matrix, step, count)
        if pivot is None:
            break
        row, column = pivot
        matrix[step], matrix[row] = matrix[row], matrix[step]
        for line in (*matrix, *columns):
            line[step], line[column] = line[column], line[step]
        if _clear(matrix, columns, step, count):
            diagonal.append(abs(matrix[step][step]))
            step += 1
    return diagonal


def _smallest(matrix: list[list[int]], step: int, count: int) -> tuple[int, int] | None:
    """Place of the smallest non-zero entry of the rest."""
    entries = [
        (abs(matrix[i][j]), i, j)
        for i in range(step, len(matrix))
        for j in range(step, count)
        if matrix[i][j]
    ]
    return min(entries)[1:] if entries else None


def _clear(
    matrix: list[list[int]], columns: list[list[int]], step: int, count: int
) -> bool:
    """Reduce the pivot's row and column; True once both are clear and it divides the rest."""
    pivot = matrix[step][step]
    done = True
    for i in range(step + 1, len(matrix)):
        factor = matrix[i][step] // pivot
        if factor:
            matrix[i] = [
                x - factor * y for x, y in zip(matrix[i], matrix[step], strict=True)
            ]
        done &= matrix[i][step] == 0
    for j in range(step + 1, count):
        factor = matrix[step][j] // pivot
        if factor:
            for line in (*matrix, *columns):
                line[j] -= factor * line[step]
        done &= matrix[step][j] == 0
    if not done:
        return False
    for i in range(step + 1, len(matrix)):
        if any(x % pivot for x in matrix[i][step:]):
            matrix[step] = [x + y for x, y in zip(matrix[step], matrix[i], strict=True)]
            return False
    return True


def operator_shifts(system: Any, kept: Sequence[int]) -> list[tuple[int, ...]] | None:
    """The changes of occupations that a system's symmetries must leave alone.

    None where a function of operators makes steps that are not known.
    """
    vectors: list[tuple[int, ...]] = []
    for term in system.hamiltonian:
        shifts = _polynomial_shifts(term.operator, kept)
        if shifts is None:
            return None
        vectors += shifts
    for jump in system.jumps:
        shifts = _polynomial_shifts(jump.operator, kept)
        if shifts is None:
            return None
        vectors += [
            tuple(a - b for a, b in zip(s, shifts[0], strict=True)) for s in shifts
        ]
    return vectors


def _polynomial_shifts(
    operator: Any, kept: Sequence[int]
) -> list[tuple[int, ...]] | None:
    """The change of occupations of each monomial."""
    found = set()
    for monomial in operator.terms:
        shift = dict.fromkeys(kept, 0)
        for key, word in monomial:
            step = _step(word)
            if step is None or not isinstance(key, int):
                return None
            shift[key if key in shift else operator.space.modes[key].ensemble] += step
        found.add(tuple(shift[k] for k in kept))
    return sorted(found)


def _step(word: tuple[Any, ...]) -> int | None:
    """By how much a word changes the occupation; None if it is not definite."""
    match word:
        case ("a" | "E", p, q):
            return int(p - q)
        case ("J", p, _, q):
            return int(p - q)
        case ("e", k, _, _):
            return int(k)
        case _:
            return None
