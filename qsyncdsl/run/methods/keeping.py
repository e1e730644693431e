"""States that are kept: results as arrays and back, so that a new measure needs no new solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qsyncdsl.problem import FieldProblem, Point
from qsyncdsl.result import (
    EvolutionResult,
    FieldResult,
    GaussianResult,
    QuantumState,
    SteadyResult,
    Trust,
)
from qsyncdsl.run.methods.entry import Keeping

Arrays = Mapping[str, np.ndarray]


def _steady_arrays(result: Any) -> Arrays | None:
    """The density matrix; a permutation-symmetric state is solved again."""
    return {"rho": result.state.data} if isinstance(result, SteadyResult) else None


def _steady_result(solver: Any, point: Point, kept: Arrays, trust: Trust) -> Any:
    state = QuantumState(solver.problem.parts, np.array(kept["rho"]))
    return SteadyResult(state, solver.at(point), trust)


def _evolved_arrays(result: Any) -> Arrays | None:
    if not isinstance(result, EvolutionResult):
        return None
    found = {"times": result.times, "rho": np.stack([s.data for s in result.states])}
    return found if result.mean is None else {**found, "mean": result.mean.data}


def _evolved_result(solver: Any, point: Point, kept: Arrays, trust: Trust) -> Any:
    parts = solver.problem.parts
    states = tuple(QuantumState(parts, np.array(rho)) for rho in kept["rho"])
    mean = QuantumState(parts, np.array(kept["mean"])) if "mean" in kept else None
    return EvolutionResult(np.array(kept["times"]), states, trust, mean)


def _field_arrays(result: Any) -> Arrays | None:
    """Samples; those of typed equations are solved again."""
    if not isinstance(result, FieldResult) or result.extra:
        return None
    flags = np.array([result.series, result.symmetric])
    found = {"times": result.times, "samples": result.samples, "flags": flags}
    return found if result.coarse is None else {**found, "coarse": result.coarse}


def _field_result(solver: Any, point: Point, kept: Arrays, trust: Trust) -> Any:
    if not isinstance(solver.problem, FieldProblem):
        return None
    series, symmetric = (bool(flag) for flag in kept["flags"])
    return FieldResult(
        solver.problem.families,
        np.array(kept["times"]),
        np.array(kept["samples"]),
        series,
        symmetric,
        trust,
        np.array(kept["coarse"]) if "coarse" in kept else None,
    )


def _gaussian_arrays(result: GaussianResult) -> Arrays:
    return {
        "times": result.times,
        "means": result.means,
        "covariances": result.covariances,
    }


def _gaussian_result(solver: Any, point: Point, kept: Arrays, trust: Trust) -> Any:
    return GaussianResult(
        solver.problem.families,
        np.array(kept["times"]),
        np.array(kept["means"]),
        np.array(kept["covariances"]),
        trust,
    )


steady = Keeping(_steady_arrays, _steady_result)
evolved = Keeping(_evolved_arrays, _evolved_result)
fields = Keeping(_field_arrays, _field_result)
gaussian = Keeping(_gaussian_arrays, _gaussian_result)
