"""Equations of motion of the fields, pattern by pattern: what each adds to drift and diffusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations_with_replacement
from typing import Any

import sympy

from qsyncdsl.algebra.expansion import expanded
from qsyncdsl.algebra.fields import FieldSystem, Pattern
from qsyncdsl.algebra.heisenberg import drift as heisenberg_drift
from qsyncdsl.algebra.linear_forms import exact, split, wave
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.phase_space import (
    Derivative,
    FieldPolynomial,
    NoPhaseSpace,
    PhaseSpaceEquation,
    derivative,
    modes_of,
    normal_symbol,
    phase_space_equation,
    weyl_symbol,
)
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.field_equations import Bath, FieldEquations, Group, WaveDrift
from qsyncdsl.lower.limit_cycle import on_limit_cycle
from qsyncdsl.source import Span


def field_equations(
    system: FieldSystem,
    ordering: str,
    diffusion: str,
    noise: bool = True,
    functions: bool = False,
) -> FieldEquations:
    """Derive the equations of the fields.

    Args:
        ordering: `symmetric` for the drift of the Wigner equation, `naive` for that of mean values
            with all moments factorized, as classical equations are written.
        diffusion: `exact`, or `limit_cycle`: in the noise $|\\alpha|^2$ is its value on the limit
            cycle of the uncoupled oscillator.
        functions: Whether H may contain functions of quadratures.

    Raises:
        ModelError: E410 for modes or operators without a phase-space form, E412 without a limit
            cycle.
    """
    refuse_other_modes(system)
    hamiltonians, jumps = _by_group(system)
    drift: dict[Group, dict[int, FieldPolynomial]] = {}
    local: dict[Group, dict[int, FieldPolynomial]] = {}
    dropped: dict[Group, dict[Derivative, FieldPolynomial]] = {}
    baths: list[Bath] = []
    zero = system.space.scalar(0)
    waves: list[WaveDrift] = []
    for group, (operator, span) in hamiltonians.items():
        if functions:
            operator, others = split(operator)
            waves += wave_drifts(operator, others, group, ordering, system.hbar, span)
        equation = _equation(operator, (), system.hbar, span)
        wanted = (
            equation.drift
            if ordering == "symmetric"
            else _naive(operator, (), system.hbar)
        )
        _merge(drift.setdefault(group, {}), wanted)
        _merge(dropped.setdefault(group, {}), equation.dropped)
    for group, pattern in jumps:
        channel = [(pattern.rate, pattern.operator)]
        equation = _equation(zero, channel, 1, pattern.span)
        wanted = equation.drift if ordering == "symmetric" else _naive(zero, channel, 1)
        _merge(drift.setdefault(group, {}), wanted)
        _merge(dropped.setdefault(group, {}), equation.dropped)
        if not noise:
            continue
        if _isotropic(equation, group, system):
            own = {
                k: polynomial for (k, _, _), polynomial in equation.diffusion.items()
            }
            _merge(local.setdefault(group, {}), own)
        else:
            baths.append(Bath(group, dict(equation.diffusion)))
    if diffusion == "limit_cycle" and noise:
        local, baths = on_limit_cycle(system, local, baths)
    return FieldEquations(drift, local, _together(local, baths), dropped, tuple(waves))


def wave_drifts(
    operator: Polynomial,
    others: Iterable[tuple[Any, Any]],
    group: Group,
    ordering: str,
    hbar: Any,
    span: Span,
) -> Iterator[WaveDrift]:
    r"""$\dot\alpha_k = -(i/\hbar)\,\partial H/\partial\alpha_k^*$ of functions of quadratures."""
    symbol = weyl_symbol if ordering == "symmetric" else normal_symbol
    for monomial, value in others:
        try:
            found = wave(operator, monomial, value, symbol)
        except NoPhaseSpace as reason:
            raise _no_form(reason, span) from None
        turn = -sympy.I / hbar
        third = [
            sympy.diff(found.function, *(f.symbol for f in chosen))
            for chosen in combinations_with_replacement(found.forms, 3)
        ]
        nonlinear = bool(modes_of(found.fields)) or any(d != 0 for d in third)
        for k in modes_of(found.fields):
            for fields, c in derivative(found.fields, k, True).items():
                yield WaveDrift(
                    group, k, fields, turn * c, found.forms, found.function, nonlinear
                )
        for form in found.forms:
            slope = sympy.diff(found.function, form.symbol)
            for k, weight in form.coefficients:
                for fields, c in found.fields.items():
                    c = turn * c * exact(weight.conjugate())
                    yield WaveDrift(group, k, fields, c, found.forms, slope, nonlinear)


# What to do about modes that are no bosons.
_INSTEAD = {
    "": "truncated Wigner has no unique form for spins, levels and rotors: different mappings to"
    " c-numbers drop different terms; solve by 'steadystate', 'evolve' or 'cumulants'",
    "ensemble": "the noise of atoms that are pumped one by one depends on the mapping to c-numbers;"
    " solve by 'cumulants', where N is a symbol, or by 'steadystate' for small N",
}


def refuse_other_modes(system: FieldSystem) -> None:
    """E410 unless all modes are bosons."""
    for family in system.families:
        if family.kind != "boson":
            message = f"'{family.name}' is of kind {family.kind}: phase-space equations are for bosons"
            raise ModelError(
                [
                    Diagnostic(
                        "E410",
                        message,
                        help=_INSTEAD.get(family.kind, _INSTEAD[""]),
                    )
                ]
            )


def _by_group(
    system: FieldSystem,
) -> tuple[dict[Group, tuple[Polynomial, Span]], list[tuple[Group, Pattern]]]:
    sums: dict[Group, list[Pattern]] = {}
    jumps = []
    for pattern in system.patterns:
        group = Group(pattern.graph, pattern.edges)
        if pattern.rate is None:
            sums.setdefault(group, []).append(pattern)
        else:
            jumps.append((group, pattern))
    found = {}
    for group, patterns in sums.items():
        gathered: dict[Any, list[Any]] = {}
        for pattern in patterns:
            for monomial, value in pattern.operator.terms.items():
                gathered.setdefault(monomial, []).append(value)
        total = Polynomial(
            system.space, {m: sympy.Add(*v) for m, v in gathered.items()}
        )
        found[group] = (total, patterns[0].span)
    return found, jumps


def _equation(
    operator: Polynomial, jumps: Iterable[tuple[Any, Polynomial]], hbar: Any, span: Span
) -> PhaseSpaceEquation:
    try:
        return phase_space_equation(operator, jumps, hbar)
    except NoPhaseSpace as reason:
        raise _no_form(reason, span) from None


def _no_form(reason: NoPhaseSpace, span: Span) -> ModelError:
    """E410."""
    message = f"no phase-space form: {reason}"
    help = (
        "polynomials in a and a' of bosons have one; under 'langevin' and 'classical' also functions of a"
        " quadrature in H and in kicks"
    )
    return ModelError([Diagnostic("E410", message, span, help=help)])


def _naive(
    operator: Polynomial, jumps: Iterable[tuple[Any, Polynomial]], hbar: Any
) -> dict[int, FieldPolynomial]:
    """The drift of mean values, moments factorized."""
    jumps = list(jumps)
    space = operator.space
    modes = set(operator.modes())
    for _, jump in jumps:
        modes |= set(jump.modes())
    found = {}
    for mode in sorted(modes):
        motion = heisenberg_drift(space.letter(mode, "a"), operator, jumps, hbar)
        if motion:
            found[mode] = normal_symbol(motion)
    return found


def _isotropic(equation: PhaseSpaceEquation, group: Group, system: FieldSystem) -> bool:
    """Whether the noise is diagonal and equal in both quadratures, and belongs to a site."""
    diagonal = all(k == m and c for k, m, c in equation.diffusion)
    own = group.graph is None or all(
        k in system.slots for k, _, _ in equation.diffusion
    )
    return diagonal and own and not group.edges


def _together(
    local: dict[Group, dict[int, FieldPolynomial]], baths: Iterable[Bath]
) -> tuple[Bath, ...]:
    """Noises that depend on the state in one matrix with all other noise of the same fields.

    Only the sum has to be positive: the parts alone may have negative eigenvalues. The noise of
    single fields is moved out of `local`. Channels along edges stay alone.
    """
    groups: dict[Group, list[Bath]] = {}
    for bath in baths:
        groups.setdefault(bath.group, []).append(bath)
    found: list[Bath] = []
    for group, members in groups.items():
        if group.edges or all(map(_constant, members)):
            found += members
            continue
        for bath in _components(members):
            if not _constant(bath):
                own = local.get(group, {})
                for mode in {
                    k for a, b, _ in bath.entries for k in (a, b)
                } & own.keys():
                    _merge(bath.entries, {(mode, mode, 1): own.pop(mode)})
            found.append(bath)
    return tuple(found)


def _constant(bath: Bath) -> bool:
    """Whether the noise of a bath does not depend on the state."""
    return all(set(polynomial) == {()} for polynomial in bath.entries.values())


def _components(baths: Iterable[Bath]) -> list[Bath]:
    """The sums of baths that have fields in common."""
    found: list[Bath] = []
    for bath in baths:
        modes = {k for a, b, _ in bath.entries for k in (a, b)}
        total = Bath(bath.group, {k: dict(v) for k, v in bath.entries.items()})
        apart = []
        for other in found:
            if modes & {k for a, b, _ in other.entries for k in (a, b)}:
                _merge(total.entries, other.entries)
            else:
                apart.append(other)
        found = [*apart, total]
    return found


def _merge(
    total: dict[Any, FieldPolynomial], more: Mapping[Any, FieldPolynomial]
) -> None:
    for place, polynomial in more.items():
        mine = total.setdefault(place, {})
        for fields, value in polynomial.items():
            mine[fields] = expanded(mine[fields] + value) if fields in mine else value
            if mine[fields] == 0:
                del mine[fields]
