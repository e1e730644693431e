"""Operators in a window of the basis: of rotors that have moved, at a quasi-momentum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.matrices import monomial_matrix
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.windows import space_at
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem
from qsyncdsl.result import Part


def origin(problem: LindbladProblem) -> Place:
    """The windows that the model declares, at quasi-momentum 0."""
    middles = tuple(
        part.offset + part.dimension // 2 if part.kind == "rotor" else 0
        for part in problem.parts
    )
    return Place(middles, (0.0,) * len(problem.parts))


def problem_at(problem: LindbladProblem, place: Place) -> LindbladProblem:
    """The problem with the matrices and labels of a place."""
    if problem.space is None:
        return problem
    space = space_at(problem.space, place)
    dims = [part.dimension for part in problem.parts]
    known: dict[Any, sp.csr_array] = {}
    matrices = []
    for words, constant in zip(problem.operators, problem.matrices, strict=True):
        # Matrices without words were combined from several operators; none is of a pulled rotor.
        if not any(_moves(monomial, space) for monomial, _ in words):
            matrices.append(constant)
            continue
        total = sp.csr_array(constant.shape, dtype=complex)
        for monomial, number in words:
            if monomial not in known:
                known[monomial] = monomial_matrix(space, monomial, dims)
            total = total + number * known[monomial]
        matrices.append(total)
    return replace(problem, matrices=tuple(matrices), parts=parts_at(problem, place))


def parts_at(problem: LindbladProblem, place: Place) -> tuple[Part, ...]:
    """The parts with the labels of a place."""
    return tuple(
        replace(part, offset=center - part.dimension // 2)
        if part.kind == "rotor"
        else part
        for part, center in zip(problem.parts, place.centers, strict=True)
    )


def _moves(monomial: Any, space: Space) -> bool:
    """Whether a monomial acts on a rotor."""
    return any(
        space.modes[k].kind.name == "rotor"
        for key, _ in monomial
        for k in ((key,) if isinstance(key, int) else key)
    )


def mean_label(problem: LindbladProblem, part: int, rho: np.ndarray) -> float:
    """Mean position of a part in its basis, from 0 to its dimension - 1; of a matrix or a vector."""
    dims = [p.dimension for p in problem.parts]
    diagonal = np.abs(rho) ** 2 if rho.ndim == 1 else np.diag(rho).real
    weights = diagonal.reshape(dims)
    others = tuple(k for k in range(len(dims)) if k != part)
    levels = weights.sum(axis=others)
    return float(np.arange(len(levels)) @ levels / levels.sum())


def edge_weight(problem: LindbladProblem, part: int, rho: np.ndarray) -> float:
    """Largest population of the two ends of a part's basis."""
    dims = [p.dimension for p in problem.parts]
    weights = np.diag(rho).real.reshape(dims)
    others = tuple(k for k in range(len(dims)) if k != part)
    levels = np.abs(weights.sum(axis=others))
    return float(max(levels[0], levels[-1]))


def moved(
    problem: LindbladProblem, part: int, rho: np.ndarray, steps: int
) -> np.ndarray:
    """The same state in a window whose labels are larger by `steps`: rows and columns move down."""
    size = rho.shape[0]
    dims = [p.dimension for p in problem.parts]
    index = np.arange(size).reshape(dims)
    keep = dims[part] - abs(steps)
    result = np.zeros_like(rho)
    if keep <= 0:
        return result
    low, high = (steps, 0) if steps > 0 else (0, -steps)
    source = np.take(index, np.arange(low, low + keep), axis=part).ravel()
    target = np.take(index, np.arange(high, high + keep), axis=part).ravel()
    if rho.ndim == 1:
        result[target] = rho[source]
    else:
        result[np.ix_(target, target)] = rho[np.ix_(source, source)]
    return result
