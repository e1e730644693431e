"""`classical` for rotors: which system, lowering and solver a model of rotors takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import build
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.system import System
from qsyncdsl.algebra.windows import packet_means
from qsyncdsl.measure.rotors import scenes as rotor_scenes
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.problem import RotorProblem
from qsyncdsl.result import RotorResult
from qsyncdsl.run.methods.entry import Stage, lowering

_lower = lowering("qsyncdsl.lower.classical_rotors:classical_rotors")


def build_with_rotors(
    others: Callable[..., Any],
) -> Callable[[Model, Environment], Any]:
    """Operators where there are rotors, else what fields or typed equations take."""

    def chosen(model: Model, environment: Environment) -> Any:
        rotors = any(mode.kind == "rotor" for mode in model.modes.values())
        if rotors and not model.variables:
            return build(model, environment)
        return others(model, environment)

    return chosen


def lower_with_rotors(others: Callable[..., Any]) -> Callable[..., Any]:
    """The lowering of rotors for systems of operators."""

    def chosen(system: Any, title: str, options: Mapping[str, Any]) -> Any:
        which = _lower if isinstance(system, System) else others
        return which(system, title, options)

    return chosen


def solve_with_rotors(others: Callable[..., Any]) -> Callable[..., Any]:
    """The solver of rotors for their problems."""

    def chosen(problem: Any, options: Mapping[str, Any]) -> Any:
        if not isinstance(problem, RotorProblem):
            return others(problem, options)
        from qsyncdsl.solve.classical_rotors import ClassicalRotors

        return ClassicalRotors(problem)

    return chosen


def scenes_with_rotors(others: Callable[..., Any]) -> Callable[..., Any]:
    """The scenes of rotors for their results."""

    def chosen(result: Any, stage: Stage) -> tuple[Any, ...]:
        if isinstance(result, RotorResult):
            return rotor_scenes(result, stage.space, stage.hbar)
        return tuple(others(result, stage))

    return chosen


def start_with_rotors(others: Callable[..., Any]) -> Callable[..., Any]:
    """Angles and momenta of packets for rotors."""

    def chosen(
        evaluator: OperatorEvaluator, initials: Any, problem: Any, options: Any
    ) -> Any:
        if isinstance(problem, RotorProblem):
            return packet_means(evaluator, initials)
        return others(evaluator, initials, problem, options)

    return chosen


def ending_with_rotors(others: Callable[..., Any]) -> Callable[..., Any]:
    """The last angles and momenta."""

    def chosen(result: Any) -> Mapping[str, np.ndarray]:
        if isinstance(result, RotorResult):
            return {"last": result.last}
        found: Mapping[str, np.ndarray] = others(result)
        return found

    return chosen
