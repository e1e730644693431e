r"""Closed equations of moments: derived from H and the jumps, cumulants beyond the order dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement, islice
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.coefficients import Coefficient
from qsyncdsl.algebra.moment_system import (
    MomentSystem,
    atoms_symbol,
    moment_system,
)
from qsyncdsl.algebra.moments import SIGMA_Z, Moment, MomentSum, NoMoments
from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.problem import CumulantProblem, Lowered, Terms

# Moments that are followed at most.
_MOST = 60_000
# Coefficients from which on sums are taken apart: the frequencies of n modes make n^2 differences.
_SUMS = 300


def cumulants(system: System, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the closed equations of its moments.

    Raises:
        ModelError: E419 for operators without moments, E420 for too many of them.
    """
    order = int(options.get("order", 2))
    equations = moment_system(
        system, order, options.get("factorize", ()), options.get("first_order", ())
    )
    algebra = equations.algebra
    moments = list(islice(_moments(equations), _MOST + 1))
    if len(moments) > _MOST:
        message = f"more than {_MOST} moments are too many"
        raise ModelError(
            [Diagnostic("E420", message, help="lower the order, or the size")]
        )
    places: dict[Moment, tuple[int, bool]] = {}
    for place, moment in enumerate(moments):
        places[algebra.adjoint(moment)] = (place, True)
        places[moment] = (place, False)
    drifts = []
    try:
        for moment in moments:
            drifts.append(_closed(equations, moment, places))
    except NoMoments as reason:
        message = f"'cumulants' needs polynomials: {reason} has no closed moments"
        raise ModelError([Diagnostic("E419", message)]) from None
    gathered: dict[Any, int] = {}
    expressions: list[Any] = []
    terms = _terms(drifts, places, equations, gathered, expressions)
    factors = _factor_places(equations, expressions)
    rates = _rates(system, expressions)
    coefficients, keys = coefficient_source(expressions, system.symbols)
    problem = CumulantProblem(
        moments=tuple(moments),
        order=algebra.order,
        drift=terms,
        coefficients=coefficients,
        drifts=tuple(drifts),
        system=equations,
        factors=factors,
        rates=rates,
        title=title,
    )
    return Lowered(problem, keys)


# ── which moments ────────────────────────────────────────────────────────────────────────────


def _moments(system: MomentSystem) -> Iterator[Moment]:
    """All moments of up to `order` operators that need not vanish, one of each adjoint pair."""
    algebra = system.algebra
    letters: list[tuple[int, Any]] = []
    for key, mode in enumerate(algebra.space.modes):
        number = sum(m.ensemble == mode.ensemble for m in algebra.space.modes[:key])
        if mode.ensemble is not None and number >= algebra.order:
            continue
        letters += [(key, word) for word in _words(mode)]
    seen: set[Moment] = set()
    for count in range(1, algebra.order + 1):
        for chosen in combinations_with_replacement(letters, count):
            finite = [key for key, word in chosen if word[0] != "a"]
            if len(set(finite)) < len(finite):
                continue
            if count > 1 and any(algebra.uncorrelated(letter) for letter in chosen):
                continue
            moment = algebra.joined(chosen)
            if len(algebra.letters(moment)) != count or moment in seen:
                continue
            adjoint = algebra.adjoint(moment)
            if moment in algebra.factorized or adjoint in seen:
                continue
            seen.add(moment)
            if not any(system.charges(moment)):
                yield moment


def _words(mode: Any) -> list[Any]:
    """The letters of a mode: ladder operators, or the operators of its levels."""
    if mode.kind.name == "boson":
        return [("a", 1, 0), ("a", 0, 1)]
    if mode.kind.name == "qubit":
        return [("E", 1, 0), ("E", 0, 1), SIGMA_Z]
    if mode.kind.name in ("spin", "levels"):
        d = mode.dimension
        return [("E", n, m) for n in range(d) for m in range(d) if n or m]
    raise ModelError(
        [
            Diagnostic(
                "E419",
                f"'cumulants' has no moments for a {mode.kind.name}",
                help="it knows bosons, qubits, spins, levels and ensembles",
            )
        ]
    )


def _closed(
    system: MomentSystem, moment: Moment, places: Mapping[Moment, Any]
) -> MomentSum:
    """d<m>/dt by the moments that are followed."""
    total: MomentSum = {}
    for term, value in system.motion(moment).items():
        for product, factor in system.algebra.closed(term).items():
            if any(m not in places for m in product):
                continue  # zero by symmetry
            more = value * factor
            total[product] = total[product] + more if product in total else more
    return {k: v for k, v in total.items() if not system.ring.is_zero(v)}


def _factor_places(system: MomentSystem, expressions: list[Any]) -> tuple[int, ...]:
    """Where the factors of coefficients and their conjugates are among the functions f_k."""
    system.ring.close()
    first = len(expressions)
    sizes = _sizes(system)
    expressions += [factor.xreplace(sizes) for factor in system.ring.table]
    return tuple(range(first, len(expressions)))


def _rates(system: System, expressions: list[Any]) -> tuple[tuple[int, str], ...]:
    """Where the rates of dissipators are among the functions f_k, with the first that has each."""
    labels: dict[Any, str] = {}
    for jump in system.jumps:
        labels.setdefault(sympy.sympify(jump.rate), str(jump.operator))
    found = []
    for rate, label in labels.items():
        if not (rate.is_number and rate >= 0):
            found.append((len(expressions), label))
            expressions.append(rate)
    return tuple(found)


def _sizes(system: MomentSystem) -> dict[Any, Any]:
    """Numbers of atoms by symbol."""
    return {
        atoms_symbol(name): sympy.Integer(size) for name, size in system.sizes.items()
    }


def _summands(value: Coefficient) -> Iterator[Coefficient]:
    """The products of factors that a coefficient is the sum of."""
    for key, number in value.terms.items():
        yield Coefficient({key: number})


def _terms(
    drifts: list[MomentSum],
    places: Mapping[Moment, tuple[int, bool]],
    system: MomentSystem,
    gathered: dict[Any, int],
    expressions: list[Any],
) -> Terms:
    """The right sides as flat arrays."""
    target, coefficient, lengths = [], [], []
    fields, p, q = [], [], []
    sizes = _sizes(system)
    different = {value for drift in drifts for value in drift.values()}
    apart = len(different) > _SUMS
    for row, drift in enumerate(drifts):
        for product, whole_value in drift.items():
            for value in _summands(whole_value) if apart else (whole_value,):
                if value not in gathered:
                    gathered[value] = len(expressions)
                    expression = system.ring.expression(value)
                    expressions.append(expression.xreplace(sizes))
                target.append(row)
                coefficient.append(gathered[value])
                lengths.append(len(product))
                for moment in product:
                    place, star = places[moment]
                    fields.append(place)
                    p.append(int(star))
                    q.append(int(not star))
    n = len(target)

    def whole(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    return Terms(
        whole(target),
        whole(coefficient),
        np.zeros((2, n), dtype=np.int64),
        np.concatenate([[0], np.cumsum(whole(lengths))]).astype(np.int64),
        whole(fields),
        whole(p),
        whole(q),
        (len(drifts),),
    )
