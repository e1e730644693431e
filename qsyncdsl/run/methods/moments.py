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


# Moments up to which one more operator in each costs little.
_FEW = 40


def _other_closure(
    problem: Any, options: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """One operator more, and no products taken as independent; one less where there are many moments."""
    if problem.count <= _FEW:
        return {"order": problem.order + 1, "factorize": None}
    return {"order": problem.order - 1} if problem.order > 2 else None


cumulants = Method(
    lowering("qsyncdsl.lower.cumulants:cumulants"),
    _cumulant_solver,
    lambda result, stage: moment_scenes(
        result, stage.space, stage.hbar, stage.options, stage.matrices
    ),
    together=128,
    integrates=True,
    closure=_other_closure,
    start=lambda evaluator, initials, problem, options: initial_laws(
        evaluator, initials, int(options.get("order", 2))
    ),
)
