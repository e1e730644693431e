"""The method on product states: `meanfield`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import initial_factors
from qsyncdsl.measure.product import scenes as product_scenes
from qsyncdsl.result import ProductResult, QuantumState, level_populations
from qsyncdsl.run.methods.entry import Method, grid, lowering


def _meanfield_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.meanfield import MeanFieldSolver

    return MeanFieldSolver(problem)


def _ending(result: Any) -> Mapping[str, np.ndarray]:
    from qsyncdsl.solve.meanfield import ending

    return ending(result)


def _guess(result: ProductResult) -> Mapping[str, np.ndarray] | None:
    """The fields of an ordered state that turns."""
    if result.fields is None:
        return None
    fields, nu = result.fields
    if not np.abs(fields).max(initial=0.0) > 0:
        return None
    return {"fields": fields, "frequency": np.array(nu)}


def _product_start(
    evaluator: OperatorEvaluator,
    initials: Any,
    problem: Any,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, ...] | None:
    """The factors; none where the branch does not depend on the start."""
    chosen = options.get("state") == "incoherent" or options.get("branch") == "rotating"
    if chosen and grid(options) is None:
        return None
    return initial_factors(evaluator, initials)


# Inequivalent cells and times whose populations are looked at.
_EXAMINED = 64


def _populations(result: ProductResult) -> dict[str, np.ndarray]:
    """The largest over times and inequivalent cells."""
    return level_populations(
        QuantumState(kind.parts, rho)
        for kind, cells in zip(result.kinds, result.cells, strict=True)
        for states in cells.at(
            slice(None, None, max(1, cells.times // _EXAMINED)), slice(_EXAMINED)
        )
        for rho in states
    )


meanfield = Method(
    lowering("qsyncdsl.lower.meanfield:meanfield"),
    _meanfield_solver,
    lambda result, stage: product_scenes(
        result, stage.space, stage.hbar, stage.options
    ),
    build=build_fields,
    start=_product_start,
    ending=_ending,
    guess=_guess,
    populations=_populations,
    integrates=True,
)
