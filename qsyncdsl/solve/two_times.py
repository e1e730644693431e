r"""The equations of two-time correlations of closed moments, derived once and evaluated at many points.

The equations of motion hold for $\langle O(\tau)\delta B\rangle$ too; B counts as one more operator
in the closure. With $\kappa$ for joint cumulants,
$\langle m\,\delta B\rangle = \sum_{\emptyset\ne S\subseteq m}\kappa(S, B)\langle m\setminus S\rangle$
with $|S|$ less than the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from qsyncdsl.algebra.moment_system import MomentSystem
from qsyncdsl.algebra.moments import Moment
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.solve.polynomials import Sum

_Split = tuple[Moment, Moment]
# Pairs of operators whose equations are kept.
_KEPT = 32


@dataclass(frozen=True)
class Products:
    """Sums of products of fields with coefficients by number, as flat arrays."""

    coefficient: np.ndarray
    sign: np.ndarray
    sum: Sum

    def many(self, numbers: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The values, shape (B, S), at fields z, shape (B, F), for numbers, shape (B, K)."""
        return self.sum.many(z, numbers[:, self.coefficient] * self.sign)


class _Draft:
    """Sums of products, written down term by term."""

    def __init__(self) -> None:
        self.terms: list[tuple[int, int, complex, tuple[int, ...]]] = []
        self.stars: list[tuple[bool, ...]] = []

    def add(
        self,
        target: int,
        coefficient: int,
        sign: complex,
        fields: tuple[int, ...],
        stars: tuple[bool, ...] | None = None,
    ) -> None:
        """One term; `stars` says which of its fields are conjugated."""
        self.terms.append((target, coefficient, sign, fields))
        self.stars.append(stars or (False,) * len(fields))

    def products(self, size: int) -> Products:
        """All of them, for this many sums."""
        target, coefficient, sign = ([term[k] for term in self.terms] for k in range(3))
        fields = [term[3] for term in self.terms]
        whole = np.int64
        star = np.array([s for one in self.stars for s in one], dtype=whole)
        start = np.cumsum([0, *map(len, fields)]).astype(whole)
        flat = np.array([f for one in fields for f in one], dtype=whole)
        values = np.array(sign, dtype=complex)
        arrays = (np.array(target, dtype=whole), values, start, flat, star, 1 - star)
        places = np.array(coefficient, dtype=whole)
        return Products(places, values, Sum(arrays, (size,)))


