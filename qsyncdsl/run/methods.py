"""The methods: how each lowers a system, solves it and shows its states. One value a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import build
from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.states import (
    initial_factors,
    initial_fields,
    initial_laws,
    initial_state,
)
from qsyncdsl.algebra.system import System
from qsyncdsl.lower.cumulants import cumulants as lower_cumulants
from qsyncdsl.lower.fokkerplanck import fokkerplanck as lower_fokkerplanck
from qsyncdsl.lower.gaussian import gaussian as lower_gaussian
from qsyncdsl.lower.langevin import classical as lower_classical
from qsyncdsl.lower.langevin import langevin as lower_langevin
from qsyncdsl.lower.levels import levels
from qsyncdsl.lower.lindblad import Lowered, lindblad
from qsyncdsl.lower.meanfield import meanfield as lower_meanfield
from qsyncdsl.lower.permutation import steadystate as lower_steadystate
from qsyncdsl.measure.density import DensityScene
from qsyncdsl.measure.ensemble import FieldScene
from qsyncdsl.measure.gaussian import scenes as gaussian_scenes
from qsyncdsl.measure.moments import scenes as moment_scenes
from qsyncdsl.measure.product import scenes as product_scenes
from qsyncdsl.measure.scene import Scene
from qsyncdsl.measure.symmetric import SymmetricScene
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.problem import PermutationProblem
from qsyncdsl.result import (
    EvolutionResult,
    FieldResult,
    PermutationResult,
    QuantumState,
)


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the language.

    Attributes:
        lower: From a system and the options to a problem.
        solver: From a problem and the options to an object with `solve(point)`.
        scenes: What is measured: one scene, or one for each time.
        times: The grid of times that the options ask for, or None.
        build: From a model to the system that `lower` takes.
        start: The initial state; None where none is given and none is needed.
        replicas: Parts of the result to find errors of measures from.
    """

    lower: Callable[[Any, str, Mapping[str, Any]], Lowered]
    solver: Callable[[Any, Mapping[str, Any]], Any]
    scenes: Callable[[Any, Stage], tuple[Any, ...]]
    times: Callable[[Mapping[str, Any]], np.ndarray | None] = lambda options: None
    build: Callable[[Model, Environment], Any] = build
    start: Callable[[OperatorEvaluator, Any, Any, Mapping[str, Any]], Any] = (
        lambda evaluator, initials, system, options: initial_state(
            evaluator, initials, _grid(options) is not None
        )
    )
    replicas: Callable[[Any, Stage], Replicas | None] = lambda result, stage: None


@dataclass(frozen=True)
class Stage:
    """What scenes share at one point."""

    space: Space
    matrices: dict[Any, Any]
    hbar: float
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Replicas:
    """Scenes to find errors from.

    Attributes:
        blocks: The result without one part after the other, for the jackknife; made one by one,
            since each is nearly as large as the result.
        fine, coarse: The same realizations with the step and with twice the step.
    """

    blocks: Iterable[tuple[Any, ...]] = ()
    fine: tuple[Any, ...] = ()
    coarse: tuple[Any, ...] = ()


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


def _eigen_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.eigen import EigenSolver

    return EigenSolver(problem, int(options.get("count", 0)))


def _one_state(result: Any, stage: Stage) -> tuple[Any, ...]:
    """A single state, with what the solver knows."""
    if isinstance(result, PermutationResult):
        return (SymmetricScene(stage.space, result, stage.hbar),)
    return (Scene(result.state, stage.space, result, stage.matrices, stage.hbar),)


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


def _evolved_states(result: EvolutionResult, stage: Stage) -> tuple[Scene, ...]:
    """The states at all times, or with `time = T` their mean over the window."""
    options = stage.options
    averaged = "time" in options and "times" not in options
    states = (_mean_state(result, options),) if averaged else result.states
    given = result if len(states) > 1 else None
    shared = {"window": options.get("window")}
    return tuple(
        Scene(state, stage.space, given, stage.matrices, stage.hbar, shared)
        for state in states
    )


def _mean_state(result: EvolutionResult, options: Mapping[str, Any]) -> QuantumState:
    times = result.times
    low, high = options.get("window") or (options.get("burn_in", 0.0), times[-1])
    keep = np.flatnonzero(
        (times >= float(low) - 1e-12) & (times <= float(high) + 1e-12)
    )
    if len(keep) < 2:
        return result.states[-1]
    stack = np.array([result.states[k].rho for k in keep])
    inside = times[keep]
    mean = np.trapezoid(stack, inside, axis=0) / (inside[-1] - inside[0])
    return QuantumState(result.states[0].parts, mean)


