r"""What a line would cost: unknowns, non-zeros, memory and time, before anything is allocated.

Sizes are counted, not built: the elements of a density matrix with a given charge by convolving the
charges of the modes. Times are those of one core of a recent machine, good to a factor of a few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from qsyncdsl.algebra.symmetry import Symmetry, operator_shifts, weak_symmetry
from qsyncdsl.algebra.system import System
from qsyncdsl.run.methods.moment_sizes import moments_followed, touched

# Labels of charges that are told apart, times levels; more are taken as none.
_LABELS = 1_000_000
# Modes up to which charges are looked for.
_MODES = 64
# A number of basis states that no machine holds, small enough for its cube.
_HOPELESS = 10**60
# Seconds of a sparse LU of a thousand real unknowns, and its growth: two coupled oscillators; one mode, whose
# elements are coupled like a plane.
_LU_SECONDS, _LU_POWER = 6.5e-3, 2.35
_PLANE_SECONDS, _PLANE_POWER = 1.3e-3, 2.0
# Seconds to prepare any stationary state, and for each unknown.
_READY, _ASSEMBLED = 1.2e-2, 1e-5
# Iterations without jumps, seconds of a complex element of a product of blocks, and of each block.
_ITERATIONS, _PRODUCT, _BLOCK = 100, 1e-9, 1.2e-4
# Entries of LU factors, seen: 6 n^1.6, with their indices 16 bytes each.
_FILL, _FILL_POWER, _ENTRY = 6.0, 1.6, 16.0
# Seconds of a multiplication and addition in dense and in sparse arithmetic.
_DENSE, _SPARSE = 3e-10, 2e-9
# The same in a kernel that streams through a state vector.
_STREAMED = 4.4e-10
# Seconds of one update of one complex field with its noise, and of one step besides; a step that is not given
# is compared with one of twice the length.
_UPDATE, _SAMPLE, _COMPARED = 2e-8, 5e-8, 1.5
# Coherences of each level that a curve of ordered states is followed with, and that its states have; how often
# the cells are solved for one point of a sweep along such curves, with these. Seconds for each site.
_BANDS, _TRACED, _CORRECTED, _CELLS = (31, 119), 60, 10, 2e-4
# The same where the cells are solved side by side; seconds of each, and for its unknowns squared.
_TRACED_TOGETHER, _TOGETHER, _TOGETHER_SQUARED = 100, 4e-5, 1e-9
# Unknowns of a cell up to which that is worth it for a single one.
_FEW = 260
# Modes of a closure up to which charges are looked for. Bytes of a process that derives one, and of each of its
# real unknowns; seconds to begin to derive one, to derive each, and to find where it stands. Rows of a Jacobian
# that is dense, and the part of one that is not zero; dense operations of a relaxation, in units of n^3.
MOMENT_MODES = 250
_PROGRAM, _MOMENT = 2.3e8, 1.2e4
_BEGUN, _DERIVED, _RELAXED = 1.0, 4e-4, 6e-5
_THIN, _CUBES = (400, 0.05), 60
# Seconds before a density matrix moves.
_STARTED = 0.1
# A step where none is given, in units of the model's own time.
_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one point of a line would cost.

    Attributes:
        solver: The one that would be chosen.
        unknowns: Real unknowns of the equations.
        nonzeros: Entries of the matrix, or terms of the right side.
        memory: Bytes.
        seconds: Of one core.
        once: Seconds before the first point.
    """

    solver: str
    unknowns: float
    nonzeros: float
    memory: float
    seconds: float
    once: float = 0.0


