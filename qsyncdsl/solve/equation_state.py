"""Variables of typed equations as one vector y of real numbers, as compiled right sides take them."""

from __future__ import annotations

import numpy as np

from qsyncdsl.problem import EquationProblem, Point


def packed(problem: EquationProblem, point: Point, k: int = 0) -> np.ndarray:
    """y at the start of realization k."""
    given = point.initial
    if point.previous is not None:
        samples = point.previous["samples"]
        given = samples[:, k % samples.shape[1]]
    elif np.ndim(given) == 2:
        means, variances = given
        given = means
        if problem.sampled:
            rng = np.random.default_rng([point.seed, k, 7])
            parts = rng.standard_normal((2, len(means)))
            spread = np.sqrt(variances.real / 2)
            given = means + spread * (parts[0] + 1j * parts[1])
    y = np.zeros(problem.size)
    for start, kind, family in zip(
        problem.starts, problem.kinds, problem.families, strict=True
    ):
        values = given[family.offset : family.offset + family.size]
        y[start : start + family.size] = values.real
        if kind == "complex":
            y[start + family.size : start + 2 * family.size] = values.imag
    return y


def unpacked(problem: EquationProblem, found: np.ndarray) -> np.ndarray:
    """Samples of all variables, shape (F, T), from y, shape (T, n)."""
    samples = np.empty((problem.count, len(found)), dtype=complex)
    for start, kind, family in zip(
        problem.starts, problem.kinds, problem.families, strict=True
    ):
        rows = slice(family.offset, family.offset + family.size)
        samples[rows] = found[:, start : start + family.size].T
        if kind == "complex":
            end = start + family.size
            samples[rows] += 1j * found[:, end : end + family.size].T
    return samples


def labels(problem: EquationProblem) -> tuple[str, ...]:
    """Names of the entries of y: `x`, `re z`, `phi[3]`."""
    found = []
    for kind, family in zip(problem.kinds, problem.families, strict=True):
        sites = [f"[{k + 1}]" if family.shape else "" for k in range(family.size)]
        parts = ("re ", "im ") if kind == "complex" else ("",)
        found += [f"{part}{family.label}{site}" for part in parts for site in sites]
    return (*found, "t") if problem.timed else tuple(found)


def start_of(point: Point) -> str:
    """Where a run begins, in words."""
    if point.previous is not None:
        return "end of the point before"
    return "initial values, 0 where none is given"
