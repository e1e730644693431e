r"""The Fokker-Planck equation of one mode, or of the modes of `complete(N)` by their mean field.

On `complete(N)` the limit of large N is taken: the others enter through $x = \langle\alpha\rangle$, a sum over
the other sites is one over all, and the noise of a channel along an edge becomes noise of its own at
each end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.fields import FieldSystem
from qsyncdsl.algebra.phase_space import FieldMonomial, FieldPolynomial
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.field_equations import FieldEquations, Group
from qsyncdsl.lower.field_text import dropped_texts, equation_latex, equation_texts
from qsyncdsl.lower.kernel_names import KernelNames
from qsyncdsl.lower.langevin import field_families
from qsyncdsl.lower.phase_space import field_equations
from qsyncdsl.problem import DensityProblem, DensityTerm, Lowered

# A diffusion or squeezing: how often it counts, and the polynomial.
_Weighted = tuple[float, FieldPolynomial]


def fokkerplanck(
    system: FieldSystem, title: str, options: Mapping[str, Any]
) -> Lowered:
    """Lower a system of one boson, or of one on each site of `complete(N)`.

    Raises:
        ModelError: E410 and E412 as for `langevin`, E415 for other systems of several modes, E416 for
            coefficients that depend on time.
    """
    equations = field_equations(
        system, options.get("ordering", "symmetric"), options.get("diffusion", "exact")
    )
    own = _own(system, equations)
    names = KernelNames(system)
    site = {"site": np.arange(system.count)}
    drift, diffusion, squeezing = (
        tuple(
            term
            for weight, polynomial in pieces
            for term in _terms(system, names, own, polynomial, weight, site)
        )
        for pieces in _pieces(system, equations, own)
    )
    if any(sympy.Symbol("t", real=True) in e.free_symbols for e in names.expressions):
        message = "a model that depends on time has no stationary density"
        raise ModelError([Diagnostic("E416", message, help="solve by 'langevin'")])
    coefficients, keys = coefficient_source(names.expressions, names.sortable())
    free = all(t.q - t.p + t.mean == 1 for t in drift)
    free = free and all(t.q - t.p + t.mean == 0 for t in diffusion)
    problem = DensityProblem(
        families=field_families(system),
        coefficients=coefficients,
        varying=tuple(names.varying),
        drift=drift,
        diffusion=diffusion,
        squeezing=squeezing,
        coupled=system.count > 1,
        free=free and not squeezing,
        dropped=dropped_texts(system, equations),
        equations=equation_texts(system, equations),
        latex=equation_latex(system, equations),
        title=title,
    )
    return Lowered(problem, tuple(names.plain(key) for key in keys))


def _own(system: FieldSystem, equations: FieldEquations) -> int:
    """The position of the one mode, or of the mode on any site."""
    if system.count == 1:
        return 0
    groups = {
        *equations.drift,
        *equations.local,
        *(bath.group for bath in equations.baths),
    }
    alone = len(system.families) == 1
    graphs = {getattr(group.graph, "name", "") for group in groups}
    if not alone or graphs != {"complete"}:
        what = f"the model has {system.count}"
        if alone and "complete" in graphs:
            what = "a term stands for a single site"
        raise _refused(f"'fokkerplanck' is for one mode or for 'complete(N)', {what}")
    return next(k for k, slot in system.slots.items() if slot.slot == 0)


def _refused(message: str) -> ModelError:
    return ModelError([Diagnostic("E415", message, help="solve by 'langevin'")])


def _pieces(
    system: FieldSystem, equations: FieldEquations, own: int
) -> tuple[list[_Weighted], list[_Weighted], list[_Weighted]]:
    """Drift, diffusion and squeezing of the one field."""
    drift = []
    for group, entries in equations.drift.items():
        if group.edges and not _mirrored(system, own, entries):
            raise _refused("'fokkerplanck' needs edges whose two ends are alike")
        drift.append((_weight(system, group), entries.get(own, {})))
    diffusion = [(1.0, e.get(own, {})) for e in equations.local.values()]
    squeezing: list[_Weighted] = []
    for bath in equations.baths:
        weight = _weight(system, bath.group)
        for (a, b, conjugate), value in bath.entries.items():
            # the noises of the two ends of an edge are correlated by 1/N only
            if a == b == own:
                (diffusion if conjugate else squeezing).append((weight, value))
    return drift, diffusion, squeezing


def _weight(system: FieldSystem, group: Group) -> float:
    return float(system.count) if group.edges else 1.0


def _mirrored(system: FieldSystem, own: int, entries: Mapping[int, Any]) -> bool:
    """Whether the drift at the second end of an edge is that at the first one, exchanged."""
    other = _other(system, own)
    swap = {own: other, other: own}

    def swapped(fields: FieldMonomial) -> FieldMonomial:
        return tuple(sorted((swap.get(k, k), p, q) for k, p, q in fields))

    first = {tuple(sorted(f)): v for f, v in entries.get(own, {}).items()}
    second = {swapped(f): v for f, v in entries.get(other, {}).items()}
    return first == second


def _other(system: FieldSystem, own: int) -> int:
    return next((k for k in system.slots if k != own), -1)


def _terms(
    system: FieldSystem,
    names: KernelNames,
    own: int,
    polynomial: FieldPolynomial,
    weight: float,
    site: Mapping[str, np.ndarray],
) -> Iterator[DensityTerm]:
    """The terms of a polynomial in the own field and the mean of the others."""
    for fields, value in polynomial.items():
        powers = {key: (p, q) for key, p, q in fields}
        p, q = powers.pop(own, (0, 0))
        mean = {(): 0, ((0, 1),): 1, ((1, 0),): -1}.get(tuple(powers.values()))
        if mean is None:
            raise _refused("'fokkerplanck' follows the mean of a only, not of products")
        value = names.oriented(sympy.sympify(value), 0)
        if any(str(s).endswith("[other]") for s in value.free_symbols):
            raise _refused("'fokkerplanck' needs a coupling that is the same for all")
        row = names.by_site(value, site)
        yield DensityTerm(
            p, q, names.index(value), -1 if row is None else row, mean, weight
        )