@dataclass(frozen=True)
class Sizes:
    """A system as far as costs depend on it.

    Attributes:
        dims: Basis states of each mode.
        cell: Basis states of one site of a lattice.
        symmetry: Charges that do not mix.
        terms: Operators in H and in the jumps.
        rate: Largest rate, for the steps of an integration.
        fields: Complex fields, of a whole lattice.
        options: Of the solve line.
        times: Times that are kept.
        mixed: Whether the initial state has no elements between different charges.
        own: Operators of one cell, and their part of the rate: those of the mode with the largest.
        kinds: Cells that differ.
        followed: Moments of a closure, as real unknowns, and terms that act on one mode.
    """

    dims: tuple[int, ...]
    cell: int
    symmetry: Symmetry
    terms: int
    rate: float
    fields: int
    options: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1
    mixed: bool = False
    own: tuple[int, float] = (0, 0.0)
    kinds: int = 1
    followed: tuple[int, float] = (0, 0.0)

    @property
    def dimension(self) -> int:
        """Dimension of the Hilbert space; one that is out of all reach is cut."""
        return min(prod(self.dims), _HOPELESS)

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of basis states with equal charges."""
        return blocks(self.dims, self.symmetry)

    @property
    def elements(self) -> float:
        """Elements of the density matrix in the invariant sector."""
        return float(sum(float(min(b, _HOPELESS)) ** 2 for b in self.blocks))

    @property
    def duration(self) -> float:
        """Last time of a run."""
        times = self.options.get("times")
        last = float(np.max(times)) if times is not None else 0.0
        return max(last, float(self.options.get("time", 0.0)))


def sizes(
    system: System,
    cell: int,
    fields: int,
    options: Mapping[str, Any],
    times: int,
    mixed: bool = False,
    kinds: int = 1,
    order: int = 0,
) -> Sizes:
    """Count what a system in plain numbers needs.

    Args:
        order: Of a closure of moments; 0 for other methods.
    """
    kept = [k for k, mode in enumerate(system.space.modes) if mode.ensemble is None]
    dims = tuple(int(system.space.modes[k].dimension) for k in kept)
    shifts = operator_shifts(system, kept) if len(kept) <= _MODES else None
    symmetry = Symmetry((), ()) if shifts is None else weak_symmetry(shifts, len(kept))
    operators = [t.operator for t in system.hamiltonian]
    operators += [j.operator for j in system.jumps]
    rates = [
        (monomial, abs(complex(c)) * _largest(system, monomial, dims, kept))
        for t in system.hamiltonian
        for monomial, c in t.operator.terms.items()
    ]
    rates += [
        (
            monomial,
            abs(complex(j.rate) * complex(c) ** 2)
            * _largest(system, monomial, dims, kept) ** 2,
        )
        for j in system.jumps
        for monomial, c in j.operator.terms.items()
    ]
    rate = sum(part for _, part in rates)
    return Sizes(
        dims, cell, symmetry, sum(len(o.terms) for o in operators),
        float(rate), fields, options, times, mixed, _of_one(rates), kinds,
        _followed(system, kept, order) if order else (0, 0.0),
    )  # fmt: skip


def _followed(system: System, kept: list[int], order: int) -> tuple[int, float]:
    """The real unknowns of a closure, and the terms that act on one mode."""
    shifts = operator_shifts(system, kept) if len(kept) <= MOMENT_MODES else None
    symmetry = Symmetry((), ()) if shifts is None else weak_symmetry(shifts, len(kept))
    return moments_followed(system, symmetry, order), touched(system)


def _of_one(rates: list[tuple[Any, float]]) -> tuple[int, float]:
    """How many monomials contain one mode, and the sum of their rates: of the mode where it is largest."""
    found: dict[Any, tuple[int, float]] = {}
    for monomial, part in rates:
        for key, _ in monomial:
            count, total = found.get(key, (0, 0.0))
            found[key] = count + 1, total + part
    return max(found.values(), key=lambda own: own[1], default=(1, 0.0))


def _largest(
    system: System, monomial: Any, dims: tuple[int, ...], kept: list[int]
) -> float:
    """A bound on a monomial's norm."""
    size = dict(zip(kept, dims, strict=True))
    bound = 1.0
    for key, word in monomial:
        if isinstance(key, int) and word and word[0] == "a":
            bound *= float(size.get(key, 2)) ** ((word[1] + word[2]) / 2)
    return bound


