r"""Closed equations of moments: derived from H and the jumps, cumulants beyond the order dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.coefficients import Factors
from qsyncdsl.algebra.moments import SIGMA_Z, Channel, Moment, Moments, MomentSum, NoMoments
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.symmetry import Symmetry, operator_shifts, weak_symmetry
from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.lindblad import Lowered
from qsyncdsl.lower.moment_text import moment_latex, moment_texts
from qsyncdsl.problem import CumulantProblem, Terms

# Moments that are followed at most.
_MOST = 30_000


def cumulants(system: System, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the closed equations of its moments.

    Raises:
        ModelError: E419 for operators without moments, E420 for too many of them.
    """
    ring = Factors()
    algebra, hamiltonian, channels, sizes = open_algebra(system, ring, options)
    symmetry, kept = _symmetry(system)
    moments = list(_moments(system, algebra, symmetry, kept))
    if len(moments) > _MOST:
        message = f"{len(moments)} moments are too many"
        raise ModelError([Diagnostic("E420", message, help="lower the order, or the size")])
    places: dict[Moment, tuple[int, bool]] = {}
    for place, moment in enumerate(moments):
        places[algebra.adjoint(moment)] = (place, True)
        places[moment] = (place, False)
    drifts = []
    try:
        for moment in moments:
            motion = algebra.motion(algebra.operator(moment), hamiltonian, channels)
            drifts.append(_closed(algebra, motion, places))
    except NoMoments as reason:
        message = f"'cumulants' needs polynomials: {reason} has no closed moments"
        raise ModelError([Diagnostic("E419", message)]) from None
    gathered: dict[Any, int] = {}
    expressions: list[Any] = []
    terms = _terms(drifts, places, ring, sizes, gathered, expressions)
    coefficients, keys = coefficient_source(expressions, system.symbols)
    problem = CumulantProblem(
        moments=tuple(moments),
        order=algebra.order,
        factorized=tuple(sorted(algebra.factorized)),
        drift=terms,
        coefficients=coefficients,
        equations=moment_texts(algebra, moments, drifts, ring, sizes),
        latex=moment_latex(algebra, moments, drifts, ring, sizes),
        symmetry=symmetry,
        modes=kept,
        system=system,
        title=title,
    )
    return Lowered(problem, keys)


def open_algebra(
    system: System, ring: Any, options: Mapping[str, Any], values: Any = None
) -> tuple[Moments, dict[int, Polynomial], list[Channel], dict[Any, Any]]:
    """The algebra of moments with H by mode and the channels; coefficients in a ring of factors.

    Args:
        values: Makes a number of an expression; None to keep them open.
    """
    convert = ring.of if values is None else lambda x: ring.number(values(x))
    space = Space(system.space.modes, ring)
    sizes: dict[int, Any] = {}
    symbols: dict[Any, Any] = {}
    numbers = {mode.size for mode in space.modes if mode.kind.name == "ensemble"}
    for position, mode in enumerate(space.modes):
        if mode.kind.name == "ensemble":
            if values is None:
                name = "N" if len(numbers) == 1 else f"N_{mode.label}"
                symbol = sympy.Symbol(name, positive=True)
                symbols[symbol] = sympy.Integer(mode.size)
                sizes[position] = ring.of(symbol)
            else:
                sizes[position] = ring.number(mode.size)

    def moved(operator: Polynomial) -> Polynomial:
        return Polynomial(space, {m: convert(c) for m, c in operator.terms.items()})

    hamiltonian: dict[int, dict[Any, Any]] = {}
    for term in system.hamiltonian:
        for monomial, value in moved(term.operator / system.hbar).terms.items():
            for key, _ in monomial:
                for one in (key,) if isinstance(key, int) else key:
                    own = space.modes[one].ensemble
                    mine = hamiltonian.setdefault(one if own is None else own, {})
                    mine[monomial] = mine[monomial] + value if monomial in mine else value
    channels = [
        Channel(convert(sympy.sympify(j.rate)), moved(j.operator), j.per_atom) for j in system.jumps
    ]
    order = int(options.get("order", 2))
    if order < 1:
        raise ModelError([Diagnostic("E420", "the order of a closure is at least 1")])
    algebra = Moments(space, sizes, order)
    factorized = _factorized(algebra, moved, options.get("factorize", ()))
    algebra = Moments(space, sizes, order, factorized)
    split = {k: Polynomial(space, terms) for k, terms in hamiltonian.items()}
    return algebra, split, channels, symbols


