r"""Permutation-symmetric density matrices of ensembles: exact, with channels of single atoms.

A symmetric density matrix of N two-level atoms is a sum over T(n), the normalized sums of all products of N
single-atom matrices $|m\rangle\langle m'|$ in which each of the four occurs $n_{mm'}$ times. A superoperator
$\sum_j S_j$ moves one of them: $T(n) \to S_{ab}\sqrt{n_b(n_a + 1)}\,T(n - e_b + e_a)$.

References:
    M. Xu, D. A. Tieri, M. J. Holland, Phys. Rev. A 87, 062101 (2013); N. Shammah et al.,
    Phys. Rev. A 98, 063815 (2018).
"""

from __future__ import annotations

from functools import lru_cache, reduce
from math import comb, lgamma, prod
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.matrices import monomial_matrix
from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import PermutationProblem, Point
from qsyncdsl.result import PermutationResult, Trust
from qsyncdsl.solve import coefficients, dicke
from qsyncdsl.solve.factors import superlu

_LETTERS = {
    "plus": np.array([[0.0, 0.0], [1.0, 0.0]]),
    "minus": np.array([[0.0, 1.0], [0.0, 0.0]]),
    "z": np.array([[-0.5, 0.0], [0.0, 0.5]]),
}
# Unknowns up to which an answer is tried; the largest sector whose poles are found.
_MOST = 60_000
_POLES = 2500
# Largest residual and rounding of the trace; traces from which on many atoms may be the reason for them.
_ROUNDING, _LARGE = 1e-7, 1e15


class PermutationSolver:
    """Stationary states of one problem at many points."""

    def __init__(self, problem: PermutationProblem) -> None:
        self.problem = problem
        self.ladder = dicke.Ladder(problem) if dicke.applies(problem) else None
        if self.ladder is None:
            self.basis = Symmetric(problem)
        self._matrices: dict[Any, list[sp.csr_array]] = {}

    def solve(self, point: Point) -> PermutationResult:
        """The stationary state.

        Raises:
            SolveError: E501 where it does not fit or is lost in rounding, E503 for a rate below zero, E504
                where it is not unique.
        """
        f = coefficients.evaluate(self.problem.coefficients, point.values, 0.0)
        for value, term in zip(f, self.problem.terms, strict=True):
            own = term.kind != "hamiltonian" and term.words[0] == term.words[-1]
            if own and (value.real < 0 or abs(value.imag) > 1e-12 * abs(value)):
                message = f"a rate is {value.real:.6g} here"
                help_ = "a rate is real and not negative"
                raise SolveError(Diagnostic("E503", message, help=help_))
        if self.ladder is not None:
            return dicke.stationary(self.ladder, f)
        charge = (0,) * len(self.problem.symmetry.moduli)
        inside = self.basis.sector(charge)
        if len(inside) > _MOST:
            message = (
                f"{len(inside)} elements of the symmetric density matrix are too many"
            )
            raise SolveError(
                Diagnostic("E501", message, help="fewer atoms, or 'cumulants'")
            )
        matrix = self.generator(f, charge)
        trace = self.basis.trace[inside]
        pin = int(np.argmax(np.abs(trace) > 0))
        keep = np.ones(len(inside))
        keep[pin] = 0.0
        scale = float(np.abs(matrix).max()) or 1.0
        row = sp.csr_array(
            (trace * scale, (np.full(len(inside), pin), np.arange(len(inside)))),
            shape=matrix.shape,
        )
        whole = sp.csc_array(sp.diags_array(keep) @ matrix + row)
        factors = superlu(whole)
        if factors is None:
            raise SolveError(_unknown(trace))
        right = np.zeros(len(inside), dtype=complex)
        right[pin] = scale
        found = factors.solve(right)
        found = found + factors.solve(right - whole @ found)
        # what rounding leaves of probabilities: traces of many atoms are sums of very different numbers
        step = factors.solve(right - whole @ found)
        rounding = float(np.abs(trace) @ np.abs(step))
        residual = float(np.abs(matrix @ found).max() / (scale * np.abs(found).max()))
        if not max(residual, rounding) < _ROUNDING:
            raise SolveError(_unknown(trace))
        x = np.zeros(self.basis.size, dtype=complex)
        x[inside] = found
        trust = Trust(
            {"residual": residual, "rounding": rounding},
            {"solver": f"permutation symmetry, {len(inside)} elements"},
        )
        return PermutationResult(self.problem, Answer(self, f, x), trust)

    def generator(self, f: np.ndarray, charge: tuple[int, ...]) -> sp.csr_array:
        """L on the elements of one charge."""
        inside = self.basis.sector(charge)
        if charge not in self._matrices:
            self._matrices[charge] = [
                sp.csr_array(self.basis.term(term)[inside][:, inside])
                for term in self.problem.terms
            ]
        total = sp.csr_array((len(inside), len(inside)), dtype=complex)
        for value, matrix in zip(f, self._matrices[charge], strict=True):
            total = total + value * matrix
        return total


