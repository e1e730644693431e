"""The generator of a density matrix on the elements that weak symmetries keep apart, at any time.

Under a static force the quasi-momentum of a rotor grows with time; where it passes an integer, the labels of
all elements move by one.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.blocks import layout
from qsyncdsl.solve.windows import problem_at

# An instant this close to an integer quasi-momentum is at it.
NEAR = 1e-9


class BlockGenerator:
    """The generator at one point, in one window of the basis.

    Args:
        problem: The master equation.
        point: Values of its parameters.
        place: Centers of the rotors' windows.
    """

    def __init__(self, problem: LindbladProblem, point: Point, place: Place) -> None:
        self.problem = problem
        self.point = point
        self.place = place
        f = coefficients.evaluate(problem.coefficients, point.values)
        self.f = f
        self.rates = {force.part: float(f[force.rate].real) for force in problem.forces}
        self.rates = {part: rate for part, rate in self.rates.items() if rate}
        self.moving = bool(problem.coefficients.time_dependent)
        self.on = superoperator.active(problem, f)
        # A pattern that holds everywhere: at a quasi-momentum where nothing vanishes.
        self.layout = layout(self._problem(0.377), self.on)

    def _problem(self, phase: float) -> LindbladProblem:
        """The problem with the quasi-momenta of the pulled rotors set."""
        if not self.rates:
            return problem_at(self.problem, self.place)
        beta = tuple(
            phase if k in self.rates else b for k, b in enumerate(self.place.beta)
        )
        return problem_at(self.problem, Place(self.place.centers, beta))

    def at(self, t: float, labels: dict[int, int]) -> LindbladProblem:
        """The problem at a time, with the labels of the stretch it lies on."""
        if not self.rates:
            return problem_at(self.problem, self.place)
        beta = tuple(
            self.place.beta[k] + self.rates[k] * t - labels[k]
            if k in self.rates
            else self.place.beta[k]
            for k in range(len(self.place.beta))
        )
        return problem_at(self.problem, Place(self.place.centers, beta))

    def matrix(self, problem: LindbladProblem, t: float) -> sp.csr_array:
        """The generator of a problem on the elements that are kept, with the coefficients of a time."""
        f = self.coefficients_at(t) if self.moving else self.f
        all_sides = superoperator.sides(problem, self.on)
        strengths = superoperator.strengths(all_sides, f)
        total = sp.csr_array((self._sector.size, self._sector.size), dtype=complex)
        for side, strength in zip(all_sides, strengths, strict=True):
            total = total + strength * superoperator.sector_matrix(side, self._sector)
        return sp.csr_array(total)

    def coefficients_at(self, t: float) -> np.ndarray:
        """f(t)."""
        return coefficients.evaluate(self.problem.coefficients, self.point.values, t)

    @cached_property
    def _sector(self) -> superoperator.Sector:
        """The elements that are kept; the table of positions is large: shared with the layout."""
        where = superoperator.Sector(
            self.layout.rows, self.layout.columns, self.layout.dimension
        )
        where.__dict__["place"] = self.layout.place
        return where

    @cached_property
    def constant(self) -> sp.csr_array:
        """The generator, where it does not move."""
        return self.matrix(problem_at(self.problem, self.place), 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether neither coefficients nor quasi-momenta move."""
        return not self.moving and not self.rates

    @cached_property
    def pattern(self) -> sp.csr_array:
        """Every entry that may occur at some time, whatever its coefficient is at any other, and the diagonal."""
        total = sp.csr_array(sp.identity(self.layout.size, format="csr"))
        for phase in (0.377, 0.713):
            for side in superoperator.sides(self._problem(phase), self.on):
                total = total + abs(superoperator.sector_matrix(side, self._sector))
        total.sort_indices()
        return total

    # ── labels of pulled rotors ──────────────────────────────────────────────────────────────

    def labels(self, t: float) -> dict[int, int]:
        """How far the label of each pulled rotor has moved until a time."""
        return {
            k: int(np.floor(self.place.beta[k] + rate * t + NEAR))
            for k, rate in self.rates.items()
        }

    def quasi_momentum(self, t: float) -> tuple[float, ...]:
        """beta of every part at a time, in [0, 1)."""
        steps = self.labels(t)
        return tuple(
            max(b + self.rates[k] * t - steps[k], 0.0) if k in self.rates else b
            for k, b in enumerate(self.place.beta)
        )

    def breaks(self, begin: float, end: float) -> list[float]:
        """The instants between two times at which a quasi-momentum is an integer."""
        found = {begin, end}
        for k, rate in self.rates.items():
            low, high = sorted(self.place.beta[k] + rate * t for t in (begin, end))
            for m in range(int(np.ceil(low - NEAR)), int(np.floor(high + NEAR)) + 1):
                t = (m - self.place.beta[k]) / rate
                if begin + NEAR / abs(rate) < t < end - NEAR / abs(rate):
                    found.add(t)
        return sorted(found)

    def inside(self, a: float, b: float) -> dict[int, int]:
        """The labels that hold between two breaks: beta is in [0, 1] there."""
        middle = (a + b) / 2
        return {
            k: int(np.floor(self.place.beta[k] + rate * middle))
            for k, rate in self.rates.items()
        }

    def relabel(
        self, vector: np.ndarray, before: dict[int, int], after: dict[int, int]
    ) -> np.ndarray:
        """Move the elements where labels have changed."""
        for part in before:
            steps = after[part] - before[part]
            if steps:
                source = self.shift(part, steps)
                vector = np.where(source >= 0, vector[source].T, 0).T
        return vector

    def shift(self, part: int, steps: int) -> np.ndarray:
        """For each element the one whose labels are smaller by `steps`, or -1."""
        dims = [p.dimension for p in self.problem.parts]
        stride = int(np.prod(dims[part + 1 :])) * steps
        rows, columns = self.layout.rows, self.layout.columns
        states = np.arange(self.layout.dimension)
        level = (states // int(np.prod(dims[part + 1 :]))) % dims[part] - steps
        kept = (level >= 0) & (level < dims[part])
        inside = kept[rows] & kept[columns]
        m, n = np.where(inside, rows - stride, 0), np.where(inside, columns - stride, 0)
        return np.where(inside, self.layout.place[m, n], -1)
