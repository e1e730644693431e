"""Typed equations under the methods on fields: which way a model goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.equation_start import initial_values
from qsyncdsl.algebra.fields import FieldSystem, build_fields
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import initial_fields as fields_of
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.problem import EquationProblem


def build_either(model: Model, environment: Environment) -> Any:
    """The fields of the modes, or the typed equations where there are variables."""
    if model.variables:
        from qsyncdsl.algebra.equations import build_equations

        return build_equations(model, environment)
    return build_fields(model, environment)


def by_system(fields: Callable[..., Any], typed: Callable[..., Any]) -> Any:
    """One of two lowerings, by the system."""

    def lower(system: Any, title: str, options: Mapping[str, Any]) -> Any:
        chosen = fields if isinstance(system, FieldSystem) else typed
        return chosen(system, title, options)

    return lower


def by_problem(fields: Callable[..., Any], typed: Callable[..., Any]) -> Any:
    """One of two solvers, by the problem."""

    def solver(problem: Any, options: Mapping[str, Any]) -> Any:
        chosen = typed if isinstance(problem, EquationProblem) else fields
        return chosen(problem, options)

    return solver


def by_start(fields: Callable[..., Any]) -> Any:
    """Initial fields, or initial values of variables."""

    def start(
        evaluator: OperatorEvaluator,
        initials: Any,
        problem: Any,
        options: Mapping[str, Any],
    ) -> Any:
        if isinstance(problem, EquationProblem):
            values = initial_values(evaluator, initials)
            modes = len(evaluator.space.modes)
            if not modes:
                return values
            means = fields_of(evaluator, initials, modes)
            return np.hstack([means, np.stack([values, 0 * values])])
        return fields(evaluator, initials, problem, options)

    return start


def equation_solver(problem: Any, options: Mapping[str, Any]) -> Any:
    """The solver of typed equations."""
    from qsyncdsl.solve.equations import EquationSolver

    return EquationSolver(problem)
