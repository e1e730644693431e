"""The method on closed equations of moments: `cumulants`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qsyncdsl.algebra.states import initial_laws
from qsyncdsl.measure.moments import scenes as moment_scenes
from qsyncdsl.run.methods.entry import Method, lowering


def _cumulant_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.cumulants import CumulantSolver

    return CumulantSolver(problem)


cumulants = Method(
    lowering("qsyncdsl.lower.cumulants:cumulants"),
    _cumulant_solver,
    lambda result, stage: moment_scenes(
        result, stage.space, stage.hbar, stage.options, stage.matrices
    ),
    together=128,
    integrates=True,
    start=lambda evaluator, initials, problem, options: initial_laws(
        evaluator, initials, int(options.get("order", 2))
    ),
)
