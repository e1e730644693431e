"""Operators as normal-ordered polynomials: a dictionary from monomials to coefficients.

A monomial is a tuple of factors `(key, word)`, sorted by key. The key is the position of a mode in
the space, or a tuple of positions for a joint factor that cannot be taken apart: a function of an
operator, or a product of factors with one. Coefficients belong to the ring of the space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from qsyncdsl.algebra.rings import NUMERIC, Ring
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.modes import IDENTITY, ModeKind, Word

Key = int | tuple[int, ...]
Factor = tuple[Key, Word]
Monomial = tuple[Factor, ...]
ONE: Monomial = ()


@dataclass(frozen=True, slots=True)
class SystemMode:
    """One mode of a system: its label, its kind and its size.

    `size` is the number of levels of a boson (None if it is still open), s of a spin, M, N, nmax;
    `ensemble` is the position of the ensemble that an atom represents. The levels kept of a boson are
    D(center)|n>, those about the vacuum where `center` is 0.
    """

    label: str
    kind: ModeKind
    size: Any = None
    ensemble: int | None = None
    center: complex = 0j

    @property
    def dimension(self) -> int:
        """Number of basis states kept."""
        return self.kind.dimension(self.size)


# Forms of words that are not multiplied out.
_KEPT_WHOLE = ("f", "product")
# Commutators of arguments that are smaller than this are rounding.
_SAME = 1e-12
# Products of words that are kept.
_PRODUCTS = 4096


@dataclass(frozen=True)
class Space:
    """The modes that operators act on, and the ring of their coefficients."""

    modes: tuple[SystemMode, ...]
    ring: Ring = field(default=NUMERIC, compare=False)
    _products: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def times(self, mode: SystemMode, x: Word, y: Word) -> Mapping[Word, Any] | None:
        """The product of two words of one mode as a combination of words; None where there is none."""
        key = mode.kind.name, mode.size, x, y
        if key not in self._products:
            if len(self._products) >= _PRODUCTS:
                self._products.clear()
            self._products[key] = mode.kind.times(x, y, mode.size, self.ring)
        found: Mapping[Word, Any] | None = self._products[key]
        return found

    def scalar(self, value: Any) -> Polynomial:
        """A number times the identity."""
        return Polynomial(self, {ONE: self.ring.number(value)})

    def letter(self, mode: int, name: str, *arguments: Any) -> Polynomial:
        """A named operator of a mode: `letter(0, "n")`.

        Raises:
            SolveError: E601 if the kind has no such letter.
        """
        chosen = self.modes[mode]
        if name not in chosen.kind.letters:
            kind = chosen.kind.name
            message = f"this needs the operator '{name}', which a {kind} has not"
            raise SolveError(Diagnostic("E601", message))
        words = chosen.kind.letters[name](chosen.size, self.ring, *arguments)
        return self.words(mode, words)

    def words(self, mode: int, words: Mapping[Word, Any]) -> Polynomial:
        """A combination of words of one mode."""
        number = self.ring.number
        return Polynomial(
            self, {((mode, w),) if w else ONE: number(c) for w, c in words.items()}
        )

    def unit(self, mode: int, n: int, m: int) -> Polynomial:
        """|n><m| of a mode."""
        chosen = self.modes[mode]
        if chosen.kind.name in ("boson", "rotor"):
            return self.words(mode, {("E", n, m): 1})
        dimension = chosen.dimension
        if n or m:
            return self.words(mode, {("E", n, m): 1})
        rest = {("E", k, k): -1 for k in range(1, dimension)}
        return self.words(mode, {IDENTITY: 1, **rest})

    def function(self, name: str, argument: Polynomial) -> Polynomial:
        """A function of an operator, kept whole: `exp`, `sqrt`, `max`, ...

        Raises:
            ValueError: If the operator has no definite modes.
        """
        modes = argument.modes()
        key: Key = modes[0] if len(modes) == 1 else modes
        return Polynomial(self, {((key, ("f", name, argument)),): self.ring.number(1)})


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A sum of monomials with coefficients; no coefficient is zero."""

    space: Space
    terms: Mapping[Monomial, Any]

    def __post_init__(self) -> None:
        zero = self.space.ring.is_zero
        kept = {m: c for m, c in self.terms.items() if not zero(c)}
        object.__setattr__(self, "terms", MappingProxyType(kept))

    # ── what it is ───────────────────────────────────────────────────────────────────────────

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Polynomial):
            return NotImplemented
        return not (self - other).terms

    @property
    def is_scalar(self) -> bool:
        """Whether it is a number times the identity."""
        return not self.terms or set(self.terms) == {ONE}

    @property
    def scalar(self) -> Any:
        """Coefficient of the identity."""
        return self.terms.get(ONE, self.space.ring.number(0))

    def modes(self) -> tuple[int, ...]:
        """Positions of the modes it acts on, sorted."""
        found: set[int] = set()
        for monomial in self.terms:
            for key, _ in monomial:
                found.update((key,) if isinstance(key, int) else key)
        return tuple(sorted(found))

    def is_hermitian(self) -> bool:
        """Whether it equals its adjoint."""
        return self == self.dag()

    def __bool__(self) -> bool:
        return bool(self.terms)

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────

    def _lift(self, value: Any) -> Polynomial:
        return value if isinstance(value, Polynomial) else self.space.scalar(value)

    def __add__(self, other: Any) -> Polynomial:
        other = self._lift(other)
        total = dict(self.terms)
        for monomial, value in other.terms.items():
            total[monomial] = total[monomial] + value if monomial in total else value
        return Polynomial(self.space, total)

    __radd__ = __add__

    def __neg__(self) -> Polynomial:
        return Polynomial(self.space, {m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Polynomial:
        return self + (-self._lift(other))

    def __rsub__(self, other: Any) -> Polynomial:
        return self._lift(other) - self

    def __mul__(self, other: Any) -> Polynomial:
        if not isinstance(other, Polynomial):
            factor = self.space.ring.number(other)
            return Polynomial(
                self.space, {m: c * factor for m, c in self.terms.items()}
            )
        gathered: dict[Monomial, list[Any]] = {}
        for u, c in self.terms.items():
            for v, d in other.terms.items():
                coefficient = c * d
                for monomial, factor in self._product(u, v):
                    value = coefficient if factor == 1 else coefficient * factor
                    gathered.setdefault(monomial, []).append(value)
        add = self.space.ring.add
        return Polynomial(
            self.space, {m: add(values) for m, values in gathered.items()}
        )

    def __rmul__(self, other: Any) -> Polynomial:
        return self * other

    def __truediv__(self, other: Any) -> Polynomial:
        """Division by a number.

        Raises:
            TypeError: If the divisor is an operator.
        """
        if isinstance(other, Polynomial):
            if not other.is_scalar:
                raise TypeError("an operator cannot be divided by an operator")
            other = other.scalar
        if other == 0:
            raise ZeroDivisionError
        return self * (self.space.ring.number(1) / self.space.ring.number(other))

    def __rtruediv__(self, other: Any) -> Polynomial:
        if not self.is_scalar:
            raise TypeError("a number cannot be divided by an operator")
        return self._lift(other) / self

    def __pow__(self, exponent: Any) -> Polynomial:
        """A whole power, or a function of the operator for any other.

        Raises:
            TypeError: If the exponent is an operator.
        """
        if isinstance(exponent, Polynomial):
            if not exponent.is_scalar:
                raise TypeError("the exponent is an operator")
            exponent = exponent.scalar
        if exponent != int(exponent) or exponent < 0:
            if self.is_scalar:
                return self.space.scalar(self.scalar**exponent)
            return self.space.function(f"power {exponent}", self)
        result = self.space.scalar(1)
        for _ in range(int(exponent)):
            result = result * self
        return result

    def dag(self) -> Polynomial:
        """Adjoint."""
        return self._adjoint

    @cached_property
    def _adjoint(self) -> Polynomial:
        ring = self.space.ring
        plain: dict[Monomial, list[Any]] = {}
        for monomial, value in self.terms.items():
            conjugate = ring.conjugate(value)
            for adjoint, factor in _adjoint(self.space, monomial):
                term = conjugate if factor == 1 else conjugate * factor
                plain.setdefault(adjoint, []).append(term)
        return Polynomial(self.space, {m: ring.add(v) for m, v in plain.items()})

    def commutator(self, other: Polynomial) -> Polynomial:
        """[self, other], multiplying only the terms that share modes."""
        left: dict[Monomial, list[Any]] = {}
        for u, c in self.terms.items():
            touched = _modes(u)
            for v, d in other.terms.items():
                if touched.isdisjoint(_modes(v)):
                    continue
                # most leading terms cancel, before coefficients are multiplied
                factors = dict(self._product(u, v))
                for monomial, factor in self._product(v, u):
                    factors[monomial] = factors.get(monomial, 0) - factor
                coefficient = None
                for monomial, factor in factors.items():
                    if factor == 0:
                        continue
                    coefficient = c * d if coefficient is None else coefficient
                    left.setdefault(monomial, []).append(coefficient * factor)
        add = self.space.ring.add
        return Polynomial(self.space, {m: add(values) for m, values in left.items()})

    def map(self, function: Callable[[Any], Any]) -> Polynomial:
        """Apply a function to every coefficient."""
        return Polynomial(self.space, {m: function(c) for m, c in self.terms.items()})

    # ── products of monomials ────────────────────────────────────────────────────────────────

    def _product(self, u: Monomial, v: Monomial) -> Iterator[tuple[Monomial, Any]]:
        """Normal-ordered product of two monomials, as monomials with factors."""
        if not u or not v:
            yield u or v, 1
            return
        if all(isinstance(key, int) for key, _ in u + v):
            yield from self._plain_product(u, v)
        else:
            yield _joint_product(self.space, u, v), 1

    def _plain_product(
        self, u: Monomial, v: Monomial
    ) -> Iterator[tuple[Monomial, Any]]:
        """Factors of single modes multiply mode by mode."""
        if len(u) == len(v) == 1 and u[0][0] == v[0][0]:
            ((key, x),), ((_, y),) = u, v
            if x[0] not in _KEPT_WHOLE and y[0] not in _KEPT_WHOLE:
                assert isinstance(key, int)
                product = self.space.times(self.space.modes[key], x, y)
                if product is not None:
                    for word, factor in product.items():
                        yield ((key, word),) if word else ONE, factor
                    return
        words = dict(v)
        alone = [factor for factor in u if factor[0] not in words]
        alone += [factor for factor in v if factor[0] not in {key for key, _ in u}]
        both = [(key, word, words[key]) for key, word in u if key in words]
        if any(x[0] in _KEPT_WHOLE or y[0] in _KEPT_WHOLE for _, x, y in both):
            yield _joint_product(self.space, u, v), 1
            return
        results: list[tuple[list[Factor], Any]] = [(alone, 1)]
        for key, x, y in both:
            assert isinstance(key, int)
            mode = self.space.modes[key]
            product = self.space.times(mode, x, y)
            if product is None:
                yield _joint_product(self.space, u, v), 1
                return
            results = [
                (factors + ([(key, word)] if word else []), value * factor)
                for factors, value in results
                for word, factor in product.items()
            ]
        for factors, value in results:
            yield tuple(sorted(factors)), value

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for monomial, value in sorted(
            self.terms.items(), key=lambda item: str(item[0])
        ):
            text = monomial_text(self.space, monomial)
            parts.append(f"({value}) {text}".strip() if text else f"{value}")
        return " + ".join(parts)

    __repr__ = __str__


def monomial_text(space: Space, monomial: Monomial) -> str:
    """A monomial in Unicode: `a₁†²a₂`."""
    return " ".join(_factor_text(space, key, word) for key, word in monomial)


def _factor_text(space: Space, key: Key, word: Word) -> str:
    if word[0] == "f":
        return f"{word[1]}[{word[2]}]"
    if word[0] == "product":
        return " ".join(_factor_text(space, k, w) for k, w in word[1])
    assert isinstance(key, int)
    return space.modes[key].kind.text(word, space.modes[key].label)


def _modes(monomial: Monomial) -> frozenset[int]:
    found: set[int] = set()
    for key, _ in monomial:
        found.update((key,) if isinstance(key, int) else key)
    return frozenset(found)


def _joint_product(space: Space, u: Monomial, v: Monomial) -> Monomial:
    """Factors that share modes with a function are kept side by side, in order but for those that commute."""
    result = list(u)
    for factor in v:
        touched = _modes((factor,))
        overlapping = [f for f in result if not touched.isdisjoint(_modes((f,)))]
        if not overlapping:
            result.append(factor)
            continue
        parts: list[Factor] = []
        for old in (*overlapping, factor):
            parts += old[1][1] if old[1][0] == "product" else [old]
        modes = tuple(sorted(frozenset().union(*(_modes((p,)) for p in parts))))
        key: Key = modes[0] if len(modes) == 1 else modes
        first = result.index(overlapping[0])
        result = [f for f in result if f not in overlapping]
        result.insert(first, (key, ("product", _ordered(space, parts))))
    return tuple(
        sorted(result, key=lambda f: f[0] if isinstance(f[0], tuple) else (f[0],))
    )


def _ordered(space: Space, parts: list[Factor]) -> tuple[Factor, ...]:
    """The first in alphabetical order of all orders that are the same product.

    Functions of the same quadrature, or of the number, have one form in whatever order they are written.
    """
    rest, found = list(parts), []
    while rest:
        free = [
            k
            for k, part in enumerate(rest)
            if all(_commute(space, part, other) for other in rest[:k])
        ]
        found.append(rest.pop(min(free, key=lambda k: _place(rest[k]))))
    return tuple(found)


def _place(factor: Factor) -> tuple[str, ...]:
    key, word = factor
    return str(word[0]), str(key), *map(str, word[1:])


def _commute(space: Space, x: Factor, y: Factor) -> bool:
    """Whether two factors commute: on different modes, or because the arguments of functions do."""
    if _modes((x,)).isdisjoint(_modes((y,))):
        return True
    if "f" not in (x[1][0], y[1][0]):
        return False
    left, right = (
        word[2]
        if word[0] == "f"
        else Polynomial(space, {((key, word),): space.ring.number(1)})
        for key, word in (x, y)
    )
    if left.terms == right.terms:
        return True
    size = [max(abs(complex(c)) for c in z.terms.values()) for z in (left, right)]
    rest = left.commutator(right).terms.values()
    return all(abs(complex(c)) <= _SAME * size[0] * size[1] for c in rest)


def _adjoint(space: Space, monomial: Monomial) -> Iterator[tuple[Monomial, Any]]:
    """Adjoint of a monomial, as monomials with factors."""
    results: list[tuple[list[Factor], Any]] = [([], 1)]
    for key, word in monomial:
        options = list(_adjoint_factor(space, key, word))
        results = [
            (factors + ([(key, w)] if w else []), value * factor)
            for factors, value in results
            for w, factor in options
        ]
    for factors, value in results:
        yield tuple(factors), value


def _adjoint_factor(space: Space, key: Key, word: Word) -> Iterator[tuple[Word, Any]]:
    if word[0] == "f":
        yield ("f", word[1], word[2].dag()), 1
    elif word[0] == "product":
        parts: list[list[tuple[Factor, Any]]] = [
            [((k, w), f) for w, f in _adjoint_factor(space, k, x)]
            for k, x in reversed(word[1])
        ]
        combined: list[tuple[tuple[Factor, ...], Any]] = [((), 1)]
        for options in parts:
            combined = [
                ((*done, one), value * f)
                for done, value in combined
                for one, f in options
            ]
        for done, value in combined:
            yield ("product", _ordered(space, list(done))), value
    else:
        assert isinstance(key, int)
        mode = space.modes[key]
        yield from mode.kind.adjoint(word, mode.size, space.ring).items()
