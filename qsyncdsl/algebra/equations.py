"""Typed equations of motion and maps as expressions; sums over sites stay sums.

A rule `for j in sites` is evaluated once, with its index standing for any site: what is read at an
index becomes a symbol with a table of rows, one for each value of the indices around it. A rule whose
form depends on the site is written out, value by value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sympy

from qsyncdsl.algebra.build import binders_as_each, jumps_of, space_of, summed
from qsyncdsl.algebra.equation_evaluator import EquationEvaluator
from qsyncdsl.algebra.fields import NotUniform
from qsyncdsl.algebra.index_loops import Access, Loop, LoopSum
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.algebra.symbols import Symbols
from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import types
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.values import Frame
from qsyncdsl.source import Span
from qsyncdsl.syntax import tree


@dataclass(frozen=True)
class VariableFamily:
    """The sites of a declared variable."""

    name: str
    kind: str
    size: int
    shape: tuple[int, ...]
    periodic: bool


@dataclass(frozen=True)
class Rule:
    """The right side of an equation, or of a map, for one variable at the values of a loop.

    Attributes:
        rows: The site of the variable for each value of the loop, counted from 0.
    """

    variable: str
    rows: tuple[int, ...]
    loop: Loop | None
    value: Any
    text: str
    span: Span = field(repr=False)


@dataclass(frozen=True)
class NoiseFamily:
    """The sites of a declared noise.

    Attributes:
        strengths: White noise: S of each site. Colored noise: the spectrum as an expression of
            the symbol `w`, the same for all sites.
        cutoff: Angular frequency above which a spectrum is zero; None without one.
    """

    name: str
    kind: str
    size: int
    strengths: tuple[Any, ...]
    cutoff: Any = None
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True)
class QuantumPart:
    """The modes of a model with classical variables; coefficients may read the variables.

    Attributes:
        families: The declared modes, their sites at successive positions of the space.
        hamiltonian: H.
        jumps: Rates and jump operators, with their places.
        means: The symbols that stand for mean values in the rules.
        kicks: Periods and generators, with their places.
    """

    families: tuple[VariableFamily, ...]
    hamiltonian: Polynomial
    jumps: tuple[tuple[Any, Polynomial, Span], ...]
    hbar: Any
    means: Mapping[Any, Polynomial]
    kicks: tuple[tuple[Any, Polynomial, Span], ...] = ()


@dataclass(frozen=True)
class KickRules:
    """A kick as the rules of its flow for a unit of time; variables without a rule stand still."""

    period: Any
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class EquationSystem:
    """Variables, their rules, and what the rules read."""

    variables: tuple[VariableFamily, ...]
    noises: tuple[NoiseFamily, ...]
    rules: tuple[Rule, ...]
    accesses: Mapping[Any, Access]
    sums: Mapping[Any, LoopSum]
    discrete: bool
    space: Space
    symbols: Mapping[ParameterKey, Any]
    structure: Mapping[ParameterKey, Any]
    positions: Mapping[ParameterKey, int]
    samples: Mapping[Any, complex] = field(default_factory=dict, repr=False)
    quantum: QuantumPart | None = None
    kicks: tuple[KickRules, ...] = ()


FREQUENCY = sympy.Symbol("w", real=True)


def build_equations(model: types.Model, environment: Environment) -> EquationSystem:
    """The typed equations of a model with their parameters open.

    Raises:
        ModelError: E3xx; E430 for equations that leave out or repeat a site.
    """
    with environment.recording() as reads:
        space, positions = space_of(model, environment, SYMBOLIC)
        symbols = Symbols(environment)
        work = EquationEvaluator(environment, space, positions, symbols)
        families = tuple(_families(model, environment))
        rules = tuple(r for e in model.equations for r in _rules(e, work))
        _complete(model, families, rules)
        noises = tuple(_noises(model, work))
        quantum = _quantum(model, work) if model.modes else None
    structure = {
        key: environment.value(model.parameters[key[0]], key[1])
        for key in sorted(reads)
    }
    values = {
        symbol: complex(environment.peek(model.parameters[name], index))
        for (name, index), symbol in symbols.table.items()
    }
    return EquationSystem(
        families,
        noises,
        rules,
        MappingProxyType(work.accesses),
        MappingProxyType(work.sums),
        any(e.discrete for e in model.equations),
        space,
        MappingProxyType(dict(symbols.table)),
        MappingProxyType(structure),
        MappingProxyType(dict(positions)),
        values,
        quantum,
    )


def _quantum(model: types.Model, work: EquationEvaluator) -> QuantumPart:
    """H and jumps with coefficients that may read variables."""
    total = work.space.scalar(0)
    for term in model.hamiltonian:
        total = total + summed(term, work, None)
    jumps = [j for term in model.dissipators for j in jumps_of(term, work, None)]
    kicks = []
    for term in model.kicks:
        assert term.rate is not None
        period = work.coefficient(term.rate, term.scope, Frame())
        kicks.append((period, summed(term, work, None), term.span))
    families = []
    for mode in model.modes.values():
        size = sum(1 for _ in work.environment.sites(mode.index))
        shape = (size,) if mode.index else ()
        families.append(VariableFamily(mode.name, "complex", size, shape, False))
    return QuantumPart(
        tuple(families),
        total,
        tuple((jump.rate, jump.operator, jump.span) for jump in jumps),
        work.hbar(),
        MappingProxyType(work.means),
        tuple(kicks),
    )


def _families(model: types.Model, environment: Environment) -> Iterator[VariableFamily]:
    for variable in model.variables.values():
        size = sum(1 for _ in environment.sites(variable.index))
        shape: tuple[int, ...] = (size,) if variable.index else ()
        periodic = False
        if len(variable.index) == 1:
            domain = environment.domain(variable.index[0])
            shape = getattr(domain, "shape", shape)
            periodic = bool(getattr(domain, "periodic", False))
        yield VariableFamily(variable.name, variable.kind, size, shape, periodic)


def _complete(
    model: types.Model, families: tuple[VariableFamily, ...], rules: tuple[Rule, ...]
) -> None:
    """E430 unless every site of every variable has one equation."""
    for family in families:
        own = [rule for rule in rules if rule.variable == family.name]
        seen: set[int] = set()
        for rule in own:
            twice = seen & set(rule.rows) or len(set(rule.rows)) < len(rule.rows)
            if twice:
                message = f"a site of '{family.name}' has two equations"
                raise ModelError([Diagnostic("E430", message, rule.span)])
            seen |= set(rule.rows)
        if len(seen) < family.size:
            first = min(set(range(family.size)) - seen) + 1
            message = f"'{family.name}' has no equation at site {first}"
            span = own[0].span if own else model.variables[family.name].span
            raise ModelError([Diagnostic("E430", message, span)])


# ── rules ────────────────────────────────────────────────────────────────────────────────────


def _rules(equation: types.Equation, work: EquationEvaluator) -> Iterator[Rule]:
    """The rules of a statement: one where its form allows it."""
    variable = equation.scope.find(equation.place.name.key)
    assert isinstance(variable, types.Variable)
    each = [a for a in equation.place.arguments if isinstance(a, tree.Each)]
    if equation.binders is not None:
        each = [*binders_as_each(equation.binders), *each]
    for instance in work.environment.sites(equation.replicas):
        frame = Frame({}, instance)
        if not each:
            yield _rule(equation, variable, frame, None, work)
            continue
        try:
            yield _looped(equation, variable, each, frame, work)
        except NotUniform:
            for inner, _ in work.environment.numbers.frames(
                each, equation.scope, frame
            ):
                yield _rule(equation, variable, inner, None, work)


def _looped(
    equation: types.Equation,
    variable: types.Variable,
    each: list[tree.Each],
    frame: Frame,
    work: EquationEvaluator,
) -> Rule:
    names, frames = work.instances(each, equation.scope, frame)
    loop = Loop(names, tuple(frames), None, None, 0)
    inner = work.entered(frame, loop)
    before, work.loop = work.loop, loop
    try:
        return _rule(equation, variable, inner, loop, work)
    finally:
        work.loop = before


def _rule(
    equation: types.Equation,
    variable: types.Variable,
    frame: Frame,
    loop: Loop | None,
    work: EquationEvaluator,
) -> Rule:
    value = work.operand(
        work.evaluate(equation.value, equation.scope, frame), equation.value
    )
    if isinstance(value, Polynomial):
        value = value.scalar
    places = tuple(
        a.pattern if isinstance(a, tree.Each) else a for a in equation.place.arguments
    )
    rows = tuple(work.rows_of(variable, places, equation, frame, loop))
    text = " ".join(equation.place.span.text.split())
    return Rule(
        variable.name, rows, loop, sympy.sympify(value), text, equation.value.span
    )


# ── noises ───────────────────────────────────────────────────────────────────────────────────


def _noises(model: types.Model, work: EquationEvaluator) -> Iterator[NoiseFamily]:
    for noise in model.entities.values():
        if not isinstance(noise, types.Noise):
            continue
        sites = list(work.environment.sites(noise.index))
        if noise.kind == "white":
            node = _argument(noise, 0, "S")
            strengths = tuple(
                sympy.sympify(work.evaluate(node, noise.scope, _framed(noise, site)))
                for site in sites
            )
            yield NoiseFamily(
                noise.name, "white", len(sites), strengths, None, noise.span
            )
            continue
        node = _argument(noise, 0, "f")
        function = work.evaluate(node, noise.scope, Frame())
        if not hasattr(function, "define"):
            fail("E308", node, "a spectrum is a function", "write define f(w) = ...")
        spectrum = work.apply(function, (FREQUENCY,), node)  # type: ignore[arg-type]
        cutoff = _argument(noise, 1, "cutoff", False)
        limit = (
            None
            if cutoff is None
            else sympy.sympify(work.evaluate(cutoff, noise.scope, Frame()))
        )
        yield NoiseFamily(
            noise.name,
            "colored",
            len(sites),
            (sympy.sympify(spectrum),),
            limit,
            noise.span,
        )


def _framed(noise: types.Noise, site: tuple[int, ...]) -> Frame:
    frame = Frame({}, site[: noise.inherited])
    for index, number in zip(noise.index, site, strict=True):
        if index.names:
            frame = frame.bind(index.names, number)
    return frame


def _argument(
    noise: types.Noise, position: int, name: str, required: bool = True
) -> Any:
    for place, argument in enumerate(noise.arguments):
        if isinstance(argument, tree.Option):
            if argument.name.key == name.lower() or argument.name.key == name:
                return argument.value
        elif place == position:
            return argument
    assert not required
    return None
