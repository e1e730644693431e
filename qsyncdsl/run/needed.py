"""What the measures of an experiment need to be recorded while it runs: they are tried on a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.run.methods.entry import Method, Stage
from qsyncdsl.run.plan import Plan
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import mentions

# Measures of events: samples between which they may fall are too few.
_EVENTS = {"phase_slips", "net_slips", "residence_times"}


def needed(
    plan: Plan,
    method: Method,
    solver: Any,
    stage: Stage,
    measured: Callable[[tuple[Any, ...]], MeasureEvaluator],
) -> tuple[Any, ...]:
    """What is to be recorded for the measures and requests of an experiment."""
    if method.probe is None:
        return ()
    probe = method.probe(solver.problem, stage.options)
    evaluator = measured(method.scenes(probe.result(), stage))
    for request in plan.experiment.requests:
        node = _looked_at(request)
        if node is None:
            continue
        with suppress(ModelError, SolveError, ArithmeticError, ValueError):
            evaluator.evaluate(node, plan.model.scope)
    for name in plan.measures:
        with suppress(ModelError, SolveError, ArithmeticError, ValueError):
            evaluator.measure(name)
    return tuple(probe.noted)


def counts_events(plan: Plan) -> bool:
    """Whether a measure counts what happens between samples that lie far apart."""
    return any(mentions(measure.value, _EVENTS) for measure in plan.measures.values())


def _looked_at(request: tree.Request) -> tree.Expr | None:
    """The expression whose value a request looks at."""
    if isinstance(request, tree.Expect):
        return request.value
    if isinstance(request, tree.Locate):
        goal = request.goal
        return goal.value if isinstance(goal, tree.Extremum) else goal
    return None
