r"""Stationary density matrices, $\mathcal{L}\rho = 0$, $\operatorname{Tr}\rho = 1$, in the invariant sector.

Two ways: sparse LU of the real form of the Liouvillian, or GMRES preconditioned by the evolution without
jumps where the fill of an LU would explode. Every answer is checked by its residual.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.algebra.symmetry import Symmetry
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import QuantumState, SteadyResult, Trust
from qsyncdsl.solve import coefficients, spectrum, superoperator
from qsyncdsl.solve.checks import refuse_unphysical, state_trust
from qsyncdsl.solve.nojump import no_jump_steadystate

# Real unknowns up to which the sparse LU is taken without asking for its fill.
_DIRECT_UNKNOWNS = 6000
_RESIDUAL = 1e-9
# A kernel of more than one dimension shows as a solution of this size for a unit right side.
_SINGULAR = 1e11


@dataclass(frozen=True)
class Generator:
    """The Liouvillian of one set of present terms: symmetry, sector, affine matrix."""

    problem: LindbladProblem
    sides: list[superoperator.Side]
    symmetry: Symmetry
    labels: np.ndarray
    sector: superoperator.Sector
    form: superoperator.RealForm
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def unknowns(self) -> int:
        """Number of real unknowns of the invariant sector."""
        return int(self.form.to_real.shape[0])

    @property
    def real(self) -> superoperator.AffineMatrix:
        """The real form, assembled on first use."""
        if "real" not in self._cache:
            self._cache["real"] = superoperator.real_generator(
                self.sides, self.sector, self.form
            )
        return self._cache["real"]  # type: ignore[no-any-return]

    def other_sector(
        self, charge: tuple[int, ...]
    ) -> tuple[superoperator.Sector, superoperator.AffineMatrix]:
        """The elements of another charge and the Liouvillian on them."""
        key = f"sector {charge}"
        if key not in self._cache:
            where = superoperator.sector(self.labels, self.symmetry, charge)
            self._cache[key] = (
                where,
                superoperator.complex_generator(self.sides, where),
            )
        return self._cache[key]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class At:
    """A generator at one point: the numbers f_k and g_k."""

    generator: Generator
    f: np.ndarray
    g: np.ndarray

    def apply(self, rho: np.ndarray) -> np.ndarray:
        """L rho for any density matrix, shape (D, D)."""
        total = np.zeros_like(rho)
        for side, strength in zip(self.generator.sides, self.g, strict=True):
            term = rho if side.left is None else side.left @ rho
            term = term if side.right is None else (side.right.T @ term.T).T
            total += strength * side.weight * term
        return total

    def spectrum(self, rho: np.ndarray, a: sp.csr_array, b: sp.csr_array) -> Any:
        """See `solve.spectrum.spectrum`."""
        return spectrum.spectrum(self, rho, a, b)

    def correlation(self, rho: np.ndarray, a: sp.csr_array, b: sp.csr_array) -> Any:
        """See `solve.spectrum.halves`: the fluctuating part of <A(t)B(0)>."""
        mean = complex(np.trace(b @ rho))
        return spectrum.halves(self, a, b @ rho - mean * rho)

    def decay_rates(self, count: int) -> np.ndarray:
        """See `solve.spectrum.decay_rates`."""
        return spectrum.decay_rates(self, count)


class SteadyStateSolver:
    """Solves one problem at any number of points; what does not change is kept."""

    def __init__(
        self, problem: LindbladProblem, solver: str = "automatic", backend: str = "own"
    ) -> None:
        self.problem = problem
        self.solver = solver
        self.backend = backend
        self._generators: dict[frozenset[int], Generator] = {}

    def at(self, point: Point) -> At:
        """The generator at a point.

        Raises:
            SolveError: E501 (memory), E502 (H not Hermitian), E503 (a rate).
        """
        f = coefficients.evaluate(self.problem.coefficients, point.values)
        refuse_unphysical(self.problem, f)
        on = superoperator.active(self.problem, f)
        if on not in self._generators:
            self._generators[on] = prepare(self.problem, on)
        generator = self._generators[on]
        return At(generator, f, superoperator.strengths(generator.sides, f))

    def solve(self, point: Point) -> SteadyResult:
        """The stationary state at a point.

        Raises:
            SolveError: Also E504 (not unique and no initial state), E505 (no convergence).
        """
        if self.problem.coefficients.time_dependent or self.problem.kicks:
            raise SolveError(
                Diagnostic(
                    "E506",
                    "a model that depends on time has no stationary state",
                    help="solve by 'evolve'",
                )
            )
        at = self.at(point)
        if self.backend == "qutip":
            from qsyncdsl.solve.qutip_door import steadystate

            return self._finish(
                at, steadystate(self.problem, at.f), {"solver": "qutip"}
            )
        if self._iterative(at):
            answer = no_jump_steadystate(at.generator, at.f)
            if answer is not None:
                rho, iterations = answer
                solver = f"no-jump preconditioned GMRES, {iterations} iterations"
                return self._finish(at, rho, {"solver": solver})
        return self._direct(at, point)

    def _iterative(self, at: At) -> bool:
        if self.solver != "automatic":
            return self.solver == "iterative"
        return at.generator.unknowns > _DIRECT_UNKNOWNS

    # ── sparse LU ────────────────────────────────────────────────────────────────────────────

    def _direct(self, at: At, point: Point) -> SteadyResult:
        generator = at.generator
        _refuse_fill(generator)
        matrix = generator.real.at(np.concatenate([at.g.real, -at.g.imag])).real
        x, singular = _null_vector(matrix, generator.form.populations)
        warnings: tuple[Diagnostic, ...] = ()
        if singular:
            x, warning = _degenerate(at, matrix, point)
            warnings = (warning,)
        vector = generator.form.to_complex @ x
        rho = generator.sector.to_matrix(vector)
        result = self._finish(
            at, rho, {"solver": f"sparse LU, {generator.unknowns} unknowns"}
        )
        trust = replace(result.trust, warnings=warnings + result.trust.warnings)
        return replace(result, trust=trust)

    def _finish(self, at: At, rho: np.ndarray, facts: dict[str, str]) -> SteadyResult:
        """Normalize, check and describe."""
        rho = rho / np.trace(rho)
        rho = (rho + rho.conj().T) / 2
        scale = max(np.abs(at.g).max(initial=0.0), 1e-300)
        residual = float(np.abs(at.apply(rho)).max() / scale)
        if not np.isfinite(residual) or residual > _RESIDUAL:
            raise SolveError(
                Diagnostic(
                    "E505",
                    f"no stationary state was found: the residual is {residual:.2g}",
                    help="try solve steadystate(solver = iterative), or 'evolve'",
                )
            )
        labels = [part.label for part in self.problem.parts]
        facts = {**facts, "symmetry": at.generator.symmetry.describe(labels)}
        state = QuantumState(self.problem.parts, rho)
        numbers, warnings = state_trust(state)
        return SteadyResult(
            state, at, Trust({"residual": residual, **numbers}, facts, warnings)
        )


def prepare(problem: LindbladProblem, on: frozenset[int]) -> Generator:
    """Symmetry and invariant sector of the terms that are present.

    Raises:
        SolveError: E501 if the invariant sector cannot fit in memory.
    """
    symmetry = superoperator.find_symmetry(problem, on)
    labels = superoperator.class_labels(problem, symmetry)
    _refuse_memory(problem, superoperator.element_count(labels))
    where = superoperator.sector(labels, symmetry, (0,) * len(symmetry.moduli))
    form = superoperator.real_form(where)
    return Generator(
        problem, superoperator.sides(problem, on), symmetry, labels, where, form
    )


def available_memory() -> float:
    """Bytes that can still be taken."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable"):
                    return float(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return 8e9


def _refuse_memory(problem: LindbladProblem, elements: int) -> None:
    """E501: a sector that does not fit."""
    # The elements with their real form, pattern and factors: some 2 kB each; and the table of places.
    needed = (
        elements * 2000.0 + 4.0 * problem.dimension**2 + 48.0 * problem.dimension**2
    )
    room = available_memory()
    if needed <= room:
        return
    shrink = (room / needed) ** (1 / (2 * max(1, len(problem.parts))))
    bosons = [part for part in problem.parts if part.kind == "boson"]
    fits = ", ".join(
        f"levels_{p.label} = {max(2, int(p.dimension * shrink))}" for p in bosons
    )
    raise SolveError(
        Diagnostic(
            "E501",
            f"{elements} density-matrix elements need about {needed / 1e9:.3g} GB, "
            f"{room / 1e9:.3g} GB are free",
            help=f"about {fits} would fit"
            if fits
            else "the model is too large for a density matrix",
        )
    )


def _refuse_fill(generator: Generator) -> None:
    """E501: an LU whose fill does not fit; some unknowns^1.6 entries were seen."""
    needed = 16.0 * 6.0 * generator.unknowns**1.6
    room = available_memory()
    if needed > room:
        raise SolveError(
            Diagnostic(
                "E501",
                f"the LU factors of {generator.unknowns} unknowns need about {needed / 1e9:.3g} GB, "
                f"{room / 1e9:.3g} GB are free",
                help="use solve steadystate(solver = iterative), or fewer levels",
            )
        )


def _null_vector(
    matrix: sp.csc_array, populations: np.ndarray
) -> tuple[np.ndarray, bool]:
    """The stationary vector with unit trace, and whether there are several.

    One population is pinned to 1 and its equation dropped (the sum of the equations of the
    populations is zero), so that no dense trace row fills the factors.
    """
    pin = int(populations[0])
    for _ in range(2):
        x, singular = _pinned(matrix, pin)
        if x is not None and not singular:
            break
        best = (
            int(populations[np.argmax(np.abs(x[populations]))]) if x is not None else -1
        )
        if best in (pin, -1):
            best = int(populations[len(populations) // 2])
        pin = best
    if x is None:
        return np.zeros(matrix.shape[0]), True
    trace = x[populations].sum()
    return x / trace, singular


def _pinned(matrix: sp.csc_array, pin: int) -> tuple[np.ndarray | None, bool]:
    """Solve with one unknown fixed to 1; the second value tells of a second solution."""
    size = matrix.shape[0]
    if size == 1:
        return np.ones(1), False
    keep = np.delete(np.arange(size), pin)
    reduced = sp.csc_matrix(matrix[:, keep][keep, :])
    right = -matrix[:, [pin]].toarray()[keep, 0]
    factors = factorize(reduced)
    if factors is None:
        return None, True
    x = factors.solve(right)
    x += factors.solve(right - reduced @ x)
    probe = factors.solve(np.cos(1.0 + np.arange(size - 1) * 0.7))
    scale = np.abs(matrix.data).max()
    growth = np.abs(probe).max() * scale / max(1.0, np.abs(x).max())
    full = np.insert(x, pin, 1.0)
    bad = not np.isfinite(full).all() or np.abs(full).max() > 1e9
    return (None if not np.isfinite(full).all() else full), bad or growth > _SINGULAR


def factorize(matrix: sp.csc_matrix) -> Any | None:
    """Sparse LU: symmetric mode first, full pivoting where that fails."""
    for options in (
        {
            "permc_spec": "MMD_AT_PLUS_A",
            "diag_pivot_thresh": 0.01,
            "options": {"SymmetricMode": True},
        },
        {"permc_spec": "COLAMD"},
    ):
        try:
            return spla.splu(matrix, **options)
        except RuntimeError:
            continue
    return None


def _degenerate(
    at: At, matrix: sp.csc_array, point: Point
) -> tuple[np.ndarray, Diagnostic]:
    """Several stationary states: the one reached from the initial state, or E504.

    The state reached is the projection on the kernel along the image of L, by the left and right
    null vectors.
    """
    dense = matrix.toarray() if matrix.shape[0] <= 4000 else None
    count = "several"
    kernel = None
    if dense is not None:
        left, values, right = np.linalg.svd(dense)
        small = values < 1e-10 * max(values[0], 1e-300)
        count = str(int(small.sum()))
        kernel = (left[:, small], right[small].T)
    if point.initial is None or kernel is None:
        raise SolveError(
            Diagnostic(
                "E504",
                f"the stationary state is not unique: {count} independent ones",
                help="give an initial state ('initial a = vacuum'), or solve by 'evolve'",
            )
        )
    from qsyncdsl.diagnostics import Note

    start = point.initial
    rho = start if start.ndim == 2 else np.outer(start, start.conj())
    where = at.generator.sector
    x0 = (at.generator.form.to_real @ rho[where.rows, where.columns]).real
    left, right = kernel
    x = right @ np.linalg.solve(left.T @ right, left.T @ x0)
    warning = Diagnostic(
        "W501",
        f"the stationary state is not unique: {count} independent ones",
        notes=(Note("this is the one that is reached from the initial state"),),
    )
    return x, warning
