r"""Where rotors under a force come to rest on the mean.

$$ f/\hbar + \sum_c \gamma_c \sum_m (m - n) |\langle m|L_c|n\rangle|^2 = 0 . $$
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import combine
from qsyncdsl.solve.windows import problem_at

# Labels up to which a place of rest is looked for.
_FARTHEST = 1 << 20


def settling_place(problem: LindbladProblem, point: Point, place: Place) -> Place:
    """Windows around the labels at which force and friction balance, each rotor for itself."""
    f = coefficients.evaluate(problem.coefficients, point.values)
    for force in problem.forces:
        pull = float(f[force.rate].real)
        if pull:
            center = _rest(problem, f, place, force.part, pull)
            centers = list(place.centers)
            centers[force.part] = center
            place = replace(place, centers=tuple(centers))
    return place


def _rest(
    problem: LindbladProblem, f: np.ndarray, place: Place, part: int, pull: float
) -> int:
    """The label at which the mean velocity of the label changes sign; 0 where it never does."""
    sign = 1 if pull > 0 else -1
    far = 8
    while far < _FARTHEST:
        if sign * (pull + friction(problem, f, place, part, sign * far)) <= 0:
            break
        far *= 2
    else:
        return place.centers[part]
    near = 0
    while far - near > 1:
        middle = (near + far) // 2
        if sign * (pull + friction(problem, f, place, part, sign * middle)) > 0:
            near = middle
        else:
            far = middle
    return sign * far


def friction(
    problem: LindbladProblem, f: np.ndarray, place: Place, part: int, label: int
) -> float:
    """Mean velocity of a rotor's label by the jumps, other parts in the middle of their bases."""
    centers = list(place.centers)
    centers[part] = label
    here = problem_at(problem, Place(tuple(centers), place.beta))
    dims = [p.dimension for p in problem.parts]
    middle = [
        d // 2 if p.kind == "rotor" else 0
        for d, p in zip(dims, problem.parts, strict=True)
    ]
    column = int(np.ravel_multi_index(middle, dims))
    levels = np.unravel_index(np.arange(problem.dimension), dims)[part] - middle[part]
    total = 0.0
    for channel in here.channels:
        jump = combine(here, channel.jump, f)
        if jump is not None:
            weights = np.abs(jump[:, [column]].toarray()[:, 0]) ** 2
            total += float(f[channel.rate].real) * float(levels @ weights)
    return total