def _unknown(trace: np.ndarray) -> Diagnostic:
    """E504; E501 where there are more atoms than numbers of a computer have digits for."""
    if np.abs(trace).max() < _LARGE:
        return Diagnostic("E504", "the stationary state is not unique")
    message = (
        "the stationary state of so many atoms is lost in rounding, or is not unique"
    )
    help_ = "fewer atoms, or 'cumulants'"
    return Diagnostic("E501", message, help=help_)


class Answer:
    """A stationary state with its generator."""

    def __init__(self, solver: PermutationSolver, f: np.ndarray, x: np.ndarray) -> None:
        self.solver, self.f, self.x = solver, f, x

    def expect(self, operator: Polynomial) -> complex:
        """Tr(O rho)."""
        basis = self.solver.basis
        return complex(basis.trace @ basis.applied(operator, self.x))

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        r"""Poles and weights of $\langle A(\tau)\delta B(0)\rangle$.

        Raises:
            SolveError: E614 where the sector is too large.
        """
        basis = self.solver.basis
        start = basis.applied(B, self.x) - self.expect(B) * self.x
        values, weights = [np.zeros(0, complex)], [np.zeros(0, complex)]
        scale = np.abs(start).max(initial=0.0)
        for charge in basis.charges_of(np.flatnonzero(np.abs(start) > 1e-14 * scale)):
            inside = basis.sector(charge)
            if len(inside) > _POLES:
                message = "the sector is too large for all its poles"
                raise SolveError(Diagnostic("E614", message))
            matrix = self.solver.generator(self.f, charge).toarray()
            found, vectors = np.linalg.eig(matrix)
            look = np.zeros(len(inside), dtype=complex)
            for k in range(len(inside)):
                unit = np.zeros(basis.size, dtype=complex)
                unit[inside[k]] = 1.0
                look[k] = basis.trace @ basis.applied(A, unit)
            values.append(found)
            weights.append((look @ vectors) * np.linalg.solve(vectors, start[inside]))
        return np.concatenate(values), np.concatenate(weights)


