"""The noise of fields on the limit cycle of each oscillator alone, where it depends on their moduli."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from qsyncdsl.algebra.expansion import expanded
from qsyncdsl.algebra.fields import Family, FieldSystem
from qsyncdsl.algebra.phase_space import FieldPolynomial, phase_space_equation
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.field_equations import Bath, Group


def on_limit_cycle(
    system: FieldSystem,
    local: Mapping[Group, Mapping[int, FieldPolynomial]],
    baths: Iterable[Bath],
) -> tuple[dict[Group, dict[int, FieldPolynomial]], list[Bath]]:
    """The noise with |alpha|^2 of every field at its limit cycle."""
    radii = limit_cycles(system)
    found = {
        group: {
            mode: _with_radii(system, radii, mode, polynomial)
            for mode, polynomial in entries.items()
        }
        for group, entries in local.items()
    }
    shared = [
        Bath(
            bath.group,
            {
                place: _with_radii(system, radii, place[0], polynomial)
                for place, polynomial in bath.entries.items()
            },
        )
        for bath in baths
    ]
    return found, shared


def _with_radii(
    system: FieldSystem,
    radii: Mapping[str, Any],
    mode: int,
    polynomial: FieldPolynomial,
) -> FieldPolynomial:
    """A polynomial of the moduli alone as a number."""
    total = sympy.Integer(0)
    for fields, value in polynomial.items():
        for key, p, q in fields:
            radius = radii.get(_family(system, key).name)
            if p != q or radius is None:
                message = (
                    f"the noise of '{system.space.modes[mode].label}' has no value"
                )
                raise ModelError(
                    [
                        Diagnostic(
                            "E412",
                            f"{message} on a limit cycle",
                            help="use diffusion = exact",
                        )
                    ]
                )
            value = value * radius**p
        total += value
    return {(): expanded(total)}


def limit_cycles(system: FieldSystem) -> dict[str, Any]:
    r"""$|\alpha|^2$ on the limit cycle of each oscillator alone, in Wigner's ordering.

    The root of $\mathrm{Re}\,f = 0$ where the undriven, uncoupled drift is $\alpha f(|\alpha|^2)$
    and f has first degree: $\gamma_1/(2\gamma_2) + 1$ for a van der Pol oscillator.
    """
    gains: dict[str, dict[int, Any]] = {}
    for pattern in system.patterns:
        if len(pattern.operator.modes()) != 1:
            continue
        if pattern.rate is None:
            equation = phase_space_equation(pattern.operator, (), system.hbar)
        else:
            zero = system.space.scalar(0)
            equation = phase_space_equation(zero, [(pattern.rate, pattern.operator)])
        for mode, polynomial in equation.drift.items():
            mine = gains.setdefault(_family(system, mode).name, {})
            for fields, value in polynomial.items():
                if len(fields) == 1 and fields[0][2] == fields[0][1] + 1:
                    real = sympy.re(sympy.expand(value))
                    mine[fields[0][1]] = mine.get(fields[0][1], 0) + real
    found = {}
    for name, gain in gains.items():
        kept = {p: v for p, v in gain.items() if sympy.expand(v) != 0}
        if set(kept) == {0, 1}:
            found[name] = sympy.expand(-kept[0] / kept[1])
    return found


def _family(system: FieldSystem, position: int) -> Family:
    """The family of a position, be it a site or any site."""
    slot = system.slots.get(position)
    if slot is not None:
        return system.family(slot.mode)
    return next(f for f in system.families if f.offset <= position < f.offset + f.size)