def _factorized(algebra: Moments, moved: Any, given: Any) -> frozenset[Moment]:
    """The moments of products that shall be products of means."""
    found = set()
    for operator in given if isinstance(given, tuple | list) else (given,):
        if not isinstance(operator, Polynomial):
            continue
        mean = algebra.mean(algebra.expanded(moved(operator), frozenset()))
        longest = max((len(m) for m in mean), default=0)
        found |= {m for m in mean if len(m) == longest > 1}
        found |= {algebra.adjoint(m) for m in mean if len(m) == longest > 1}
    return frozenset(found)


# ── which moments ────────────────────────────────────────────────────────────────────────────


def _symmetry(system: System) -> tuple[Symmetry, tuple[int, ...]]:
    kept = tuple(k for k, mode in enumerate(system.space.modes) if mode.ensemble is None)
    shifts = operator_shifts(system, kept)
    if shifts is None:
        return Symmetry((), ()), kept
    return weak_symmetry(shifts, len(kept)), kept


def charges(algebra: Moments, symmetry: Symmetry, kept: tuple[int, ...], moment: Moment) -> tuple[int, ...]:
    """The charges of a moment; those of a moment that need not vanish are zero."""
    shift = dict.fromkeys(kept, 0)
    labels = {mode.label: k for k, mode in enumerate(algebra.outer.modes)}
    for key, word in moment:
        mode = algebra.space.modes[key]  # type: ignore[index]
        place = mode.ensemble if mode.ensemble is not None else labels[mode.label]
        if word != SIGMA_Z:
            shift[place] += word[1] - word[2]
    return symmetry.classify([shift[k] for k in kept])


def _moments(
    system: System, algebra: Moments, symmetry: Symmetry, kept: tuple[int, ...]
) -> Iterator[Moment]:
    """All moments of up to `order` operators that the symmetry lets be non-zero, one of each pair."""
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
            moment = algebra.joined(chosen)
            if len(algebra.letters(moment)) != count or moment in seen:
                continue
            adjoint = algebra.adjoint(moment)
            if moment in algebra.factorized or adjoint in seen:
                continue
            seen.add(moment)
            if not any(charges(algebra, symmetry, kept, moment)):
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
    algebra: Moments, motion: Polynomial, places: Mapping[Moment, Any]
) -> MomentSum:
    """The mean of an operator by the moments that are followed."""
    total: MomentSum = {}
    for moment, value in algebra.mean(motion).items():
        for product, factor in algebra.closed(moment).items():
            if any(m not in places for m in product):
                continue  # zero by symmetry
            more = value * factor
            total[product] = total[product] + more if product in total else more
    return {k: v for k, v in total.items() if not algebra.ring.is_zero(v)}


def _terms(
    drifts: list[MomentSum],
    places: Mapping[Moment, tuple[int, bool]],
    ring: Factors,
    sizes: Mapping[Any, Any],
    gathered: dict[Any, int],
    expressions: list[Any],
) -> Terms:
    """The right sides as flat arrays."""
    target, coefficient, lengths = [], [], []
    fields, p, q = [], [], []
    for row, drift in enumerate(drifts):
        for product, value in drift.items():
            if value not in gathered:
                gathered[value] = len(expressions)
                expressions.append(ring.expression(value).xreplace(sizes))
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