class Symmetric:
    """The basis of all parts, the first varying slowest, and operators on it."""

    def __init__(self, problem: PermutationProblem) -> None:
        self.problem = problem
        self.place = {position: k for k, position in enumerate(problem.kept)}
        self.sizes = [
            comb(p.dimension + 3, 3) if p.kind == "ensemble" else p.dimension**2
            for p in problem.parts
        ]
        self.size = prod(self.sizes)
        if self.size > 40 * _MOST:
            message = (
                f"{self.size} elements of the symmetric density matrix are too many"
            )
            raise SolveError(
                Diagnostic("E501", message, help="fewer atoms, or 'cumulants'")
            )
        self.trace = reduce(np.kron, [self._trace(p) for p in problem.parts])
        self.charges = self._charges()
        self._sectors: dict[tuple[int, ...], np.ndarray] = {}
        self._known: dict[Any, sp.csr_array] = {}

    @staticmethod
    def _trace(part: Any) -> np.ndarray:
        if part.kind != "ensemble":
            return np.eye(part.dimension).reshape(-1)
        dd, du, ud, uu = _occupations(n := part.dimension).T
        logarithm = np.array([lgamma(k + 1) for k in range(n + 1)])
        weights = np.exp((logarithm[n] - logarithm[dd] - logarithm[uu]) / 2)
        return np.where((ud == 0) & (du == 0), weights, 0.0)

    def _charges(self) -> np.ndarray:
        """Charges of every element, shape (size, number of charges)."""
        symmetry = self.problem.symmetry
        columns = []
        for part in self.problem.parts:
            if part.kind == "ensemble":
                _, du, ud, _ = _occupations(part.dimension).T
                columns.append(ud - du)
            else:
                left, right = np.divmod(np.arange(part.dimension**2), part.dimension)
                columns.append(left - right)
        shifts = np.stack(np.meshgrid(*columns, indexing="ij"), axis=-1).reshape(
            self.size, -1
        )
        if not symmetry.charges:
            return np.zeros((self.size, 0), dtype=int)
        found = shifts @ np.array(symmetry.charges, dtype=int).T
        for k, modulus in enumerate(symmetry.moduli):
            if modulus:
                found[:, k] %= modulus
        return np.asarray(found)

    def sector(self, charge: tuple[int, ...]) -> np.ndarray:
        """The elements of one charge."""
        if charge not in self._sectors:
            same = (self.charges == np.array(charge, dtype=int)).all(axis=1)
            self._sectors[charge] = np.flatnonzero(same)
        return self._sectors[charge]

    def charges_of(self, elements: np.ndarray) -> list[tuple[int, ...]]:
        """The charges that occur."""
        return [tuple(c) for c in np.unique(self.charges[elements], axis=0).tolist()]

    # ── superoperators ───────────────────────────────────────────────────────────────────────

    def term(self, term: Any) -> sp.csr_array:
        """A term of the Liouvillian without its coefficient."""
        if term.kind == "hamiltonian":
            return -1j * (
                self.side(term.words[0], True) - self.side(term.words[0], False)
            )
        u, v = term.words
        if term.kind == "atom":
            return self._on(
                term.part, _atom(u, v, self.problem.parts[term.part].dimension)
            )
        space = Space(self.problem.space.modes)
        back = Polynomial(space, {v: 1.0}).dag()
        jump = self.side(u, True) @ self._sum(back, False)
        loss = back * Polynomial(space, {u: 1.0})
        return jump - 0.5 * (self._sum(loss, True) + self._sum(loss, False))

    def _sum(self, operator: Polynomial, left: bool) -> sp.csr_array:
        total = sp.csr_array((self.size, self.size), dtype=complex)
        for monomial, value in operator.terms.items():
            total = total + complex(value) * self.side(monomial, left)
        return total

    def applied(self, operator: Polynomial, x: np.ndarray) -> np.ndarray:
        """O rho."""
        total = np.zeros(self.size, dtype=complex)
        for monomial, value in operator.terms.items():
            total += complex(value) * (self.side(monomial, True) @ x)
        return total

    def side(self, monomial: Monomial, left: bool) -> sp.csr_array:
        """Multiplication by a monomial from the left or from the right."""
        if (monomial, left) not in self._known:
            total = sp.identity(self.size, dtype=complex, format="csr")
            atoms: dict[int, list[np.ndarray]] = {}
            for key, word in monomial:
                if not isinstance(key, int) or word[0] in ("f", "product"):
                    message = "a function of operators of an ensemble has no symmetric form here"
                    raise SolveError(Diagnostic("E610", message))
                mode = self.problem.space.modes[key]
                if mode.ensemble is not None:
                    matrix = np.zeros((2, 2))
                    matrix[word[1], word[2]] = 1.0
                    atoms.setdefault(self.place[mode.ensemble], []).append(matrix)
                else:
                    total = (
                        self._on(self.place[key], self._word(key, word, left)) @ total
                    )
            for place, matrices in atoms.items():
                n = self.problem.parts[place].dimension
                if len(matrices) > n:
                    raise SolveError(Diagnostic("E610", f"there are only {n} atoms"))
                count = prod(n - k for k in range(len(matrices)))
                total = self._on(place, _distinct(matrices, n, left) / count) @ total
            self._known[monomial, left] = sp.csr_array(total)
        return self._known[monomial, left]

    def _word(self, key: int, word: Any, left: bool) -> sp.csr_array:
        """A word of one part, on the elements of that part."""
        part = self.problem.parts[self.place[key]]
        if part.kind == "ensemble":
            _, p, k, q = word
            letters = ["plus"] * p + ["z"] * k + ["minus"] * q
            total = sp.identity(
                comb(part.dimension + 3, 3), dtype=complex, format="csr"
            )
            # O rho applies the last letter first, rho O the first one
            for letter in reversed(letters) if left else letters:
                total = _single(_LETTERS[letter], part.dimension, left) @ total
            return sp.csr_array(total)
        own = Space((self.problem.space.modes[key],))
        matrix = monomial_matrix(own, ((0, word),), [part.dimension])
        one = sp.identity(part.dimension, format="csr")
        found = sp.kron(matrix, one) if left else sp.kron(one, matrix.T)
        return sp.csr_array(found)

    def _on(self, place: int, matrix: sp.csr_array) -> sp.csr_array:
        """A matrix on one part as one on all."""
        before, after = prod(self.sizes[:place]), prod(self.sizes[place + 1 :])
        left, right = (sp.identity(n, format="csr") for n in (before, after))
        return sp.csr_array(sp.kron(sp.kron(left, matrix), right))


