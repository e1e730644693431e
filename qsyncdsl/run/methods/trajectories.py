"""The method on state vectors with quantum jumps: `trajectories`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import initial_factors
from qsyncdsl.algebra.windows import placed_factors
from qsyncdsl.measure.trajectories import Probe, TrajectoryScene
from qsyncdsl.result import TrajectoryResult
from qsyncdsl.run.methods.entry import Method, Replicas, Stage, lowering


def _solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.trajectories import TrajectorySolver

    return TrajectorySolver(problem, options.get("backend", "own"))


def _start(
    evaluator: OperatorEvaluator,
    initials: Any,
    problem: Any,
    options: Mapping[str, Any],
) -> Any:
    """The state of every mode; a product of them is never mixed as a whole."""
    if problem.lindblad.forces:
        return placed_factors(evaluator, initials)
    factors = initial_factors(evaluator, initials)
    modes = evaluator.space.modes
    return tuple(
        f for f, mode in zip(factors, modes, strict=True) if mode.ensemble is None
    )


def _scenes(result: TrajectoryResult, stage: Stage) -> tuple[Any, ...]:
    """One scene with all states, or one for each time that was asked for."""
    whole = TrajectoryScene(result, stage.space, stage.matrices, stage.hbar)
    return whole.one_by_one() if result.series else (whole,)


def _replicas(result: TrajectoryResult, stage: Stage) -> Replicas | None:
    """Realizations, or groups of them, left out; parts of the time of a single realization."""
    count = int(result.blocks.max()) + 1
    if count < 2:
        return None

    def without(block: int) -> tuple[Any, ...]:
        whole = TrajectoryScene(
            result, stage.space, stage.matrices, stage.hbar, left_out=block
        )
        return whole.one_by_one() if result.series else (whole,)

    in_time = result.realizations == 1 and not result.series
    return Replicas((without(block) for block in range(count)), in_time=in_time)


trajectories = Method(
    lowering("qsyncdsl.lower.trajectories:trajectories"),
    _solver,
    _scenes,
    start=_start,
    replicas=_replicas,
    grows=True,
    probe=lambda problem, options: Probe(
        problem.parts,
        "times" in options,
        tuple(force.part for force in problem.lindblad.forces),
    ),
    kicks=True,
    realizations=("realizations", "max_realizations"),
)
