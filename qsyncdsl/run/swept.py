"""Points of a sweep that an expectation asks for: they are known when it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Override
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.points import PointResult

# Rounding of a grid.
_SAME = 1e-14


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

    def at(
        self, line: Line, layers: Sequence[tuple[Override, ...]], case: str | None
    ) -> PointResult | None:
        """The point of a line's sweep that some layers describe; None where there is none.

        Args:
            layers: Those of the plan, those of the line, then what is set at the point.
        """
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
        environment = Environment(plan.model, layers, plan.options.seed)
        index = [plan.cases.index(case)]
        for axis in line.axes:
            wanted = [environment.value(parameters[name]) for name in axis.names]
            away = np.abs(np.array(axis.values) - wanted).max(axis=1)
            if away.min() > _SAME * max(1.0, np.abs(wanted).max()):
                return None
            index.append(int(away.argmin()))
        return points.get(tuple(index))
