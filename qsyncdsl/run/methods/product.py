"""The method on product states: `meanfield`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import initial_factors
from qsyncdsl.lower.meanfield import meanfield as lower_meanfield
from qsyncdsl.measure.product import scenes as product_scenes
from qsyncdsl.run.methods.entry import Method, grid


def _meanfield_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.meanfield import MeanFieldSolver

    return MeanFieldSolver(problem)


def _ending(result: Any) -> Mapping[str, np.ndarray]:
    from qsyncdsl.solve.meanfield import ending

    return ending(result)


def _product_start(
    evaluator: OperatorEvaluator,
    initials: Any,
    system: Any,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, ...] | None:
    """The factors; none where the branch does not depend on the start."""
    chosen = options.get("state") == "incoherent" or options.get("branch") == "rotating"
    if chosen and grid(options) is None:
        return None
    return initial_factors(evaluator, initials)


meanfield = Method(
    lower_meanfield,
    _meanfield_solver,
    lambda result, stage: product_scenes(
        result, stage.space, stage.hbar, stage.options
    ),
    build=build_fields,
    start=_product_start,
    ending=_ending,
)
