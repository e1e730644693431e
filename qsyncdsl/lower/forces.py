r"""Static forces on rotors: $-f x$ in H is not $2\pi$ periodic; the quasi-momentum takes its place.

The gauge $e^{i\beta(t)x}$ with $\dot\beta = f/\hbar$ removes the term; every $p$ becomes $\hbar(n + \beta)$, in
H and in the jumps alike (the covariant convention: friction written with `r.p` acts on the momentum, with
`r.n` on the integer label).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import sympy

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.system import System, Term
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.source import Span


def without_forces(system: System) -> tuple[System, list[tuple[int, Any]]]:
    """The system without its terms -f x, and f/hbar for each position where there was one.

    Raises:
        ModelError: E440 for an angle in a jump or kick, E441 for a force that depends on time.
    """
    for operator, span in (
        *((jump.operator, jump.span) for jump in system.jumps),
        *((kick.generator, kick.span) for kick in system.kicks),
    ):
        if any(_angle(monomial) is not None for monomial in operator.terms):
            _misplaced(span)
    pulls: dict[int, Any] = {}
    terms = []
    for term in system.hamiltonian:
        rest = {}
        for monomial, value in term.operator.terms.items():
            position = _angle(monomial)
            if position is None:
                rest[monomial] = value
                continue
            rate = -value / system.hbar
            _refuse_motion(rate, term.span)
            pulls[position] = pulls.get(position, 0) + rate
        terms.append(Term(Polynomial(system.space, rest), term.span))
    return replace(system, hamiltonian=tuple(terms)), sorted(pulls.items())


def refuse_force(system: System, method: str) -> None:
    """E444: under a static force the quasi-momentum moves, and nothing is stationary.

    Raises:
        ModelError: E444.
    """
    span = pulled(system)
    if span is not None:
        raise ModelError(
            [
                Diagnostic(
                    "E444",
                    f"'{method}' does not know static forces: the quasi-momentum moves in time",
                    span,
                    "a static force",
                    help="solve by 'floquet', 'evolve' or 'classical'",
                )
            ]
        )


def pulled(system: System) -> Span | None:
    """Where a static force stands, if there is one."""
    for term in system.hamiltonian:
        if any(_angle(monomial) is not None for monomial in term.operator.terms):
            return term.span
    return None


def _angle(monomial: Any) -> int | None:
    """The position of the rotor whose bare angle a monomial is."""
    if len(monomial) == 1 and monomial[0][1] == ("x",):
        return int(monomial[0][0])
    return None


def _misplaced(span: Span) -> NoReturn:
    raise ModelError(
        [
            Diagnostic(
                "E440",
                "a bare angle may only stand in the Hamiltonian, as a static force",
                span,
                "not 2 pi periodic",
                help="write -f*r.x in the Hamiltonian, or a function like cos(r.x)",
            )
        ]
    )


def _refuse_motion(rate: Any, span: Span) -> None:
    if sympy.Symbol("t", real=True) in rate.free_symbols:
        raise ModelError(
            [
                Diagnostic(
                    "E441",
                    "the force on a rotor does not depend on time",
                    span,
                    help="let a periodic potential move, or kick the rotor",
                )
            ]
        )
