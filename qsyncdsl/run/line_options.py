"""The options of a `solve` line at a point: what is written there, with numbers in place of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import space_of
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model import signature
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.model.values import Interval
from qsyncdsl.registry import methods
from qsyncdsl.run.plan import Line


class LineOptions:
    """The options of one line.

    Args:
        changed: Options in place of those of the line; None for one that is left out.
    """

    def __init__(
        self, model: Model, line: Line, changed: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.line = line
        self.changed = dict(changed or {})

    @cached_property
    def written(self) -> dict[str, Any]:
        """Those that are given, by name, as they are written."""
        node = self.line.node
        return signature.bind(methods[self.line.method], node.arguments, node)

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The kinds of all that there are."""
        return {a.name: a.kind for a in methods[self.line.method].arguments}

    @property
    def in_time(self) -> bool:
        """Whether the line asks for a run in time, as far as that is seen without values."""
        return in_time({**self.written, **self.changed})

    def at(self, environment: Environment, operators: bool = True) -> dict[str, Any]:
        """The options at a point.

        Args:
            operators: Whether to evaluate lists of operators too, which only lowering takes.
        """
        found: dict[str, Any] = {}
        for name, node in self.written.items():
            assert not isinstance(node, tuple)
            if self._kinds[name] == "word":
                found[name] = getattr(node, "key", "")
            elif self._kinds[name] == "operators":
                if operators:
                    found[name] = self._operators(environment, node)
            else:
                value = environment.numbers.evaluate(node, self.model.scope)
                found[name] = tuple(value) if isinstance(value, Interval) else value
                _refuse_value(name, self._kinds[name], found[name], node)
        if "accuracy" in self._kinds and environment.accuracy():
            found.setdefault("accuracy", environment.accuracy())
        if self.changed:
            found |= self.changed
            return {name: value for name, value in found.items() if value is not None}
        return found

    def _operators(self, environment: Environment, node: Any) -> tuple[Any, ...]:
        """A list of operators, in numbers."""
        space, positions = space_of(self.model, environment, NUMERIC)
        evaluator = OperatorEvaluator(environment, space, positions)
        value = evaluator.evaluate(node, self.model.scope)
        listed = value if isinstance(value, tuple | list) else (value,)
        return tuple(evaluator.operand(x, node) for x in listed)


# Options that must be above zero, and those that may be zero.
_POSITIVE = frozenset({"time", "dt", "accuracy", "period", "count", "points"})
_NOT_NEGATIVE = frozenset({"burn_in", "relax", "extent"})


def _refuse_value(name: str, kind: str, value: Any, node: Any) -> None:
    """E511 for a value that no option of its name can have."""
    listed = value if isinstance(value, tuple | list) else (value,)
    numbers = [complex(x) for x in listed if isinstance(x, int | float | complex)]
    reason = ""
    if len(numbers) < len(listed) or any(not np.isfinite(x) or x.imag for x in numbers):
        reason = "must be finite and real"
    elif kind == "integer" and any(x.real != int(x.real) for x in numbers):
        reason = "must be a whole number"
    elif name in _POSITIVE and any(x.real <= 0 for x in numbers):
        reason = "must be positive"
    elif name in _NOT_NEGATIVE and any(x.real < 0 for x in numbers):
        reason = "must not be negative"
    elif name == "window" and not _is_window([x.real for x in numbers]):
        reason = "is [T0, T1] with 0 <= T0 <= T1"
    if reason:
        raise SolveError(Diagnostic("E511", f"'{name}' {reason}", node.span))


def _is_window(ends: list[float]) -> bool:
    """Whether numbers are the ends of a window."""
    return not ends or (len(ends) == 2 and 0 <= ends[0] <= ends[1])


def in_time(options: Mapping[str, Any]) -> bool:
    """Whether options ask for a run in time."""
    return "times" in options or bool(options.get("time"))