@lru_cache(maxsize=4)
def _occupations(n: int) -> np.ndarray:
    """How often |0><0|, |0><1|, |1><0|, |1><1| occur, all possibilities, shape (S, 4)."""
    a, b, c = np.indices((n + 1,) * 3, dtype=np.int32).reshape(3, -1)
    left = n - a - b - c
    return np.stack([a, b, c, left], axis=1)[left >= 0]


def _place(states: np.ndarray, n: int) -> np.ndarray:
    """The places of some of them: how many come before."""
    a, b, c, _ = states.T.astype(np.int64)
    # those with a smaller first number: a sum over (m + 1)(m + 2)/2 for m from n down to n - a + 1
    rest = n - a
    before = ((n + 1) * (n + 2) * (n + 3) - (rest + 1) * (rest + 2) * (rest + 3)) // 6
    return np.asarray(before + b * (rest + 1) - b * (b - 1) // 2 + c)


def _summed(single: np.ndarray, n: int) -> sp.csr_array:
    """sum_j S_j for a superoperator of one atom, shape (4, 4)."""
    states = _occupations(n)
    rows, columns, values = [], [], []
    for a, b in zip(*np.nonzero(single), strict=True):
        column = np.flatnonzero(states[:, b] > 0)
        moved = states[column].copy()
        moved[:, b] -= 1
        moved[:, a] += 1
        rows.append(_place(moved, n))
        columns.append(column)
        # as many atoms as there are before the move, and after it
        count = states[column, b] * moved[:, a].astype(float)
        values.append(single[a, b] * np.sqrt(count))
    shape = (len(states),) * 2
    if not rows:
        return sp.csr_array(shape, dtype=complex)
    entries = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_array((np.concatenate(values), entries), shape=shape, dtype=complex)


def _single(matrix: np.ndarray, n: int, left: bool) -> sp.csr_array:
    """Multiplication by sum_j O_j from one side."""
    one = np.eye(2)
    return _summed(np.kron(matrix, one) if left else np.kron(one, matrix.T), n)


def _distinct(matrices: list[np.ndarray], n: int, left: bool) -> sp.csr_array:
    """Multiplication by the sum over different atoms of a product of operators."""
    first, rest = matrices[0], matrices[1:]
    if not rest:
        return _single(first, n, left)
    total = _single(first, n, left) @ _distinct(rest, n, left)
    for k, other in enumerate(rest):
        joined = [*rest[:k], first @ other if left else other @ first, *rest[k + 1 :]]
        total = total - _distinct(joined, n, left)
    return sp.csr_array(total)


def _atom(u: Monomial, v: Monomial, n: int) -> sp.csr_array:
    """sum_j of u rho v' - {v' u, rho}/2 on single atoms."""
    return _summed(dicke.channel(u, v), n)
