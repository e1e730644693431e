"""Stationary states at many points of one generator, by one elimination for all of them."""

from __future__ import annotations

import numpy as np

from qsyncdsl.solve import static_lu, superoperator
from qsyncdsl.solve.generator import At, Generator, real_strengths

# Dimension of the Hilbert space up to which the states of many points are kept at once; unknowns and operations
# of an elimination up to which the numbers of all lanes stay near the processor.
_MOST_DIMENSION = 400
MOST_TOGETHER = 6000
_MOST_WORK = 3e8
_RESIDUAL = 1e-12
_PIVOT = 1e-11
# Largest element, against the pinned population, above which another pin is better.
_LARGEST = 1e5


def batched(ats: list[At]) -> list[tuple[np.ndarray, float] | None]:
    """Density matrices with their residuals; None at points that must be solved one by one.

    The first population is pinned, and where that is too small the largest one of what came out. Each
    answer depends on its own point alone.

    Args:
        ats: Points of one generator.
    """
    generator = ats[0].generator
    found: list[tuple[np.ndarray, float] | None] = [None] * len(ats)
    if not 2 <= generator.unknowns <= MOST_TOGETHER:
        return found
    if generator.problem.dimension > _MOST_DIMENSION:
        return found
    g = superoperator.strengths(
        generator.sides, np.array([at.f for at in ats]), generator.places
    )
    strengths = real_strengths(g)
    pins = np.full(len(ats), generator.form.populations[0])
    for _ in range(2):
        left = [k for k, answer in enumerate(found) if answer is None]
        for pin in np.unique(pins[left]).tolist():
            chosen = [k for k in left if pins[k] == pin]
            answers, better = _pinned(generator, pin, strengths[chosen])
            for k, answer, other in zip(chosen, answers, better, strict=True):
                found[k], pins[k] = answer, other
    return found


def _pinned(
    generator: Generator, pin: int, strengths: np.ndarray
) -> tuple[list[tuple[np.ndarray, float] | None], np.ndarray]:
    """The states with one unknown pinned, None where that is not safe, and better pins."""
    if pin not in generator.patterns:
        generator.patterns[pin] = static_lu.analyze(generator.real, pin)
    pattern = generator.patterns[pin]
    better = np.full(len(strengths), pin)
    if pattern.work > _MOST_WORK:
        return [None] * len(strengths), better
    found = static_lu.solve(pattern, generator.real, strengths)
    residuals = found.residuals
    x = np.nan_to_num(found.vectors, nan=np.inf, posinf=np.inf, neginf=np.inf)
    good = (residuals < _RESIDUAL) & (found.pivots > _PIVOT)
    good &= np.abs(x).max(axis=1) < _LARGEST
    populations = x[:, generator.form.populations]
    better[:] = generator.form.populations[np.abs(populations).argmax(axis=1)]
    # One by one: the sum over a row of many would round by how many there are.
    traces = np.array([row.sum() for row in populations])
    with np.errstate(invalid="ignore"):
        elements = (generator.form.to_complex @ (x / traces[:, None]).T).T
    answers = [
        (generator.sector.to_matrix(elements[k]), float(residuals[k])) if ok else None
        for k, ok in enumerate(good)
    ]
    return answers, better