# ── fields ───────────────────────────────────────────────────────────────────────────────────


def _langevin_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.sde import LangevinSolver

    return LangevinSolver(problem)


def _classical_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.ode import ClassicalSolver

    return ClassicalSolver(problem)


def _density_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.fokkerplanck import FokkerPlanckSolver

    return FokkerPlanckSolver(problem)


def _density_scene(result: Any, stage: Stage) -> tuple[DensityScene, ...]:
    """A stationary density."""
    return (DensityScene(result.state, stage.space, None, {}, stage.hbar),)


def _field_start(
    evaluator: OperatorEvaluator,
    initials: Any,
    system: Any,
    options: Mapping[str, Any],
) -> np.ndarray:
    return initial_fields(evaluator, initials, system.count)


def _field_scenes(result: FieldResult, stage: Stage) -> tuple[FieldScene, ...]:
    """One scene with all samples, or one for each time that was asked for."""
    return _scenes_of(result, result.samples, stage)


def _scenes_of(
    result: FieldResult, samples: np.ndarray, stage: Stage
) -> tuple[FieldScene, ...]:
    whole = FieldScene(samples, stage.space, result, stage.hbar)
    return whole.one_by_one() if result.series else (whole,)


# Parts that are left out one after the other.
_BLOCKS = 10


def _field_replicas(result: FieldResult, stage: Stage) -> Replicas:
    """Blocks of realizations, or of time where there are few; and the run with twice the step."""
    samples = result.samples
    realizations = samples.shape[1]
    axis = 1 if realizations >= _BLOCKS or result.series else 2
    parts = np.array_split(np.arange(samples.shape[axis]), _BLOCKS)
    blocks: Iterable[tuple[Any, ...]] = ()
    if result.symmetric and samples.shape[axis] >= _BLOCKS:
        blocks = (
            _scenes_of(result, np.delete(samples, part, axis=axis), stage)
            for part in parts
        )
    if result.coarse is None:
        return Replicas(blocks)
    first = samples[:, : result.coarse.shape[1]]
    return Replicas(
        blocks,
        _scenes_of(result, first, stage),
        _scenes_of(result, result.coarse, stage),
    )


def _plain(lower: Callable[[System, str], Lowered]) -> Any:
    """A lowering without choices."""
    return lambda system, title, options: lower(system, title)


steadystate = Method(
    lower_steadystate,
    _steadystate_solver,
    _one_state,
    start=lambda evaluator, initials, system, options: (
        None
        if any(jump.per_atom is not None for jump in system.jumps)
        else initial_state(evaluator, initials, False)
    ),
)
evolve = Method(_plain(lindblad), _evolution_solver, _evolved_states, _grid)
eigen = Method(_plain(levels), _eigen_solver, _one_state)
langevin = Method(
    lower_langevin,
    _langevin_solver,
    _field_scenes,
    build=build_fields,
    start=_field_start,
    replicas=_field_replicas,
)
classical = Method(
    lower_classical,
    _classical_solver,
    _field_scenes,
    build=build_fields,
    start=_field_start,
)
fokkerplanck = Method(
    lower_fokkerplanck,
    _density_solver,
    _density_scene,
    build=build_fields,
    start=lambda evaluator, initials, system, options: None,
)


# ── moments ──────────────────────────────────────────────────────────────────────────────────


def _gaussian_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.gaussian import GaussianSolver

    return GaussianSolver(problem)


gaussian = Method(
    lower_gaussian,
    _gaussian_solver,
    lambda result, stage: gaussian_scenes(
        result, stage.space, stage.hbar, stage.options
    ),
    build=build_fields,
    start=_field_start,
)


# ── product states ───────────────────────────────────────────────────────────────────────────


def _meanfield_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.meanfield import MeanFieldSolver

    return MeanFieldSolver(problem)


def _product_start(
    evaluator: OperatorEvaluator,
    initials: Any,
    system: Any,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, ...] | None:
    """The factors; none where the branch does not depend on the start."""
    chosen = options.get("state") == "incoherent" or options.get("branch") == "rotating"
    if chosen and _grid(options) is None:
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
)


# ── closed moments ───────────────────────────────────────────────────────────────────────────


def _cumulant_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.cumulants import CumulantSolver

    return CumulantSolver(problem)


cumulants = Method(
    lower_cumulants,
    _cumulant_solver,
    lambda result, stage: moment_scenes(result, stage.space, stage.hbar, stage.options),
    start=lambda evaluator, initials, system, options: initial_laws(
        evaluator, initials, int(options.get("order", 2))
    ),
)