def blocks(dims: tuple[int, ...], symmetry: Symmetry) -> tuple[int, ...]:
    """How many basis states have each set of charges.

    >>> blocks((2, 2), Symmetry(((1, 1),), (0,)))
    (1, 2, 1)
    """
    if not symmetry.charges:
        return (prod(dims),)
    counts: dict[tuple[int, ...], int] = {(0,) * len(symmetry.moduli): 1}
    for position, dim in enumerate(dims):
        step = tuple(charge[position] for charge in symmetry.charges)
        if len(counts) * dim > _LABELS:
            return (prod(dims),)
        following: dict[tuple[int, ...], int] = {}
        for label, count in counts.items():
            for n in range(dim):
                key = tuple(
                    (q + n * s) % m if m else q + n * s
                    for q, s, m in zip(label, step, symmetry.moduli, strict=True)
                )
                following[key] = following.get(key, 0) + count
        counts = following
    return tuple(counts.values())


# ── one function for each kind of solver ─────────────────────────────────────────────────────


def stationary(s: Sizes) -> Outlook:
    """A stationary density matrix: sparse LU of its sector, or iteration without jumps."""
    n = s.elements
    nonzeros = n * (2.0 * s.terms + 1)
    lu = _ENTRY * _FILL * n**_FILL_POWER + 3 * _ENTRY * nonzeros
    flat = len(s.dims) == 1
    seconds, power = (
        (_PLANE_SECONDS, _PLANE_POWER) if flat else (_LU_SECONDS, _LU_POWER)
    )
    ready = _READY + _ASSEMBLED * n
    direct = Outlook(
        "sparse LU", n, nonzeros, lu, seconds * (n / 1000) ** power + ready
    )
    cubes = float(sum(float(min(b, _HOPELESS)) ** 3 for b in s.blocks))
    iterative = Outlook(
        "GMRES, evolution without jumps", n, nonzeros,
        16 * (14 * n + 4.0 * s.dimension * s.terms) + 4.0 * s.dimension**2,
        _READY + _ITERATIONS * (_PRODUCT * cubes + _BLOCK * len(s.blocks) + _SPARSE * nonzeros),
    )  # fmt: skip
    wanted = s.options.get("solver", "automatic")
    if wanted in ("direct", "pardiso") or (
        wanted == "automatic" and direct.seconds <= 1.0
    ):
        return direct
    if wanted == "iterative":
        return iterative
    return min(direct, iterative, key=lambda o: o.seconds)


def moving(s: Sizes) -> Outlook:
    """A density matrix in time: the elements that the initial state reaches, and the states that are kept."""
    whole = float(s.dimension) ** 2
    n = s.elements if s.mixed else whole
    nonzeros = n * (2.0 * s.terms + 1)
    steps = max(20.0, s.rate * s.duration / 3)
    return Outlook(
        "integration of the density matrix", n, nonzeros,
        _ENTRY * (3 * nonzeros + n * 12 + whole * s.times), _STARTED + 12 * steps * _SPARSE * nonzeros,
    )  # fmt: skip


def spectrum(s: Sizes) -> Outlook:
    """Levels of H: a dense diagonalization, or a few levels by Lanczos."""
    d = float(s.dimension)
    if d <= 2500:
        return Outlook(
            "dense diagonalization", d, d * d, 48 * d * d, 10 * _DENSE * d**3 + 1e-3
        )
    nonzeros = d * s.terms
    return Outlook(
        "Lanczos", d, nonzeros, 16 * (3 * nonzeros + 40 * d), 300 * _SPARSE * nonzeros
    )


def jumps(s: Sizes) -> Outlook:
    """State vectors along trajectories."""
    d, runs = float(s.dimension), float(s.options.get("realizations", 1))
    nonzeros = d * s.terms
    steps = max(20.0, s.rate * s.duration / 6)
    return Outlook(
        "quantum jumps", 2 * d, nonzeros, 16 * (3 * nonzeros + 40 * d),
        runs * 4 * steps * _STREAMED * nonzeros,
    )  # fmt: skip


def integrated(s: Sizes) -> Outlook:
    """Fields without noise; without a time the fixed point that they run to."""
    still = not s.options.get("time") and "times" not in s.options
    return replace(sampled(s), solver="fixed point" if still else "integration")


