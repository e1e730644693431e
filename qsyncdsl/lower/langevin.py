r"""Truncated Wigner: stochastic equations for the fields, as a problem with generated source.

The Wigner equation without its derivatives of third and higher order is a Fokker-Planck equation;
its Ito form is $d\alpha_k = A_k\,dt + d\xi_k$, $E[d\xi_k\,d\xi_l^*] = D_{kl}\,dt$.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.fields import FieldSystem
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.drift_source import DriftSource
from qsyncdsl.lower.field_equations import FieldEquations
from qsyncdsl.lower.field_text import (
    dropped_texts,
    equation_latex,
    equation_texts,
    kick_texts,
)
from qsyncdsl.lower.kernel_names import KernelNames, sites_of
from qsyncdsl.lower.noise_source import NoiseSource
from qsyncdsl.lower.phase_space import field_equations
from qsyncdsl.model.lattices import Graph
from qsyncdsl.problem import FieldFamily, FieldKick, FieldProblem, Lowered


def langevin(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to its Langevin equations.

    Raises:
        ModelError: E410, E412, E434.
    """
    if options.get("calculus") == "stratonovich":
        message = "the noise of quantum modes is derived in Ito's sense"
        help = "leave calculus out: 'stratonovich' is for typed equations"
        raise ModelError([Diagnostic("E434", message, help=help)])
    equations = field_equations(
        system,
        options.get("ordering", "symmetric"),
        options.get("diffusion", "exact"),
        functions=True,
    )
    return _lowered(system, equations, title, options.get("ordering", "symmetric"))


def classical(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the equations of its mean values, moments factorized, without noise.

    Raises:
        ModelError: E410.
    """
    equations = field_equations(system, "naive", "exact", noise=False, functions=True)
    return _lowered(system, equations, title, "naive")


def _lowered(
    system: FieldSystem, equations: FieldEquations, title: str, ordering: str
) -> Lowered:
    """The problem and the parameters its coefficients depend on."""
    names = KernelNames(system)
    drift, noise = DriftSource(names, equations), NoiseSource(names, equations)
    source = "\n".join([*drift.lines(), "", "", *noise.lines()]) + "\n"
    channels = noise.channels()
    found = [_kick(system, kick, names, ordering) for kick in system.kicks]
    dropped = [*dropped_texts(system, equations)]
    for _, own in found:
        dropped += dropped_texts(system, own)
    shown = equation_texts(system, equations)
    for (_, own), kick in zip(found, system.kicks, strict=True):
        shown += kick_texts(system, own, kick.period)
    coefficients, keys = coefficient_source(names.expressions, names.sortable())
    problem = FieldProblem(
        families=_with_phases(system, [equations, *(own for _, own in found)]),
        coefficients=coefficients,
        source=source,
        varying=tuple(names.varying),
        tables=tuple(names.tables),
        channels=channels,
        sums=len(drift.sums),
        noisy=any(equations.local.values()) or bool(equations.baths),
        shared=noise.shared,
        clippable=noise.clippable,
        dropped=tuple(dropped),
        equations=shown,
        latex=equation_latex(system, equations),
        title=title,
        kicks=tuple(kick for kick, _ in found),
    )
    return Lowered(problem, tuple(names.plain(key) for key in keys))


def _kick(
    system: FieldSystem, kick: Any, names: KernelNames, ordering: str
) -> tuple[FieldKick, FieldEquations]:
    r"""A kick: the flow of its generator for a unit of time, $\dot\alpha = -(i/\hbar)\,\partial G/\partial\alpha^*$."""
    alone = replace(system, patterns=kick.patterns, kicks=())
    own = field_equations(alone, ordering, "exact", noise=False, functions=True)
    time = sympy.Symbol("t", real=True)
    values = [v for g in own.drift.values() for p in g.values() for v in p.values()]
    values += [kick.period, *(w.coefficient for w in own.waves)]
    if any(sympy.sympify(v).has(time) for v in values):
        message = "a kick that depends on time has no fields here"
        help = "give it a constant generator and period; or solve by 'evolve'"
        raise ModelError([Diagnostic("E410", message, kick.span, help=help)])
    work = DriftSource(names, own, "kick_drift")
    source = "\n".join(work.lines()) + "\n"
    period = names.index(kick.period)
    return FieldKick(period, source, len(work.sums)), own


def _with_phases(
    system: FieldSystem, equations: Iterable[FieldEquations]
) -> tuple[FieldFamily, ...]:
    r"""The families, with the phases that are free.

    A symmetry $\alpha_f \to e^{ic_f\theta}\alpha_f$ has charges c with $\sum_g(q_g - p_g)c_g = c_f$ for every term
    $\prod_g\alpha_g^{*p_g}\alpha_g^{q_g}$ of the drift of f. A phase is free if some charges differ from 0.
    """
    families = field_families(system)
    names = [family.label for family in families]
    place = [0] * len(system.space.modes)
    for position in range(len(place)):
        slot = system.slots.get(position)
        place[position] = (
            names.index(slot.mode)
            if slot is not None
            else next(
                k for k, f in enumerate(families)
                if f.offset <= position < f.offset + f.size
            )
        )  # fmt: skip
    rows = {(0,) * len(families)}
    for entries in (e for given in equations for e in given.drift.values()):
        for target, polynomial in entries.items():
            for fields in polynomial:
                row = [0] * len(families)
                row[place[target]] -= 1
                for key, p, q in fields:
                    row[place[key]] += q - p
                rows.add(tuple(row))
    # the value of a linear form fixes the phases of all that it is made of
    for item in (w for given in equations for w in given.waves):
        for form in item.forms:
            for k, _ in form.coefficients:
                row = [0] * len(families)
                row[place[k]] = 1
                rows.add(tuple(row))
    _, sizes, axes = np.linalg.svd(np.array(sorted(rows), dtype=float))
    kept = axes[int((sizes > 1e-9).sum()) :]
    free = np.abs(kept).max(axis=0, initial=0.0) > 1e-9
    return tuple(replace(f, free=bool(x)) for f, x in zip(families, free, strict=True))


def field_families(system: FieldSystem) -> tuple[FieldFamily, ...]:
    """The rows of each declared mode."""
    return tuple(
        FieldFamily(f.name, f.offset, f.size, *_shape(f.domain))
        for f in system.families
    )


def _shape(domain: Any) -> tuple[tuple[int, ...], bool]:
    if isinstance(domain, Graph):
        return domain.shape, domain.periodic
    return ((sites_of(domain),), False) if domain is not None else ((), False)
