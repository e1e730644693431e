r"""Sums whose terms read the outer index, written as products of sums that do not.

$$ \sum_k \sin(\phi_k - \phi_j)
   = \cos\phi_j \sum_k \sin\phi_k - \sin\phi_j \sum_k \cos\phi_k , $$

so that N equations with a sum over N members take N terms in place of N^2. Only what loses no digits is
taken apart: sines, cosines, phase factors and sums, neither powers of differences nor growing exponentials.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import Any

import sympy

# Terms of a body up to which it is taken apart.
_TERMS = 64


class Reads(IntFlag):
    """What a part of a body reads: the member of the sum, the index around it."""

    NEITHER = 0
    MEMBER = 1
    AROUND = 2
    BOTH = 3


def separated(body: Any, reads: Callable[[Any], Reads]) -> dict[Any, Any] | None:
    """Factors that read members alone, each with the factor that multiplies its sum; None where there are none.

    Args:
        body: A term of the sum.
        reads: What a symbol reads.
    """
    whole = _Body(reads)
    try:
        terms = sympy.Add.make_args(sympy.expand_mul(whole.apart(body)))
        if len(terms) > _TERMS:
            return None
        found: dict[Any, Any] = {}
        for term in terms:
            own, rest = sympy.Integer(1), sympy.Integer(1)
            for factor in sympy.Mul.make_args(term):
                what = whole.reads(factor)
                if what == Reads.BOTH:
                    return None
                if what == Reads.MEMBER:
                    own *= factor
                else:
                    rest *= factor
            found[own] = found.get(own, sympy.Integer(0)) + rest
        return found
    except _InseparableError:
        return None


class _InseparableError(Exception):
    """A part that mixes both indices for good."""


class _Body:
    """The parts of a body."""

    def __init__(self, reads: Callable[[Any], Reads]) -> None:
        self._symbol = reads

    def reads(self, part: Any) -> Reads:
        """What all symbols of a part read."""
        found = Reads.NEITHER
        for symbol in part.free_symbols:
            found |= self._symbol(symbol)
        return found

    def apart(self, part: Any) -> Any:
        """The same with sines, cosines and phase factors of sums taken apart.

        Raises:
            _InseparableError: Where something else reads both.
        """
        if self.reads(part) != Reads.BOTH:
            return part
        if isinstance(part, sympy.Add):
            return sympy.Add(*map(self.apart, part.args))
        if isinstance(part, sympy.Mul):
            mixed = [f for f in part.args if self.reads(f) == Reads.BOTH]
            if sum(isinstance(f, sympy.Add) for f in mixed) > 1:
                raise _InseparableError
            return sympy.Mul(*map(self.apart, part.args))
        if isinstance(part, sympy.sin):
            a, b = self._halves(part.args[0])
            return sympy.sin(a) * sympy.cos(b) + sympy.cos(a) * sympy.sin(b)
        if isinstance(part, sympy.cos):
            a, b = self._halves(part.args[0])
            return sympy.cos(a) * sympy.cos(b) - sympy.sin(a) * sympy.sin(b)
        if isinstance(part, sympy.exp):
            a, b = self._halves(part.args[0])
            if (a / sympy.I).is_extended_real and (b / sympy.I).is_extended_real:
                return sympy.exp(a) * sympy.exp(b)
        raise _InseparableError

    def _halves(self, argument: Any) -> tuple[Any, Any]:
        """The terms of an argument that read members, and the others."""
        member: list[Any] = []
        rest: list[Any] = []
        for term in sympy.Add.make_args(sympy.expand_mul(argument)):
            what = self.reads(term)
            if what == Reads.BOTH:
                raise _InseparableError
            (member if what == Reads.MEMBER else rest).append(term)
        return sympy.Add(*member), sympy.Add(*rest)