def sampled(s: Sizes) -> Outlook:
    """Samples of complex fields along trajectories."""
    runs = float(s.options.get("realizations", 1))
    step = float(s.options.get("dt", 0.0)) or _STEP
    steps = runs * max(1.0, s.duration / step)
    kept = min(s.fields * steps, s.fields * runs * max(s.times, 1))
    seconds = steps * (s.fields * _UPDATE + _SAMPLE)
    return Outlook(
        "stochastic integration", 2.0 * s.fields, float(s.fields * s.terms),
        16 * kept + 64 * s.fields * runs,
        seconds if s.options.get("dt") else _COMPARED * seconds,
    )  # fmt: skip


def covariances(s: Sizes) -> Outlook:
    """Mean fields with their covariances."""
    f = 2.0 * s.fields
    steps = max(100.0, 20 * s.duration)
    return Outlook(
        "classical trajectory and covariance", f + f * f, f * f,
        8 * f * f * (s.times + 20), 12 * steps * _DENSE * 4 * f**3,
    )  # fmt: skip


def product(s: Sizes) -> Outlook:
    """A density matrix for each cell that differs."""
    n, kinds = float(s.cell) ** 2, float(s.kinds)
    if s.duration:
        terms, rate = s.own
        steps = max(50.0, rate * s.duration / 4)
        return Outlook(
            "product state in time", kinds * n, kinds * n * (2.0 * terms + 1),
            8 * kinds * n * (s.times + 30),
            12 * steps * _SPARSE * kinds * n * terms,
        )  # fmt: skip
    seconds = _CELLS * s.fields + 1.5 * kinds * _cell(n)
    if s.options.get("state") != "incoherent":
        narrow, wide = (min(n, float(s.cell * width)) for width in _BANDS)
        if kinds > 1 or wide <= _FEW:
            few, many = (_TOGETHER + _TOGETHER_SQUARED * x**2 for x in (narrow, wide))
            seconds += kinds * (_TRACED_TOGETHER * few + _CORRECTED * many)
        else:
            seconds += kinds * (_TRACED * _cell(narrow) + _CORRECTED * _cell(wide))
    return Outlook(
        "self-consistent product state", kinds * n, kinds * n * (2.0 * s.terms + 1),
        _ENTRY * _FILL * n**1.3 + 8 * kinds * n, seconds,
    )  # fmt: skip


def _cell(unknowns: float) -> float:
    """Seconds of the linear equations of one cell: dense where they are few."""
    dense = _DENSE * unknowns**3 / 3
    return min(dense, _PLANE_SECONDS * (unknowns / 1000) ** _PLANE_POWER + 2e-3)


def moments(s: Sizes) -> Outlook:
    """Closed equations of moments up to the order."""
    order = int(s.options.get("order", 2))
    count, terms = s.followed
    n = float(count)
    nonzeros = n * (1 + order * terms / 2)
    memory = _PROGRAM + _MOMENT * n + 8 * n * s.times
    large, thin = _THIN
    if s.duration:
        seconds = 12 * max(100.0, 20 * s.duration) * _SPARSE * nonzeros
    elif n > large and nonzeros < thin * n * n:
        seconds = _RELAXED * n
    else:
        # all rows, with those that are zero for all times
        memory += 160 * n * n
        seconds = _RELAXED * n + _CUBES * _DENSE * n**3
    return Outlook(
        "equations of moments", n, nonzeros, memory, seconds, _BEGUN + _DERIVED * n
    )


def density(s: Sizes) -> Outlook:
    """A stationary density over the phase space of one mode."""
    cells = float(s.options.get("points", 0) or 100) ** 2
    return Outlook(
        "phase-space density", cells, 9 * cells, _ENTRY * _FILL * cells**1.3,
        _LU_SECONDS * (cells / 1000) ** 1.5,
    )  # fmt: skip


# The costs of each method of the language; a method without an entry says that it has none.
OUTLOOKS = MappingProxyType(
    {
        "steadystate": stationary,
        "evolve": moving,
        "eigen": spectrum,
        "trajectories": jumps,
        "floquet": moving,
        "meanfield": product,
        "langevin": sampled,
        "classical": integrated,
        "fokkerplanck": density,
        "gaussian": covariances,
        "cumulants": moments,
    }
)
