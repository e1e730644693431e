r"""The master equation of a system as sparse matrices with open coefficients.

Every operator becomes $\sum_k f_k(p, t) M_k$: the numerical factors go into the constant matrices
$M_k$, the symbolic ones into the $f_k$, so that a sweep rebuilds no operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import scipy.sparse as sp
import sympy

from qsyncdsl.algebra.expansion import expanded
from qsyncdsl.algebra.matrices import monomial_matrix
from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.algebra.system import Jump, System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.forces import without_forces
from qsyncdsl.lower.kraus import Weighted, distance, smallest_set, weight_of
from qsyncdsl.problem import (
    Channel,
    Combination,
    Force,
    Kick,
    LindbladProblem,
    Lowered,
)
from qsyncdsl.result import Part
from qsyncdsl.source import Span

# Relative change of a channel with twice the nodes of an integral that is told.
_QUADRATURE = 1e-6


def lindblad(system: System, title: str = "") -> Lowered:
    """Lower a system to its master equation.

    Raises:
        ModelError: E401 for ensembles of atoms with channels of their own, E402 for a boson
            without a number of levels, E403 for an operator without a matrix.
    """
    refuse(system)
    system, pulls = without_forces(system)
    space = system.space
    kept = [k for k, mode in enumerate(space.modes) if mode.ensemble is None]
    parts = tuple(part(space, k) for k in kept)
    work = Gatherer(space, [space.modes[k].dimension for k in kept], bool(pulls))
    hamiltonian = work.combination(
        [(term.operator / system.hbar, term.span) for term in system.hamiltonian]
    )
    channels = tuple(
        channel
        for jumps in _families(system.jumps)
        for channel in _channels(jumps, work)
    )
    kicks = tuple(
        Kick(
            work.coefficient(kick.period),
            work.combination([(kick.generator / system.hbar, kick.span)]),
        )
        for kick in system.kicks
    )
    forces = tuple(Force(kept.index(k), work.coefficient(rate)) for k, rate in pulls)
    coefficients, keys = coefficient_source(work.expressions, system.symbols)
    again = bool(kicks or forces)
    quadrature, warnings = _quadrature(system, work)
    problem = LindbladProblem(
        parts,
        tuple(work.matrices),
        coefficients,
        hamiltonian,
        channels,
        kicks,
        title,
        tuple(frozenset(kept.index(k) for k in modes) for modes in work.supports),
        forces,
        tuple(work.operators) if again else (),
        space if again else None,
        quadrature,
        warnings,
    )
    return Lowered(problem, keys)


def part(space: Space, position: int) -> Part:
    """The tensor factor of a mode."""
    mode = space.modes[position]
    return Part(mode.label, mode.kind.name, mode.dimension, mode.kind.first(mode.size))


def refuse(system: System) -> None:
    """What a density matrix on a product basis cannot do."""
    for jump in system.jumps:
        if jump.per_atom is not None:
            raise ModelError(
                [
                    Diagnostic(
                        "E401",
                        "channels of single atoms of an ensemble have no product basis",
                        jump.span,
                        "one channel for each atom",
                        help="solve by 'cumulants', or declare the atoms as qubits",
                    )
                ]
            )
    for mode in system.space.modes:
        if mode.kind.name == "boson" and mode.size is None:
            raise ModelError(
                [
                    Diagnostic(
                        "E402",
                        f"how many levels of '{mode.label}' shall be kept?",
                        help=f"declare boson(levels = 20), or set levels_{mode.label} = 20",
                    )
                ]
            )


def _quadrature(system: System, work: Gatherer) -> tuple[float, tuple[Diagnostic, ...]]:
    """The largest change of a channel with twice the nodes of its integral; W503 where it shows."""
    worst, warnings = 0.0, []
    for span, finer in system.finer:
        own = [jump for jump in system.jumps if jump.span == span]
        pairs = zip(_families(own), _families(finer), strict=False)
        change = max(
            (distance(*(_numerical(x, work) for x in pair)) for pair in pairs),
            default=0.0,
        )
        worst = max(worst, change)
        if change > _QUADRATURE:
            warnings.append(
                Diagnostic(
                    "W503",
                    f"with twice the nodes of the integral these channels change by {change:.1e}",
                    span,
                    help="give the integral more nodes",
                )
            )
    return worst, tuple(warnings)


def _numerical(jumps: list[Jump], work: Gatherer) -> list[Weighted]:
    """Jumps with numbers for weights, their common symbolic factors left out."""
    found = []
    for jump in jumps:
        weight = weight_of(_split(sympy.sympify(jump.rate)))
        terms = work.sums([(jump.operator, jump.span)])
        if weight is not None and len({factor for factor, _ in terms}) == 1:
            matrix = sp.csr_array(sum(terms.values()))
            found.append(Weighted(weight[1], matrix, ()))
    return found


def _families(jumps: Sequence[Jump]) -> list[list[Jump]]:
    """Jumps of one statement whose rates differ by numbers only, in the order written."""
    found: dict[Any, list[Jump]] = {}
    for position, jump in enumerate(jumps):
        weight = weight_of(_split(sympy.sympify(jump.rate)))
        key = position if weight is None else (jump.span, weight[0])
        found.setdefault(key, []).append(jump)
    return list(found.values())


def _channels(jumps: list[Jump], work: Gatherer) -> list[Channel]:
    """The channels of one family, combined into fewer where they overlap."""
    sums = [work.sums([(jump.operator, jump.span)]) for jump in jumps]

    def plain(k: int) -> Channel:
        rate = work.coefficient(jumps[k].rate)
        words = work.words([(jumps[k].operator, jumps[k].span)])
        return Channel(rate, work.entered(sums[k], words), str(jumps[k].operator))

    factors = {factor for terms in sums for factor, _ in terms}
    rates = [weight_of(_split(sympy.sympify(jump.rate))) for jump in jumps]
    supports = [frozenset().union(*(s for _, s in terms)) for terms in sums]
    apart = len(frozenset().union(*supports)) == sum(len(s) for s in supports)
    if apart or len(factors) != 1 or work.empty:
        return [plain(k) for k in range(len(jumps))]
    given = [
        Weighted(rate[1], sp.csr_array(sum(terms.values())), (k,))
        for k, (rate, terms) in enumerate(zip(rates, sums, strict=True))
        if rate is not None
    ]
    found = []
    for jump in smallest_set(given):
        first = jump.origins[0]
        if len(jump.origins) == 1:
            found.append(plain(first))
            continue
        support = frozenset(m for k in jump.origins for _, s in sums[k] for m in s)
        terms = {(next(iter(factors)), support): jump.matrix}
        rate = rates[first]
        assert rate is not None
        label = f"{jumps[first].operator}, combined"
        found.append(Channel(work.coefficient(rate[0]), work.entered(terms), label))
    return found


# Matrices by their symbolic factor and by the modes that they act on.
Sums = dict[tuple[Any, frozenset[int]], Any]
# The monomials behind them, with their numbers.
Words = dict[tuple[Any, frozenset[int]], list[tuple[Monomial, complex]]]


class Gatherer:
    """Collects the matrices and coefficients of all operators, each once.

    `empty` matrices are left out unless they may fill up in another window of a rotor.
    """

    def __init__(
        self, space: Space, dimensions: list[int], empty: bool = False
    ) -> None:
        self.space = space
        self.dimensions = dimensions
        self.empty = empty
        self.expressions: list[Any] = []
        self.matrices: list[sp.csr_array] = []
        self.supports: list[frozenset[int]] = []
        self.operators: list[tuple[tuple[Monomial, complex], ...]] = []
        self._found: dict[Any, int] = {}
        self._monomials: dict[Monomial, sp.csr_array] = {}

    def enter(self, space: Space, dimensions: list[int]) -> None:
        """Go on with operators of another space."""
        self.space, self.dimensions, self._monomials = space, dimensions, {}

    def coefficient(self, expression: Any) -> int:
        """Index of a coefficient."""
        expression = sympy.sympify(expression)
        if expression not in self._found:
            self._found[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self._found[expression]

    def combination(self, operators: Iterable[tuple[Polynomial, Span]]) -> Combination:
        """A sum of operators as pairs of coefficient and matrix."""
        listed = list(operators)
        return self.entered(self.sums(listed), self.words(listed))

    def words(self, operators: Iterable[tuple[Polynomial, Span]]) -> Words:
        """The monomials behind the matrices of a sum of operators."""
        found: Words = {}
        for operator, _ in operators:
            for monomial, value in operator.terms.items():
                for factor, number in _split(value):
                    key = (factor, frozenset(modes_of(monomial)))
                    found.setdefault(key, []).append((monomial, _complex(number)))
        return found

    def sums(self, operators: Iterable[tuple[Polynomial, Span]]) -> Sums:
        """The matrices of a sum of operators."""
        found: Sums = {}
        for operator, span in operators:
            for monomial, value in operator.terms.items():
                support = frozenset(modes_of(monomial))
                for factor, number in _split(value):
                    matrix = _complex(number) * self._matrix(monomial, span)
                    key = (factor, support)
                    found[key] = found[key] + matrix if key in found else matrix
        return found

    def entered(self, sums: Sums, words: Words | None = None) -> Combination:
        """The matrices of a sum, numbered."""
        size = prod(self.dimensions)
        pairs = []
        for key in sorted(sums, key=_order):
            matrix = sp.csr_array(sums[key], shape=(size, size))
            matrix.eliminate_zeros()
            if matrix.nnz or self.empty:
                pairs.append((self.coefficient(key[0]), len(self.matrices)))
                self.matrices.append(matrix)
                self.supports.append(key[1])
                self.operators.append(tuple((words or {}).get(key, ())))
        return tuple(pairs)

    def _matrix(self, monomial: Monomial, span: Span) -> sp.csr_array:
        if monomial not in self._monomials:
            try:
                self._monomials[monomial] = monomial_matrix(
                    self.space, monomial, self.dimensions
                )
            except ValueError as reason:
                raise ModelError([Diagnostic("E403", f"{reason}", span)]) from None
        return self._monomials[monomial]


def _order(key: tuple[Any, frozenset[int]]) -> tuple[Any, list[int]]:
    return sympy.default_sort_key(key[0]), sorted(key[1])


def modes_of(monomial: Monomial) -> tuple[int, ...]:
    """Positions of the modes that a monomial acts on."""
    return tuple(
        m for key, _ in monomial for m in ((key,) if isinstance(key, int) else key)
    )


@lru_cache(maxsize=4096)
def _split(value: Any) -> tuple[tuple[Any, Any], ...]:
    """A coefficient as a sum of (symbolic factor, number)."""
    found = []
    for term in sympy.Add.make_args(expanded(value)):
        number, factor = term.as_independent(*term.free_symbols, as_Add=False)
        if not term.free_symbols:
            number, factor = term, sympy.Integer(1)
        found.append((factor, number))
    return tuple(found)


@lru_cache(maxsize=4096)
def _complex(number: Any) -> complex:
    """A number of SymPy; it takes a while to evaluate."""
    return complex(number)
