"""Whether an operator is Hermitian, also where its terms have no normal form."""

from __future__ import annotations

from math import prod

from qsyncdsl.algebra.operators import Polynomial, monomial_text
from qsyncdsl.model.numbers import show, simplify

# Levels of a boson on which a difference of operators is looked at, and of all modes together.
_LOWEST, _LARGEST = 12, 2000


def anti_hermitian(operator: Polynomial, rounding: float = 1e-12) -> str:
    """The largest term of O - O', beyond rounding, as text; empty if there is none."""
    difference = operator - operator.dag()
    scale = max((abs(c) for c in operator.terms.values()), default=0.0)
    found = [
        (m, c)
        for m, c in difference.terms.items()
        if abs(c) > rounding * max(scale, 1e-300)
    ]
    if not found or _no_matrix(difference, scale):
        return ""
    monomial, value = max(found, key=lambda item: abs(item[1]))
    return f"{show(simplify(complex(value)))} {monomial_text(operator.space, monomial)}".strip()


def _no_matrix(difference: Polynomial, scale: float) -> bool:
    """Whether a sum with products of functions, as a cos(q) - cos(q) a + ..., has no matrix elements.

    Products of letters and functions have no normal form; the lowest levels of their modes tell.
    """
    if not any(word[0] == "product" for m in difference.terms for _, word in m):
        return False
    dimensions = [1] * len(difference.space.modes)
    touched = difference.modes()
    for k in touched:
        mode = difference.space.modes[k]
        dimensions[k] = _LOWEST if mode.kind.name == "boson" else mode.dimension
    if prod(dimensions) > _LARGEST:
        return False
    from qsyncdsl.algebra.matrices import polynomial_matrix

    try:
        matrix = polynomial_matrix(difference, dimensions)
    except ValueError:
        return False
    return bool(abs(matrix).max() < 1e-10 * max(scale, 1e-300) * _LOWEST)
