"""Master equations of ensembles on permutation-symmetric density matrices, channels of single atoms included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.symmetry import Symmetry, operator_shifts, weak_symmetry
from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.forces import refuse_force
from qsyncdsl.lower.lindblad import lindblad
from qsyncdsl.problem import Lowered, PermutationProblem, PermutationTerm
from qsyncdsl.result import Part
from qsyncdsl.source import Span


def steadystate(system: System, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower to a master equation: of ensembles whose atoms have channels of their own, by symmetry.

    Raises:
        ModelError: As `lindblad`, and E421 for couplings of single atoms.
    """
    refuse_force(system, "steadystate")
    if not any(jump.per_atom is not None for jump in system.jumps):
        return lindblad(system, title)
    return _permutation(system, title)


def _permutation(system: System, title: str) -> Lowered:
    space = system.space
    kept = tuple(k for k, mode in enumerate(space.modes) if mode.ensemble is None)
    parts = []
    for k in kept:
        mode = space.modes[k]
        if mode.kind.name == "boson" and mode.size is None:
            message = f"how many levels of '{mode.label}' shall be kept?"
            help_ = f"declare boson(levels = 20), or set levels_{mode.label} = 20"
            raise ModelError([Diagnostic("E402", message, help=help_)])
        atoms = int(mode.size) if mode.kind.name == "ensemble" else 0
        parts.append(Part(mode.label, mode.kind.name, atoms or mode.dimension))
    expressions: list[Any] = []
    terms: list[PermutationTerm] = []

    def index(value: Any) -> int:
        expressions.append(sympy.sympify(value))
        return len(expressions) - 1

    for term in system.hamiltonian:
        _plain(term.operator, term.span)
        for monomial, value in (term.operator / system.hbar).terms.items():
            terms.append(PermutationTerm("hamiltonian", index(value), (monomial,)))
    for jump in system.jumps:
        if jump.per_atom is None:
            _plain(jump.operator, jump.span)
        for u, c in jump.operator.terms.items():
            for v, d in jump.operator.terms.items():
                value = jump.rate * c * sympy.conjugate(d)
                if jump.per_atom is None:
                    terms.append(PermutationTerm("jump", index(value), (u, v)))
                    continue
                # the identity is part of operators such as z
                if any(len(m) > 1 for m in (u, v)):
                    message = "a channel of single atoms may not act on other modes too"
                    raise ModelError([Diagnostic("E421", message, jump.span)])
                part = kept.index(jump.per_atom)
                terms.append(PermutationTerm("atom", index(value), (u, v), part))
    shifts = operator_shifts(system, kept)
    symmetry = Symmetry((), ()) if shifts is None else weak_symmetry(shifts, len(kept))
    coefficients, keys = coefficient_source(expressions, system.symbols)
    problem = PermutationProblem(
        tuple(parts), kept, space, tuple(terms), coefficients, symmetry, title
    )
    return Lowered(problem, keys)


def _plain(operator: Polynomial, span: Span) -> None:
    """Refuse operators of single atoms in H and in shared jumps: they are not symmetric."""
    for mode in operator.modes():
        if operator.space.modes[mode].ensemble is not None:
            message = "an operator of one atom breaks the symmetry of its ensemble"
            help_ = "write it for all atoms, or declare the atoms as qubits"
            raise ModelError([Diagnostic("E421", message, span, help=help_)])
