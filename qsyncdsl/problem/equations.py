"""Typed equations of motion and maps: real variables with a generated right side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qsyncdsl.problem.common import Coefficients
from qsyncdsl.problem.fields import FieldFamily

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """One declared noise: entries `offset .. offset + size - 1` of the noises.

    Attributes:
        kind: `white` or `colored`.
        strengths: White: indices of the f_k that are S of each site. Colored: empty.
        cutoff: Index of the f_k that is the cutoff frequency of a spectrum; -1 without one.
        spectrum: Name of the function `spectrum(w, data)` in the source.
    """

    label: str
    kind: str
    offset: int
    size: int
    strengths: tuple[int, ...] = ()
    cutoff: int = -1
    spectrum: str = ""


@dataclass(frozen=True, slots=True)
class EquationProblem:
    r"""$\dot y = F(y, \xi)$, or the map $y \to F(y, \xi)$, for n real numbers.

    Attributes:
        families: The variables; `offset` counts complex samples, one row a site.
        kinds: `real`, `angle` or `complex`, of each family.
        starts: First real number of each family in y; complex ones have all real parts, then
            all imaginary parts.
        size: n, with a last one that is the time where `timed`.
        source: Python for numba: `right(y, data, out)`, data = (p, q, g, c, xi).
        coefficients: Strengths and cutoffs of the noises as f_k(p).
        places: Positions of the parameters of `coefficients` among those of the problem.
        scalars: For each parameter that is a number, its position in p and whether it is complex.
        arrays: For each parameter with an index, its position in q and whether it is complex.
        g, c: Tables of rows and of numbers that the source reads.
        noises: Those that act; none under a deterministic method.
        sources: Number of entries of xi.
        additive: Whether no noise is multiplied by a variable.
        sampled: Number of leading complex variables that are amplitudes of modes: they start from
            samples of Wigner functions.
        kicks: Their periods, as indices of the f_k, and names of functions `(y, data, out)` whose flow for a
            unit of time they are.
    """

    families: tuple[FieldFamily, ...]
    kinds: tuple[str, ...]
    starts: tuple[int, ...]
    size: int
    source: str
    coefficients: Coefficients
    places: tuple[int, ...]
    scalars: Mapping[int, tuple[int, bool]]
    arrays: Mapping[int, tuple[int, bool]]
    g: np.ndarray = field(repr=False)
    c: np.ndarray = field(repr=False)
    noises: tuple[NoiseSource, ...] = ()
    sources: int = 0
    additive: bool = True
    discrete: bool = False
    timed: bool = False
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    sampled: int = 0
    kicks: tuple[tuple[int, str], ...] = ()

    @property
    def noisy(self) -> bool:
        """Whether a noise enters."""
        return bool(self.noises)

    @property
    def count(self) -> int:
        """Number of variables, all sites."""
        return sum(family.size for family in self.families)

    @property
    def angles(self) -> tuple[int, ...]:
        """Rows of y that are angles."""
        return tuple(
            start + k
            for start, kind, family in zip(
                self.starts, self.kinds, self.families, strict=True
            )
            if kind == "angle"
            for k in range(family.size)
        )
