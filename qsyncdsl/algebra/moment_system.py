"""A system as the algebra of its moments: H and channels with coefficients as polynomials of factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from qsyncdsl.algebra.coefficients import Factors
from qsyncdsl.algebra.moments import SIGMA_Z, Channel, Moment, Moments
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.symmetry import Symmetry, operator_shifts, weak_symmetry
from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError

# Parts of motions that are kept.
_KEPT = 100_000


@dataclass(frozen=True)
class _Part:
    """A part of the generator of motion: terms of H/hbar, or dissipators, on the same modes."""

    modes: frozenset[int]
    hamiltonian: Polynomial
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class MomentSystem:
    """What equations of moments are derived from.

    Attributes:
        algebra: The moments, closed at an order.
        hamiltonian: For each mode of the system the terms of H/hbar that act on it.
        channels: The dissipators.
        sizes: Numbers of atoms, by the names of their symbols.
        symmetry: Moments with a charge vanish.
        kept: The modes that charges count, by their position in the system.
    """

    algebra: Moments
    hamiltonian: Mapping[int, Polynomial]
    channels: tuple[Channel, ...]
    sizes: Mapping[str, int]
    symmetry: Symmetry
    kept: tuple[int, ...]
    _moved: dict[Any, dict[Moment, Any]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be found again."""
        return {**self.__dict__, "_moved": {}}

    @property
    def ring(self) -> Factors:
        """Of the coefficients."""
        ring = self.algebra.ring
        assert isinstance(ring, Factors)
        return ring

    def motion(self, moment: Moment) -> dict[Moment, Any]:
        r"""d<m>/dt as a sum of moments, before the closure.

        Without ensembles a part $\mathcal L_g$ of the generator leaves alone the factors of modes that it does
        not act on, $\mathcal L_g^\dagger[AB] = \mathcal L_g^\dagger[A]B$: that of A is found once for all B.
        """
        if self.algebra.sizes or len(moment) < 2:
            return self._whole_motion(moment)
        total: dict[Moment, list[Any]] = {}
        touching = {g for key, _ in moment for g in self._parts_of.get(key, ())}
        for number in sorted(touching):
            modes = self._parts[number].modes
            own = tuple(factor for factor in moment if factor[0] in modes)
            rest = tuple(factor for factor in moment if factor[0] not in modes)
            for term, value in self._part_motion(number, own).items():
                longer = tuple(sorted(term + rest)) if rest else term
                total.setdefault(longer, []).append(value)
        ring = self.ring
        sums = {m: ring.add(values) for m, values in total.items()}
        return {m: c for m, c in sums.items() if not ring.is_zero(c)}

    def _part_motion(self, number: int, moment: Moment) -> dict[Moment, Any]:
        """What one part of the generator makes of a moment of modes that it acts on."""
        key = number, moment
        if key not in self._moved:
            if len(self._moved) >= _KEPT:
                self._moved.clear()
            part = self._parts[number]
            found = self.algebra.motion(
                self.algebra.operator(moment),
                dict.fromkeys(part.modes, part.hamiltonian),
                list(part.channels),
            )
            self._moved[key] = self.algebra.mean(found)
        return self._moved[key]

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        """The terms of H/hbar by the modes they act on, and the dissipators."""
        space = self.algebra.outer
        terms: dict[frozenset[int], dict[Any, Any]] = {}
        for polynomial in self.hamiltonian.values():
            for monomial, value in polynomial.terms.items():
                modes = frozenset(Polynomial(space, {monomial: value}).modes())
                terms.setdefault(modes, {})[monomial] = value
        nothing = Polynomial(space, {})
        found = [_Part(m, Polynomial(space, mine), ()) for m, mine in terms.items()]
        found += [
            _Part(frozenset(c.jump.modes()), nothing, (c,)) for c in self.channels
        ]
        return tuple(found)

    @cached_property
    def _parts_of(self) -> dict[Any, list[int]]:
        """The parts that act on each mode."""
        found: dict[Any, list[int]] = {}
        for number, part in enumerate(self._parts):
            for mode in part.modes:
                found.setdefault(mode, []).append(number)
        return found

    def _whole_motion(self, moment: Moment) -> dict[Moment, Any]:
        """The same by all of the generator at once."""
        operator = self.algebra.operator(moment)
        places = {self.algebra.outer_position(k) for k in operator.modes()}
        acting = sorted({c for place in places for c in self._acting.get(place, ())})
        channels = [self.channels[c] for c in acting]
        return self.algebra.mean(
            self.algebra.motion(operator, self.hamiltonian, channels)
        )

    @cached_property
    def _acting(self) -> dict[int, list[int]]:
        """The channels that act on each mode, or on the atoms of each ensemble."""
        modes = self.algebra.outer.modes
        found: dict[int, list[int]] = {}
        for number, channel in enumerate(self.channels):
            touched = set() if channel.per_atom is None else {channel.per_atom}
            for place in channel.jump.modes():
                ensemble = modes[place].ensemble
                touched.add(place if ensemble is None else ensemble)
            for place in touched:
                found.setdefault(place, []).append(number)
        return found

    def charges(self, moment: Moment) -> tuple[int, ...]:
        """The charges of a moment; all zero for one that need not vanish."""
        total = [0] * len(self.symmetry.moduli)
        for key, word in moment:
            assert isinstance(key, int)
            if word != SIGMA_Z:
                shift = word[1] - word[2]
                for k, charge in self._charge[self.algebra.outer_position(key)]:
                    total[k] += shift * charge
        moduli = self.symmetry.moduli
        return tuple(q % m if m else q for q, m in zip(total, moduli, strict=True))

    @cached_property
    def _charge(self) -> dict[int, list[tuple[int, int]]]:
        """The charges that an excitation of each mode has."""
        columns = zip(*self.symmetry.charges, strict=True)
        found = {
            place: [(k, charge) for k, charge in enumerate(column) if charge]
            for place, column in zip(self.kept, columns, strict=False)
        }
        return {place: found.get(place, []) for place in self.kept}

    def moved(self, operator: Polynomial) -> Polynomial:
        """An operator of the system with coefficients of this ring."""
        ring = self.ring
        terms = {m: ring.of(c) for m, c in operator.terms.items()}
        return Polynomial(self.algebra.outer, terms)


