"""Methods that give states of the full quantum model: `steadystate`, `evolve`, `eigen`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.states import DoesNotFit, initial_state
from qsyncdsl.algebra.windows import placed_state
from qsyncdsl.measure.floquet import placed_scenes
from qsyncdsl.measure.floquet import scenes as floquet_scenes
from qsyncdsl.measure.scene import Scene
from qsyncdsl.measure.statistics import Behind, window_weights
from qsyncdsl.measure.symmetric import SymmetricScene
from qsyncdsl.problem import PermutationProblem
from qsyncdsl.result import (
    EvolutionResult,
    FloquetResult,
    PermutationResult,
    QuantumState,
    level_populations,
)
from qsyncdsl.run.methods import keeping
from qsyncdsl.run.methods.entry import Method, Stage, grid, lowering, plain


def _steadystate_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.steadystate import SteadyStateSolver

    if isinstance(problem, PermutationProblem):
        from qsyncdsl.solve.permutation import PermutationSolver

        return PermutationSolver(problem)
    return SteadyStateSolver(
        problem, options.get("solver", "automatic"), options.get("backend", "own")
    )


def _evolution_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.evolve import EvolutionSolver

    return EvolutionSolver(
        problem, options.get("backend", "own"), float(options.get("accuracy", 0))
    )


def _floquet_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.floquet import FloquetSolver

    return FloquetSolver(problem)


def _eigen_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.eigen import EigenSolver

    return EigenSolver(problem, int(options.get("count", 0)))


def _one_state(result: Any, stage: Stage) -> tuple[Any, ...]:
    """A single state, with what the solver knows."""
    if isinstance(result, PermutationResult):
        return (SymmetricScene(stage.space, result, stage.hbar),)
    return (Scene(result.state, stage.space, result, stage.matrices, stage.hbar),)


def _evolved_states(
    result: EvolutionResult | FloquetResult, stage: Stage
) -> tuple[Scene, ...]:
    """The states at all times, or with `time = T` their mean over the window."""
    options = stage.options
    if isinstance(result, FloquetResult):
        return placed_scenes(result, stage.space, stage.hbar, options)
    averaged = "time" in options and "times" not in options
    given = result if averaged or len(result.states) > 1 else None
    shared = {"window": options.get("window")}
    scenes = tuple(
        Scene(state, stage.space, given, stage.matrices, stage.hbar, shared)
        for state in result.states
    )
    if not averaged:
        return scenes
    window = _window(result, options)
    mean = _mean_state(result, window)
    behind = {"behind": Behind(window, result.times, lambda: scenes, True)}
    return (Scene(mean, stage.space, None, stage.matrices, stage.hbar, behind),)


def _window(result: EvolutionResult, options: Mapping[str, Any]) -> tuple[float, float]:
    """The window of a mean."""
    low, high = options.get("window") or (
        options.get("burn_in", 0.0),
        result.times[-1],
    )
    return float(low), float(high)


def _mean_state(result: EvolutionResult, window: tuple[float, float]) -> QuantumState:
    if result.mean is not None:
        return result.mean
    low, high = window
    if not low < high:
        return result.states[-1]
    times = result.times
    weights = window_weights(times, low, high)
    mean = np.zeros_like(result.states[0].rho)
    for k in np.flatnonzero(weights):
        mean += weights[k] * result.states[k].rho
    return QuantumState(result.states[0].parts, mean)


def _populations(result: Any) -> Mapping[str, np.ndarray]:
    """Of one state, or the largest over the times of a run."""
    if isinstance(result, EvolutionResult):
        return level_populations(result.states)
    if isinstance(result, FloquetResult):
        return level_populations([placed.state for placed in result.strobe])
    if isinstance(result, PermutationResult):
        return {}
    return level_populations((result.state,))


def _ending(result: EvolutionResult | FloquetResult) -> dict[str, np.ndarray]:
    """The last state, and where its rotors are."""
    if isinstance(result, EvolutionResult):
        return {"rho": result.states[-1].rho}
    last = result.strobe[-1]
    centers, beta = np.array(last.place.centers), np.array(last.place.beta)
    return {"rho": last.state.rho, "centers": centers, "beta": beta}


def _start_if_needed(evaluator: Any, initials: Any) -> Any:
    """The initial state; one that does not fit is only a fault where there are several stationary states."""
    try:
        return initial_state(evaluator, initials, False)
    except DoesNotFit as fault:
        return fault


steadystate = Method(
    lowering("qsyncdsl.lower.permutation:steadystate"),
    _steadystate_solver,
    _one_state,
    populations=_populations,
    start=lambda evaluator, initials, problem, options: (
        None
        if isinstance(problem, PermutationProblem)
        else _start_if_needed(evaluator, initials)
    ),
    together=32,
    keeping=keeping.steady,
)
evolve = Method(
    plain(lowering("qsyncdsl.lower.lindblad:lindblad")),
    _evolution_solver,
    _evolved_states,
    grid,
    populations=_populations,
    ending=_ending,
    start=lambda evaluator, initials, problem, options: (
        initial_state(evaluator, initials, grid(options) is not None)
        if not problem.forces
        else placed_state(evaluator, initials, True, True)
    ),
    keeping=keeping.evolved,
    kicks=True,
    integrates=True,
)
floquet = Method(
    lowering("qsyncdsl.lower.floquet:floquet"),
    _floquet_solver,
    lambda result, stage: floquet_scenes(
        result, stage.space, stage.hbar, stage.options
    ),
    start=lambda evaluator, initials, problem, options: (
        placed_state(evaluator, initials, True, bool(problem.forces))
        if "periods" in options or "time" in options
        else None
    ),
    kicks=True,
    populations=_populations,
)
eigen = Method(
    plain(lowering("qsyncdsl.lower.levels:levels")),
    _eigen_solver,
    _one_state,
    populations=_populations,
)
