r"""Phase-space symbols of functions of quadratures: $f(\ell)$ with $\ell = \sum_k(c_k a_k + c_k^* a_k^\dagger)$.

The Weyl symbol of $f(\ell)$ is $f$ of the symbol of $\ell$, without corrections, and that of a product of
functions and polynomials of different modes the product of their symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from qsyncdsl.algebra.operators import ONE, Monomial, Polynomial
from qsyncdsl.algebra.phase_space import FieldPolynomial, NoPhaseSpace
from qsyncdsl.algebra.rotor_symbols import NoSymbol, function_symbol

# Two forms are the same if their coefficients agree to this.
_SAME = 1e-12


@dataclass(frozen=True)
class LinearForm:
    r"""$\ell = \sum_k (c_k\alpha_k + c_k^*\alpha_k^*)$ by mode, $\sum_k|c_k|^2 = 1$."""

    coefficients: tuple[tuple[int, complex], ...]

    @property
    def symbol(self) -> Any:
        """What stands for its value in expressions."""
        return sympy.Symbol(
            "l_" + "_".join(f"{k}_{c:.12g}" for k, c in self.coefficients), real=True
        )


@dataclass(frozen=True)
class Wave:
    r"""A polynomial of some fields times a function of linear forms of others.

    Attributes:
        fields: The polynomial.
        function: Expression of the symbols of the forms.
    """

    fields: FieldPolynomial
    forms: tuple[LinearForm, ...]
    function: Any


def split(operator: Polynomial) -> tuple[Polynomial, list[tuple[Monomial, Any]]]:
    """The polynomial part of an operator, and its other monomials."""
    plain, others = {}, []
    for monomial, value in operator.terms.items():
        if all(isinstance(k, int) and w[0] == "a" for k, w in monomial):
            plain[monomial] = value
        else:
            others.append((monomial, value))
    return Polynomial(operator.space, plain), others


def wave(operator: Polynomial, monomial: Monomial, value: Any, symbol: Any) -> Wave:
    """The symbol of a monomial with functions of quadratures.

    Args:
        symbol: From a polynomial of operators to its phase-space symbol.

    Raises:
        NoPhaseSpace: For functions of anything else, and for products with operators of the same modes.
    """
    space = operator.space
    plain = tuple((k, w) for k, w in monomial if isinstance(k, int) and w[0] == "a")
    fields = symbol(Polynomial(space, {plain or ONE: space.ring.number(value)}))
    forms: list[LinearForm] = []
    total = sympy.Integer(1)
    for _, word in (f for f in monomial if f not in plain):
        total *= _word(word, forms)
    return Wave(fields, tuple(forms), total)


def _word(word: Any, forms: list[LinearForm]) -> Any:
    """A factor as an expression of forms, which are gathered."""
    if word[0] == "product":
        own: list[LinearForm] = []
        factors = [_word(part, own) for _, part in word[1]]
        if len(own) > 1:
            raise NoPhaseSpace("a product of functions of different quadratures")
        forms += [form for form in own if form not in forms]
        return sympy.Mul(*factors)
    if word[0] != "f":
        raise NoPhaseSpace("a product of an operator with a function of the same mode")
    own = []
    argument = _argument(word[2], own)
    if len(own) > 1:
        raise NoPhaseSpace(f"{word[1]} of different quadratures at once")
    forms += [form for form in own if form not in forms]
    try:
        return function_symbol(word[1], argument)
    except NoSymbol as reason:
        raise NoPhaseSpace(str(reason)) from None


def _argument(argument: Polynomial, forms: list[LinearForm]) -> Any:
    """The argument of a function as an expression of one linear form."""
    linear: dict[int, list[complex]] = {}
    total = sympy.Integer(0)
    for monomial, value in argument.terms.items():
        if monomial == ONE:
            total += sympy.sympify(value)
        elif len(monomial) == 1 and monomial[0][1] in (("a", 0, 1), ("a", 1, 0)):
            ((key, word),) = monomial
            assert isinstance(key, int)
            linear.setdefault(key, [0j, 0j])[word[1]] += complex(value)
        elif all(word[0] in ("f", "product") for _, word in monomial):
            total += value * sympy.Mul(*(_word(word, forms) for _, word in monomial))
        else:
            raise NoPhaseSpace("a function of an operator that is no quadrature")
    if linear:
        form, scale = _form(linear)
        if form not in forms:
            forms.append(form)
        total += exact(scale) * form.symbol
    return total


def exact(value: complex) -> Any:
    """A number without the part that is zero."""
    if value.imag == 0:
        return sympy.Float(value.real)
    if value.real == 0:
        return sympy.Float(value.imag) * sympy.I
    return sympy.sympify(value)


def _form(linear: dict[int, list[complex]]) -> tuple[LinearForm, complex]:
    """A linear operator as a number times a Hermitian form with a sign of its own."""
    norm = sum(abs(u) ** 2 for u, _ in linear.values()) ** 0.5
    u, v = linear[min(linear)]
    if u == 0 or v == 0:
        raise NoPhaseSpace("a function of an operator that is no quadrature")
    phase = (u * v / abs(u * v)) ** 0.5
    phase = complex(round(phase.real, 15), round(phase.imag, 15))
    found = {k: u / (phase * norm) for k, (u, _) in sorted(linear.items())}
    if any(
        abs(v / (phase * norm) - found[k].conjugate()) > _SAME
        for k, (_, v) in linear.items()
    ):
        raise NoPhaseSpace("a function of an operator that is no quadrature")
    first = found[min(found)]
    leading = first.real if abs(first.real) > _SAME else first.imag
    sign = 1.0 if leading > 0 else -1.0
    rounded = tuple((k, _round(sign * c)) for k, c in found.items())
    return LinearForm(rounded), sign * phase * norm


def _round(value: complex) -> complex:
    return complex(round(value.real, 14) + 0.0, round(value.imag, 14) + 0.0)