def moment_system(
    system: System, order: int, factorize: Any = (), first_order: Any = ()
) -> MomentSystem:
    """The algebra of a system's moments.

    Args:
        factorize: Operators, products over modes, whose means become products of means.
        first_order: Operators of modes that are followed by their means alone.

    Raises:
        ModelError: E420 for an order below 1.
    """
    if order < 1:
        raise ModelError([Diagnostic("E420", "the order of a closure is at least 1")])
    ring = Factors()
    space = Space(system.space.modes, ring)
    ensembles = [
        k for k, mode in enumerate(space.modes) if mode.kind.name == "ensemble"
    ]
    alike = len({space.modes[k].size for k in ensembles}) == 1
    sizes, numbers = {}, {}
    for position in ensembles:
        mode = space.modes[position]
        name = "N" if alike else f"N_{mode.label}"
        sizes[position], numbers[name] = ring.of(atoms_symbol(name)), mode.size
    kept = tuple(k for k, mode in enumerate(space.modes) if mode.ensemble is None)
    shifts = operator_shifts(system, kept)
    symmetry = Symmetry((), ()) if shifts is None else weak_symmetry(shifts, len(kept))
    found = MomentSystem(Moments(space, sizes, order), {}, (), numbers, symmetry, kept)
    hamiltonian: dict[int, dict[Any, Any]] = {}
    for term in system.hamiltonian:
        for monomial, value in found.moved(term.operator / system.hbar).terms.items():
            touched = {
                one
                for key, _ in monomial
                for one in ((key,) if isinstance(key, int) else key)
            }
            for place in touched:
                own = space.modes[place].ensemble
                mine = hamiltonian.setdefault(place if own is None else own, {})
                mine[monomial] = mine[monomial] + value if monomial in mine else value
    channels = tuple(
        Channel(ring.of(j.rate), found.moved(j.operator), j.per_atom)
        for j in system.jumps
    )
    alone: set[int] = set()
    for place in {m for operator in _listed(first_order) for m in operator.modes()}:
        ensemble = space.modes[place].ensemble
        alone.add(place if ensemble is None else ensemble)
    products = _factorized(found, factorize)
    algebra = Moments(space, sizes, order, products, frozenset(alone))
    split = {k: Polynomial(space, terms) for k, terms in hamiltonian.items()}
    return MomentSystem(algebra, split, channels, numbers, symmetry, kept)


def atoms_symbol(name: str) -> Any:
    """The symbol for a number of atoms."""
    import sympy

    return sympy.Symbol(name, positive=True)


def _factorized(system: MomentSystem, given: Any) -> frozenset[Moment]:
    """The longest moments of some products."""
    found = set()
    algebra = system.algebra
    for operator in _listed(given):
        mean = algebra.mean(algebra.expanded(system.moved(operator), frozenset()))
        longest = max((len(m) for m in mean), default=0)
        for moment in mean:
            if len(moment) == longest > 1:
                found |= {moment, algebra.adjoint(moment)}
    return frozenset(found)


def _listed(given: Any) -> list[Polynomial]:
    """The operators of an option."""
    listed = given if isinstance(given, tuple | list) else (given,)
    return [operator for operator in listed if isinstance(operator, Polynomial)]
