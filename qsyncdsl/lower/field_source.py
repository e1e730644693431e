"""Python source for numba from polynomial equations of complex fields.

Fields are rows of two arrays, `xr` and `xi`, with one realization a lane along the second axis; inner
loops run over the lanes, so that the compiler can use vector instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy


@dataclass(frozen=True, slots=True)
class Row:
    """Where a field is: an expression for its row, such as `12` or `900 + s`."""

    text: str

    def re(self) -> str:
        """Its real part in one lane."""
        return f"xr[{self.text}, l]"

    def im(self) -> str:
        """Its imaginary part in one lane."""
        return f"xi[{self.text}, l]"


@dataclass(frozen=True, slots=True)
class Factor:
    """A coefficient in the source: names of its parts, None for a part that is zero."""

    re: str | None
    im: str | None


def parts(expression: Any) -> tuple[bool, bool]:
    """Whether a coefficient may have a real and an imaginary part."""
    expression = sympy.sympify(expression)
    conjugate = sympy.conjugate(expression)
    if sympy.expand(expression - conjugate) == 0:
        return True, False
    return sympy.expand(expression + conjugate) != 0, True


class Lines:
    """Source lines with indentation and fresh names."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.depth = 1
        self._fresh = 0
        self._known: dict[str, str] = {}

    def add(self, line: str) -> None:
        """One line."""
        self.text.append("    " * self.depth + line)

    def open(self, line: str) -> None:
        """A line that begins a block."""
        self.add(line)
        self.depth += 1

    def close(self, blocks: int = 1) -> None:
        """End blocks; names found in them are forgotten."""
        self.depth -= blocks
        self._known = {}

    def named(self, expression: str) -> str:
        """The name of an expression, computed once in a block."""
        if expression not in self._known:
            self._fresh += 1
            name = f"v{self._fresh}"
            self.add(f"{name} = {expression}")
            self._known[expression] = name
        return self._known[expression]

    def monomial(
        self, factors: Sequence[tuple[Row, int, int]]
    ) -> tuple[str, str | None]:
        """Real and imaginary part of a product of alpha*^p alpha^q; None where it is real."""
        real: str | None = None
        re: str | None = None
        im: str | None = None
        for row, p, q in factors:
            u, v = self.named(row.re()), self.named(row.im())
            for _ in range(min(p, q)):
                square = self.named(f"{u} * {u} + {v} * {v}")
                real = square if real is None else self.named(f"{real} * {square}")
            sign = "-" if p > q else ""
            for _ in range(abs(p - q)):
                if re is None:
                    re, im = u, (self.named(f"-{v}") if sign else v)
                    continue
                minus, plus = ("+", "-") if sign else ("-", "+")
                re, im = (
                    self.named(f"{re} * {u} {minus} {im} * {v}"),
                    self.named(f"{im} * {u} {plus} {re} * {v}"),
                )
        if re is None:
            return real or "1.0", None
        if real is not None:
            re, im = self.named(f"{re} * {real}"), self.named(f"{im} * {real}")
        return re, im

    def times(
        self, a: tuple[str, str | None], b: tuple[str, str | None]
    ) -> tuple[str, str | None]:
        """Product of two complex numbers; None is an imaginary part that is zero."""
        (ar, ai), (br, bi) = a, b
        if ai is None:
            return f"{ar} * {br}", None if bi is None else f"{ar} * {bi}"
        if bi is None:
            return f"{ar} * {br}", f"{ai} * {br}"
        return (
            self.named(f"{ar} * {br} - {ai} * {bi}"),
            self.named(f"{ar} * {bi} + {ai} * {br}"),
        )

    def product(self, factor: Factor, re: str, im: str | None) -> tuple[str, str]:
        """Terms of a coefficient times a monomial, as signed text; empty where zero."""
        reals, imaginaries = [], []
        if factor.re:
            reals.append(f"+ {factor.re} * {re}")
            if im:
                imaginaries.append(f"+ {factor.re} * {im}")
        if factor.im:
            imaginaries.append(f"+ {factor.im} * {re}")
            if im:
                reals.append(f"- {factor.im} * {im}")
        return " ".join(reals), " ".join(imaginaries)


def joined(terms: Sequence[str]) -> str:
    """A sum of signed texts."""
    text = " ".join(term for term in terms if term)
    return text.removeprefix("+ ") if text else "0.0"
