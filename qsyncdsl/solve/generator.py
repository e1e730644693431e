r"""The Liouvillian of one set of present terms, and its numbers at one point."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.symmetry import Symmetry
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve import exchange, real_form, spectrum, superoperator
from qsyncdsl.solve.effective import effective, liouvillian

# Entries of a Liouvillian up to which it is assembled to look at its pattern.
_MOST = 2e7


@dataclass(frozen=True)
class Generator:
    """The Liouvillian of one set of present terms: symmetry, sector, affine matrix.

    `on` are the coefficients that are present, `phases` those that may be complex; all if it is None.
    Whatever grows with the number of density-matrix elements is made on first use.
    """

    problem: LindbladProblem
    on: frozenset[int]
    symmetry: Symmetry
    labels: np.ndarray
    phases: frozenset[int] | None = None
    _sectors: dict[tuple[int, ...], Any] = field(
        default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def sides(self) -> list[superoperator.Side]:
        """The summands with coefficients left open."""
        return superoperator.sides(self.problem, self.on)

    @cached_property
    def unknowns(self) -> int:
        """Number of real unknowns of the invariant sector."""
        return superoperator.element_count(self.labels)

    @cached_property
    def sector(self) -> superoperator.Sector:
        """The invariant sector.

        Raises:
            SolveError: E501 if it cannot fit in memory.
        """
        refuse_memory(self.problem, self.unknowns)
        charge = (0,) * len(self.symmetry.moduli)
        return superoperator.sector(self.labels, self.symmetry, charge)

    @cached_property
    def form(self) -> real_form.RealForm:
        """Hermitian matrices of the invariant sector as real vectors."""
        return real_form.real_form(self.sector)

    @cached_property
    def real(self) -> superoperator.AffineMatrix:
        """The Liouvillian on real unknowns; its strengths are `At.real_strengths`."""
        return real_form.real_generator(self.sides, self.sector, self.form, self.phases)

    @cached_property
    def places(self) -> np.ndarray:
        """See `superoperator.strength_places`."""
        return superoperator.strength_places(self.sides)

    @cached_property
    def patterns(self) -> dict[int, Any]:
        """Eliminations that were analyzed, by the unknown that is pinned."""
        return {}

    @cached_property
    def exchanges(self) -> dict[Any, Any]:
        """What exchanges of parts do to the unknowns, see `solve.exchange`."""
        return {}

    @cached_property
    def elimination_cost(self) -> float:
        """See `At.elimination_cost`."""
        if superoperator.entry_estimate(self.sides, self.unknowns) > _MOST:
            return np.inf
        return superoperator.band_cost(self.real)

    def other_sector(
        self, charge: tuple[int, ...]
    ) -> tuple[superoperator.Sector, superoperator.AffineMatrix]:
        """The elements of another charge and the Liouvillian on them."""
        if charge not in self._sectors:
            where = superoperator.sector(self.labels, self.symmetry, charge)
            matrix = superoperator.complex_generator(self.sides, where)
            self._sectors[charge] = (where, matrix)
        return self._sectors[charge]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class At:
    """A generator at one point.

    Attributes:
        f: The numbers f_k.
        alone: Whether no other point is looked at: its matrix is made without coefficients left open.
    """

    generator: Generator
    f: np.ndarray
    alone: bool = False

    @cached_property
    def g(self) -> np.ndarray:
        """The numbers g_k of the summands."""
        generator = self.generator
        return superoperator.strengths(generator.sides, self.f, generator.places)

    @property
    def scale(self) -> float:
        """The largest |g_k|, in units of which residuals are given."""
        problem, size, on = self.generator.problem, np.abs(self.f), self.generator.on
        found = [float(size[k]) for k, _ in problem.hamiltonian if k in on]
        for channel in problem.channels:
            largest = max((float(size[k]) for k, _ in channel.jump), default=0.0)
            found.append(float(size[channel.rate]) * largest**2)
        return max(*found, 1e-300)

    @property
    def real_strengths(self) -> np.ndarray:
        """Strengths of the real form."""
        return real_strengths(self.g)

    @cached_property
    def matrix(self) -> sp.csc_array:
        """The Liouvillian on real unknowns."""
        generator = self.generator
        if self.alone:
            where, form = generator.sector, generator.form
            return real_form.real_matrix(*self.effective, where, form)
        return generator.real.at(self.real_strengths).real

    @cached_property
    def elimination_cost(self) -> float:
        r"""Some $n b^2$ for n unknowns in a band of half width b: work of an LU, from above.

        Infinite where already the matrix would be too large.
        """
        if not self.alone:
            return self.generator.elimination_cost
        k, jumps = self.effective
        if real_form.matrix_entries(k, jumps, self.generator.unknowns) > _MOST:
            return np.inf
        return superoperator.band_cost(self.matrix)

    @cached_property
    def blocks(self) -> exchange.Blocks | None:
        """The blocks that exchanges of parts keep apart; None without any."""
        return exchange.exchanges(self.generator, self.matrix)

    def apply(self, rho: np.ndarray) -> np.ndarray:
        """L rho for a Hermitian matrix, shape (D, D)."""
        return liouvillian(*self.effective, rho)

    @cached_property
    def effective(self) -> tuple[sp.csr_array, list[sp.csr_array]]:
        """See `solve.effective.effective`."""
        return effective(self.generator.problem, self.f)

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


def real_strengths(g: np.ndarray) -> np.ndarray:
    """Strengths of the real form, shape (..., 2K)."""
    return np.concatenate([g.real, -g.imag], axis=-1)


def prepare(
    problem: LindbladProblem, on: frozenset[int], phases: frozenset[int] | None = None
) -> Generator:
    """Symmetry and summands of the terms that are present.

    Args:
        phases: The coefficients that may be complex; all if not given.
    """
    symmetry = superoperator.find_symmetry(problem, on)
    labels = superoperator.class_labels(problem, symmetry)
    return Generator(problem, on, symmetry, labels, phases)


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


def refuse_memory(problem: LindbladProblem, elements: int) -> None:
    """E501: a sector that does not fit, with the matrix of its Liouvillian."""
    # The elements with their real form, pattern and factors: some 2 kB each; and the table of places.
    _refuse(problem, elements, elements * 2000.0 + 52.0 * problem.dimension**2)


def refuse_vectors(problem: LindbladProblem, elements: int) -> None:
    """E501: a sector that does not fit, with the vectors of an iterative solver."""
    vectors = min(100.0, max(30.0, 8e6 / max(1, elements)))
    _refuse(problem, elements, elements * 8.0 * vectors + 32.0 * problem.dimension**2)


def _refuse(problem: LindbladProblem, elements: int, needed: float) -> None:
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
