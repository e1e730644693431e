"""Systems whose sums stay sums: one pattern for each term, however large the lattice.

A term `for j in sites` or `for (j, k) in sites.edges` is evaluated once, with its indices standing
for any site. A term whose form depends on the site (`j + 1`, `where`, `j` as a number) is written
out, value by value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NoReturn

from qsyncdsl.algebra.build import binders_as_each, space_of
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial, Space, SystemMode
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.algebra.symbols import Symbols
from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import types
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.lattices import Graph
from qsyncdsl.model.types import Parameter
from qsyncdsl.model.values import (
    Atoms,
    Edges,
    Frame,
    Interval,
    ModeValue,
    ParameterArray,
)
from qsyncdsl.source import Span
from qsyncdsl.syntax import tree


class NotUniform(Exception):
    """The form of a term depends on the site."""


def _refuse(*_: Any) -> NoReturn:
    raise NotUniform


@dataclass(frozen=True, eq=False)
class AnySite:
    """An index that stands for any site of a lattice; nothing can be computed with it.

    Attributes:
        slot: 0 for the first index of a pattern, 1 for the second.
        name: As the user wrote it.
    """

    slot: int
    name: str
    domain: Any = field(repr=False)

    def __str__(self) -> str:
        return self.name

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __mod__ = __rmod__ = _refuse
    __neg__ = __pos__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __int__ = __float__ = __complex__ = __index__ = __floor__ = __round__ = _refuse
    _sympy_ = _refuse

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        raise NotUniform

    def __hash__(self) -> int:
        return hash((self.slot, self.name))


@dataclass(frozen=True, slots=True)
class Slot:
    """A mode on any site: which mode, and which index of the pattern."""

    mode: str
    slot: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A term for every site or edge of a lattice, or a single one.

    Attributes:
        rate: Of a dissipator; None for a summand of H.
        graph: The lattice; None for a term that stands for itself.
        edges: Whether it runs over edges rather than sites.
    """

    operator: Polynomial
    rate: Any
    span: Span = field(repr=False, compare=False)
    graph: Any = None
    edges: bool = False


@dataclass(frozen=True, slots=True)
class FieldKick:
    """`exp(-i G/hbar)` at t = 0, T, 2T, ..., G the sum of its patterns."""

    period: Any
    patterns: tuple[Pattern, ...]
    span: Span = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Family:
    """A mode with its sites: fields `offset .. offset + size - 1`.

    Attributes:
        domain: The lattice or list of its sites; None for a single mode.
    """

    name: str
    offset: int
    size: int
    kind: str
    domain: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class FieldSystem:
    """H and jumps as patterns; the counterpart of `System` for large lattices.

    Attributes:
        space: The modes of all sites, then the modes that stand for any site (`slots`).
        families: The declared modes.
        symbols: The symbol of each parameter; those at any site have an `AnySite` as index.
    """

    space: Space
    families: tuple[Family, ...]
    slots: Mapping[int, Slot]
    patterns: tuple[Pattern, ...]
    hbar: Any
    symbols: Mapping[ParameterKey, Any]
    structure: Mapping[ParameterKey, Any]
    positions: Mapping[ParameterKey, int]
    kicks: tuple[FieldKick, ...] = ()

    @property
    def count(self) -> int:
        """Number of fields."""
        return sum(family.size for family in self.families)

    def family(self, name: str) -> Family:
        """A family by the name of its mode."""
        return next(f for f in self.families if f.name == name)


def build_fields(model: types.Model, environment: Environment) -> FieldSystem:
    """The system with its parameters open and its sums kept.

    Raises:
        ModelError: E3xx.
    """
    with environment.recording() as reads:
        space, positions = space_of(model, environment, SYMBOLIC)
        families = tuple(_families(model, environment, positions, space))
        modes, slots = list(space.modes), dict[int, Slot]()
        places = dict(positions)
        for family in families:
            if family.domain is not None:
                for slot in (0, 1):
                    slots[len(modes)] = Slot(family.name, slot)
                    places[(family.name, (slot,))] = len(modes)
                    shown = f"{family.name}[{'jk'[slot]}]"
                    kind = space.modes[family.offset].kind
                    modes.append(
                        SystemMode(shown, kind, space.modes[family.offset].size)
                    )
        space = Space(tuple(modes), SYMBOLIC)
        symbols = _PatternSymbols(environment)
        evaluator = _PatternEvaluator(environment, space, positions, symbols)
        evaluator.anywhere = {
            key: place for key, place in places.items() if place in slots
        }
        hbar = evaluator.hbar()
        patterns = [
            pattern
            for term in (*model.hamiltonian, *model.dissipators)
            for pattern in _patterns(term, evaluator)
            if pattern.operator
        ]
        kicks = [_kick(term, evaluator) for term in model.kicks]
    structure: dict[ParameterKey, Any] = {
        key: environment.value(model.parameters[key[0]], key[1])
        for key in sorted(reads)
    }
    return FieldSystem(
        space,
        families,
        MappingProxyType(slots),
        tuple(patterns),
        hbar,
        MappingProxyType(symbols.table),
        MappingProxyType(structure),
        MappingProxyType(positions),
        tuple(kicks),
    )


def _kick(term: types.Term, evaluator: _PatternEvaluator) -> FieldKick:
    """The generator of a kick as patterns."""
    assert term.rate is not None
    period = evaluator.coefficient(term.rate, term.scope, Frame())
    found = tuple(
        p for p in _patterns(replace(term, rate=None), evaluator) if p.operator
    )
    return FieldKick(period, found, term.span)


