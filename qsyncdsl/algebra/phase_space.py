r"""Phase-space form of a master equation: Bopp operators, Weyl symbols, drift and diffusion.

The Wigner function of a state obeys a partial differential equation, found by

$$ a\rho \to (\alpha + \tfrac12\partial_{\alpha^*})W, \quad
   a^\dagger\rho \to (\alpha^* - \tfrac12\partial_\alpha)W, \quad
   \rho a \to (\alpha - \tfrac12\partial_{\alpha^*})W, \quad
   \rho a^\dagger \to (\alpha^* + \tfrac12\partial_\alpha)W . $$

(Gardiner, Zoller, Quantum Noise, 3rd ed., Eqs. (4.5.10)-(4.5.13).) With all derivatives to the left,
first derivatives give the drift, second ones the diffusion; truncated Wigner drops the rest.

A polynomial in the fields is a dictionary from monomials to coefficients; a monomial is a sorted
tuple of `(mode, p, q)` for $\alpha^{*p}\alpha^q$.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial
from typing import Any

from qsyncdsl.algebra.operators import Monomial, Polynomial
from qsyncdsl.algebra.rings import Ring
from qsyncdsl.model.modes import Word

FieldMonomial = tuple[tuple[int, int, int], ...]
FieldPolynomial = dict[FieldMonomial, Any]
# A derivative: for each mode the orders (i, j) of d/d alpha and d/d alpha*.
Derivative = tuple[tuple[int, int, int], ...]


class NoPhaseSpace(ValueError):
    """An operator without a polynomial symbol: not a boson, or a function of an operator."""


@dataclass(frozen=True)
class PhaseSpaceEquation:
    r"""$\partial_t W = \sum_{k} \partial^k [c_k(\alpha) W]$, sorted by the order of the derivatives.

    Attributes:
        drift: For each mode $A_k$ in $d\alpha_k = A_k\,dt + \dots$
        diffusion: $E[d\alpha_k\,d\alpha_l^*]/dt$ under `(k, l, 1)`, $E[d\alpha_k\,d\alpha_l]/dt$ under
            `(k, l, 0)` with k <= l; `(k, l, 1)` is given for k <= l, the rest follow by conjugation.
        dropped: Terms of third and higher order, by derivative.
    """

    drift: Mapping[int, FieldPolynomial]
    diffusion: Mapping[tuple[int, int, int], FieldPolynomial]
    dropped: Mapping[Derivative, FieldPolynomial] = field(default_factory=dict)


def powers(monomial: Monomial, kinds: Mapping[int, str] | None = None) -> FieldMonomial:
    """The powers of a normal-ordered monomial of bosons.

    Raises:
        NoPhaseSpace: If it is no such thing.
    """
    found = []
    for key, word in monomial:
        if not isinstance(key, int) or word[0] != "a":
            raise NoPhaseSpace(_describe(key, word))
        found.append((key, word[1], word[2]))
    return tuple(found)


def _describe(key: Any, word: Word) -> str:
    return {
        "f": "a function of an operator",
        "product": "a product with a function of an operator",
        "E": "a projection on levels",
    }.get(str(word[0]), "an operator of a mode that is not a boson")


def weyl_symbol(operator: Polynomial) -> FieldPolynomial:
    r"""The Weyl symbol of a polynomial: its mean is the mean of the symbol over W.

    $$ a^{\dagger p}a^q \to \sum_k \frac{k!}{(-2)^k}\binom{p}{k}\binom{q}{k}
       \alpha^{*\,p-k}\alpha^{q-k} . $$

    (Cahill, Glauber, Phys. Rev. 177, 1857 (1969), s = 1 to s = 0.)

    Raises:
        NoPhaseSpace: Unless all its modes are bosons.
    """
    ring = operator.space.ring
    total: FieldPolynomial = {}
    for monomial, value in operator.terms.items():
        combined: list[tuple[tuple[tuple[int, int, int], ...], Fraction]] = [
            ((), Fraction(1))
        ]
        for key, p, q in powers(monomial):
            combined = [
                (
                    (*done, (key, p - k, q - k)) if p > k or q > k else done,
                    factor
                    * Fraction(factorial(k) * comb(p, k) * comb(q, k), (-2) ** k),
                )
                for done, factor in combined
                for k in range(min(p, q) + 1)
            ]
        for fields, factor in combined:
            _add(total, fields, value * ring.number(factor))
    return _clean(total, ring)


def normal_symbol(operator: Polynomial) -> FieldPolynomial:
    r"""The normal-ordered symbol, $a^{\dagger p}a^q \to \alpha^{*p}\alpha^q$.

    Raises:
        NoPhaseSpace: Unless all its modes are bosons.
    """
    return {powers(m): value for m, value in operator.terms.items()}


def phase_space_equation(
    hamiltonian: Polynomial,
    dissipators: Iterable[tuple[Any, Polynomial]],
    hbar: Any = 1,
) -> PhaseSpaceEquation:
    r"""The Wigner equation of $\dot\rho = -\frac{i}{\hbar}[H,\rho] + \sum_c\gamma_c\mathcal{D}[L_c]\rho$.

    >>> from qsyncdsl.algebra.operators import Space, SystemMode
    >>> from qsyncdsl.model.modes import boson
    >>> space = Space((SystemMode("a", boson),))
    >>> a = space.letter(0, "a")
    >>> found = phase_space_equation(space.scalar(0), [(1, a)])
    >>> found.drift[0], found.diffusion[0, 0, 1]
    ({((0, 0, 1),): -0.5}, {(): 0.5})

    Raises:
        NoPhaseSpace: Unless all modes are bosons and all operators polynomials.
    """
    ring = hamiltonian.space.ring
    terms: dict[tuple[Derivative, FieldMonomial], Any] = {}
    factor = ring.imaginary / ring.number(hbar) if hbar != 1 else ring.imaginary
    for monomial, value in hamiltonian.terms.items():
        for place, number in _sandwich(powers(monomial), ()).items():
            _add(terms, place, -factor * value * ring.number(number))
        for place, number in _sandwich((), powers(monomial)).items():
            _add(terms, place, factor * value * ring.number(number))
    half = ring.number(1) / ring.number(2)
    for rate, jump in dissipators:
        adjoint = jump.dag()
        for u, c in jump.terms.items():
            for v, d in adjoint.terms.items():
                for place, number in _sandwich(powers(u), powers(v)).items():
                    _add(terms, place, rate * c * d * ring.number(number))
        for monomial, value in (adjoint * jump).terms.items():
            for sides in ((powers(monomial), ()), ((), powers(monomial))):
                for place, number in _sandwich(*sides).items():
                    _add(terms, place, -rate * half * value * ring.number(number))
    return _sorted(terms, ring)


def _sorted(
    terms: Mapping[tuple[Derivative, FieldMonomial], Any], ring: Ring
) -> PhaseSpaceEquation:
    """First, second and higher derivatives; those with respect to alpha* follow by conjugation."""
    drift: dict[int, FieldPolynomial] = {}
    diffusion: dict[tuple[int, int, int], FieldPolynomial] = {}
    dropped: dict[Derivative, FieldPolynomial] = {}
    for (derivative, fields), value in terms.items():
        order = sum(i + j for _, i, j in derivative)
        if order == 1:
            mode, i, _ = derivative[0]
            if i:
                _add(drift.setdefault(mode, {}), fields, -value)
        elif order == 2:
            wanted = _second(derivative)
            if wanted is not None:
                place, factor = wanted
                _add(diffusion.setdefault(place, {}), fields, value * factor)
        elif order > 2:
            _add(dropped.setdefault(derivative, {}), fields, value)
    return PhaseSpaceEquation(
        {k: p for k, v in sorted(drift.items()) if (p := _clean(v, ring))},
        {k: p for k, v in sorted(diffusion.items()) if (p := _clean(v, ring))},
        {k: p for k, v in sorted(dropped.items()) if (p := _clean(v, ring))},
    )


def _second(derivative: Derivative) -> tuple[tuple[int, int, int], int] | None:
    """Which entry of the diffusion matrix a second derivative belongs to, and its factor."""
    if len(derivative) == 1:
        mode, i, j = derivative[0]
        if (i, j) == (1, 1):
            return (mode, mode, 1), 1
        return ((mode, mode, 0), 2) if i == 2 else None
    (k, i, j), (m, u, _) = derivative
    if i and u:
        return (k, m, 0), 1
    return ((k, m, 1), 1) if i and not u else None


# ── Bopp operators ───────────────────────────────────────────────────────────────────────────

# One mode: (i, j, p, q) for d^i d*^j alpha*^p alpha^q, derivatives to the left.
_One = dict[tuple[int, int, int, int], Fraction]


def _apply(term: _One, letter: int, sign: int) -> _One:
    """Multiply by alpha + sign/2 d* (letter 0) or by alpha* + sign/2 d (letter 1), from the left."""
    found: _One = {}
    for (i, j, p, q), value in term.items():
        if letter == 0:
            # alpha d^i = d^i alpha - i d^(i-1)
            _add(found, (i, j, p, q + 1), value)
            if i:
                _add(found, (i - 1, j, p, q), -i * value)
            _add(found, (i, j + 1, p, q), Fraction(sign, 2) * value)
        else:
            _add(found, (i, j, p + 1, q), value)
            if j:
                _add(found, (i, j - 1, p, q), -j * value)
            _add(found, (i + 1, j, p, q), Fraction(sign, 2) * value)
    return {place: value for place, value in found.items() if value}


@lru_cache(maxsize=4096)
def _bopp(p: int, q: int, u: int, v: int) -> tuple[tuple[Any, Fraction], ...]:
    """a'^p a^q rho a'^u a^v of one mode as a differential operator on W."""
    term: _One = {(0, 0, 0, 0): Fraction(1)}
    for _ in range(u):
        term = _apply(term, 1, 1)
    for _ in range(v):
        term = _apply(term, 0, -1)
    for _ in range(q):
        term = _apply(term, 0, 1)
    for _ in range(p):
        term = _apply(term, 1, -1)
    return tuple(term.items())


def _sandwich(
    left: FieldMonomial, right: FieldMonomial
) -> dict[tuple[Derivative, FieldMonomial], Fraction]:
    """Left rho right, both normal-ordered monomials, as a differential operator on W."""
    before = {key: (p, q) for key, p, q in left}
    after = {key: (p, q) for key, p, q in right}
    combined: list[tuple[Derivative, FieldMonomial, Fraction]] = [((), (), Fraction(1))]
    for key in sorted(before.keys() | after.keys()):
        options = _bopp(*before.get(key, (0, 0)), *after.get(key, (0, 0)))
        combined = [
            (
                (*derivative, (key, i, j)) if i or j else derivative,
                (*fields, (key, p, q)) if p or q else fields,
                factor * value,
            )
            for derivative, fields, factor in combined
            for (i, j, p, q), value in options
        ]
    found: dict[tuple[Derivative, FieldMonomial], Fraction] = {}
    for derivative, fields, factor in combined:
        _add(found, (derivative, fields), factor)
    return found


# ── polynomials in the fields ────────────────────────────────────────────────────────────────


def times(a: FieldPolynomial, b: FieldPolynomial) -> FieldPolynomial:
    """Product."""
    found: FieldPolynomial = {}
    for one, x in a.items():
        for two, y in b.items():
            powers_of: dict[int, tuple[int, int]] = {}
            for key, p, q in (*one, *two):
                before = powers_of.get(key, (0, 0))
                powers_of[key] = (before[0] + p, before[1] + q)
            fields = tuple((key, *pq) for key, pq in sorted(powers_of.items()))
            _add(found, fields, x * y)
    return found


def derivative(
    polynomial: FieldPolynomial, mode: int, conjugated: bool = False
) -> FieldPolynomial:
    """The derivative by the field of a mode, or by its conjugate."""
    found: FieldPolynomial = {}
    for fields, value in polynomial.items():
        for place, (key, p, q) in enumerate(fields):
            power = p if conjugated else q
            if key != mode or not power:
                continue
            rest = (key, p - 1, q) if conjugated else (key, p, q - 1)
            kept = (rest,) if rest[1] or rest[2] else ()
            _add(found, (*fields[:place], *kept, *fields[place + 1 :]), value * power)
    return found


def modes_of(polynomial: FieldPolynomial) -> set[int]:
    """The modes whose fields appear."""
    return {key for fields in polynomial for key, _, _ in fields}


def conjugate(polynomial: FieldPolynomial, ring: Ring) -> FieldPolynomial:
    """Complex conjugate."""
    return {
        tuple((key, q, p) for key, p, q in fields): ring.conjugate(value)
        for fields, value in polynomial.items()
    }


def _add(total: dict[Any, Any], place: Any, value: Any) -> None:
    total[place] = total[place] + value if place in total else value


def _clean(polynomial: FieldPolynomial, ring: Ring) -> FieldPolynomial:
    """Without the coefficients that are zero, in a fixed order."""
    return {
        fields: value
        for fields, value in sorted(polynomial.items())
        if not ring.is_zero(value)
    }
