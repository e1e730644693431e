"""Coefficients as polynomials of opaque symbols: what deriving many equations needs, and no more.

A factor such as `g[3]` or `sqrt(kappa)` is a number of a table; products of factors are sorted
tuples. Addition and multiplication cost a dictionary each, a thousand times less than expressions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qsyncdsl.algebra.expansion import expanded


@dataclass(frozen=True, slots=True, eq=False)
class Coefficient:
    """A sum of products of factors with numbers."""

    terms: Mapping[tuple[int, ...], complex]

    def __add__(self, other: Any) -> Coefficient:
        if not isinstance(other, Coefficient):
            other = Coefficient({(): other})
        total = dict(self.terms)
        for key, value in other.terms.items():
            total[key] = total.get(key, 0) + value
        return Coefficient({k: v for k, v in total.items() if v})

    __radd__ = __add__

    def __neg__(self) -> Coefficient:
        return Coefficient({k: -v for k, v in self.terms.items()})

    def __sub__(self, other: Any) -> Coefficient:
        return self + (-other)

    def __rsub__(self, other: Any) -> Coefficient:
        return -self + other

    def __mul__(self, other: Any) -> Coefficient:
        if not isinstance(other, Coefficient):
            return Coefficient(
                {k: v * other for k, v in self.terms.items()} if other else {}
            )
        if len(self.terms) == len(other.terms) == 1:
            ((a, c),) = self.terms.items()
            ((b, d),) = other.terms.items()
            product = c * d
            key = tuple(sorted(a + b)) if a and b else a or b
            return Coefficient({key: product} if product else {})
        total: dict[tuple[int, ...], complex] = {}
        for a, c in self.terms.items():
            for b, d in other.terms.items():
                key = tuple(sorted(a + b)) if a and b else a or b
                total[key] = total.get(key, 0) + c * d
        return Coefficient({k: v for k, v in total.items() if v})

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Coefficient:
        """Division by a number."""
        if isinstance(other, Coefficient):
            if set(other.terms) != {()}:
                raise TypeError("division by a symbol")
            other = other.terms[()]
        return Coefficient({k: v / other for k, v in self.terms.items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Coefficient):
            return set(self.terms) <= {()} and self.terms.get((), 0) == other
        return dict(self.terms) == dict(other.terms)

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))


@dataclass(frozen=True)
class Factors:
    """The ring of such coefficients, with the table of its factors.

    Kept on disk, factors are texts, and become expressions where they are asked for: what only
    calculates with coefficients needs no SymPy.
    """

    _factors: list[Any] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict, repr=False)
    _known: dict[Any, Coefficient] = field(default_factory=dict, repr=False)
    _conjugates: dict[int, int] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> Any:
        from sympy import srepr

        texts = [f if isinstance(f, str) else srepr(f) for f in self._factors]
        return texts, self._conjugates

    def __setstate__(self, state: Any) -> None:
        texts, conjugates = state
        for name, value in zip(
            ("_factors", "_numbers", "_known", "_conjugates"),
            (texts, {}, {}, conjugates),
            strict=True,
        ):
            object.__setattr__(self, name, value)

    @property
    def table(self) -> list[Any]:
        """The factors by number."""
        if len(self._numbers) < len(self._factors):
            import sympy

            names = vars(sympy)
            for k, factor in enumerate(self._factors):
                expression = eval(factor, {"__builtins__": {}}, names)
                self._factors[k] = expression
                self._numbers[expression] = k
        return self._factors

    imaginary = Coefficient({(): 1j})

    def number(self, value: Any) -> Coefficient:
        """A number as a coefficient."""
        if isinstance(value, Coefficient):
            return value
        value = complex(value)
        value = value.real if value.imag == 0 else value
        return Coefficient({(): value} if value else {})

    def sqrt(self, value: Any) -> Coefficient:
        """Square root of a number."""
        return self.number(complex(value) ** 0.5)

    def conjugate(self, value: Coefficient) -> Coefficient:
        """Complex conjugate."""
        return Coefficient(
            {
                tuple(sorted(map(self._conjugate, key))): (
                    complex(v).conjugate() if isinstance(v, complex) else v
                )
                for key, v in value.terms.items()
            }
        )

    def _conjugate(self, place: int) -> int:
        """The place of the conjugate of a factor."""
        if place not in self._conjugates:
            import sympy

            found = self._factor(sympy.conjugate(self.table[place]))
            self._conjugates[place] = found
        return self._conjugates[place]

    def close(self) -> None:
        """Have the conjugates of all factors in the table too."""
        place = 0
        while place < len(self._factors):
            self._conjugate(place)
            place += 1

    def is_zero(self, value: Coefficient) -> bool:
        """Whether nothing is left."""
        for v in value.terms.values():  # noqa: SIM110
            if abs(v) > 1e-15:
                return False
        return True

    def add(self, values: list[Coefficient]) -> Coefficient:
        """Sum."""
        if len(values) == 1:
            return values[0]
        total: dict[tuple[int, ...], complex] = {}
        for value in values:
            for key, number in value.terms.items():
                total[key] = total.get(key, 0) + number
        return Coefficient({k: v for k, v in total.items() if v})

    def of(self, expression: Any) -> Coefficient:
        """An expression as a coefficient; what is no number or product becomes a factor."""
        if isinstance(expression, int | float | complex):
            return self.number(expression)
        if expression not in self._known:
            self._known[expression] = self._of(expression)
        return self._known[expression]

    def _of(self, expression: Any) -> Coefficient:
        import sympy

        total = self.number(0)
        for term in sympy.Add.make_args(expanded(expression)):
            value, rest = term.as_independent(*term.free_symbols, as_Add=False)
            if not term.free_symbols:
                value, rest = term, sympy.Integer(1)
            keys: list[int] = []
            for factor in sympy.Mul.make_args(rest):
                base, power = factor.as_base_exp()
                if power.is_Integer and power > 0:
                    keys += [self._factor(base)] * int(power)
                elif factor != 1:
                    keys.append(self._factor(factor))
            number = complex(value)
            total = total + Coefficient(
                {tuple(sorted(keys)): number.real if number.imag == 0 else number}
            )
        return total

    def expression(self, value: Coefficient) -> Any:
        """The expression of a coefficient."""
        import sympy

        return sympy.Add(
            *(
                _exact(v) * sympy.Mul(*(self.table[k] for k in key))
                for key, v in value.terms.items()
            )
        )

    def _factor(self, expression: Any) -> int:
        table = self.table
        if expression not in self._numbers:
            self._numbers[expression] = len(table)
            table.append(expression)
        return self._numbers[expression]


def _exact(value: complex) -> Any:
    """A number without needless decimals."""
    import sympy

    number = complex(value)
    real, imaginary = (
        sympy.Rational(repr(float(x))) for x in (number.real, number.imag)
    )
    return real + sympy.I * imaginary
