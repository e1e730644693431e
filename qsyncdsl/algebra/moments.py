r"""Moments of products of operators: their equations of motion, and their closure by cumulants.

A moment is a sorted tuple of factors `(mode, word)`. Two-level systems are written with $\sigma^\pm$ and
$\sigma^z$; of an ensemble, atoms stand for any different atoms, so that moments are the same under a
relabelling of them. Collective operators are sums over atoms: relative to k atoms that occur already,
$\sum_j\sigma_j$ is the sum over these and $(N - k)$ times another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import factorial
from typing import Any

from qsyncdsl.algebra.operators import (
    Factor,
    Monomial,
    Polynomial,
    Space,
    SystemMode,
)
from qsyncdsl.algebra.rings import Ring
from qsyncdsl.registry import modes as mode_words

# sigma^z of a two-level system, in moments only.
SIGMA_Z = ("Z",)
_UP = ("E", 1, 1)
_FUNCTIONS = ("f", "product")
# Operators whose form on single modes is kept.
_KEPT = 4096

Moment = tuple[Factor, ...]
# A polynomial of moments: sorted tuples of moments to coefficients.
MomentSum = dict[tuple[Moment, ...], Any]


class NoMoments(Exception):
    """An operator that is not a polynomial of the letters of its modes."""


@dataclass(frozen=True)
class Channel:
    """One dissipator; `per_atom` is the ensemble each of whose atoms has it."""

    rate: Any
    jump: Polynomial
    per_atom: int | None = None


# Kinds of which all operators are sums of single words.
_ONCE = frozenset({"qubit", "levels"})


@dataclass(frozen=True)
class Moments:
    """The algebra of the moments of one system.

    Attributes:
        outer: The modes as the system has them, ensembles as collective modes.
        sizes: Number of atoms of each ensemble, by its position.
        order: Largest number of operators in a moment that is kept.
        factorized: Moments that are replaced by products of means.
        alone: Positions in `outer` of modes that are not correlated with anything.
    """

    outer: Space
    sizes: Mapping[int, Any]
    order: int
    factorized: frozenset[Moment] = frozenset()
    alone: frozenset[int] = frozenset()
    _memory: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    _plain: dict[int, tuple[Polynomial, Polynomial]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be found again; the identities of objects end with the process."""
        return {**self.__dict__, "_memory": {}, "_plain": {}}

    @property
    def complete(self) -> bool:
        """Whether no moment is left out: every mode counts once, and there are no more than the order."""
        counted = all(
            mode.ensemble is None and mode.kind.name in _ONCE
            for mode in self.outer.modes
        )
        approximate = self.factorized or self.alone
        return counted and not approximate and len(self.outer.modes) <= self.order

    @property
    def ring(self) -> Ring:
        """Of the coefficients."""
        return self.outer.ring

    @cached_property
    def _layout(self) -> tuple[Space, dict[int, int], dict[int, tuple[int, ...]]]:
        """The space with enough atoms of each ensemble, places of the other modes, and of the atoms."""
        found: list[SystemMode] = []
        plain: dict[int, int] = {}
        atoms: dict[int, tuple[int, ...]] = {}
        for position, mode in enumerate(self.outer.modes):
            if mode.ensemble is None and mode.kind.name != "ensemble":
                plain[position] = len(found)
                found.append(mode)
        qubit = mode_words["qubit"].load()
        for position, mode in enumerate(self.outer.modes):
            if mode.kind.name == "ensemble":
                count = 2 * self.order + 4
                atoms[position] = tuple(range(len(found), len(found) + count))
                found += [
                    SystemMode(f"{mode.label}[{k + 1}]", qubit, 2, position)
                    for k in range(count)
                ]
        return Space(tuple(found), self.outer.ring), plain, atoms

    @property
    def space(self) -> Space:
        """The modes that moments are written in."""
        return self._layout[0]

    @cached_property
    def _ensemble_of(self) -> dict[int, int]:
        return {k: e for e, atoms in self._layout[2].items() for k in atoms}

    @cached_property
    def _qubits(self) -> frozenset[int]:
        return frozenset(
            k for k, m in enumerate(self.space.modes) if m.kind.name == "qubit"
        )

    # ── operators on atoms ───────────────────────────────────────────────────────────────────

    def expanded(self, operator: Polynomial, support: frozenset[int]) -> Polynomial:
        """An operator of the system on single atoms, those in `support` being particular ones.

        Raises:
            NoMoments: For functions of operators.
        """
        if not self._ensemble_of:
            return self._plainly(operator)
        gathered: dict[Monomial, list[Any]] = {}
        for monomial, value in operator.terms.items():
            for term, weight in self._expanded(monomial, support):
                for m, c in term.terms.items():
                    gathered.setdefault(m, []).append(value * weight * c)
        add = self.ring.add
        return Polynomial(self.space, {m: add(v) for m, v in gathered.items()})

    def _plainly(self, operator: Polynomial) -> Polynomial:
        """An operator of a system without ensembles, the same for every support; once for each object."""
        known = self._plain.get(id(operator))
        if known is not None:
            return known[1]
        for monomial in operator.terms:
            if any(not isinstance(k, int) or w[0] in _FUNCTIONS for k, w in monomial):
                raise NoMoments("a function of operators")
        found = Polynomial(self.space, operator.terms)
        if len(self._plain) >= _KEPT:
            self._plain.clear()
        # the operator is kept for its id
        self._plain[id(operator)] = operator, found
        return found

    def _expanded(
        self, monomial: Monomial, support: frozenset[int]
    ) -> Iterator[tuple[Polynomial, Any]]:
        """A monomial as operators on atoms with weights."""
        _, plain, atoms = self._layout
        plainly: list[Factor] = []
        collective: list[tuple[int, str]] = []
        for key, word in monomial:
            if not isinstance(key, int) or word[0] in _FUNCTIONS:
                raise NoMoments("a function of operators")
            mode = self.outer.modes[key]
            if mode.kind.name == "ensemble":
                _, p, k, q = word
                letters = ("plus",) * p + ("z",) * k + ("minus",) * q
                collective += [(key, letter) for letter in letters]
            elif mode.ensemble is not None:
                number = key - min(
                    j
                    for j, m in enumerate(self.outer.modes)
                    if m.ensemble == mode.ensemble
                )
                plainly.append((atoms[mode.ensemble][number], word))
            else:
                plainly.append((plain[key], word))
        used = support | {k for k, _ in plainly if k in self._ensemble_of}
        start = Polynomial(self.space, {tuple(sorted(plainly)): self.ring.number(1)})
        yield from self._sums(start, collective, used)

    def _sums(
        self, done: Polynomial, rest: list[tuple[int, str]], used: frozenset[int]
    ) -> Iterator[tuple[Polynomial, Any]]:
        """Multiply by sums over atoms, one after the other."""
        if not rest:
            yield done, self.ring.number(1)
            return
        (ensemble, letter), others = rest[0], rest[1:]
        atoms = self._layout[2][ensemble]
        mine = [k for k in atoms if k in used]
        for atom in mine:
            yield from self._sums(done * self._letter(atom, letter), others, used)
        new = next(k for k in atoms if k not in used)
        weight = self.sizes[ensemble] - self.ring.number(len(mine))
        longer = done * self._letter(new, letter)
        for term, factor in self._sums(longer, others, used | {new}):
            yield term, weight * factor

    def _letter(self, atom: int, letter: str) -> Polynomial:
        operator = self.space.letter(atom, letter)
        # Jz is the sum of sigma^z/2
        return operator / 2 if letter == "z" else operator

    # ── moments ──────────────────────────────────────────────────────────────────────────────

    def mean(self, operator: Polynomial) -> dict[Moment, Any]:
        """The mean of an operator on atoms as a sum of moments."""
        half = self.ring.number(1) / self.ring.number(2)
        found: dict[Moment, list[Any]] = {}
        for monomial, value in operator.terms.items():
            options: list[list[tuple[Factor | None, Any]]] = []
            for key, word in monomial:
                if key in self._qubits and word == _UP:
                    options.append([(None, half), ((key, SIGMA_Z), half)])
                else:
                    options.append([((key, word), 1)])
            for choice in product(*options):
                coefficient = value
                for _, factor in choice:
                    coefficient = coefficient if factor == 1 else coefficient * factor
                kept = tuple(f for f, _ in choice if f is not None)
                found.setdefault(self.canonical(kept), []).append(coefficient)
        sums = {m: self.ring.add(v) for m, v in found.items()}
        return {m: c for m, c in sums.items() if not self.ring.is_zero(c)}

    def canonical(self, factors: Iterable[Factor]) -> Moment:
        """The same moment with its atoms in order."""
        if not self._ensemble_of:
            return tuple(sorted(factors))
        plain, words = [], dict[int, list[Any]]()
        for key, word in factors:
            ensemble = self._ensemble_of.get(key)  # type: ignore[arg-type]
            if ensemble is None:
                plain.append((key, word))
            else:
                words.setdefault(ensemble, []).append(word)
        for ensemble, mine in words.items():
            atoms = self._layout[2][ensemble]
            plain += list(zip(atoms, sorted(mine, key=_rank), strict=False))
        return tuple(sorted(plain))

    def operator(self, moment: Moment) -> Polynomial:
        """The operator whose mean a moment is."""
        total = self.space.scalar(1)
        for key, word in moment:
            assert isinstance(key, int)
            if word == SIGMA_Z:
                factor = self.space.letter(key, "z")
            else:
                factor = Polynomial(self.space, {((key, word),): self.ring.number(1)})
            total = total * factor
        return total

    def adjoint(self, moment: Moment) -> Moment:
        """The moment of the adjoint operator."""
        return self.canonical(
            (k, w if w == SIGMA_Z else (w[0], w[2], w[1])) for k, w in moment
        )

    # ── motion ───────────────────────────────────────────────────────────────────────────────

    def motion(
        self,
        operator: Polynomial,
        hamiltonian: Mapping[int, Polynomial],
        channels: list[Channel],
    ) -> Polynomial:
        r"""$\mathcal{L}^\dagger[O]$ for an operator on atoms and modes.

        Args:
            hamiltonian: For each mode of the system the terms of H/hbar that act on it.
        """
        support = frozenset(operator.modes())
        total: dict[Monomial, list[Any]] = {}

        def add(polynomial: Polynomial) -> None:
            for monomial, value in polynomial.terms.items():
                total.setdefault(monomial, []).append(value)

        imaginary = self.ring.imaginary
        seen: set[Monomial] = set()
        for position in sorted({self._outer[k] for k in support}):
            own = hamiltonian.get(position)
            if own is None:
                continue
            if not seen.isdisjoint(own.terms):
                terms = {m: c for m, c in own.terms.items() if m not in seen}
                own = Polynomial(self.outer, terms)
            seen.update(own.terms)
            add(self.expanded(own, support).commutator(operator) * imaginary)
        half = self.ring.number(1) / self.ring.number(2)
        for channel in channels:
            rate = channel.rate * half
            for jump in self._jumps(channel, support):
                inside = operator.commutator(jump)
                wider = support | frozenset(jump.modes())
                if inside:
                    back = self._adjoint_of(channel, jump, wider)
                    add(back * (inside * rate))
                outside = jump.dag().commutator(operator)
                if outside:
                    forth = self._adjoint_of(channel, jump, wider).dag()
                    add(outside * rate * forth)
        return Polynomial(self.space, {m: self.ring.add(v) for m, v in total.items()})

    @cached_property
    def _outer(self) -> dict[int, int]:
        return self._ensemble_of | {place: k for k, place in self._layout[1].items()}

    def outer_position(self, mode: int) -> int:
        """The position in the system of a mode, or of the ensemble of an atom."""
        return self._outer[mode]

    def atoms(self, position: int) -> tuple[int, ...]:
        """The atoms of an ensemble of the system, or the one mode that another mode is."""
        _, plain, atoms = self._layout
        return atoms[position] if position in atoms else (plain[position],)

    def _jumps(self, channel: Channel, support: frozenset[int]) -> Iterator[Polynomial]:
        """The parts of a jump that act on the support, one for each atom where atoms have their own."""
        if channel.per_atom is None:
            whole = self.expanded(channel.jump, support)
            kept = {
                m: c for m, c in whole.terms.items() if any(k in support for k, _ in m)
            }
            if kept:
                whole_acts = len(kept) == len(whole.terms)
                yield whole if whole_acts else Polynomial(self.space, kept)
            return
        for atom in self._layout[2][channel.per_atom]:
            if atom in support:
                yield self._own(channel, atom)

    def _own(self, channel: Channel, atom: int) -> Polynomial:
        """The jump of one atom."""
        plain = self._layout[1]
        terms: dict[Monomial, Any] = {}
        for monomial, value in channel.jump.terms.items():
            factors: list[Factor] = []
            for key, word in monomial:
                assert isinstance(key, int)
                own = self.outer.modes[key].ensemble is not None
                factors.append((atom if own else plain[key], word))
            terms[tuple(sorted(factors))] = value
        return Polynomial(self.space, terms)

    def _adjoint_of(
        self, channel: Channel, jump: Polynomial, support: frozenset[int]
    ) -> Polynomial:
        """The whole adjoint jump beside one part of it."""
        if channel.per_atom is not None:
            return jump.dag()
        return self.expanded(channel.jump.dag(), support)

    # ── closure ──────────────────────────────────────────────────────────────────────────────

    def letters(self, moment: Moment) -> tuple[Factor, ...]:
        """The single operators of a moment: those of a boson one by one."""
        found: list[Factor] = []
        for key, word in moment:
            if word[0] == "a":
                found += [(key, ("a", 1, 0))] * word[1] + [(key, ("a", 0, 1))] * word[2]
            else:
                found.append((key, word))
        return tuple(found)

    def uncorrelated(self, letter: Factor) -> bool:
        """Whether an operator occurs in means of its own only."""
        key = letter[0]
        return isinstance(key, int) and self._outer[key] in self.alone

    def joined(self, letters: Iterable[Factor]) -> Moment:
        """The moment of a product of single operators of a normal-ordered product."""
        powers: dict[Any, list[int]] = {}
        rest: list[Factor] = []
        for key, word in letters:
            if word[0] == "a":
                mine = powers.setdefault(key, [0, 0])
                mine[0] += word[1]
                mine[1] += word[2]
            else:
                rest.append((key, word))
        rest += [(key, ("a", p, q)) for key, (p, q) in powers.items()]
        return self.canonical(rest)

    def closed(self, moment: Moment) -> MomentSum:
        r"""A moment by moments of at most `order` operators: joint cumulants beyond it vanish.

        $\langle A_1\cdots A_n\rangle = \sum_{|\pi|>1}(-1)^{|\pi|}(|\pi| - 1)!\prod_B\langle B\rangle$, over partitions.

        References:
            R. Kubo, J. Phys. Soc. Jpn. 17, 1100 (1962); D. Plankensteiner et al., Quantum 6, 617 (2022).
        """
        if moment not in self._memory:
            self._memory[moment] = self._closed(moment)
        found: MomentSum = self._memory[moment]
        return found

    def _closed(self, moment: Moment) -> MomentSum:
        one = self.ring.number(1)
        if not moment:
            return {(): one}
        if moment in self.factorized:
            singles = [self.canonical([factor]) for factor in moment]
            return {tuple(sorted(singles)): one}
        letters = self.letters(moment)
        single = [letter for letter in letters if self.uncorrelated(letter)]
        if single and len(letters) > 1:
            others = self.joined(x for x in letters if not self.uncorrelated(x))
            whole = self.closed(others)
            for letter in single:
                whole = times(whole, {(self.joined([letter]),): one})
            return whole
        if len(letters) <= self.order:
            return {(moment,): one}
        total: MomentSum = {}
        # moments that no other closure applies to are themselves up to the order
        kept = not self.factorized and not self.alone
        for partition in _partitions(len(letters)):
            if len(partition) == 1:
                continue
            sign = (-1) ** len(partition) * factorial(len(partition) - 1)
            blocks = [self.joined(letters[k] for k in block) for block in partition]
            term: MomentSum = {(): self.ring.number(sign)}
            if kept and all(len(block) <= self.order for block in partition):
                term = {tuple(sorted(blocks)): term[()]}
            else:
                for block in blocks:
                    term = times(term, self.closed(block))
            for key, value in term.items():
                total[key] = total[key] + value if key in total else value
        return {k: v for k, v in total.items() if not self.ring.is_zero(v)}


def times(one: MomentSum, other: MomentSum) -> MomentSum:
    """The product of two polynomials of moments."""
    total: MomentSum = {}
    for a, c in one.items():
        for b, d in other.items():
            key = tuple(sorted(a + b))
            total[key] = total[key] + c * d if key in total else c * d
    return total


def _rank(word: Any) -> tuple[int, Any]:
    """Raising, lowering, then diagonal words."""
    order = {("E", 1, 0): 0, ("E", 0, 1): 1, SIGMA_Z: 2}
    return order.get(word, 3), word


def _partitions(n: int) -> Iterator[list[list[int]]]:
    """All partitions of 0..n-1 into blocks."""
    if n == 0:
        yield []
        return
    for partition in _partitions(n - 1):
        for k in range(len(partition)):
            yield [*partition[:k], [*partition[k], n - 1], *partition[k + 1 :]]
        yield [*partition, [n - 1]]
