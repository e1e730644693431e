"""Initial values of typed variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.states import bound_frame
from qsyncdsl.model import types
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.values import Frame, VariableValue
from qsyncdsl.syntax import tree


def initial_values(
    evaluator: OperatorEvaluator,
    initials: Iterable[types.Initial],
) -> np.ndarray:
    """Values of all variables at the start, shape (F,), complex; 0 where none is given.

    Raises:
        ModelError: E341 for a value that is not finite, or not real where it must be.
    """
    environment = evaluator.environment
    offsets, total = {}, 0
    for declared in environment.model.variables.values():
        offsets[declared.name] = total
        total += sum(1 for _ in environment.sites(declared.index))
    found = np.zeros(total, dtype=complex)
    for statement in initials:
        for variable, site, frame in _places(evaluator, statement):
            value = environment.numbers.evaluate(
                statement.value, statement.scope, frame
            )
            number = _number(value, variable, statement.value)
            order = list(environment.sites(variable.index))
            found[offsets[variable.name] + order.index(site)] = number
    return found


def _number(value: Any, variable: types.Variable, node: tree.Expr) -> complex:
    try:
        number = complex(value)
    except (TypeError, ValueError):
        fail("E341", node, f"'{variable.written}' starts from a number")
    if not np.isfinite(number):
        fail("E341", node, f"'{variable.written}' cannot start from {value}")
    if variable.kind != "complex" and number.imag != 0:
        fail(
            "E341", node, f"'{variable.written}' is {variable.kind}: its start is real"
        )
    return number


def _places(
    evaluator: OperatorEvaluator, statement: types.Initial
) -> Iterable[tuple[types.Variable, tuple[int, ...], Frame]]:
    """The variables, sites and frames that a statement means."""
    for instance in evaluator.environment.sites(statement.replicas):
        frame = Frame({}, instance)
        for place in statement.places:
            names = place.names if isinstance(place, tree.Group) else (place.name,)
            arguments = () if isinstance(place, tree.Group) else place.arguments
            for name in names:
                value = evaluator.evaluate(name, statement.scope, frame)
                if not isinstance(value, VariableValue):
                    continue
                variable = value.variable
                sites = evaluator.environment.sites(variable.index, value.site)
                for site in sites:
                    own = site[len(value.site) :]
                    inner = bound_frame(evaluator, statement, arguments, own, frame)
                    if inner is not None:
                        yield variable, site, inner