@dataclass(frozen=True)
class Equations:
    r"""$\frac{d}{d\tau}\langle m(\tau)\delta B\rangle = \sum_{m'} M_{mm'}\langle m'(\tau)\delta B\rangle$.

    Attributes:
        rows: Number of moments m.
        numbers: The coefficients, of the factors of the system.
        means: The stationary means that occur, of the moments.
        entries: M, what A sees of each m, and the values at equal times, of the means.
    """

    rows: int
    numbers: Products
    means: Products
    entries: Products

    def many(
        self, factors: np.ndarray, moments: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """M, shape (B, n, n), what A sees, shape (B, n), and the values at equal times, shape (B, n).

        Args:
            factors: Of coefficients, shape (B, K).
            moments: Shape (B, M).
        """
        n = self.rows
        numbers = self.numbers.many(np.ones((len(factors), 1)), factors)
        means = self.means.many(numbers, moments)
        found = self.entries.many(numbers, means)
        matrix = found[:, : n * n].reshape(-1, n, n)
        return matrix, found[:, n * n : n * (n + 1)], found[:, n * (n + 1) :]


class TwoTimes:
    """Equations of two-time correlations of one system.

    Args:
        moments: Those that are followed, in order.
    """

    def __init__(self, system: MomentSystem, moments: tuple[Moment, ...]) -> None:
        self.system = system
        self.algebra = system.algebra
        self.places = {
            self.algebra.adjoint(m): (k, True) for k, m in enumerate(moments)
        }
        self.places |= {m: (k, False) for k, m in enumerate(moments)}
        self._splits: dict[Moment, tuple[_Split, ...]] = {}
        self._kept: dict[Any, Equations] = {}

    def equations(self, A: Polynomial, B: Polynomial) -> Equations:
        r"""Those of $\langle A(\tau)\delta B(0)\rangle$."""
        key = frozenset(A.terms.items()), frozenset(B.terms.items())
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = _Derivation(self).equations(A, B)
        return self._kept[key]

    def splits(self, moment: Moment) -> tuple[_Split, ...]:
        """A moment as a smaller one and the rest, in all ways that are needed; ascending in size."""
        if moment not in self._splits:
            letters = self.algebra.letters(moment)
            sizes = range(1, min(self.algebra.order - 1, len(letters)) + 1)
            self._splits[moment] = tuple(
                (self.algebra.joined(chosen), self.algebra.joined(rest))
                for size in sizes
                for chosen, rest in _parts(letters, size)
            )
        return self._splits[moment]

    def mean(self, operator: Polynomial, moment: Moment = ()) -> dict[Moment, Any]:
        """The mean of O B, O being the operator of a moment."""
        left = self.algebra.operator(moment)
        moved = self.system.moved(operator)
        right = self.algebra.expanded(moved, frozenset(left.modes()))
        return self.algebra.mean(left * right)


class _Derivation:
    """The equations of one pair of operators, while they are found."""

    def __init__(self, two_times: TwoTimes) -> None:
        self.two_times = two_times
        self.algebra = two_times.algebra
        self.numbers, self.means = _Draft(), _Draft()
        self._number: dict[Any, int] = {}
        self._mean: dict[Moment, int | None] = {}

    def equations(self, A: Polynomial, B: Polynomial) -> Equations:
        """Those of the moments that A sees, and of all that these depend on."""
        two_times = self.two_times
        look: list[Any] = []
        for moment, c in two_times.mean(A).items():
            self._pairs(moment, look, self.number(c), 1.0, ())
        rows: dict[Moment, int] = {}
        found: list[list[Any]] = []
        waiting = [m for m, *_ in look]
        while waiting:
            moment = waiting.pop()
            if moment in rows:
                continue
            rows[moment] = len(found)
            found.append([])
            for m, c in two_times.system.motion(moment).items():
                self._pairs(m, found[-1], self.number(c), 1.0, ())
            waiting += [m for m, *_ in found[-1] if m not in rows]
        n, entries = len(rows), _Draft()
        for row, terms in enumerate(found):
            for m, *term in terms:
                entries.add(row * n + rows[m], *term)
        for m, *term in look:
            entries.add(n * n + rows[m], *term)
        alone = two_times.mean(B)
        for m, row in rows.items():
            self._start(entries, n * (n + 1) + row, m, two_times.mean(B, m), alone)
        return Equations(
            n,
            self.numbers.products(len(self._number)),
            self.means.products(len(self._mean)),
            entries.products(n * (n + 2)),
        )

    def _start(
        self, entries: _Draft, target: int, m: Moment, together: Any, alone: Any
    ) -> None:
        r"""$\langle mB\rangle - \langle m\rangle\langle B\rangle$."""
        own = self.mean(m)
        for means, sign, more in ((together, 1.0, ()), (alone, -1.0, (own,))):
            if None in more:
                continue
            for moment, c in means.items():
                place = self.mean(moment)
                if place is not None:
                    entries.add(target, self.number(c), sign, (*more, place))

    def number(self, coefficient: Any) -> int:
        """The place of a coefficient among the numbers."""
        if coefficient not in self._number:
            self._number[coefficient] = place = len(self._number)
            for key, value in coefficient.terms.items():
                self.numbers.add(place, 0, complex(value), tuple(key))
        return self._number[coefficient]

    def mean(self, moment: Moment) -> int | None:
        """The place of a stationary mean, closed where it is too long; None where it vanishes by symmetry."""
        if moment not in self._mean:
            places = self.two_times.places
            known = [
                (product, factor)
                for product, factor in self.algebra.closed(moment).items()
                if all(m in places for m in product)
            ]
            self._mean[moment] = place = len(self._mean) if known else None
            for product, factor in known:
                assert place is not None
                fields = tuple(places[m][0] for m in product)
                stars = tuple(places[m][1] for m in product)
                self.means.add(place, self.number(factor), 1.0, fields, stars)
        return self._mean[moment]

    def _pairs(
        self,
        moment: Moment,
        total: list[Any],
        number: int,
        sign: float,
        means: tuple[int, ...],
    ) -> None:
        """Add <m dB> as a sum over <S dB> with fewer operators than the order."""
        if not moment:
            return
        splits = self.two_times.splits(moment)
        if not splits[-1][1] and moment not in self.algebra.factorized:
            total.append((moment, number, sign, means))
            return
        for chosen, rest in splits:
            place = self.mean(rest)
            if place is not None:
                self._cumulant(chosen, total, number, sign, (*means, place))

    def _cumulant(
        self,
        moment: Moment,
        total: list[Any],
        number: int,
        sign: float,
        means: tuple[int, ...],
    ) -> None:
        """Add kappa(S, B) = <S dB> less the sum over smaller subsets."""
        total.append((moment, number, sign, means))
        for chosen, rest in self.two_times.splits(moment):
            place = self.mean(rest) if rest else None
            if place is not None:
                self._cumulant(chosen, total, number, -sign, (*means, place))


def _parts(
    letters: tuple[Any, ...], size: int
) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """All subsets of a size with what is left."""
    places = range(len(letters))
    return [
        (
            tuple(letters[k] for k in chosen),
            tuple(letters[k] for k in places if k not in chosen),
        )
        for chosen in combinations(places, size)
    ]
