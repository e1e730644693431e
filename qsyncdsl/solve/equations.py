"""Typed equations of motion and maps: runs of compiled right sides, from kick to kick where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import SolveError
from qsyncdsl.problem import EquationProblem, Point, at_once
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve import at_rest
from qsyncdsl.solve.dynamics import Dynamics
from qsyncdsl.solve.equation_numbers import data_of, periods
from qsyncdsl.solve.equation_runs import Run
from qsyncdsl.solve.equation_state import labels, packed, start_of, unpacked
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.kick_times import falls, instants, intervals
from qsyncdsl.solve.times import Sampling, even, sampling, whole

# Samples of a deterministic run in the time that the fastest variable needs to turn by a radian.
_PER_RADIAN = 4.0
# Samples in a period of kicks, at least.
_A_PERIOD = 32


class EquationSolver:
    """Solves typed equations of one problem at many points; noises only where there are any."""

    def __init__(self, problem: EquationProblem) -> None:
        self.problem = problem
        self._shared: dict[str, Any] = {}

    def flow(self, point: Point) -> Flow:
        """The deterministic right side at a point, for fixed points, cycles and exponents."""
        problem = self.problem
        flow = Flow(
            problem.source,
            problem.size,
            data_of(problem, point.values),
            problem.angles,
            problem.discrete,
            problem.timed,
            labels(problem),
            shared=self._shared,
        )
        flow.tolerance = max(flow.tolerance * point.coarser, 1e-13)
        return flow

    def solve(self, point: Point) -> FieldResult:
        """Run from the initial values.

        Raises:
            SolveError: E510-E512 for times, E513 and E514 for values that leave the real numbers,
                E515, E561, E562 for noises.
        """
        run = self.begin(point)
        found: FieldResult = self._plain(point) if run is None else at_once(run)
        return found

    def begin(
        self, point: Point, settled: Mapping[str, float] | None = None
    ) -> Run | None:
        """What all realizations have in common; None where there is no noise.

        Raises:
            SolveError: As `solve`.
        """
        return Run(self, point) if self.problem.noisy else None

    def again(self, point: Point) -> Any:
        """The same point from another start, given as y."""

        def run(y: np.ndarray) -> FieldResult:
            start = unpacked(self.problem, y[None])[:, 0]
            return self.solve(replace(point, initial=start, previous=None))

        return run

    def quiet(self, point: Point) -> Any:
        """The run without noise, done when it is asked for; None where it fails."""
        known: list[FieldResult | None] = []
        # the longest step of a run with noise is none of this one
        options = {key: v for key, v in point.options.items() if key != "dt"}
        calm = replace(point, options=options)

        def run() -> FieldResult | None:
            if not known:
                try:
                    known.append(self._plain(calm))
                except SolveError:
                    known.append(None)
            return known[0]

        return run

    # ── deterministic ────────────────────────────────────────────────────────────────────────

    def _plain(self, point: Point) -> FieldResult:
        problem, flow = self.problem, self.flow(point)
        start = packed(problem, point)
        if at_rest.asked(point.options):
            return self._stationary(point, flow, start)
        finest = 1.0 if problem.discrete else _spacing(flow, start)
        every = periods(problem, point.values)
        if every:
            finest = min(finest, min(every) / _A_PERIOD)
        chosen = sampling(
            point.options, problem.count, 1, finest, min(every, default=0.0)
        )
        if problem.discrete:
            chosen = whole(chosen)
        elif not every:
            chosen = even(chosen)
        longest = float(point.options.get("dt", 0) or np.inf) * point.longer
        longest = min(longest, flow.changes(start, float(chosen.times[-1])).longest)
        if every:
            found = self._from_kick_to_kick(point, flow, every, start, chosen, longest)
        else:
            found = flow.at(start, chosen.times, longest)
        scheme = "map" if problem.discrete else "DOP853"
        if every:
            scheme += " between kicks; at the instant of a kick values just before it"
        facts = {
            "scheme": scheme,
            "start": start_of(point),
        }
        steps = {} if problem.discrete else {"tolerance": flow.tolerance}
        trust = Trust(steps, facts)
        samples = unpacked(problem, found)[:, None, :]
        result = FieldResult(
            problem.families, chosen.times, samples, chosen.series, False, trust
        )
        if every:
            reason = "kicks beside variables have no map of a period here"
            return replace(result, extra={"no_dynamics": reason})
        dynamics = Dynamics(flow, found, chosen.times, start)
        extra = {"dynamics": dynamics, "again": self.again(point)}
        stays = replace(trust, warnings=at_rest.unmoved(flow, found, start))
        return replace(result, extra=extra, trust=stays)

    def _stationary(self, point: Point, flow: Flow, start: np.ndarray) -> FieldResult:
        """The fixed point that a run from the start ends at.

        Raises:
            SolveError: E512, E520, E521 and E527 where there is none.
        """
        if flow.timed or self.problem.kicks:
            what = "kicks act" if self.problem.kicks else "t occurs in the equations"
            raise SolveError(at_rest.never(what))
        y = at_rest.fixed_point(flow, start, bound=False)
        y[flow.angles] = (y[flow.angles] + np.pi) % (2 * np.pi) - np.pi
        samples = unpacked(self.problem, y[None])[:, None, :]
        dynamics = Dynamics.at_rest(flow, y, start)
        return FieldResult(
            self.problem.families, np.zeros(1), samples, False, False, at_rest.trust(flow, y),
            extra={"dynamics": dynamics, "again": self.again(point)},
        )  # fmt: skip

    def _from_kick_to_kick(
        self, point: Point, flow: Flow, every: list[float], start: np.ndarray, chosen: Sampling,
        longest: float,
    ) -> np.ndarray:  # fmt: skip
        """y at the times, shape (T, n)."""
        found = np.empty((len(chosen.times), len(start)))
        found[chosen.times <= 0] = start
        y = start
        kicks = instants(every, float(chosen.times[-1]))
        for begin, places, end in intervals(chosen.times, kicks):
            y = self.kicked(point, every, y, begin)
            # close to the end of the interval is at it
            inside = np.minimum(chosen.times[places], end) - begin
            last = end - begin
            wanted = np.append(inside[inside < last * (1 - 1e-12)], last)
            path = flow.at(y, wanted, longest)
            found[places] = path[np.searchsorted(wanted, inside)]
            y = path[-1]
        return found

    def kicked(
        self, point: Point, every: list[float], y: np.ndarray, time: float
    ) -> np.ndarray:
        """y after all kicks of a time, in the order written."""
        problem = self.problem
        for (_, name), period in zip(problem.kicks, every, strict=True):
            if falls(time, period):
                text = problem.source.replace("def right(", "def rates(")
                shared = self._shared.setdefault(name, {})
                flow = Flow(
                    text.replace(f"def {name}(", "def right("), problem.size,
                    data_of(problem, point.values), (), False, False, labels(problem),
                    shared=shared,
                )  # fmt: skip
                y = flow.after(y, 1.0)
        return y


def _spacing(flow: Flow, start: np.ndarray) -> float:
    """Time between samples."""
    return min(max(1 / (_PER_RADIAN * flow.fastest(start)), 1e-3), 0.25)
