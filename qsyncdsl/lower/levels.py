"""The Hamiltonian alone, taken apart into the groups of modes that it couples."""

from __future__ import annotations

from qsyncdsl.algebra.operators import ONE, Monomial, Polynomial, Space
from qsyncdsl.algebra.system import System
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.forces import refuse_force
from qsyncdsl.lower.lindblad import Gatherer, part, refuse
from qsyncdsl.problem import EigenProblem, LevelGroup, Lowered


def levels(system: System, title: str = "") -> Lowered:
    """Lower a system to the eigenvalue problem of its Hamiltonian.

    A number in a Hamiltonian statement counts with the modes of that statement.

    Raises:
        ModelError: E402 for a boson without a number of levels, E403 for an operator without a
            matrix.
    """
    refuse(system)
    refuse_force(system, "eigen")
    space = system.space
    kept = [k for k, mode in enumerate(space.modes) if mode.ensemble is None]
    groups = _groups(system, kept)
    work = Gatherer(space, [])
    found = []
    for group in groups:
        renumbered = {k: position for position, k in enumerate(group)}
        inner = Space(tuple(space.modes[k] for k in group), space.ring)
        work.enter(inner, [space.modes[k].dimension for k in group])
        operators = [
            (_inside(term.operator, renumbered, inner) / system.hbar, term.span)
            for term in system.hamiltonian
            if _home(term.operator, group)
        ]
        found.append(
            LevelGroup(tuple(kept.index(k) for k in group), work.combination(operators))
        )
    coefficients, keys = coefficient_source(work.expressions, system.symbols)
    parts = tuple(part(space, k) for k in kept)
    problem = EigenProblem(
        parts, tuple(work.matrices), coefficients, tuple(found), title
    )
    return Lowered(problem, keys)


def _groups(system: System, kept: list[int]) -> list[tuple[int, ...]]:
    """Modes joined by the terms of H, as sets."""
    groups = [{k} for k in kept]
    for term in system.hamiltonian:
        for monomial in term.operator.terms:
            touched = set(_monomial_modes(monomial))
            joined = [g for g in groups if g & touched]
            if len(joined) > 1:
                groups = [g for g in groups if not g & touched] + [set().union(*joined)]
    return sorted(tuple(sorted(g)) for g in groups)


def _monomial_modes(monomial: Monomial) -> tuple[int, ...]:
    return tuple(
        m for key, _ in monomial for m in ((key,) if isinstance(key, int) else key)
    )


def _home(operator: Polynomial, group: tuple[int, ...]) -> bool:
    """Whether a term has a part in the group; pure numbers belong to the first group."""
    modes = operator.modes()
    return bool(set(modes) & set(group)) or (not modes and 0 in group)


def _inside(
    operator: Polynomial, renumbered: dict[int, int], inner: Space
) -> Polynomial:
    """The monomials on the group, in its own numbering; the number goes with the first mode."""
    modes = operator.modes()
    terms = {}
    for monomial, value in operator.terms.items():
        if monomial == ONE:
            if not modes or modes[0] in renumbered:
                terms[monomial] = value
        elif set(_monomial_modes(monomial)) <= set(renumbered):
            terms[_renumber(monomial, renumbered)] = value
    return Polynomial(inner, terms)


def _renumber(monomial: Monomial, renumbered: dict[int, int]) -> Monomial:
    return tuple(
        (
            renumbered[key]
            if isinstance(key, int)
            else tuple(renumbered[k] for k in key),
            word,
        )
        for key, word in monomial
    )
