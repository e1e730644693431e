"""From a checked model to a system of operators, at one point or with parameters open."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from types import MappingProxyType
from typing import Any

from qsyncdsl.algebra.hermiticity import anti_hermitian
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial, Space, SystemMode
from qsyncdsl.algebra.rings import NUMERIC, SYMBOLIC, Ring
from qsyncdsl.algebra.symbols import Symbols
from qsyncdsl.algebra.system import Jump, Kick, ParameterKey, System, Term
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import types
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.numbers import integer, show
from qsyncdsl.model.values import Atoms, Frame, ModeValue
from qsyncdsl.registry import modes as mode_words
from qsyncdsl.source import Span
from qsyncdsl.syntax import tree

# Representatives of an ensemble: moments of up to this many different atoms can be written.
_REPRESENTATIVES = 4
# When coefficients that depend on time are looked at.
_TIME = 0.3


def build(model: types.Model, environment: Environment) -> System:
    """The system with its parameters open, as SymPy symbols.

    Raises:
        ModelError: E3xx.
    """
    return _build(model, environment, SYMBOLIC, None)


def numeric(
    model: types.Model,
    environment: Environment,
    sample: int | None = None,
    time: float = _TIME,
) -> System:
    """The system in plain numbers at one point; with `sample`, few values of each binder.

    Args:
        time: Value of `t`.

    Raises:
        ModelError: E3xx.
    """
    return _build(model, environment, NUMERIC, sample, time)


def moves(model: types.Model, environment: Environment) -> bool:
    """Whether the Hamiltonian or a channel depends on time.

    Raises:
        ModelError: E3xx.
    """
    one, other = (numeric(model, environment, time=t) for t in (_TIME, 1.7))
    pairs = [(one.total_hamiltonian, other.total_hamiltonian)]
    pairs += [
        (x.operator * x.rate, y.operator * y.rate)
        for x, y in zip(one.jumps, other.jumps, strict=True)
    ]
    return any(x != y for x, y in pairs)


def named_defect(model: types.Model, environment: Environment) -> Diagnostic | None:
    """The anti-Hermitian part of H at one point, with its place; None if there is none."""
    try:
        _refuse_non_hermitian(numeric(model, environment))
    except ModelError as fault:
        return fault.diagnostics[0]
    return None


def examine(model: types.Model, environment: Environment, sample: int = 3) -> System:
    """The system in plain numbers, at most `sample` values of each binder: enough to check it.

    Raises:
        ModelError: E3xx, among them E330: H is not Hermitian.
    """
    system = _build(model, environment, NUMERIC, sample)
    _refuse_non_hermitian(system)
    return system


def space_of(
    model: types.Model, environment: Environment, ring: Ring, sample: int | None = None
) -> tuple[Space, dict[ParameterKey, int]]:
    """The modes of every site, and their positions by name and site."""
    found: list[SystemMode] = []
    positions: dict[ParameterKey, int] = {}
    for mode in model.modes.values():
        kind, size = mode_words[mode.kind].load(), None
        for site in islice(
            environment.sites(mode.index), None if sample is None else _SITES
        ):
            value = ModeValue(mode, site)
            positions[(mode.name, site)] = len(found)
            if size is None or mode.kind not in _SAME_SIZE:
                size = _size(mode, site, environment)
            found.append(SystemMode(value.label, kind, size))
    for position, system_mode in enumerate(tuple(found)):
        if system_mode.kind.name == "ensemble":
            qubit = mode_words["qubit"].load()
            for atom in range(1, _REPRESENTATIVES + 1):
                positions[(f"{system_mode.label}#atom", (atom,))] = len(found)
                label = f"{system_mode.label}[{atom}]"
                found.append(SystemMode(label, qubit, 2, position))
    return Space(tuple(found), ring), positions


# Kinds whose size is that of all sites.
_SAME_SIZE = ("boson", "qubit")
# Checking a lattice of any size looks at this many of its sites.
_SITES = 100_000


def _build(
    model: types.Model,
    environment: Environment,
    ring: Ring,
    sample: int | None,
    time: float = _TIME,
) -> System:
    with environment.recording() as reads:
        space, positions = space_of(model, environment, ring, sample)
        symbols = Symbols(environment) if ring is SYMBOLIC else None
        evaluator = OperatorEvaluator(environment, space, positions, symbols, time)
        evaluator.stand_in = ring is NUMERIC
        hbar = evaluator.hbar()
        hamiltonian = [
            Term(summed(term, evaluator, sample), term.span)
            for term in model.hamiltonian
        ]
        jumps: list[Jump] = []
        finer: list[tuple[Span, tuple[Jump, ...]]] = []
        for term in model.dissipators:
            before = evaluator.integrals
            jumps += jumps_of(term, evaluator, sample)
            if evaluator.integrals > before and sample is None:
                evaluator.nodes_times = 2
                finer.append((term.span, tuple(jumps_of(term, evaluator, None))))
                evaluator.nodes_times = 1
        kicks = [k for term in model.kicks for k in _kicks(term, evaluator, sample)]
    structure: dict[ParameterKey, Any] = {
        key: environment.value(model.parameters[key[0]], key[1])
        for key in sorted(reads)
    }
    structure |= {
        (f"levels of {mode.label}", ()): mode.size
        for mode in space.modes
        if mode.kind.name == "boson"
    }
    named = dict(symbols.table) if symbols is not None else {}
    return System(
        space,
        tuple(hamiltonian),
        tuple(jumps),
        tuple(kicks),
        hbar,
        MappingProxyType(named),
        MappingProxyType(structure),
        MappingProxyType(positions),
        tuple(finer),
    )


def _size(mode: types.Mode, site: tuple[int, ...], environment: Environment) -> Any:
    """Levels, s, M, N or nmax of one mode.

    Raises:
        ModelError: E315 for a size that makes no mode.
    """
    if mode.kind == "boson":
        return environment.levels(mode)
    if mode.kind == "qubit":
        return 2
    argument = mode.arguments[0]
    node = argument.value if isinstance(argument, tree.Option) else argument
    value = environment.numbers.evaluate(node, mode.scope, Frame({}, site))  # type: ignore[arg-type]
    if mode.kind == "spin":
        twice = integer(2 * value)
        if twice is None or twice < 1:
            _bad_size(mode, node, value, "a positive multiple of 1/2")
        return Fraction(twice or 1, 2)
    count = integer(value)
    least = 2 if mode.kind == "levels" else 1
    if count is None or count < least:
        _bad_size(mode, node, value, f"an integer of at least {least}")
    return count


def _bad_size(mode: types.Mode, node: Any, value: Any, wanted: str) -> None:
    message = f"'{mode.written}' cannot be {mode.kind}({show(value)})"
    raise ModelError([Diagnostic("E315", message, node.span, f"{wanted} is needed")])


# ── terms ────────────────────────────────────────────────────────────────────────────────────


def _frames(
    term: types.Term, evaluator: OperatorEvaluator, sample: int | None
) -> Iterator[tuple[Frame, float]]:
    """Every replica and every value of the binders, with weights."""
    for instance in islice(evaluator.environment.sites(term.replicas), sample):
        frame = Frame({}, instance)
        if term.binders is None:
            yield frame, 1
            continue
        each = binders_as_each(term.binders)
        yield from islice(evaluator.frames(each, term.scope, frame), sample)


def binders_as_each(binders: tree.Binders) -> list[tree.Each]:
    """`for x in X, y in Y where c` in the form that sums have; the condition goes last."""
    found = []
    for position, binder in enumerate(binders.items):
        place = binder.place
        pattern: tree.Expr = (
            place.name
            if isinstance(place, tree.Place)
            else tree.Tuple(place.span, place.names)
        )
        last = position == len(binders.items) - 1
        condition = binders.condition if last else None
        found.append(tree.Each(binder.span, pattern, binder.domain, condition))
    return found


def _operator(value: Any, node: tree.Expr, evaluator: OperatorEvaluator) -> Polynomial:
    operand = evaluator.operand(value, node)
    return (
        operand if isinstance(operand, Polynomial) else evaluator.space.scalar(operand)
    )


def summed(
    term: types.Term, evaluator: OperatorEvaluator, sample: int | None
) -> Polynomial:
    """A Hamiltonian term, its binders summed."""
    gathered: dict[Any, list[Any]] = {}
    for frame, weight in _frames(term, evaluator, sample):
        value = evaluator.evaluate(term.value, term.scope, frame)
        operator = _operator(value, term.value, evaluator)
        if weight != 1:
            operator = operator * weight
        for monomial, coefficient in operator.terms.items():
            gathered.setdefault(monomial, []).append(coefficient)
    add = evaluator.space.ring.add
    return Polynomial(
        evaluator.space, {m: add(values) for m, values in gathered.items()}
    )


def jumps_of(
    term: types.Term, evaluator: OperatorEvaluator, sample: int | None
) -> Iterator[Jump]:
    """The channels of a dissipator, one for each value of its binders."""
    assert term.rate is not None
    for frame, weight in _frames(term, evaluator, sample):
        rate = evaluator.coefficient(term.rate, term.scope, frame)
        if weight != 1:
            rate = rate * evaluator.space.ring.number(weight)
        value = evaluator.evaluate(term.value, term.scope, frame)
        operator = _operator(value, term.value, evaluator)
        atoms = [v for v in frame.bindings.values() if isinstance(v, Atoms)]
        per_atom = evaluator.position_of(atoms[0].mode) if atoms else None
        if operator:
            yield Jump(rate, operator, term.span, per_atom)


def _kicks(
    term: types.Term, evaluator: OperatorEvaluator, sample: int | None
) -> Iterator[Kick]:
    assert term.rate is not None
    period = evaluator.coefficient(term.rate, term.scope, Frame())
    yield Kick(period, summed(term, evaluator, sample), term.span)


# ── hermiticity ──────────────────────────────────────────────────────────────────────────────


def _refuse_non_hermitian(system: System) -> None:
    """E330 unless H and the generators of the kicks are Hermitian."""
    for terms in (
        [(t.operator, t.span) for t in system.hamiltonian],
        *([(k.generator, k.span)] for k in system.kicks),
    ):
        guilty = [(op, span) for op, span in terms if anti_hermitian(op)]
        total = system.space.scalar(0)
        for operator, _ in guilty:
            total = total + operator
        rest = anti_hermitian(total)
        if rest:
            raise ModelError(
                [
                    Diagnostic(
                        "E330",
                        "the Hamiltonian is not Hermitian",
                        guilty[0][1],
                        f"H - H† contains {rest}",
                        help="add '+ h.c.', or make the coefficient real",
                    )
                ]
            )
