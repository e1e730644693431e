"""Values and derivatives of polynomials that are kept as flat arrays of terms."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.problem import Terms
from qsyncdsl.solve import relaxation as source
from qsyncdsl.solve import right_sides
from qsyncdsl.solve.kernels import compiled, integrator_source

# Arrays of one polynomial as compiled functions take them.
Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class Sum:
    """A polynomial with numbers as coefficients.

    Attributes:
        arrays: target, coefficients, start, fields, p, q.
        shape: Of its value.
    """

    arrays: Arrays
    shape: tuple[int, ...]

    def at(self, z: np.ndarray) -> np.ndarray:
        """The value at fields z, shape (F,)."""
        return self.many(z[None, :])[0].reshape(self.shape)

    def many(self, z: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """The values at several sets of fields, shape (B, F), flat: shape (B, S).

        Args:
            values: Coefficients for each set, shape (B, T), in place of the own ones.
        """
        target, own, *rest = self.arrays
        out = np.zeros((len(z), prod(self.shape)), dtype=complex)
        chosen = own[None, :] if values is None else values
        _add_many()(target, chosen, *rest, np.ascontiguousarray(z), out)
        return out


def with_numbers(terms: Terms, c: np.ndarray, w: np.ndarray) -> Sum:
    """A polynomial with its coefficients: c, shape (K,), or w, shape (V, n), by site."""
    values = coefficients(terms, c, w)
    arrays = (terms.target, values, terms.start, terms.fields, terms.p, terms.q)
    return Sum(arrays, terms.shape)


def coefficients(terms: Terms, c: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Those of all terms, shape (T,)."""
    uniform = c[np.maximum(terms.coefficient, 0)] if len(c) else 0.0
    by_site = w[terms.varying[0], terms.varying[1]]
    return np.where(terms.coefficient >= 0, uniform, by_site).astype(complex)


@dataclass(frozen=True)
class Slope:
    """A derivative of a polynomial whose coefficients are open.

    Attributes:
        terms: The term of the polynomial that each term comes from.
        powers: What its coefficient is multiplied with.
        arrays: target, start, fields, p, q.
        shape: Of its value.
    """

    terms: np.ndarray
    powers: np.ndarray
    arrays: Arrays
    shape: tuple[int, ...]

    def of(self, polynomial: Sum) -> Sum:
        """The derivative of a polynomial with numbers."""
        target, *rest = self.arrays
        values = polynomial.arrays[1][self.terms] * self.powers
        return Sum((target, values, *rest), self.shape)


def slope(polynomial: Sum | Terms, count: int, conjugated: bool) -> Slope:
    r"""The pattern of $\partial y_t/\partial z_f$ or $\partial y_t/\partial z_f^*$, shape (*shape, count)."""
    if isinstance(polynomial, Sum):
        target, _, start, fields, p, q = polynomial.arrays
    else:
        target, start, fields = polynomial.target, polynomial.start, polynomial.fields
        p, q = polynomial.p, polynomial.q
    lengths = np.diff(start)
    term_of = np.repeat(np.arange(len(target)), lengths)
    powers = p if conjugated else q
    chosen = np.flatnonzero(powers > 0)
    terms = term_of[chosen]
    new_lengths = lengths[terms]
    new_start = np.concatenate([[0], np.cumsum(new_lengths)]).astype(np.int64)
    # the factors of each chosen term, with one power less in the chosen factor
    inside = np.arange(new_start[-1]) - np.repeat(new_start[:-1], new_lengths)
    source = np.repeat(start[terms], new_lengths) + inside
    reduced = [p[source].copy(), q[source].copy()]
    reduced[0 if conjugated else 1][new_start[:-1] + chosen - start[terms]] -= 1
    arrays = (
        target[terms] * count + fields[chosen],
        new_start,
        fields[source],
        *reduced,
    )
    return Slope(terms, powers[chosen], arrays, (*polynomial.shape, count))


def derivative(polynomial: Sum, count: int, conjugated: bool) -> Sum:
    r"""$\partial y_t/\partial z_f$ or $\partial y_t/\partial z_f^*$, shape (*shape, count)."""
    return slope(polynomial, count, conjugated).of(polynomial)


@lru_cache(maxsize=1)
def _add_many() -> Any:
    return compiled(integrator_source(pieces("means_right")), "add_many")


@lru_cache(maxsize=8)
def integrator(right: str) -> str:
    """The module that integrates a right side of `right_sides`."""
    return integrator_source(pieces(right))


@lru_cache(maxsize=4)
def relaxation(name: str) -> Any:
    """A function of `relaxation`, compiled."""
    functions = (
        source.add_slopes,
        source.slopes,
        source.factored,
        source.solved,
        source.largest,
        source.norm,
        source.possible,
        source.root_near,
        source.holds,
        source.step,
        source.followed,
        source.explicit,
        source.implicit,
        source.relaxed,
    )
    names = ("NEAR", "AGREED", "ROUNDING", "SMALLEST", "LAST_DIGIT")
    limits = "\n".join(f"{n} = {getattr(source, n)}" for n in names)
    added = [limits, *(inspect.getsource(function) for function in functions)]
    return compiled(integrator_source([*pieces("means_right"), *added]), name)


def pieces(right: str) -> list[str]:
    """Source of a right side of `right_sides` under the name `right`, with what it needs."""
    names = [
        "add_terms",
        "add_many",
        "means_right",
        *([right] if right != "means_right" else []),
    ]
    found = [inspect.getsource(getattr(right_sides, name)) for name in names]
    return [*found, f"right = {right}\n"]


def real_form(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The matrix of b' = P b + Q b^* on real and imaginary parts in turn, shape (2n, 2n)."""
    n = len(p)
    found = np.empty((2 * n, 2 * n))
    found[0::2, 0::2] = (p + q).real
    found[0::2, 1::2] = (q - p).imag
    found[1::2, 0::2] = (p + q).imag
    found[1::2, 1::2] = (p - q).real
    return found
