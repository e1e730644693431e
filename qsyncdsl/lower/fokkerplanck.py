"""The Fokker-Planck equation of one mode, with its coefficients open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from qsyncdsl.algebra.fields import FieldSystem
from qsyncdsl.algebra.phase_space import FieldPolynomial
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.field_text import dropped_texts
from qsyncdsl.lower.lindblad import Lowered
from qsyncdsl.lower.phase_space import FieldEquations, field_equations
from qsyncdsl.problem import DensityProblem, OneField


def fokkerplanck(
    system: FieldSystem, title: str, options: Mapping[str, Any]
) -> Lowered:
    """Lower a system of one boson to its Fokker-Planck equation.

    Raises:
        ModelError: E410-E412 as for `langevin`, E415 for several modes, E416 for coefficients that
            depend on time.
    """
    if system.count != 1:
        raise ModelError(
            [
                Diagnostic(
                    "E415",
                    f"'fokkerplanck' is for one mode, the model has {system.count}",
                    help="solve by 'langevin'",
                )
            ]
        )
    equations = field_equations(
        system, options.get("ordering", "symmetric"), options.get("diffusion", "exact")
    )
    expressions: list[Any] = []
    drift, diffusion, squeezing = (
        _one(polynomial, expressions) for polynomial in _polynomials(equations)
    )
    if any(sympy.Symbol("t", real=True) in e.free_symbols for e in expressions):
        message = "a model that depends on time has no stationary density"
        raise ModelError([Diagnostic("E416", message, help="solve by 'langevin'")])
    coefficients, keys = coefficient_source(expressions, system.symbols)
    label = system.space.modes[0].label
    dropped = dropped_texts(system, equations)
    problem = DensityProblem(
        label, coefficients, drift, diffusion, squeezing, dropped, title
    )
    return Lowered(problem, keys)


def _polynomials(
    equations: FieldEquations,
) -> tuple[FieldPolynomial, FieldPolynomial, FieldPolynomial]:
    """Drift, diffusion and squeezing of the one field."""
    drift: FieldPolynomial = {}
    diffusion: FieldPolynomial = {}
    squeezing: FieldPolynomial = {}
    for entries in equations.drift.values():
        _gather(drift, entries.get(0, {}))
    for entries in equations.local.values():
        _gather(diffusion, entries.get(0, {}))
    for bath in equations.baths:
        for (_, _, conjugate), value in bath.entries.items():
            _gather(diffusion if conjugate else squeezing, value)
    return drift, diffusion, squeezing


def _gather(total: FieldPolynomial, more: FieldPolynomial) -> None:
    for fields, value in more.items():
        total[fields] = total.get(fields, 0) + value


def _one(polynomial: FieldPolynomial, expressions: list[Any]) -> OneField:
    found = []
    for fields, value in polynomial.items():
        p, q = (fields[0][1], fields[0][2]) if fields else (0, 0)
        found.append((p, q, len(expressions)))
        expressions.append(sympy.sympify(value))
    return tuple(found)
