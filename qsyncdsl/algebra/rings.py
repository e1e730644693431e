"""Coefficients of operators: plain numbers for checking, SymPy expressions for deriving.

Only `Symbolic` imports SymPy, and only when it is used.
"""

from __future__ import annotations

import cmath
from fractions import Fraction
from typing import Any, Protocol


class Ring(Protocol):
    """What the algebra needs of its coefficients."""

    @property
    def imaginary(self) -> Any:
        """The imaginary unit."""

    def number(self, value: Any) -> Any:
        """An int, Fraction, float or complex as a coefficient."""

    def sqrt(self, value: Any) -> Any:
        """Square root of a number."""

    def conjugate(self, value: Any) -> Any:
        """Complex conjugate."""

    def is_zero(self, value: Any) -> bool:
        """Whether a coefficient is certainly zero."""

    def add(self, values: list[Any]) -> Any:
        """Sum of several coefficients."""


class Numeric:
    """Plain Python numbers."""

    imaginary = 1j

    def number(self, value: Any) -> Any:
        """The number itself; a Fraction becomes an int or a float."""
        if isinstance(value, Fraction):
            return value.numerator if value.denominator == 1 else float(value)
        return value

    def sqrt(self, value: Any) -> Any:
        """Square root; integer where exact."""
        root = cmath.sqrt(value)
        return root.real if root.imag == 0 else root

    def conjugate(self, value: Any) -> Any:
        """Complex conjugate."""
        return value.conjugate()

    def is_zero(self, value: Any) -> bool:
        """Whether the number is 0."""
        return bool(value == 0)

    def add(self, values: list[Any]) -> Any:
        """Sum."""
        return values[0] if len(values) == 1 else sum(values)


class Symbolic:
    """SymPy expressions; decimals become the exact fractions that were written."""

    @property
    def imaginary(self) -> Any:
        """The imaginary unit."""
        return _sympy().I

    def number(self, value: Any) -> Any:
        """An exact SymPy number, or the expression itself."""
        sp = _sympy()
        if isinstance(value, (bool, sp.Basic)):
            return value
        if isinstance(value, int):
            return sp.Integer(value)
        if isinstance(value, Fraction):
            return sp.Rational(value.numerator, value.denominator)
        if isinstance(value, complex):
            return self.number(value.real) + sp.I * self.number(value.imag)
        if value != value or value in (float("inf"), float("-inf")):
            return sp.sympify(value)
        return sp.Rational(repr(float(value)))

    def sqrt(self, value: Any) -> Any:
        """Exact square root."""
        return _sympy().sqrt(self.number(value))

    def conjugate(self, value: Any) -> Any:
        """Complex conjugate; real symbols are kept."""
        sp = _sympy()
        return value if value.is_real else sp.conjugate(value)

    def is_zero(self, value: Any) -> bool:
        """Whether it is zero after expansion."""
        if value.is_zero:
            return True
        if value.is_Number or value.is_Symbol or value.is_zero is False:
            return False
        return bool(_sympy().expand(value) == 0)

    def add(self, values: list[Any]) -> Any:
        """Sum, flattened once."""
        return values[0] if len(values) == 1 else _sympy().Add(*values)


def _sympy() -> Any:
    """SymPy, imported on first use."""
    import sympy

    return sympy


NUMERIC = Numeric()
SYMBOLIC = Symbolic()