def _families(
    model: types.Model,
    environment: Environment,
    positions: Mapping[ParameterKey, int],
    space: Space,
) -> Iterator[Family]:
    for mode in model.modes.values():
        sites = list(environment.sites(mode.index))
        first = positions[(mode.name, sites[0])]
        kind = space.modes[first].kind.name
        domain = environment.domain(mode.index[0]) if len(mode.index) == 1 else None
        if not isinstance(domain, Graph | Interval):
            domain = None
        yield Family(mode.name, first, len(sites), kind, domain)


class _PatternSymbols(Symbols):
    """Symbols of parameters, also at any site."""

    def of(self, parameter: Parameter, index: tuple[Any, ...]) -> Any:
        """The symbol of a parameter at an index."""
        key = (parameter.name, index)
        if key in self.table:
            return self.table[key]
        if not any(isinstance(k, AnySite) for k in index):
            return super().of(parameter, index)
        import sympy

        sites = self.environment.sites(parameter.index)
        values = [self.environment.peek(parameter, site) for site in sites]
        real = all(not isinstance(v, complex) or v.imag == 0 for v in values)
        name = f"{parameter.name}[{','.join(map(str, index))}]"
        symbol = sympy.Symbol(name, real=True) if real else sympy.Symbol(name)
        self.table[key] = symbol
        return symbol


class _PatternEvaluator(OperatorEvaluator):
    """Evaluates terms whose indices stand for any site."""

    anywhere: Mapping[Any, int] = {}

    def position_of(self, value: ModeValue) -> int:
        """Position of a mode, on a site or on any site."""
        if value.site and isinstance(value.site[0], AnySite):
            if len(value.site) != 1 or value.atom is not None:
                raise NotUniform
            return self.anywhere[(value.mode.name, (value.site[0].slot,))]
        return super().position_of(value)

    def _at(self, base: Any, given: tuple[Any, ...], node: tree.Index) -> Any:
        if not any(isinstance(k, AnySite) for k in given):
            return super()._at(base, given, node)
        if len(given) != 1:
            raise NotUniform
        entity, had = (
            (base.mode, base.site)
            if isinstance(base, ModeValue)
            else (base.parameter, base.instance)
            if isinstance(base, ParameterArray)
            else _refuse()
        )
        if had or len(entity.index) != 1:
            raise NotUniform
        if self.environment.domain(entity.index[0]) != given[0].domain:
            raise NotUniform
        if isinstance(base, ModeValue):
            return ModeValue(base.mode, given)
        return self.parameter(base.parameter, given)

    def coordination(self, node: tree.Call, scope: types.Scope, frame: Frame) -> int:
        """`z(sites)` in the bulk; `z(j)` depends on the site."""
        if any(isinstance(v, AnySite) for v in self._values(node, scope, frame)):
            raise NotUniform
        return super().coordination(node, scope, frame)


def _patterns(term: types.Term, evaluator: _PatternEvaluator) -> Iterator[Pattern]:
    """One pattern where the form allows it, else one for each value of the binders."""
    found = _uniform(term, evaluator)
    if found is not None:
        yield found
        return
    for instance in evaluator.environment.sites(term.replicas):
        frame = Frame({}, instance)
        if term.binders is None:
            yield _pattern(term, evaluator, frame)
            continue
        for inner, weight in evaluator.frames(
            binders_as_each(term.binders), term.scope, frame
        ):
            if any(isinstance(v, Atoms) for v in inner.bindings.values()):
                raise ModelError(
                    [
                        Diagnostic(
                            "E401",
                            "channels of single atoms of an ensemble are no fields",
                            term.span,
                            "one channel for each atom",
                            help="solve by 'cumulants', or put qubits on a lattice",
                        )
                    ]
                )
            pattern = _pattern(term, evaluator, inner)
            if weight == 1:
                yield pattern
                continue
            number = evaluator.space.ring.number(weight)
            if pattern.rate is None:
                yield replace(pattern, operator=pattern.operator * number)
            else:
                yield replace(pattern, rate=pattern.rate * number)


def _uniform(term: types.Term, evaluator: _PatternEvaluator) -> Pattern | None:
    """The pattern of a term with one binder over sites or edges, without a condition."""
    if term.replicas or term.binders is None or len(term.binders.items) != 1:
        return None
    (each,) = binders_as_each(term.binders)
    if each.condition is not None:
        return None
    domain = evaluator.evaluate(each.domain, term.scope, Frame())
    if isinstance(each.pattern, tree.Name) and isinstance(domain, Graph | Interval):
        names: tuple[str, ...] = (each.pattern.key,)
        graph, edges = domain, False
    elif isinstance(domain, Edges) and len(getattr(each.pattern, "items", ())) == 2:
        names = tuple(item.key for item in each.pattern.items)  # type: ignore[union-attr]
        graph, edges = domain.graph, True
    else:
        return None
    bindings = {name: AnySite(k, name, graph) for k, name in enumerate(names)}
    before = dict(evaluator.symbols.table) if evaluator.symbols else {}
    try:
        found = _pattern(term, evaluator, Frame(bindings))
    except NotUniform:
        assert evaluator.symbols is not None
        evaluator.symbols.table = before
        return None
    return replace(found, graph=graph, edges=edges)


def _pattern(term: types.Term, evaluator: _PatternEvaluator, frame: Frame) -> Pattern:
    value = evaluator.evaluate(term.value, term.scope, frame)
    operator = evaluator.operand(value, term.value)
    if not isinstance(operator, Polynomial):
        operator = evaluator.space.scalar(operator)
    rate = (
        None
        if term.rate is None
        else evaluator.coefficient(term.rate, term.scope, frame)
    )
    return Pattern(operator, rate, term.span)
