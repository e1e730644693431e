"""The method on closed equations of moments: `cumulants`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qsyncdsl.algebra.states import initial_laws
from qsyncdsl.measure.moments import scenes as moment_scenes
from qsyncdsl.run.methods.entry import Closure, Method, lowering


def _cumulant_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.cumulants import CumulantSolver

    return CumulantSolver(problem)


# Moments up to which those of more operators cost little.
_FEW = 30


def _other_closure(problem: Any, options: Mapping[str, Any]) -> Closure | None:
    """The next even order, and no products taken as independent; the last one where there are many moments.

    Odd orders may be far off where even ones are right: P. Fowler-Wright, K. B. Arnardottir, P. Kirton,
    B. W. Lovett, J. Keeling, Phys. Rev. Research 5, 033148 (2023).
    """
    if problem.system.algebra.complete:
        return None
    even = problem.order - problem.order % 2
    if problem.count <= _FEW:
        return Closure({"order": even + 2, "factorize": None}, f"order {even + 2}")
    before = even if problem.order % 2 else even - 2
    return Closure({"order": before}, f"order {before}") if before >= 2 else None


cumulants = Method(
    lowering("qsyncdsl.lower.cumulants:cumulants"),
    _cumulant_solver,
    lambda result, stage: moment_scenes(
        result, stage.space, stage.hbar, stage.options, stage.matrices
    ),
    together=128,
    integrates=True,
    closure=_other_closure,
    ending=lambda result: {"moments": result.values[-1]},
    start=lambda evaluator, initials, problem, options: initial_laws(
        evaluator, initials, int(options.get("order", 2))
    ),
)
