"""Methods on complex fields: `langevin`, `classical`, `fokkerplanck`, `gaussian`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import initial_fields
from qsyncdsl.measure.density import DensityScene
from qsyncdsl.measure.ensemble import FieldScene
from qsyncdsl.measure.gaussian import scenes as gaussian_scenes
from qsyncdsl.result import FieldResult
from qsyncdsl.run.methods import keeping
from qsyncdsl.run.methods.entry import Closure, Method, Replicas, Stage, lowering
from qsyncdsl.run.methods.equations import (
    build_either,
    by_problem,
    by_start,
    by_system,
    equation_solver,
)
from qsyncdsl.run.methods.rotors import (
    build_with_rotors,
    ending_with_rotors,
    lower_with_rotors,
    scenes_with_rotors,
    solve_with_rotors,
    start_with_rotors,
)


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
    return (DensityScene(stage.space, result, stage.hbar),)


def _field_start(
    evaluator: OperatorEvaluator,
    initials: Any,
    problem: Any,
    options: Mapping[str, Any],
) -> np.ndarray:
    return initial_fields(evaluator, initials, problem.count)


def _field_scenes(result: FieldResult, stage: Stage) -> tuple[FieldScene, ...]:
    """One scene with all samples, or one for each time that was asked for."""
    return _scenes_of(result, result.samples, stage)


def _scenes_of(
    result: FieldResult, samples: np.ndarray, stage: Stage
) -> tuple[FieldScene, ...]:
    whole = FieldScene(
        samples, stage.space, result, stage.hbar, matrices=stage.matrices
    )
    return whole.one_by_one() if result.series else (whole,)


# Parts that are left out one after the other: an error from ten is itself known to a quarter, one from
# forty to a tenth. Samples and scenes that are looked at, all parts together, up to which there are more.
_BLOCKS, _MOST_BLOCKS = 10, 40
_SAMPLES, _SCENES = 2_000_000, 400


def _field_replicas(result: FieldResult, stage: Stage) -> Replicas:
    """Blocks of realizations, or of time where there are few; and the run with twice the step."""
    samples, times = result.samples, result.times
    realizations = samples.shape[1]
    axis = 1 if realizations >= _BLOCKS or result.series else 2
    count = _BLOCKS if axis == 2 else _block_count(result)
    parts = np.array_split(np.arange(samples.shape[axis]), count)
    blocks: Iterable[tuple[Any, ...]] = ()
    if result.symmetric and samples.shape[axis] >= _BLOCKS:
        blocks = (
            _scenes_of(
                result if axis == 1 else replace(result, times=np.delete(times, part)),
                np.delete(samples, part, axis=axis),
                stage,
            )
            for part in parts
        )
    pieces, singles, span = _stretches(result, stage)
    return Replicas(
        blocks, _step_pairs(result, stage), axis == 2, pieces, singles, span
    )


def _block_count(result: FieldResult) -> int:
    """Blocks of realizations: as many as are cheap."""
    _, realizations, times = result.samples.shape
    scenes = times if result.series else 1
    cheap = min(_SAMPLES // max(result.samples.size, 1), _SCENES // scenes)
    return min(realizations, max(_BLOCKS, min(_MOST_BLOCKS, cheap)))


# Groups of realizations that are also done with twice the step.
_GROUPS = 8


def _step_pairs(
    result: FieldResult, stage: Stage
) -> tuple[tuple[tuple[FieldScene, ...], tuple[FieldScene, ...]], ...]:
    """Realizations with the step and with twice the step: all, and of a series in groups."""
    coarse = result.coarse
    if coarse is None:
        return ()
    count = coarse.shape[1]
    parts = [np.arange(count)]
    if result.series and count >= _GROUPS:
        parts += np.array_split(np.arange(count), _GROUPS)
    return tuple(
        (
            _scenes_of(result, result.samples[:, part], stage),
            _scenes_of(result, coarse[:, part], stage),
        )
        for part in parts
    )


# Stretches of time, samples that are picked, and times that make it worth while; on large lattices
# each look at a stretch is work of its own.
_STRETCHES, _PICKED, _FEWEST_TIMES, _FIELDS = 120, 160, 40, 5000


def _stretches(
    result: FieldResult, stage: Stage
) -> tuple[Iterable[tuple[Any, ...]], Iterable[tuple[Any, ...]], float]:
    """Short stretches, single samples, and the length of all records together."""
    fields, realizations, times = result.samples.shape
    few = times < _FEWEST_TIMES or fields > _FIELDS
    if result.series or not result.symmetric or few:
        return (), (), 0.0
    edges = np.linspace(0, times, min(_STRETCHES, times // 2) + 1).astype(int)
    rng = np.random.default_rng(0)
    picks = [
        (int(rng.integers(realizations)), int(rng.integers(times)))
        for _ in range(_PICKED)
    ]
    step = float(result.times[-1] - result.times[0]) / (times - 1)
    samples = result.samples

    def scenes(part: np.ndarray, a: int, b: int) -> tuple[FieldScene, ...]:
        own = replace(result, times=result.times[a:b])
        return _scenes_of(own, part[:, :, a:b], stage)

    return (
        (scenes(samples, a, b) for a, b in pairwise(edges)),
        (scenes(samples[:, r : r + 1], t, t + 1) for r, t in picks),
        realizations * times * step,
    )


def _last_samples(result: FieldResult) -> dict[str, np.ndarray]:
    """The fields of all realizations at the end, shape (F, R)."""
    return {"samples": result.samples[:, :, -1]}


langevin = Method(
    by_system(
        lowering("qsyncdsl.lower.langevin:langevin"),
        lowering("qsyncdsl.lower.equations:equations"),
    ),
    by_problem(_langevin_solver, equation_solver),
    _field_scenes,
    build=build_either,
    start=by_start(_field_start),
    replicas=_field_replicas,
    variables=True,
    ending=_last_samples,
    kicks=True,
    truncates=True,
    keeping=keeping.fields,
    realizations=("realizations", "max_realizations"),
)
classical = Method(
    lower_with_rotors(
        by_system(
            lowering("qsyncdsl.lower.langevin:classical"),
            lowering("qsyncdsl.lower.equations:deterministic"),
        )
    ),
    solve_with_rotors(by_problem(_classical_solver, equation_solver)),
    scenes_with_rotors(_field_scenes),
    build=build_with_rotors(build_either),
    start=start_with_rotors(by_start(_field_start)),
    variables=True,
    ending=ending_with_rotors(_last_samples),
    kicks=True,
    keeping=keeping.fields,
    integrates=True,
)
fokkerplanck = Method(
    lowering("qsyncdsl.lower.fokkerplanck:fokkerplanck"),
    _density_solver,
    _density_scene,
    truncates=True,
    build=build_fields,
    start=lambda evaluator, initials, problem, options: None,
)


def _gaussian_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    from qsyncdsl.solve.gaussian import GaussianSolver

    return GaussianSolver(problem)


# Fields up to which a second run without wave vectors is affordable.
_MOST_FIELDS = 128
_BACK_ACTION = Closure(
    {"back_action": True}, "fluctuations that act back on means", "back_action", 8
)


def _with_back_action(problem: Any, options: Mapping[str, Any]) -> Closure | None:
    """The closed equations of first and second moments, where they differ."""
    affordable = problem.count <= _MOST_FIELDS and not problem.linear
    return _BACK_ACTION if affordable else None


gaussian = Method(
    lowering("qsyncdsl.lower.gaussian:gaussian"),
    _gaussian_solver,
    lambda result, stage: gaussian_scenes(
        result, stage.space, stage.hbar, stage.options
    ),
    build=build_fields,
    start=_field_start,
    ending=lambda result: {"means": result.means[-1]},
    keeping=keeping.gaussian,
    closure=_with_back_action,
    integrates=True,
)
