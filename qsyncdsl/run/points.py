"""The points of one line solved: all measures and located values of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.model.types import Override
from qsyncdsl.problem import Stretch
from qsyncdsl.result import Trust
from qsyncdsl.run.closures import Closures
from qsyncdsl.run.errors import with_errors
from qsyncdsl.run.labels import Labelled, label
from qsyncdsl.run.located import Located, highest_at
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import Job, PartResult, PointResult, failure
from qsyncdsl.run.realizations import Begun, Part, Realizing
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Before, Solved
from qsyncdsl.run.steps import EXAMINED, examined, step_errors
from qsyncdsl.run.store.states import kept_state
from qsyncdsl.syntax import tree

# Points of a sweep that share the factors of the one in their middle.
_STRETCH = 10


class Points:
    """Solves and measures the points of one line.

    Args:
        grids: On which distributions are drawn; on grids of their own where none is given.
        stretches: Whether points beside one another may share what is made in their middle.
        sole, fewer: See `Session`.
    """

    def __init__(
        self,
        plan: Plan,
        line: Line,
        grids: Mapping[str, np.ndarray] | None = None,
        stretches: bool = True,
        sole: bool = False,
        fewer: Callable[[], Any] | None = None,
    ) -> None:
        self.plan = plan
        self.line = line
        self.session = Session(plan, line, sole, fewer)
        self.closures = Closures(self.session)
        self.grids = dict(grids or {})
        self.stretches = stretches and not self.session.follows
        self.locates = {
            r.name.key: r
            for r in plan.experiment.requests
            if isinstance(r, tree.Locate)
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Everything that is wanted of a point."""
        return (*self.plan.measures, *self.locates)

    def many(self, jobs: Sequence[Job]) -> list[PointResult | PartResult]:
        """Several points; what comes out of each does not depend on the others."""
        if self.together == 1:
            return [self.one(job) for job in jobs]
        start = time.perf_counter()
        measured = [
            job
            for job in jobs
            if job.kept is None and not set(job.names).isdisjoint(self.plan.measures)
        ]
        asked = {job: self._wanted(job) for job in measured}
        solved = self.session.solve_many(
            [(*asked[job], partial(self._near, job)) for job in measured]
        )
        answers = dict(zip(measured, solved, strict=True))
        each = (time.perf_counter() - start) / max(1, len(jobs))
        return [
            self.after(job, None, False, answers.get(job), asked.get(job), each)[0]
            for job in jobs
        ]

    @property
    def together(self) -> int:
        """How many jobs are best done together; 1 where each is solved on its own."""
        return 1 if self.session.follows else self.session.together

    def _near(self, job: Job) -> list[tuple[Override, ...]] | None:
        """The middle of the stretch that a point is part of, along the axis that is done first."""
        axes = self.line.axes
        if not (self.stretches and axes):
            return None
        middle = stretch_middle(job.index[-1], len(axes[-1].values), axes[-1].stride)
        if middle is None:
            return None
        return self.plan.point_layers(self.line, (*job.index[:-1], middle))

    def _wanted(self, job: Job) -> Asked:
        """What the session is asked for."""
        layers = self.plan.point_layers(self.line, job.index)
        case = self.plan.cases[job.index[0]]
        requests = list(self.locates.values())
        located = Located(self.session, requests, layers, case, job.draw)
        return layers, case, job.draw, located

    def one(self, job: Job) -> PointResult | PartResult:
        """One point of the sweep, for one draw of disorder; or some of its realizations."""
        measured = not set(job.names).isdisjoint(self.plan.measures)
        if job.part is None or job.kept is not None or not measured:
            return self.after(job, None)[0]
        return self._realized(job, job.part)

    def _realized(self, job: Job, part: Part) -> PointResult | PartResult:
        """Realizations of a point; the point itself if all of them are there."""
        start = time.perf_counter()
        layers, case, draw, located = self._wanted(job)
        bare = replace(job, part=None)
        found: Any
        try:
            realizing = Realizing(self.session, layers, case, draw, located)
            if part.span is not None:
                assert part.begun is not None
                found = realizing.stretch(part.begun, *part.span)
            else:
                found = realizing.solve(part)
        except Exception as fault:
            found = fault
        if part.span is not None:
            assert part.begun is not None
            if isinstance(found, Stretch):
                seconds, done = time.perf_counter() - start, (found,)
                return PartResult(bare, part.begun, part.span, done, None, seconds)
            return PartResult(bare, part.begun, part.span, (), found)
        if isinstance(found, Begun):
            return PartResult(bare, replace(found, done=()), None, found.done)
        result, _ = self.after(bare, None, given=found)
        return replace(result, seconds=time.perf_counter() - start)

    def after(
        self,
        job: Job,
        before: Before | None,
        ending: bool = False,
        given: Solved | Exception | None = None,
        asked: Asked | None = None,
        spent: float = 0.0,
    ) -> tuple[PointResult, Mapping[str, np.ndarray] | None]:
        """One point that starts from the end of another; with its own end if that is wanted.

        Args:
            given: The answer or the fault, where the point is solved already.
            asked: What the session was asked for then.
            spent: Seconds that it took.
        """
        start = time.perf_counter()
        end: Mapping[str, np.ndarray] | None = None
        state: Mapping[str, np.ndarray] | None = None
        grids = dict(self.grids)
        layers, case, draw, located = asked or self._wanted(job)
        found: dict[str, Labelled] = {}
        failures: dict[str, Diagnostic] = {}
        trust = Trust()
        wanted = {n: m for n, m in self.plan.measures.items() if n in job.names}
        if wanted or ending:
            try:
                if isinstance(given, Exception):
                    raise given
                solved = given or self._restored(job, layers, located)
                if solved is None:
                    near = partial(self._near, job)
                    solved = self.session.solve(
                        layers, case, draw, located, before, near
                    )
                    state = self._state(solved)
                elif given is not None:
                    state = self._state(solved)
                trust = solved.trust
                end = solved.ending() if ending else None
                missed = self._measure(wanted, solved, found, failures, grids)
                found, steps = with_errors(solved, wanted, found, grids)
                steps |= self._lone(found)
                # A state that was kept has the errors of other measures.
                open_ = {
                    n: m
                    for n, m in wanted.items()
                    if f"step_error of {n}" not in trust.numbers
                }
                if self._examined(job) and open_:
                    steps |= step_errors(solved, open_, found, grids)
                place = layers, case, draw, located
                trust = self.closures.told(
                    solved, wanted, found, grids,
                    partial(self._examined, job), lambda other: other.solve(*place),
                ).trust  # fmt: skip
                steps = {**steps, **missed}
                found |= _truncated(solved, found)
                if steps:
                    trust = replace(trust, numbers={**trust.numbers, **steps})
            except Exception as fault:
                failures[""] = failure(fault)
        trust = self._searched(job, located, found, failures, trust)
        fresh = {n: grid for n, grid in grids.items() if n not in self.grids}
        seconds = time.perf_counter() - start + spent
        result = PointResult(
            job.index, found, trust, failures, seconds, job.draw, fresh, 0, state
        )
        return result, end

    def _searched(
        self,
        job: Job,
        located: Located,
        found: dict[str, Labelled],
        failures: dict[str, Diagnostic],
        trust: Trust,
    ) -> Trust:
        """Located values and failures by name; gives back the trust report with what is known of them."""
        told: dict[str, float] = {}
        for name, request in self.locates.items():
            along = request.parameter.key
            if name not in job.names or not self.first_along(along, job.index):
                continue
            try:
                place = located.place(name)
            except Exception as fault:
                failures[name] = failure(fault)
                continue
            error = None if place.error is None else np.array(place.error)
            found[name] = Labelled(np.array(place.value), error=error)
            if place.error is not None:
                told[f"truncation_error of {name}"] = place.error
            if place.highest > 0:
                told[highest_at(name)] = place.highest
        return replace(trust, numbers={**trust.numbers, **told}) if told else trust

    def _lone(self, found: Mapping[str, Labelled]) -> dict[str, float]:
        """`lone of NAME` for means in time that are those of one realization, which nobody asked for."""
        written = self.session.line_options.written
        random = bool(self.session.method.realizations) and "times" in written
        many = "realizations" in written or self.plan.draws > 1
        if not random or many:
            return {}
        return {
            f"lone of {name}": 1.0
            for name, item in found.items()
            if item.error is None
            and "time" in item.dims
            and "realization" not in item.dims
        }

    def _examined(self, job: Job, most: int = EXAMINED) -> bool:
        """Whether a point is one of those that are looked at closely: some, evenly over a line."""
        if job.draw:
            return False
        place = 0
        for k, n in zip(job.index, self._sizes, strict=True):
            if k >= n:
                return True
            place = place * n + k
        return examined(place, prod(self._sizes), most)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """Cases, and points of every axis."""
        axes = (len(axis.values) for axis in self.line.axes)
        return (len(self.plan.cases), *axes)

    def _restored(
        self, job: Job, layers: list[tuple[Override, ...]], located: Located
    ) -> Solved | None:
        """The point from its state, where that was kept and can be read."""
        kept = kept_state(job.kept)
        if kept is None:
            return None
        case = self.plan.cases[job.index[0]]
        return self.session.restore(kept, layers, case, job.draw, located)

    def _state(self, solved: Solved) -> Mapping[str, np.ndarray] | None:
        """What is to be kept; a point whose levels were chosen for its measures is solved again."""
        return solved.state() if self.plan.keeps and not solved.levels else None

    def _measure(
        self,
        wanted: Mapping[str, tree.Measure],
        solved: Solved,
        found: dict[str, Labelled],
        failures: dict[str, Diagnostic],
        grids: dict[str, np.ndarray],
    ) -> dict[str, float]:
        """Measures and failures by name; gives back what maps miss of their states."""
        missed: dict[str, float] = {}
        series = solved.evaluator.series
        times = solved.evaluator.time if series else None
        paths = None if series else solved.evaluator.path_times
        for name, request in wanted.items():
            try:
                value = solved.evaluator.measure(name)
                found[name] = label(request, value, times, grids, paths)  # type: ignore[arg-type]
                missed |= {f"outside of {name}": x for x in [_outside(value)] if x}
            except Exception as fault:
                failures[name] = failure(fault)
        return missed

    def first_along(self, parameter: str, index: tuple[int, ...]) -> bool:
        """A located value has no dimension along its own parameter: take its first point."""
        return all(
            k == 0 or parameter not in axis.names
            for axis, k in zip(self.line.axes, index[1:], strict=True)
        )


def _outside(value: Any) -> float:
    """What the maps among some values, those at several times perhaps, miss of their states at most."""
    if isinstance(value, list | tuple):
        return max(map(_outside, value), default=0.0)
    return float(getattr(value, "outside", 0.0))


def stretch_middle(k: int, count: int, stride: int = 1) -> int | None:
    """The middle of the stretch of a sweep that a point is in; None where there is no other point in it.

    >>> [stretch_middle(k, 20) for k in range(20)]
    [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15]
    """
    stretches = max(1, round(count / (_STRETCH * stride)))
    length = count / stretches
    which = int((k + 0.5) / length)
    first, last = round(which * length), round((which + 1) * length)
    return (first + last) // 2 if last - first > 1 else None


# Layers of overrides, case, draw of disorder and located values of a point.
Asked = tuple[list[tuple[Override, ...]], str | None, int, Located]


def _truncated(solved: Solved, found: dict[str, Labelled]) -> dict[str, Labelled]:
    """Measures with the change that a larger cutoff makes as their error."""
    return {
        name: replace(found[name], error=np.full(found[name].values.shape, error))
        for name, error in solved.errors.items()
        if name in found and found[name].error is None
    }
