"""How large a stationary state is, in words: what symmetries and uncoupled groups save."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.exchange import described
from qsyncdsl.solve.generator import At, prepare
from qsyncdsl.solve.groups import uncoupled

# Dimension of the Hilbert space up to which symmetries are looked for in matrices.
MOST_STATES = 50_000
# Elements up to which exchanges of parts are looked for.
_MOST_ELEMENTS = 12_000


def sizes(problem: LindbladProblem, values: tuple[Any, ...]) -> Iterator[str]:
    """Lines on the unknowns of a stationary state at a point, of up to `MOST_STATES` basis states."""
    f = coefficients.evaluate(problem.coefficients, values)
    on = superoperator.active(problem, f)
    symmetry = superoperator.find_symmetry(problem, on)
    elements = superoperator.element_count(
        superoperator.class_labels(problem, symmetry)
    )
    whole = problem.dimension**2
    labels = [part.label for part in problem.parts]
    if symmetry.charges:
        yield f"with the values declared: {symmetry.describe(labels)}"
        yield (
            f"{elements} of {whole} density-matrix elements are unknown "
            f"in a stationary state, 1 of {whole / elements:.0f}"
        )
    else:
        yield f"{whole} density-matrix elements are unknown in a stationary state"
    yield from _exchanges(problem, on, f, elements)
    groups = uncoupled(problem, f)
    if len(groups) > 1:
        names = " ".join(f"({', '.join(labels[k] for k in g)})" for g in groups)
        yield f"groups that nothing couples, each solved on its own: {names}"


def _exchanges(
    problem: LindbladProblem, on: frozenset[int], f: np.ndarray, elements: int
) -> Iterator[str]:
    """Exchanges of parts that hold at a point, and what they leave."""
    if elements > _MOST_ELEMENTS or problem.coefficients.time_dependent:
        return
    generator = prepare(problem, on)
    at = At(generator, f, alone=True)
    if at.blocks is not None:
        labels = [part.label for part in problem.parts]
        words = ", ".join(described(at.blocks.found, labels))
        yield f"{words}: {len(at.blocks.even.first)} of these"
