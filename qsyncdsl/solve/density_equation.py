r"""Fokker-Planck equations at one point: polynomials in one field with numbers as coefficients.

Fields with the same numbers are solved once. What all share: radii beyond which nothing is left, and
where the diffusion is negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import DensityProblem, DensityTerm, Point
from qsyncdsl.solve.fields import Numbers, numbers

# c alpha*^p alpha^q x^m by (p, q, m), where m = 1 is the mean field x, -1 its conjugate, 0 none.
Terms = Mapping[tuple[int, int, int], complex]

# The density is followed down to exp(-_DEPTH) of its maximum, over this many radii.
_DEPTH = 34.0
_RADII = 4000
_FARTHEST = 2000.0


@dataclass(frozen=True)
class DensityEquation:
    """Drift A, diffusion D and squeezing S of one field, as for `DensityProblem`."""

    drift: Terms
    diffusion: Terms
    squeezing: Terms

    def noise(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and least eigenvalue of the diffusion over the angles, where x is zero."""
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        alpha = r[:, None] * np.exp(1j * angles)
        d = evaluated(self.diffusion, alpha).real
        s = np.abs(evaluated(self.squeezing, alpha))
        return d.mean(axis=1), (d - s).min(axis=1)

    def radial(self, r: np.ndarray) -> np.ndarray:
        """The radial drift averaged over the angles, where x is zero."""
        total = np.zeros_like(r)
        for (p, q, m), value in self.drift.items():
            if q == p + 1 and m == 0:
                total += value.real * r ** (p + q)
        return total

    def _pushed(self, r: np.ndarray) -> np.ndarray:
        """The largest radial drift over the angles."""
        total = self.radial(r)
        for (p, q, m), value in self.drift.items():
            if q != p + 1 and m == 0:
                total += abs(value) * r ** (p + q)
        return total

    @cached_property
    def lowest(self) -> float:
        """The least eigenvalue of the diffusion within the extent of the density."""
        return float(self.noise(np.linspace(0.0, self.extent, 2001))[1].min())

    @property
    def extent(self) -> float:
        """A radius beyond which the density is negligible, see `_reach`."""
        return self._reach[1]

    @property
    def farthest(self) -> float:
        """The radius to which the drift that points outward most takes the field, see `_reach`."""
        return self._reach[0]

    @cached_property
    def _reach(self) -> tuple[float, float]:
        r"""Where $\ln W \approx \int 4A_r/D\,dr$ is largest, and where it has fallen to nothing.

        With the drift that points outward most.

        Raises:
            SolveError: E516 where the drift does not keep the field.
        """
        far = 4.0
        while far < _FARTHEST:
            r = np.linspace(0, far, _RADII)
            fall = np.cumsum(4 * self._pushed(r) / self._floor(r)) * (r[1] - r[0])
            below = fall < fall.max() - _DEPTH
            top = int(np.argmax(fall))
            after = np.flatnonzero(below[top:])
            if len(after):
                return float(r[top]), float(r[top + after[0]])
            far *= 1.6
        raise SolveError(
            Diagnostic(
                "E516",
                "the density does not converge: the drift does not keep the field",
                help="is the drift bounded? a loss of higher order keeps it",
            )
        )

    def _floor(self, r: np.ndarray) -> np.ndarray:
        """The mean diffusion, kept away from zero."""
        d = self.noise(r)[0]
        return np.asarray(np.maximum(d, 0.02 * max(float(d.max()), 1e-12)))

    @cached_property
    def width(self) -> float:
        r"""The smallest width $\sigma$ of the undriven density: $\sigma^{-2} = -(\ln W)''$."""
        r = np.linspace(1e-3, self.extent, _RADII)
        slope = 4 * self.radial(r) / self._floor(r)
        steepest = float((-np.gradient(slope, r)).max())
        return steepest**-0.5 if steepest > 0 else self.extent / 6


def evaluated(terms: Terms, alpha: np.ndarray, x: complex = 0.0) -> np.ndarray:
    """A polynomial at fields."""
    total = np.zeros(alpha.shape, dtype=complex)
    for (p, q, m), value in terms.items():
        factor = 1.0 if m == 0 else x if m > 0 else np.conj(x)
        total += value * factor * alpha.conj() ** p * alpha**q
    return total


def equations(
    problem: DensityProblem, point: Point
) -> tuple[tuple[DensityEquation, ...], np.ndarray]:
    """The different equations of the fields, and which one each field has, shape (F,).

    Raises:
        SolveError: E503, E507 for coefficients.
    """
    found = numbers(problem, point)
    rows = found.w.T if problem.varying else np.zeros((problem.count, 0))
    _, firsts, class_of = np.unique(
        np.round(rows, 13), axis=0, return_index=True, return_inverse=True
    )
    parts = [
        DensityEquation(
            *(
                _summed(terms, found, int(site))
                for terms in (problem.drift, problem.diffusion, problem.squeezing)
            )
        )
        for site in firsts
    ]
    return tuple(parts), np.asarray(class_of).reshape(-1)


def _summed(terms: Iterable[DensityTerm], found: Numbers, site: int) -> Terms:
    total: dict[tuple[int, int, int], complex] = {}
    for term in terms:
        value = found.c[term.coefficient] if term.row < 0 else found.w[term.row, site]
        place = (term.p, term.q, term.mean)
        total[place] = total.get(place, 0j) + term.weight * complex(value)
    return {place: value for place, value in total.items() if value != 0}
