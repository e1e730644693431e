"""What solvers of field equations share: the numbers that generated source takes at one point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import (
    CumulantProblem,
    DensityProblem,
    FieldProblem,
    GaussianProblem,
    MeanFieldProblem,
    Point,
)
from qsyncdsl.solve.coefficients import compiled

# Problems whose coefficients are numbers f_k, some of them different from site to site.
Sited = (
    FieldProblem | GaussianProblem | MeanFieldProblem | CumulantProblem | DensityProblem
)


@dataclass(frozen=True)
class Numbers:
    """The arrays that generated source takes, at one point.

    Attributes:
        c: Coefficients f_k, shape (K,), at time 0.
        w: Coefficients that differ from site to site, shape (V, n).
        baths: Factors of the covariance of the shared noises, each (2m, 2m).
    """

    problem: Sited
    values: tuple[Any, ...]
    c: np.ndarray
    w: np.ndarray
    baths: tuple[np.ndarray, ...]

    @property
    def moving(self) -> bool:
        """Whether coefficients depend on time."""
        return bool(self.problem.coefficients.time_dependent)

    def at(self, time: float) -> np.ndarray:
        """Coefficients at a time."""
        return _scalars(self.problem, self.values, time)


def numbers(problem: Sited, point: Point) -> Numbers:
    """Evaluate everything that depends on parameters.

    Raises:
        SolveError: E515 for a rate that is negative or not real.
    """
    c = _scalars(problem, point.values, 0.0)
    length = max(
        (len(next(iter(v.gather.values()))) for v in problem.varying), default=1
    )
    w = np.zeros((max(len(problem.varying), 1), length), dtype=complex)
    for row, varying in enumerate(problem.varying):
        found = _varying(problem, point.values, varying.coefficient, varying.gather)
        w[row, : len(found)] = found
    channels = getattr(problem, "channels", ())
    baths = tuple(_bath(channel.entries, c) for channel in channels)
    return Numbers(problem, point.values, c, w, baths)


def _scalars(problem: Sited, values: tuple[Any, ...], time: float) -> np.ndarray:
    """f_k(p, t); those with parameters of sites are left at the first site."""
    first = tuple(v[0] if isinstance(v, np.ndarray) else v for v in values)
    found = compiled(problem.coefficients.source)(first, time)
    return np.array(found, dtype=complex)


def _varying(
    problem: Sited,
    values: tuple[Any, ...],
    index: int,
    gather: Mapping[str, np.ndarray],
) -> np.ndarray:
    """One coefficient on all instances."""
    names = problem.coefficients.parameters
    count = len(next(iter(gather.values())))
    columns = [
        np.asarray(value)[gather[name]] if name in gather else None
        for name, value in zip(names, values, strict=True)
    ]
    function = compiled(problem.coefficients.source)
    plain = [v[0] if isinstance(v, np.ndarray) else v for v in values]
    found = np.empty(count, dtype=complex)
    for k in range(count):
        at = [p if c is None else c[k] for p, c in zip(plain, columns, strict=True)]
        found[k] = function(at, 0.0)[index]
    return found


def _bath(entries: tuple[tuple[int, int, int, int], ...], c: np.ndarray) -> np.ndarray:
    """B with B B' the covariance of (Re, Im) of the fields of a bath."""
    size = 1 + max(max(a, b) for a, b, _, _ in entries)
    normal = np.zeros((size, size), dtype=complex)
    same = np.zeros((size, size), dtype=complex)
    for a, b, conjugate, index in entries:
        if conjugate:
            normal[a, b] = c[index]
            normal[b, a] = np.conj(c[index])
        else:
            same[a, b] = same[b, a] = c[index]
    covariance = np.empty((2 * size, 2 * size))
    covariance[0::2, 0::2] = (normal + same).real / 2
    covariance[1::2, 1::2] = (normal - same).real / 2
    covariance[0::2, 1::2] = (same - normal).imag / 2
    covariance[1::2, 0::2] = covariance[0::2, 1::2].T
    weights, vectors = np.linalg.eigh(covariance)
    if weights[0] < -1e-9 * max(abs(weights[-1]), 1e-300):
        raise SolveError(
            Diagnostic(
                "E515",
                "the covariance of a shared noise is not positive: is a rate negative?",
            )
        )
    factor = vectors * np.sqrt(np.clip(weights, 0.0, None))
    return np.ascontiguousarray(factor)
