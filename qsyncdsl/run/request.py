"""A point that is to be solved, and what is made of the answer of its solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import Point
from qsyncdsl.run.frames import told
from qsyncdsl.run.line_options import in_time
from qsyncdsl.run.methods.entry import Method, Stage
from qsyncdsl.run.prepared import Prepared
from qsyncdsl.run.solved import Solved
from qsyncdsl.run.validity import moment_residuals

if TYPE_CHECKING:
    from qsyncdsl.algebra.frames import Frame


@dataclass(frozen=True, eq=False)
class Request:
    """A point with its solver.

    Attributes:
        frame: That its levels are kept in; None about the vacuum.
        measured: From scenes to the measures of the experiment.
    """

    method: Method
    prepared: Prepared
    point: Point
    environment: Environment
    frame: Frame | None
    stage: Stage
    measured: Callable[[tuple[Any, ...]], MeasureEvaluator]

    def finish(self, result: Any) -> Solved:
        """What is known of the point, from the result of its solver."""
        method, options = self.method, self.point.options
        scenes = method.scenes(result, self.stage)
        trust = told(result.trust, self.frame, self.stage.space)
        if method.truncates and len(scenes) == 1:
            # Measures add to these numbers what they find.
            residuals = moment_residuals(
                self.environment.model, self.environment, scenes[0]
            )
            trust.numbers.update(residuals)
        return Solved(
            self.measured(scenes),
            self.environment,
            trust,
            lambda: method.replicas(result, self.stage),
            self.measured,
            lambda: method.ending(result) if method.ending else None,
            lambda: self._arrays(result),
            lambda: self._populations(result),
            lambda: method.guess(result),
            again=self._again if method.integrates and in_time(options) else None,
            thinned=partial(self._thinned, result),
            few=partial(self._thinned, result, True),
            closure=lambda: method.closure(self.prepared.solver.problem, options),
        )

    def _again(self, factor: float, finer: int, few: bool = False) -> Solved:
        """The same point with other tolerances and times of an average."""
        from qsyncdsl.run.steps import few_times

        options = self.point.options
        more = {**options, "fineness": finer} if finer > 1 else options
        other = replace(
            self.point, coarser=factor, options=more, times=self.method.times(more)
        )
        result = self.prepared.solver.solve(other)
        averaged = few and "times" not in options
        return self.finish(few_times(result) if averaged else result)

    def _thinned(self, result: Any, few: bool = False) -> MeasureEvaluator | None:
        """An average over a window from fewer of its times; None where there is none."""
        from qsyncdsl.run.steps import few_times, fewer_times

        if "times" in self.point.options:
            return None
        fewer = few_times(result) if few else fewer_times(result)
        if fewer is None or fewer is result:
            return None
        return self.measured(self.method.scenes(fewer, self.stage))

    def _arrays(self, result: Any) -> Mapping[str, np.ndarray] | None:
        """A result as arrays, where it can be kept."""
        keeping = self.method.keeping
        return None if keeping is None else keeping.arrays(result)

    def _populations(self, result: Any) -> Mapping[str, np.ndarray]:
        find = self.method.populations
        return {} if find is None else find(result)
