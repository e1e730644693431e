"""Typed equations of motion and maps as a problem with generated source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.equations import FREQUENCY, EquationSystem, NoiseFamily, Rule
from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.equation_source import EquationSource
from qsyncdsl.lower.hybrid import with_modes
from qsyncdsl.problem import EquationProblem, FieldFamily, Lowered, NoiseSource


def equations(
    system: EquationSystem, title: str, options: Mapping[str, Any]
) -> Lowered:
    """Lower typed equations, with their noises.

    Raises:
        ModelError: E432 for a real variable whose right side is not real, E433 for a noise that
            does not enter linearly.
    """
    sampled = sum(f.size for f in system.quantum.families) if system.quantum else 0
    return _lowered(with_modes(system, True), title, True, sampled)


def deterministic(
    system: EquationSystem, title: str, options: Mapping[str, Any]
) -> Lowered:
    """Lower typed equations without their noises.

    Raises:
        ModelError: E432, E433.
    """
    return _lowered(with_modes(system, False), title, False)


def _lowered(
    system: EquationSystem, title: str, noisy: bool, sampled: int = 0
) -> Lowered:
    _check_reality(system)
    _check_turns(system)
    additive = _check_noise(system)
    starts, size = _starts(system)
    noises: dict[str, int] = {}
    for noise in system.noises:
        noises[noise.name] = sum(n.size for n in system.noises[: len(noises)])
    work = EquationSource(system, starts, noises, size)
    array_sizes = _array_sizes(system)
    source = work.text(array_sizes)
    expressions: list[Any] = []
    sources: list[NoiseSource] = []
    for noise in system.noises:
        name = f"spectrum_{len(sources)}"
        sources.append(_noise_source(noise, noises[noise.name], name, expressions))
        if noise.kind == "colored":
            source += "\n\n" + work.spectrum(name, noise.strengths[0], FREQUENCY)
    kicks = []
    for number, kick in enumerate(system.kicks):
        kicks.append((len(expressions), f"kick_{number}"))
        expressions.append(sympy.sympify(kick.period))
        source += "\n\n" + work.kick(kicks[-1][1], kick.rules)
    coefficients, used = coefficient_source(expressions, system.symbols)
    keys, scalars, arrays = _parameters(work, used)
    families, offset = [], 0
    for family in system.variables:
        families.append(
            FieldFamily(family.name, offset, family.size, family.shape, family.periodic)
        )
        offset += family.size
    problem = EquationProblem(
        tuple(families),
        tuple(family.kind for family in system.variables),
        tuple(starts[family.name][0] for family in system.variables),
        size + work.timed,
        source,
        coefficients,
        tuple(keys.index(key) for key in used),
        scalars,
        arrays,
        np.concatenate([*work.tables, np.zeros(1, np.int64)]),
        np.concatenate([*work.numbers, np.zeros(1)]),
        tuple(sources) if noisy else (),
        sum(noise.size for noise in system.noises),
        additive,
        system.discrete,
        work.timed,
        tuple(_texts(system)),
        _latex(system),
        title,
        sampled,
        tuple(kicks),
    )
    found: Any = tuple((n, None if i == _ALL else i) for n, i in keys)
    return Lowered(problem, found)


# In place of an index: all values of a parameter.
_ALL = ("all",)


def _starts(system: EquationSystem) -> tuple[dict[str, tuple[int, int, bool]], int]:
    """First real number, number of sites and complexity of each variable; and how many there are."""
    starts, size = {}, 0
    for family in system.variables:
        pair = family.kind == "complex"
        starts[family.name] = (size, family.size, pair)
        size += family.size * (2 if pair else 1)
    return starts, size


def _array_sizes(system: EquationSystem) -> dict[str, int]:
    """Numbers of sites of the parameters that are read at sites."""
    return {
        access.family: access.extent
        for access in system.accesses.values()
        if access.kind == "q"
    }


def _parameters(
    work: EquationSource, used: tuple[ParameterKey, ...]
) -> tuple[list[Any], dict[int, tuple[int, bool]], dict[int, tuple[int, bool]]]:
    keys: list[Any] = list(work.scalars)
    scalars = dict(enumerate(work.scalars.values()))
    arrays = {}
    for name, place in work.arrays.items():
        arrays[len(keys)] = place
        keys.append((name, _ALL))
    keys += [key for key in used if key not in keys]
    return keys, scalars, arrays


def _noise_source(
    noise: NoiseFamily, offset: int, name: str, expressions: list[Any]
) -> NoiseSource:
    if noise.kind == "white":
        first = len(expressions)
        expressions += noise.strengths
        places = tuple(range(first, len(expressions)))
        return NoiseSource(noise.name, "white", offset, noise.size, places)
    cutoff = -1
    if noise.cutoff is not None:
        cutoff = len(expressions)
        expressions.append(noise.cutoff)
    return NoiseSource(noise.name, "colored", offset, noise.size, (), cutoff, name)


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def _check_noise(system: EquationSystem) -> bool:
    """Whether all noise is additive; E433 where some does not enter linearly."""
    additive = True
    for rule in system.rules:
        sources = [s for s in rule.value.free_symbols if _carries(system, s)]
        for symbol in sources:
            slope = sympy.diff(rule.value, symbol)
            if any(_carries(system, s) for s in slope.free_symbols):
                raise ModelError(
                    [
                        Diagnostic(
                            "E433",
                            f"'{_name(symbol)}' does not enter this equation linearly",
                            rule.span,
                            "the square of white noise is infinite",
                            help="noise may be added, or multiplied by variables once",
                        )
                    ]
                )
            additive &= not any(_moves(system, s) for s in slope.free_symbols)
            if symbol in system.sums:
                inner = sympy.diff(
                    system.sums[symbol].body, *_noise_of(system, symbol)[:1]
                )
                additive &= not any(_moves(system, s) for s in inner.free_symbols)
    return additive


def _carries(system: EquationSystem, symbol: Any) -> bool:
    """Whether a symbol is a noise, or a sum over one."""
    if symbol in system.sums:
        body = system.sums[symbol].body
        return any(_carries(system, s) for s in body.free_symbols)
    access = system.accesses.get(symbol)
    return access is not None and access.kind == "xi"


def _noise_of(system: EquationSystem, symbol: Any) -> list[Any]:
    body = system.sums[symbol].body
    return [s for s in body.free_symbols if _carries(system, s)]


def _moves(system: EquationSystem, symbol: Any) -> bool:
    """Whether a symbol depends on variables."""
    if symbol in system.sums:
        return any(_moves(system, s) for s in system.sums[symbol].body.free_symbols)
    access = system.accesses.get(symbol)
    return access is not None and access.kind == "y"


_TRIES = 4


def _check_reality(system: EquationSystem) -> None:
    """E432 where the right side of a real variable is complex at random values."""
    real = {f.name for f in system.variables if f.kind != "complex"}
    for rule in system.rules:
        if rule.variable not in real or rule.value.is_extended_real:
            continue
        found = [_sampled(system, rule, k) for k in range(_TRIES)]
        if all(abs(v.imag) > 1e-9 * (1 + abs(v)) for v in found):
            raise ModelError(
                [
                    Diagnostic(
                        "E432",
                        f"the right side for '{rule.variable}' is not real",
                        rule.span,
                        f"has an imaginary part, {found[0].imag:.3g} at random values",
                        help="take real(...), or declare the variable complex",
                    )
                ]
            )


def _check_turns(system: EquationSystem) -> None:
    """E436 where a right side is another one after a whole turn of an angle."""
    angles = {f.name for f in system.variables if f.kind == "angle"}
    for rule in system.rules:
        bodies = [
            s.body for k, s in system.sums.items() if k in rule.value.free_symbols
        ]
        for value in (rule.value, *bodies):
            for symbol in sorted(value.free_symbols, key=str):
                access = system.accesses.get(symbol)
                if access is None or access.kind != "y" or access.family not in angles:
                    continue
                turned = value.xreplace({symbol: symbol + 2 * sympy.pi})
                pairs = [
                    (_at_random(system, value, k), _at_random(system, turned, k))
                    for k in range(_TRIES)
                ]
                # a map may send a whole turn to whole turns of an angle
                whole = system.discrete and rule.variable in angles
                gaps = [(b - a, 1e-6 * (1 + abs(a))) for a, b in pairs]
                if any(
                    abs(gap) < limit
                    or (
                        whole
                        and abs(gap - 2 * np.pi * round(gap.real / (2 * np.pi))) < limit
                    )
                    for gap, limit in gaps
                ):
                    continue
                raise ModelError(
                    [
                        Diagnostic(
                            "E436",
                            f"this changes when the angle '{_name(symbol)}' makes a whole turn",
                            rule.span,
                            "not 2 pi periodic",
                            help=f"declare '{access.family}' real, or use sin, cos, exp(i*...) of it",
                        )
                    ]
                )


def _sampled(system: EquationSystem, rule: Rule, attempt: int) -> complex:
    """A right side at random values of what it reads."""
    return _at_random(system, rule.value, attempt)


def _at_random(system: EquationSystem, value: Any, attempt: int) -> complex:
    """An expression at random values of what it reads."""
    rng = np.random.default_rng(attempt)
    values = {}
    for symbol in sorted(value.free_symbols, key=str):
        known = system.samples.get(symbol)
        if known is None:
            known = complex(rng.uniform(0.1, 1))
            known += 0 if symbol.is_real else 1j * rng.uniform(0.1, 1)
        values[symbol] = known.real if known.imag == 0 else known
    try:
        return complex(sympy.N(value.subs(values)))
    except (TypeError, ValueError, ZeroDivisionError):
        return 0j


# ── for the reader ───────────────────────────────────────────────────────────────────────────


def _name(symbol: Any) -> str:
    return str(getattr(symbol, "name", symbol))


def _texts(system: EquationSystem) -> Iterator[tuple[str, str]]:
    for rule in system.rules:
        left = f"{rule.text} →" if system.discrete else f"d{rule.text}/dt"
        yield left, str(_plain(rule.value))
    for kick in system.kicks:
        when = _plain(sympy.sympify(kick.period))
        for rule in kick.rules:
            left = f"kick every {when}, 0 < s < 1: d{rule.text}/ds"
            yield left, str(_plain(rule.value))


def _plain(value: Any) -> Any:
    """An expression with the names that the user wrote."""
    return value.xreplace(
        {s: sympy.Symbol(_name(s), real=s.is_real) for s in value.free_symbols}
    )


def _latex(system: EquationSystem) -> str:
    lines = [r"\begin{align}"]
    for rule in system.rules:
        left = (
            rf"{rule.text} &\mapsto" if system.discrete else rf"\dot{{{rule.text}}} &="
        )
        lines.append(rf"  {left} {sympy.latex(_plain(rule.value))} \\")
    return "\n".join([*lines, r"\end{align}"]) + "\n"
