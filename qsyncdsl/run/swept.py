"""Points of a sweep that an expectation asks for: they are known when it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Override
from qsyncdsl.result import Trust
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.syntax import tree

# Rounding of a grid, in units of its largest value.
_SAME = 1e-14


@dataclass(frozen=True)
class Found:
    """A number that a sweep found.

    Attributes:
        error: Its standard error; 0 where there is none.
        trust: Of its point.
    """

    value: complex
    error: float
    trust: Trust


class Swept:
    """What the lines of a plan found, by points of their sweeps.

    Points that start from the end of others are left out: by itself one of them may be on another branch.
    """

    def __init__(
        self, plan: Plan, results: Mapping[str, Sequence[PointResult]] | None = None
    ) -> None:
        self._plan = plan
        self._results = results or {}

    @cached_property
    def _points(self) -> dict[str, dict[tuple[int, ...], PointResult]]:
        return {
            line.label: {p.index: p for p in self._results.get(line.label, ())}
            for line in self._plan.lines
            if line.protocol == "reset" and self._plan.draws == 1
        }

    def found(
        self,
        node: tree.Expr,
        environment: Environment,
        line: Line,
        layers: Sequence[tuple[Override, ...]],
        case: str | None,
    ) -> Found | None:
        """A measure, or an element of one, at the point that some layers describe; None where it is not known.

        Args:
            layers: Those of the plan, those of the line, then what is set at the point.
        """
        named = node.function if isinstance(node, tree.Call) else node
        name = named.key if isinstance(named, tree.Name) else ""
        if name not in self._plan.measures:
            return None
        point = self._at(environment, line, layers, case)
        item = point.measures.get(name) if point else None
        if point is None or item is None or not self._counted(name, item):
            return None
        place = self._place(node, environment, item)
        if place is None or not np.isfinite(item.values[place]):
            return None
        error = 0.0 if item.error is None else float(item.error[place])
        return Found(item.values[place].item(), error, point.trust)

    def _counted(self, name: str, item: Labelled) -> bool:
        """Whether all dimensions of a measure are lists or indices, whose elements are named by their numbers."""
        each = self._plan.measures[name].place.arguments
        own = {f"{name}_{word}" for word in ("item", "row", "column")}
        own |= {
            a.pattern.key
            for a in each
            if isinstance(a, tree.Each) and isinstance(a.pattern, tree.Name)
        }
        return own.issuperset(item.dims)

    def _place(
        self, node: tree.Expr, environment: Environment, item: Labelled
    ) -> tuple[int, ...] | None:
        """Where an element stands in the array of a measure."""
        arguments = node.arguments if isinstance(node, tree.Call) else ()
        if len(arguments) != len(item.dims):
            return None
        place = []
        for argument, dim in zip(arguments, item.dims, strict=True):
            wanted = environment.numbers.evaluate(argument, self._plan.model.scope)  # type: ignore[arg-type]
            at = np.flatnonzero(item.coords[dim] == wanted)
            if len(at) != 1:
                return None
            place.append(int(at[0]))
        return tuple(place)

    def _at(
        self,
        environment: Environment,
        line: Line,
        layers: Sequence[tuple[Override, ...]],
        case: str | None,
    ) -> PointResult | None:
        """The point of a line's sweep that some layers describe; None where there is none."""
        plan, points = self._plan, self._points.get(line.label, {})
        if not points or case not in plan.cases:
            return None
        swept = {name for axis in line.axes for name in axis.names}
        own = {o.name for layer in layers[len(plan.layers(case)) + 1 :] for o in layer}
        parameters = plan.model.parameters
        if (
            own - swept
            or swept & {o.name for o in line.overrides}
            or swept - parameters.keys()
        ):
            return None
        index = [plan.cases.index(case)]
        for axis in line.axes:
            wanted = [environment.value(parameters[name]) for name in axis.names]
            values = np.array(axis.values)
            # in units of the largest value of each parameter
            sizes = np.abs(values).max(axis=0)
            away = (np.abs(values - wanted) / np.where(sizes > 0, sizes, 1)).max(axis=1)
            if away.min() > _SAME:
                return None
            index.append(int(away.argmin()))
        return points.get(tuple(index))
