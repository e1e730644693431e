r"""Rate equations of one ensemble of two-level atoms on the states $|j, m\rangle$, channels of single atoms included.

Where phases of the atoms together change nothing, the stationary state of N atoms is a mixture of states of
total spin j and projection m, each with all its $d_j$ copies alike: $(N/2 + 1)^2$ probabilities in place of sums of
very different numbers. A shared jump takes $m \to m + q$ at the rate $|\langle j, m + q|L|j, m\rangle|^2$. With

$$ a_j = \frac{N + 2}{4j(j+1)}, \quad b_j = \frac{j + 1 + N/2}{2j(2j+1)}, \quad c_j = \frac{N/2 - j}{2(j+1)(2j+1)}, $$

a decay of each atom, $\sigma^-$, takes $(j, m) \to (j, m-1), (j-1, m-1), (j+1, m-1)$ at $a_j(j+m)(j-m+1)$,
$b_j(j+m-1)(j+m)$ and $c_j(j-m+1)(j-m+2)$; a pump of each the same with $m \to -m$; $\sigma^z/2$ of each takes
$(j, m) \to (j-1, m), (j+1, m)$ at $b_j(j-m)(j+m)$ and $c_j(j-m+1)(j+m+1)$.

References:
    B. A. Chase, J. M. Geremia, Phys. Rev. A 78, 052101 (2008); N. Shammah et al., Phys. Rev. A 98, 063815 (2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from qsyncdsl.algebra.operators import Monomial, Polynomial
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import PermutationProblem
from qsyncdsl.result import PermutationResult, Trust
from qsyncdsl.solve.factors import superlu

# Atoms from which on probabilities are used, and unknowns up to which an answer is tried.
FEW = 99
_MOST = 400_000
# Rates below this share of the largest one are rounding.
_NONE = 1e-14
_ROUNDING = 1e-7


def applies(problem: PermutationProblem) -> bool:
    """Whether it is one large ensemble, whose phase is free."""
    if len(problem.parts) != 1 or problem.parts[0].kind != "ensemble":
        return False
    free = [
        c[0]
        for c, modulus in zip(
            problem.symmetry.charges, problem.symmetry.moduli, strict=True
        )
        if modulus == 0
    ]
    return problem.parts[0].dimension >= FEW and any(free)


class Ladder:
    """The states of N atoms, and collective operators on them."""

    def __init__(self, problem: PermutationProblem) -> None:
        self.problem, self.atoms = problem, problem.parts[0].dimension
        n = self.atoms
        # twice j and twice m, so that places are whole numbers
        spins = np.arange(n % 2, n + 1, 2)
        if int((spins + 1).sum()) > _MOST:
            message = f"{int((spins + 1).sum())} states |j, m> are too many"
            raise SolveError(
                Diagnostic("E501", message, help="fewer atoms, or 'cumulants'")
            )
        self._first = np.concatenate([[0], np.cumsum(spins + 1)])
        twice = np.repeat(spins, spins + 1)
        self.j = twice / 2
        self.m = np.arange(len(twice)) - np.repeat(self._first[:-1], spins + 1) - self.j
        self.size = len(twice)

    def place(self, j: np.ndarray, m: np.ndarray) -> np.ndarray:
        """Places of states (j, m)."""
        whole = np.rint(2 * j).astype(int)
        first = self._first[(whole - self.atoms % 2) // 2]
        return np.asarray(first + np.rint(j + m).astype(int))

    def matrix_elements(self, monomial: Monomial) -> tuple[np.ndarray, int]:
        r"""$\langle j, m + q|O|j, m\rangle$ of all states, and q; operators of different atoms summed over all.

        Raises:
            SolveError: E610 for functions of operators.
        """
        value, shift = np.ones(self.size, dtype=complex), 0
        atoms: list[tuple[int, int]] = []
        for key, word in reversed(monomial):
            if not isinstance(key, int) or word[0] in ("f", "product"):
                message = (
                    "a function of operators of an ensemble has no symmetric form here"
                )
                raise SolveError(Diagnostic("E610", message))
            if self.problem.space.modes[key].ensemble is not None:
                atoms.append((word[1], word[2]))
                continue
            _, p, k, q = word
            for letter in reversed(["plus"] * p + ["z"] * k + ["minus"] * q):
                value, shift = self._letter(letter, value, shift)
        if len(atoms) > self.atoms:
            raise SolveError(Diagnostic("E610", f"there are only {self.atoms} atoms"))
        count = np.prod([float(self.atoms - k) for k in range(len(atoms))])
        value, shift = self._different(atoms, value, shift)
        return value / count, shift

    def _letter(
        self, letter: str, value: np.ndarray, shift: int
    ) -> tuple[np.ndarray, int]:
        m = self.m + shift
        if letter == "z":
            return value * m, shift
        if letter == "one":
            return value * self.atoms / 2, shift
        sign = 1 if letter == "plus" else -1
        square = (self.j - sign * m) * (self.j + sign * m + 1)
        return value * np.sqrt(np.maximum(square, 0.0)), shift + sign

    def _different(
        self, atoms: list[tuple[int, int]], value: np.ndarray, shift: int
    ) -> tuple[np.ndarray, int]:
        r"""$\sum_{i\ne k\ne\dots}|a_1\rangle\langle b_1|_i|a_2\rangle\langle b_2|_k\dots$ after what was applied."""
        if not atoms:
            return value, shift
        (a, b), rest = atoms[0], atoms[1:]
        inner, moved = self._different(rest, value, shift)
        if a == b:
            half, _ = self._letter("one", inner, moved)
            number, _ = self._letter("z", inner, moved)
            total, end = half + (number if a else -number), moved
        else:
            total, end = self._letter("plus" if a else "minus", inner, moved)
        for k, (c, d) in enumerate(rest):
            if b == c:
                joined = [*rest[:k], (a, d), *rest[k + 1 :]]
                total = total - self._different(joined, value, shift)[0]
        return total, end


class Probabilities:
    """A stationary mixture of states of total spin."""

    def __init__(self, ladder: Ladder, p: np.ndarray) -> None:
        self.ladder, self.p = ladder, p

    def expect(self, operator: Polynomial) -> complex:
        r"""$\sum_{jm}p_{jm}\langle j, m|O|j, m\rangle$."""
        total = 0j
        for monomial, value in operator.terms.items():
            found, shift = self.ladder.matrix_elements(monomial)
            if shift == 0:
                total += complex(value) * complex(found @ self.p)
        return total

    def lines(self, A: Polynomial, B: Polynomial) -> tuple[np.ndarray, np.ndarray]:
        """There are too many poles.

        Raises:
            SolveError: E614.
        """
        message = "the sector is too large for all its poles"
        help_ = "'cumulants' finds the lines of many atoms"
        raise SolveError(Diagnostic("E614", message, help=help_))


def stationary(ladder: Ladder, f: np.ndarray) -> PermutationResult:
    """The stationary state for some coefficients of the terms.

    Raises:
        SolveError: E504 where it is not unique, E501 where it is lost in rounding.
    """
    rates = _rates(ladder, f)
    n = ladder.size
    out = np.asarray(rates.sum(axis=0)).reshape(-1)
    generator = sp.csr_array(rates - sp.diags_array(out))
    _refuse_several(rates)
    # A probability that none else runs into is kept out of the way of the sum that they have.
    pin = int(np.argmin(out))
    keep = np.ones(n)
    keep[pin] = 0.0
    scale = float(out.max())
    row = sp.csr_array(
        (np.full(n, scale), (np.full(n, pin), np.arange(n))), shape=(n, n)
    )
    whole = sp.csc_array((sp.diags_array(keep) @ generator + row).astype(complex))
    factors = superlu(whole)
    right = np.zeros(n, dtype=complex)
    right[pin] = scale
    if factors is None:
        raise SolveError(_lost())
    p = factors.solve(right)
    p = p + factors.solve(right - whole @ p)
    rounding = float(np.abs(factors.solve(right - whole @ p)).sum())
    residual = float(np.abs(generator @ p).max() / scale)
    below = max(0.0, -float(p.real.min()))
    if not max(residual, rounding, below) < _ROUNDING:
        raise SolveError(_lost())
    numbers = {"residual": residual, "rounding": rounding, "negative": below}
    trust = Trust(numbers, {"solver": f"rate equations of {n} states of total spin"})
    return PermutationResult(ladder.problem, Probabilities(ladder, p.real), trust)


def _lost() -> Diagnostic:
    message = "the stationary state of so many atoms is lost in rounding"
    return Diagnostic("E501", message, help="fewer atoms, or 'cumulants'")


def _refuse_several(rates: sp.csr_array) -> None:
    """E504 unless all states run into the same ones."""
    count, group = connected_components(rates, directed=True, connection="strong")
    to, start = rates.nonzero()
    left = np.unique(group[start[group[start] != group[to]]])
    if count - len(left) != 1:
        raise SolveError(Diagnostic("E504", "the stationary state is not unique"))


def _rates(ladder: Ladder, f: np.ndarray) -> sp.csr_array:
    """Rates from state to state, column to row."""
    single = np.zeros((4, 4), dtype=complex)
    shared: dict[int, Any] = {}
    for value, term in zip(f, ladder.problem.terms, strict=True):
        if term.kind == "atom":
            single += complex(value) * channel(*term.words)
        elif term.kind == "jump":
            (u, q), (v, other) = map(ladder.matrix_elements, term.words)
            if q == other and q:
                shared[q] = shared.get(q, 0.0) + complex(value) * u * v.conj()
    moves = [(0, q, rate.real) for q, rate in shared.items()]
    up, down = float(single[3, 0].real), float(single[0, 3].real)
    dephased = max(0.0, -2 * float(single[1, 1].real) - up - down)
    moves += _of_single_atoms(ladder, up, down, dephased)
    scale = max((float(np.abs(rate).max()) for *_, rate in moves), default=0.0)
    total = sp.csr_array((ladder.size, ladder.size))
    for step, q, rate in moves:
        start = np.flatnonzero(rate > _NONE * scale)
        to = ladder.place(ladder.j[start] + step, ladder.m[start] + q)
        total = total + sp.csr_array((rate[start], (to, start)), shape=total.shape)
    return total


def channel(u: Monomial, v: Monomial) -> np.ndarray:
    """u rho v' - {v' u, rho}/2 of one atom, on |0><0|, |0><1|, |1><0|, |1><1|."""
    one, (a, b) = np.eye(2), map(_of_atom, (u, v))
    loss = b.T @ a
    return np.kron(a, b) - 0.5 * (np.kron(loss, one) + np.kron(one, loss.T))


def _of_atom(monomial: Monomial) -> np.ndarray:
    """The matrix of an operator of one atom."""
    if not monomial:
        return np.eye(2)
    ((_, (_, to, start)),) = monomial
    found = np.zeros((2, 2))
    found[to, start] = 1.0
    return found


def _of_single_atoms(
    ladder: Ladder, up: float, down: float, dephased: float
) -> list[tuple[int, int, np.ndarray]]:
    """Steps of j and m, with their rates."""
    j, m, half = ladder.j, ladder.m, ladder.atoms / 2
    spin = np.maximum(j, 0.5)
    a = np.where(j > 0, (half + 1) / (2 * spin * (spin + 1)), 0.0)
    b = np.where(j > 0, (spin + 1 + half) / (2 * spin * (2 * spin + 1)), 0.0)
    c = (half - j) / (2 * (j + 1) * (2 * j + 1))
    moves = []
    for q, rate in ((-1, down), (1, up)):
        n = -q * m
        moves += [
            (0, q, rate * a * (j + n) * (j - n + 1)),
            (-1, q, rate * b * (j + n - 1) * (j + n)),
            (1, q, rate * c * (j - n + 1) * (j - n + 2)),
        ]
    moves += [
        (-1, 0, dephased * b * (j - m) * (j + m)),
        (1, 0, dephased * c * (j - m + 1) * (j + m + 1)),
    ]
    return moves
