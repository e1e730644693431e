"""Running an experiment: every line over its points, the expectations, the dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.model.types import Model
from qsyncdsl.run import engines
from qsyncdsl.run.dataset import assemble, line_trust
from qsyncdsl.run.expect import Expectations, Verdict, refusal
from qsyncdsl.run.plan import Line, Options, Plan, make_plan
from qsyncdsl.run.points import PointResult, Points
from qsyncdsl.run.session import Session

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ExperimentResult:
    """The outcome of an experiment.

    Attributes:
        dataset: Measures and located values over method, case and sweeps.
        verdicts: The expectations.
        trust: For each line the worst numbers, facts, warnings and failures.
        seconds: Wall time of each line.
    """

    plan: Plan
    dataset: xr.Dataset
    verdicts: tuple[Verdict, ...]
    trust: dict[str, dict[str, Any]]
    seconds: dict[str, float]

    @property
    def failed_points(self) -> int:
        """Points or measures that gave no number."""
        return sum(
            f["points"] for trust in self.trust.values() for f in trust["failures"]
        )


@dataclass(frozen=True)
class Remote:
    """How a worker process makes the same plan: by loading the model again."""

    load: Callable[[], Model]
    experiment: str
    options: Options


def run_experiment(
    plan: Plan,
    remote: Remote | None = None,
    progress: Progress | None = None,
    expectations: bool = True,
) -> ExperimentResult:
    """Run an experiment.

    Args:
        remote: Given where several processes shall be used.
        progress: Called with a label, the number done and the number to do.
        expectations: Whether to check the `expect` lines too.
    """
    results: dict[str, list[PointResult]] = {}
    seconds: dict[str, float] = {}
    begin = time.perf_counter()
    needed = bool(plan.measures) or any(
        type(request).__name__ == "Locate" for request in plan.experiment.requests
    )
    refused: dict[str, str] = {}
    for line in plan.lines:
        start = time.perf_counter()
        found = []
        points = list(plan.points(line)) if needed else []
        reason = _refused(plan, line, points)
        if reason:
            refused[line.label] = reason
            continue
        for done, point in enumerate(_line(plan, line, points, remote), start=1):
            found.append(point)
            if progress is not None:
                progress(line.label, done, len(points))
        results[line.label] = sorted(found, key=lambda p: p.index)
        seconds[line.label] = time.perf_counter() - start
    plan = replace(
        plan,
        lines=tuple(line for line in plan.lines if line.label not in refused),
        skipped={**plan.skipped, **refused},
    )
    verdicts = []
    checker = Expectations(plan)
    wanted = checker.requests() if expectations else []
    for done, request in enumerate(wanted, start=1):
        verdicts.append(checker.one(request))
        if progress is not None:
            progress("expectations", done, len(wanted))
    dataset = assemble(plan, results, time.perf_counter() - begin)
    trust = {label: line_trust(points) for label, points in results.items()}
    return ExperimentResult(plan, dataset, tuple(verdicts), trust, seconds)


def _refused(plan: Plan, line: Line, points: list[tuple[int, ...]]) -> str:
    """Why a method is not for this model; empty where it is."""
    if not points:
        return ""
    try:
        Session(plan, line).prepare(plan.point_layers(line, points[0]))
    except ModelError as fault:
        if refusal(fault.diagnostics[0]):
            return fault.diagnostics[0].message
    except SolveError:
        pass
    return ""


def _line(
    plan: Plan, line: Line, points: list[tuple[int, ...]], remote: Remote | None
) -> Iterator[PointResult]:
    """The points of one line, in any order."""
    if not points:
        return
    here = Points(plan, line)
    yield here.at(points[0])
    rest = points[1:]
    jobs = plan.options.jobs
    if jobs <= 1 or remote is None or len(rest) < 2 * jobs:
        yield from engines.inline(here.at, rest)
        return
    work = _Worker(remote, line.label, here.grids)
    yield from engines.processes(work, rest, jobs)


@dataclass(frozen=True)
class _Worker:
    """A batch of points in another process."""

    remote: Remote
    label: str
    grids: dict[str, np.ndarray]

    def __call__(self, batch: list[tuple[int, ...]]) -> list[PointResult]:
        points = _remote_points(self.remote, self.label)
        points.grids.update(self.grids)
        return [points.at(index) for index in batch]

    def __hash__(self) -> int:
        return hash(self.label)


@lru_cache(maxsize=4)
def _remote_points(remote: Remote, label: str) -> Points:
    """The points of a line, prepared once in a worker."""
    model = remote.load()
    plan = make_plan(model, model.experiments[remote.experiment], remote.options)
    line = plan.line(label)
    assert line is not None
    return Points(plan, line)
