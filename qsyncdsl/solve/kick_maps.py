r"""Kicks: unitaries $e^{-iG/\hbar}$, and when they act.

Their matrix elements are exact and cut to the basis that is kept wherever a larger space, cut afterwards,
settles; of bosons that a kick couples the exponential is that of the cut generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm, prod
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import expm_multiply

from qsyncdsl.algebra.hermiticity import anti_hermitian
from qsyncdsl.algebra.matrices import monomial_matrix, polynomial_matrix
from qsyncdsl.algebra.operators import ONE, Monomial, Polynomial, Space
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.algebra.windows import space_at
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import Kick, LindbladProblem
from qsyncdsl.solve.kick_times import falls, instants

# Kicks at times that agree to this part of the period fall together.
_SAME = 1e-12
# Kicks of one sort in the common period of all, at most.
_LONGEST = 64
# Joint levels of coupled modes up to which the matrix of a kick is made.
_DENSE = 1600


def periods(problem: LindbladProblem, f: np.ndarray) -> list[float]:
    """The period of each kick.

    Raises:
        SolveError: E540 for a period that is not positive.
    """
    found = []
    for kick in problem.kicks:
        value = complex(f[kick.period])
        if kick.period in problem.coefficients.time_dependent:
            raise SolveError(Diagnostic("E540", "the period of a kick depends on time"))
        if abs(value.imag) > 0 or not np.isfinite(value.real) or value.real <= 0:
            raise SolveError(
                Diagnostic(
                    "E540", f"kicks every {_number(value)}: a period is positive"
                )
            )
        found.append(value.real)
    return found


def moves(problem: LindbladProblem) -> bool:
    """Whether the strength of a kick depends on time."""
    moving = problem.coefficients.time_dependent
    return any(k in moving for kick in problem.kicks for k, _ in kick.generator)


def common_period(each: Sequence[float]) -> float:
    """The least common multiple of periods with simple ratios; 0 where there is none."""
    ratios = [Fraction(p / each[0]).limit_denominator(_LONGEST) for p in each]
    if any(
        not ratio or abs(float(ratio) - p / each[0]) > _SAME * p / each[0]
        for ratio, p in zip(ratios, each, strict=True)
    ):
        return 0.0
    top = lcm(*(ratio.numerator for ratio in ratios))
    return each[0] * top / gcd(*(ratio.denominator for ratio in ratios))


def period(problem: LindbladProblem, f: np.ndarray) -> float:
    """The common period of all kicks.

    Raises:
        SolveError: E540 for a period that is not positive, or where none is common.
    """
    each = periods(problem, f)
    found = common_period(each)
    if not found or found > _LONGEST * min(each) * (1 + _SAME):
        shown = " and every ".join(dict.fromkeys(f"{p:.6g}" for p in each))
        raise SolveError(
            Diagnostic(
                "E540",
                f"kicks every {shown} have no common period, and no period map",
                help="solve by 'evolve' or 'trajectories', or choose periods in simple ratios",
            )
        )
    return found


def schedule(each: Sequence[float], end: float) -> list[tuple[float, tuple[int, ...]]]:
    """The instants before `end` at which kicks act, from 0, and which kicks act there."""
    return [
        (t, tuple(k for k, p in enumerate(each) if falls(t, p)))
        for t in instants(each, end)
    ]


def _number(value: complex) -> str:
    return f"{value.real:.6g}" if value.imag == 0 else f"{value:.6g}"


@dataclass(frozen=True)
class Turn:
    r"""$e^{-iG/\hbar}$ as a matrix, or as its generator $-iG/\hbar$ where that would be too large."""

    matrix: sp.csr_array
    generates: bool = False

    def of(self, columns: np.ndarray) -> np.ndarray:
        """Applied to vectors, shape (D,) or (D, n)."""
        if self.generates:
            return np.asarray(expm_multiply(self.matrix, columns))
        return np.asarray(self.matrix @ columns)


def unitary(
    problem: LindbladProblem, f: np.ndarray, place: Place, which: Iterable[int] = ()
) -> np.ndarray:
    """The kicks of one time, in the order written, shape (D, D); all of them if it is not said which.

    It is unitary but for what leaves the basis, which shows in the trace of the state.

    Raises:
        SolveError: E541 for a generator that is not Hermitian, E542 for one without a matrix.
    """
    total = np.eye(problem.dimension, dtype=complex)
    chosen = [problem.kicks[k] for k in which] or problem.kicks
    for kick in chosen:
        for turn in turns(problem, kick, f, place):
            total = turn.of(total)
    return total


def turns(
    problem: LindbladProblem, kick: Kick, f: np.ndarray, place: Place
) -> list[Turn]:
    """One kick as unitaries of different modes, to be applied one after the other.

    Raises:
        SolveError: E541, E542.
    """
    space = Space(space_at(problem.space, place).modes, NUMERIC)
    dims = [part.dimension for part in problem.parts]
    generator = _generator(problem, kick, f, space)
    return [_exponential(each, dims) for each in _separate(generator)]


def _generator(
    problem: LindbladProblem, kick: Kick, f: np.ndarray, space: Space
) -> Polynomial:
    """G/hbar with numbers."""
    terms: dict[Monomial, complex] = {}
    for k, index in kick.generator:
        for monomial, number in problem.operators[index]:
            terms[monomial] = terms.get(monomial, 0j) + f[k] * number
    generator = Polynomial(space, terms)
    rest = anti_hermitian(generator, 1e-10)
    if rest:
        message = f"the generator of a kick is not Hermitian: G - G† contains {rest}"
        raise SolveError(Diagnostic("E541", message))
    return generator


def _separate(generator: Polynomial) -> Iterable[Polynomial]:
    """Summands on different modes, which commute; a number is only a phase."""
    groups: list[tuple[set[int], dict[Monomial, Any]]] = []
    for monomial, value in generator.terms.items():
        if monomial == ONE:
            continue
        modes = set(Polynomial(generator.space, {monomial: value}).modes())
        joined = [g for g in groups if g[0] & modes]
        groups = [g for g in groups if not g[0] & modes]
        members = reduce(lambda x, y: x | y, (g[0] for g in joined), modes)
        terms = {m: c for g in joined for m, c in g[1].items()} | {monomial: value}
        groups.append((members, terms))
    return [Polynomial(generator.space, terms) for _, terms in groups]


def _exponential(generator: Polynomial, dims: list[int]) -> Turn:
    """exp(-i G) on the whole space."""
    space = generator.space
    wave = periodic(generator, dims)
    if wave is not None:
        return Turn(wave)
    modes = generator.modes()
    bosons = sum(space.modes[k].kind.name == "boson" for k in modes)
    if bosons > 1:
        return _cut(generator, modes, dims)
    unit = space.function("exp", generator * (-1j))
    ((monomial, _),) = unit.terms.items()
    try:
        return Turn(monomial_matrix(space, monomial, dims))
    except ValueError as reason:
        raise SolveError(
            Diagnostic("E542", f"a kick has no matrix: {reason}")
        ) from None


def _cut(generator: Polynomial, modes: Iterable[int], dims: list[int]) -> Turn:
    """The exponential of a generator that is cut to the basis: unitary there."""
    try:
        matrix = sp.csr_array(-1j * polynomial_matrix(generator, dims))
    except ValueError as reason:
        raise SolveError(
            Diagnostic("E542", f"a kick has no matrix: {reason}")
        ) from None
    own = sorted(modes)
    size = prod(dims[k] for k in own)
    if size > _DENSE:
        return Turn(matrix, True)
    flat = np.arange(prod(dims)).reshape(dims)
    others = [k for k in range(len(dims)) if k not in own]
    place = flat.transpose(own + others).reshape(size, -1)
    block = scipy.linalg.expm(matrix[place[:, 0]][:, place[:, 0]].toarray())
    block = np.where(np.abs(block) < 1e-16, 0, block)
    rows, columns = np.nonzero(block)
    count = place.shape[1]
    data = np.repeat(block[rows, columns], count)
    coords = place[rows].ravel(), place[columns].ravel()
    return Turn(sp.csr_array((data, coords), shape=matrix.shape))


def periodic(generator: Polynomial, dims: list[int]) -> sp.csr_array | None:
    r"""$e^{-iV(x)}$ of one rotor: $\langle n|e^{-iV}|m\rangle$ is its Fourier coefficient n - m; else None.

    For $V = z\cos x$ these are $(-i)^{n-m}J_{n-m}(z)$.
    """
    (mode, *others) = generator.modes()
    words = [word for monomial in generator.terms for _, word in monomial]
    if others or any(word[0] != "e" or word[2] or word[3] for word in words):
        return None
    orders = {monomial: monomial[0][1][1] for monomial in generator.terms}
    size = dims[mode]
    strength = sum(abs(generator.terms[m]) * (1 + abs(k)) for m, k in orders.items())
    points = 1 << int(np.ceil(np.log2(4 * size + 8 * strength + 64)))
    x = 2 * np.pi * np.arange(points) / points
    potential = sum(
        complex(generator.terms[m]) * np.exp(1j * k * x) for m, k in orders.items()
    )
    harmonics = np.fft.fft(np.exp(-1j * np.real(potential))) / points
    n = np.arange(size)
    block = harmonics[(n[:, None] - n[None, :]) % points]
    block = np.where(np.abs(block) < 1e-16, 0, block)
    before = int(np.prod(dims[:mode]))
    after = int(np.prod(dims[mode + 1 :]))
    return sp.csr_array(
        sp.kron(sp.kron(sp.identity(before), block), sp.identity(after), format="csr")
    )
