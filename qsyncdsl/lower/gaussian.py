r"""Mean fields and Gaussian fluctuations: drift, its Jacobian, and the noise of linearized jumps.

With $a_k = \alpha_k + b_k$ a jump L becomes $\ell(\alpha) + \sum_k(u_k b_k + v_k b_k^\dagger)$, where
$u_k = \partial\ell/\partial\alpha_k$, $v_k = \partial\ell/\partial\alpha_k^*$. To second order
in the fluctuations, symmetrically ordered,

$$ E[d\xi_k d\xi_l^*] = \tfrac{\gamma}{2}(u_k^*u_l + v_kv_l^*)\,dt, \qquad
   E[d\xi_k d\xi_l] = -\tfrac{\gamma}{2}(u_k^*v_l + u_l^*v_k)\,dt . $$
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from qsyncdsl.algebra.fields import FieldSystem, Pattern
from qsyncdsl.algebra.phase_space import (
    FieldPolynomial,
    conjugate,
    derivative,
    modes_of,
    normal_symbol,
    times,
)
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.field_equations import Group
from qsyncdsl.lower.field_text import gaussian_latex, gaussian_texts
from qsyncdsl.lower.kernel_names import KernelNames
from qsyncdsl.lower.langevin import field_families
from qsyncdsl.lower.phase_space import field_equations
from qsyncdsl.lower.terms import TermList, drift_terms
from qsyncdsl.problem import GaussianProblem, Lowered

# A diffusion matrix: pairs of modes of a group to polynomials.
Diffusion = dict[Group, dict[tuple[int, int], FieldPolynomial]]


def gaussian(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to mean fields and covariances.

    Raises:
        ModelError: E410.
    """
    equations = field_equations(system, "naive", "exact", noise=False)
    normal, anomalous = diffusion(system)
    names = KernelNames(system)
    count = system.count
    drift = drift_terms(names, count, equations.drift)
    matrices = []
    for entries in (normal, anomalous):
        found = TermList(names, (count, count))
        for group, pairs in entries.items():
            for pair, polynomial in pairs.items():
                found.add(group, pair, polynomial)
        matrices.append(found.terms())
    coefficients, keys = coefficient_source(names.expressions, names.sortable())
    problem = GaussianProblem(
        families=field_families(system),
        coefficients=coefficients,
        varying=tuple(names.varying),
        drift=drift,
        normal=matrices[0],
        anomalous=matrices[1],
        equations=gaussian_texts(system, equations, normal, anomalous),
        latex=gaussian_latex(system, equations, normal, anomalous),
        title=title,
    )
    return Lowered(problem, tuple(names.plain(key) for key in keys))


def diffusion(system: FieldSystem) -> tuple[Diffusion, Diffusion]:
    """N and M of the module's formula, all pairs of modes, by group."""
    normal: Diffusion = {}
    anomalous: Diffusion = {}
    for pattern in system.patterns:
        if pattern.rate is not None:
            group = Group(pattern.graph, pattern.edges)
            _channel(
                pattern,
                normal.setdefault(group, {}),
                anomalous.setdefault(group, {}),
            )
    return normal, anomalous


def _channel(
    pattern: Pattern,
    normal: dict[tuple[int, int], FieldPolynomial],
    anomalous: dict[tuple[int, int], FieldPolynomial],
) -> None:
    symbol = normal_symbol(pattern.operator)
    half: FieldPolynomial = {(): pattern.rate / SYMBOLIC.number(2)}
    modes = sorted(modes_of(symbol))
    u = {k: derivative(symbol, k) for k in modes}
    v = {k: derivative(symbol, k, conjugated=True) for k in modes}
    minus: FieldPolynomial = {(): SYMBOLIC.number(-1)}

    def star(polynomial: FieldPolynomial) -> FieldPolynomial:
        return conjugate(polynomial, SYMBOLIC)

    for k, m in product(modes, modes):
        for one, two in ((star(u[k]), u[m]), (v[k], star(v[m]))):
            _add(normal, (k, m), times(half, times(one, two)))
        for one, two in ((star(u[k]), v[m]), (star(u[m]), v[k])):
            _add(anomalous, (k, m), times(minus, times(half, times(one, two))))


def _add(
    total: dict[tuple[int, int], FieldPolynomial],
    place: tuple[int, int],
    more: FieldPolynomial,
) -> None:
    if not more:
        return
    mine = total.setdefault(place, {})
    for fields, value in more.items():
        mine[fields] = mine[fields] + value if fields in mine else value
