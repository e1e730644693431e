"""All measures and located values of one point, as plain data that can leave a process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.model.types import Override
from qsyncdsl.result import Trust
from qsyncdsl.run.errors import with_errors
from qsyncdsl.run.labels import Labelled, average, label
from qsyncdsl.run.locate import locate
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.session import Session, Solved
from qsyncdsl.syntax import tree


@dataclass(frozen=True)
class PointResult:
    """What came out at one point.

    Attributes:
        measures: Measures and located values; those that failed are missing.
        failures: Why, by name; under the empty name why nothing came out.
        seconds: Wall time.
    """

    index: tuple[int, ...]
    measures: Mapping[str, Labelled]
    trust: Trust
    failures: Mapping[str, Diagnostic] = field(default_factory=dict)
    seconds: float = 0.0


class Points:
    """Solves and measures the points of one line."""

    def __init__(
        self, plan: Plan, line: Line, grids: dict[str, np.ndarray] | None = None
    ) -> None:
        self.plan = plan
        self.line = line
        self.session = Session(plan, line)
        self.grids = {} if grids is None else grids
        self.locates = [
            r for r in plan.experiment.requests if isinstance(r, tree.Locate)
        ]

    def at(self, index: tuple[int, ...]) -> PointResult:
        """One point of the sweep, averaged over the draws of disorder."""
        start = time.perf_counter()
        draws = [self._draw(index, draw) for draw in range(self.plan.draws)]
        first = draws[0]
        names = [
            name for name in first[0] if all(name in found for found, _, _ in draws)
        ]
        measures = {
            name: average([found[name] for found, _, _ in draws]) for name in names
        }
        failures = {k: v for _, _, failed in draws for k, v in failed.items()}
        return PointResult(
            index, measures, first[1], failures, time.perf_counter() - start
        )

    def _draw(
        self, index: tuple[int, ...], draw: int
    ) -> tuple[dict[str, Labelled], Trust, dict[str, Diagnostic]]:
        layers = self.plan.point_layers(self.line, index)
        case = self.plan.cases[index[0]]
        found: dict[str, Labelled] = {}
        failures: dict[str, Diagnostic] = {}
        trust = Trust()
        located = Located(self.session, self.locates, layers, case, draw)
        if self.plan.measures:
            try:
                solved = self.session.solve(layers, case, draw, located)
                trust = solved.trust
                self._measure(solved, found, failures)
                found, steps = with_errors(
                    solved, self.plan.measures, found, self.grids
                )
                trust = replace(trust, numbers={**trust.numbers, **steps})
            except (ModelError, SolveError) as fault:
                failures[""] = _diagnostic(fault)
        for request in self.locates:
            name = request.name.key
            if not self._first_along(request.parameter.key, index):
                continue
            try:
                found[name] = Labelled(np.array(located[name]))
            except (ModelError, SolveError) as fault:
                failures[name] = _diagnostic(fault)
        return found, trust, failures

    def _measure(
        self,
        solved: Solved,
        found: dict[str, Labelled],
        failures: dict[str, Diagnostic],
    ) -> None:
        series = solved.evaluator.series
        times = solved.evaluator.time if series else None
        paths = None if series else solved.evaluator.path_times
        for name, request in self.plan.measures.items():
            try:
                value = solved.evaluator.measure(name)
                found[name] = label(request, value, times, self.grids, paths)  # type: ignore[arg-type]
            except (ModelError, SolveError) as fault:
                failures[name] = _diagnostic(fault)

    def _first_along(self, parameter: str, index: tuple[int, ...]) -> bool:
        """A located value has no dimension along its own parameter: take its first point."""
        return all(
            k == 0 or parameter not in axis.names
            for axis, k in zip(self.line.axes, index[1:], strict=True)
        )


class Located(Mapping[str, Any]):
    """The located values of one point, found when they are asked for."""

    def __init__(
        self,
        session: Session,
        requests: list[tree.Locate],
        layers: list[tuple[Override, ...]],
        case: str | None,
        draw: int = 0,
    ) -> None:
        self._session = session
        self._requests = {request.name.key: request for request in requests}
        self._layers = layers
        self._case = case
        self._draw = draw
        self._known: dict[str, float] = {}

    def __getitem__(self, name: str) -> float:
        if name not in self._known:
            request = self._requests[name]
            self._known[name] = locate(
                self._session, request, self._layers, self._case, self._draw
            )
        return self._known[name]

    def __iter__(self) -> Any:
        return iter(self._requests)

    def __len__(self) -> int:
        return len(self._requests)


def _diagnostic(fault: ModelError | SolveError) -> Diagnostic:
    return fault.diagnostics[0] if isinstance(fault, ModelError) else fault.diagnostic
