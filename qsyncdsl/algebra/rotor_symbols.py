r"""Classical symbols of operators of rotors: $\sum_k e^{ikx} F_k(p)$, $n \to p/\hbar$.

Products are those of commuting numbers: what commutators would add is of higher order in $\hbar$.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.operators import Polynomial

# Waves exp(i sum_r k_r x_r): integers k by rotor, and what stands before each.
Waves = dict[tuple[int, ...], Any]

_FUNCTIONS = {
    "exp": sympy.exp, "cos": sympy.cos, "sin": sympy.sin, "tan": sympy.tan, "sqrt": sympy.sqrt,
    "log": sympy.log, "abs": sympy.Abs, "sign": sympy.sign, "sinh": sympy.sinh,
    "cosh": sympy.cosh, "tanh": sympy.tanh,
}  # fmt: skip


class NoSymbol(ValueError):
    """An operator that has no classical counterpart here."""


def angle(k: int) -> Any:
    """The symbol of an angle."""
    return sympy.Symbol(f"x{k}", real=True)


def momentum(k: int) -> Any:
    """The symbol of a momentum."""
    return sympy.Symbol(f"y{k}", real=True)


def waves(operator: Polynomial, count: int, hbar: Any) -> Waves:
    """The symbol of an operator on rotors.

    Raises:
        NoSymbol: For |n><m|, and for functions of angles that are not periodic sums.
    """
    total: Waves = {}
    for monomial, value in operator.terms.items():
        product: Waves = {(0,) * count: sympy.sympify(value)}
        for key, word in monomial:
            product = _times(product, _word(key, word, count, hbar))
        for k, factor in product.items():
            total[k] = total.get(k, 0) + factor
    return total


def _word(key: Any, word: Any, count: int, hbar: Any) -> Waves:
    still = (0,) * count
    if word[0] == "product":
        total: Waves = {still: sympy.Integer(1)}
        for inner, part in word[1]:
            total = _times(total, _word(inner, part, count, hbar))
        return total
    if word[0] == "f":
        return {still: _function(word[1], waves(word[2], count, hbar), still)}
    if word[0] != "e":
        raise NoSymbol("a projection on levels has no classical counterpart")
    _, k, j, i = word
    turned = tuple(k if r == key else 0 for r in range(count))
    return {turned: (momentum(key) / hbar) ** (j + i)}


def _function(name: str, inside: Waves, still: tuple[int, ...]) -> Any:
    if set(inside) - {still}:
        raise NoSymbol(f"{name} of an operator that turns the angle")
    return function_symbol(name, inside.get(still, sympy.Integer(0)))


def function_symbol(name: str, argument: Any) -> Any:
    """A function of operators by its name, of an expression.

    Raises:
        NoSymbol: For one that has none.
    """
    word, _, number = name.partition(" ")
    if word == "max":
        return sympy.Max(argument, sympy.nsimplify(number))
    if word == "min":
        return sympy.Min(argument, sympy.nsimplify(number))
    if word == "power":
        return argument ** sympy.nsimplify(number)
    if word not in _FUNCTIONS:
        raise NoSymbol(f"{name} of an operator")
    return _FUNCTIONS[word](argument)


def _times(left: Waves, right: Waves) -> Waves:
    total: Waves = {}
    for k, a in left.items():
        for m, b in right.items():
            key = tuple(x + y for x, y in zip(k, m, strict=True))
            total[key] = total.get(key, 0) + a * b
    return total


def conjugate(symbol: Waves) -> Waves:
    """The complex conjugate; symbols of parameters are real."""
    return {
        tuple(-x for x in k): sympy.sympify(v).xreplace({sympy.I: -sympy.I})
        for k, v in symbol.items()
    }


def derivative(symbol: Waves, by: Any) -> Waves:
    """With respect to a momentum."""
    return {k: sympy.diff(v, by) for k, v in symbol.items()}


def turning(symbol: Waves, rotor: int) -> Waves:
    r"""$-i\partial_x$: every wave times its number."""
    return {k: k[rotor] * v for k, v in symbol.items() if k[rotor]}


def multiplied(left: Waves, right: Waves) -> Waves:
    """The product of two symbols."""
    return _times(left, right)


def real_part(symbol: Waves) -> Any:
    """The real part in sines and cosines, simplified where |p| cancels."""
    total = sympy.Integer(0)
    for k, value in symbol.items():
        phase = sum((n * angle(r) for r, n in enumerate(k)), sympy.Integer(0))
        both = sympy.expand(_split(value))
        total += both.coeff(sympy.I, 0) * sympy.cos(phase)
        total -= both.coeff(sympy.I, 1) * sympy.sin(phase)
    return sympy.expand(total)


def _split(value: Any) -> Any:
    """max(a, b) as (a + b + |a - b|)/2, so that what cancels does."""
    value = sympy.expand(value)
    value = value.replace(
        lambda e: isinstance(e, sympy.Max) and len(e.args) == 2,
        lambda e: (e.args[0] + e.args[1] + sympy.Abs(e.args[0] - e.args[1])) / 2,
    )
    return value.replace(
        lambda e: isinstance(e, sympy.Min) and len(e.args) == 2,
        lambda e: (e.args[0] + e.args[1] - sympy.Abs(e.args[0] - e.args[1])) / 2,
    )


def sums(parts: list[Waves]) -> Waves:
    """The sum of several symbols."""
    total: Waves = {}
    for part in parts:
        for k, value in part.items():
            total[k] = total.get(k, 0) + value
    return total


def scaled(symbol: Mapping[tuple[int, ...], Any], factor: Any) -> Waves:
    """A symbol times a number."""
    return {k: factor * v for k, v in symbol.items()}


# ── numbers ──────────────────────────────────────────────────────────────────────────────────

_ARRAYS: dict[str, Any] = {
    "exp": np.exp, "cos": np.cos, "sin": np.sin, "tan": np.tan, "sqrt": np.emath.sqrt,
    "log": np.emath.log, "abs": np.abs, "sign": np.sign, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh,
}  # fmt: skip


def symbol_values(
    operator: Polynomial, x: np.ndarray, p: np.ndarray, hbar: float
) -> np.ndarray:
    """The symbol of an operator with numbers, at angles and momenta of shape (rotors, ...).

    Raises:
        NoSymbol: For |n><m|.
    """
    total = np.zeros(x.shape[1:], dtype=complex)
    for monomial, value in operator.terms.items():
        product = np.full(x.shape[1:], complex(value))
        for key, word in monomial:
            product = product * _word_values(key, word, x, p, hbar)
        total += product
    return total


def _word_values(key: Any, word: Any, x: np.ndarray, p: np.ndarray, hbar: float) -> Any:
    if word[0] == "x":
        return x[key]
    if word[0] == "e":
        return np.exp(1j * word[1] * x[key]) * (p[key] / hbar) ** (word[2] + word[3])
    if word[0] == "product":
        total: Any = 1.0
        for inner, part in word[1]:
            total = total * _word_values(inner, part, x, p, hbar)
        return total
    if word[0] != "f":
        raise NoSymbol("a projection on levels has no classical counterpart")
    inside = symbol_values(word[2], x, p, hbar)
    name, _, number = word[1].partition(" ")
    if name == "max":
        return np.maximum(inside.real, float(number))
    if name == "min":
        return np.minimum(inside.real, float(number))
    if name == "power":
        return inside ** complex(number)
    if name not in _ARRAYS:
        raise NoSymbol(f"{name} of an operator")
    return _ARRAYS[name](inside)
