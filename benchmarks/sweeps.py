"""What keeping points costs: CPU for each point, opening a large store, many short points.

python benchmarks/sweeps.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qsyncdsl import pipeline
from qsyncdsl.result import Trust
from qsyncdsl.run.engines.processes import Processes
from qsyncdsl.run.follow import line_run
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.line import LineRun, Workshop
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.point_results import Job, PointResult
from qsyncdsl.run.store.folder import Store
from qsyncdsl.source import Source

MODEL = """
parameter x = 0, y = 0
mode a : qubit
hamiltonian x*a.z
dissipator 1 : a.minus
experiment e {{
  sweep   x = linspace(0, 1, {0}), y = linspace(0, 1, {1})
  solve   steadystate
  measure n = <a.n>
  measure z = <a.z>
}}
"""


class Busy:
    """Points that take a known time and give numbers."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, jobs: Sequence[Job]) -> list[PointResult]:
        found = []
        for job in jobs:
            end = time.perf_counter() + self.seconds
            while time.perf_counter() < end:
                pass
            found.append(result(job))
        return found


def result(job: Job) -> PointResult:
    """What a point might give."""
    values = {n: Labelled(np.array(0.1 * sum(job.index))) for n in job.names}
    trust = Trust({"residual": 1e-16, "trace_error": 0.0}, {"solver": "none"})
    return PointResult(job.index, values, trust, {}, 0.0, job.draw)


def line_of(folder: Path, rows: int, columns: int) -> tuple[LineRun, list[Any]]:
    """A line over a grid, kept in a folder."""
    text = MODEL.format(rows, columns)
    model, _ = pipeline.load_source(Source("model.qsync", text))
    plan = make_plan(model, model.experiments["e"], Options())
    run = line_run(plan, plan.lines[0], Workshop(store=Store(folder)))
    run.items = run.addresses.items({})
    return run, list(plan.points(plan.lines[0]))


def measured(name: str, work: Callable[[], str]) -> None:
    """Print what came out."""
    print(f"{name:<46} {work()}")


def overhead() -> str:
    """CPU of everything but the point itself, for 10,000 points."""
    found = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            run, points = line_of(Path(folder), 100, 100)
            start = time.process_time()
            jobs = list(run.open_jobs(points))
            for k in range(0, len(jobs), 10):
                run.answered([result(job) for job in jobs[k : k + 10]])
            run.shelf.close()
            found.append((time.process_time() - start) / len(points))
    each = statistics.median(found)
    return f"{1e6 * each:.0f} us, {100 * each / 10e-3:.2f} % of a point of 10 ms"


def many() -> str:
    """10,000 points of 1 ms in two processes: wall time with their start."""
    with tempfile.TemporaryDirectory() as folder:
        run, points = line_of(Path(folder), 100, 100)
        engine = Processes(2)
        start = time.perf_counter()
        try:
            engine.run(run.queue(Busy(1e-3), list(run.open_jobs(points))))
        finally:
            engine.close()
            run.shelf.close()
        return f"{time.perf_counter() - start:.1f} s"


def opening() -> str:
    """A store of 100,000 points: opened, and everything looked up."""
    with tempfile.TemporaryDirectory() as folder:
        run, points = line_of(Path(folder), 1000, 100)
        jobs = list(run.open_jobs(points))
        for k in range(0, len(jobs), 100):
            run.answered([result(job) for job in jobs[k : k + 100]])
        run.shelf.close()
        start = time.process_time()
        again, points = line_of(Path(folder), 1000, 100)
        opened = time.process_time() - start
        missing = sum(1 for _ in again.open_jobs(points))
        looked = time.process_time() - start
        again.results(points)
        read = time.process_time() - start
        size = Store(Path(folder)).size()
    return (
        f"opened {opened:.2f} s, looked through {looked:.2f} s ({missing} missing), "
        f"read {read:.2f} s, {size / len(points):.0f} bytes a point"
    )


if __name__ == "__main__":
    measured("CPU beside the point", overhead)
    measured("10,000 points of 1 ms in 2 processes", many)
    measured("a store of 100,000 points (CPU)", opening)
