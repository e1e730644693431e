"""The methods: how each lowers a system, solves it and shows its states. One value a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.algebra.system import System
from qsyncdsl.lower.levels import levels
from qsyncdsl.lower.lindblad import Lowered, lindblad
from qsyncdsl.result import EvolutionResult, QuantumState


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the language.

    Attributes:
        lower: From a system to a problem.
        solver: From a problem and the options to an object with `solve(point)`.
        states: The states to measure: one, or one for each time.
        times: The grid of times that the options ask for, or None.
    """

    lower: Callable[[System, str], Lowered]
    solver: Callable[[Any, Mapping[str, Any]], Any]
    states: Callable[[Any, Mapping[str, Any]], tuple[QuantumState, ...]]
    times: Callable[[Mapping[str, Any]], np.ndarray | None] = lambda options: None


def _steadystate_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.steadystate import SteadyStateSolver

    return SteadyStateSolver(
        problem, options.get("solver", "automatic"), options.get("backend", "own")
    )


def _evolution_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.evolve import EvolutionSolver

    return EvolutionSolver(
        problem, options.get("backend", "own"), float(options.get("accuracy", 0))
    )


def _eigen_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.eigen import EigenSolver

    return EigenSolver(problem, int(options.get("count", 0)))


def _one_state(result: Any, options: Mapping[str, Any]) -> tuple[QuantumState, ...]:
    return (result.state,)


# Number of times between the start and `time`, where only the end of the run is asked for.
_STEPS = 400


def _grid(options: Mapping[str, Any]) -> np.ndarray | None:
    """`times = grid`, or a grid up to `time = T`."""
    if "times" in options:
        grid = options["times"]
        return np.atleast_1d(np.asarray(grid, dtype=float))
    if "time" in options:
        return np.linspace(0.0, float(options["time"]), _STEPS + 1)
    return None


def _evolved_states(
    result: EvolutionResult, options: Mapping[str, Any]
) -> tuple[QuantumState, ...]:
    """The states at all times, or with `time = T` their mean over the window."""
    if "times" in options or "time" not in options:
        return result.states
    times = result.times
    low, high = options.get("window") or (options.get("burn_in", 0.0), times[-1])
    keep = np.flatnonzero(
        (times >= float(low) - 1e-12) & (times <= float(high) + 1e-12)
    )
    if len(keep) < 2:
        return (result.states[-1],)
    stack = np.array([result.states[k].rho for k in keep])
    inside = times[keep]
    mean = np.trapezoid(stack, inside, axis=0) / (inside[-1] - inside[0])
    return (QuantumState(result.states[0].parts, mean),)


steadystate = Method(lindblad, _steadystate_solver, _one_state)
evolve = Method(lindblad, _evolution_solver, _evolved_states, _grid)
eigen = Method(levels, _eigen_solver, _one_state)
