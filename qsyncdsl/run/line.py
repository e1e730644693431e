"""The points of one line: what is known already, what is left to do, and what came out."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.result import Trust
from qsyncdsl.run.averages import averaged
from qsyncdsl.run.begun import BegunPoints
from qsyncdsl.run.engines.queue import Engine, Inline, Queue, peak_memory
from qsyncdsl.run.limits import Estimate, refuse
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import Job, PartResult, PointResult
from qsyncdsl.run.points import Points
from qsyncdsl.run.store.address import Addresses
from qsyncdsl.run.store.blocks import Damage
from qsyncdsl.run.store.columns import Row
from qsyncdsl.run.store.folder import Store
from qsyncdsl.run.store.shelf import Shelf
from qsyncdsl.run.store.states import state_block
from qsyncdsl.run.store.stretches import Stretches
from qsyncdsl.run.threads import one_thread_here

# Points that are tried for the grids on which distributions are drawn.
_PILOTS = 8
# Seconds of work that are done here before other processes are asked.
_ALONE = 0.5
# Seconds of work that are worth starting other processes for.
_WORTH = 1.5
# Solves from which on other processes start before it is known how long one takes.
_MANY = 2000
# Seconds of work that are announced.
_SAID = 10.0


@dataclass
class Workshop:
    """Where a command computes and keeps its points, and whom it tells.

    Attributes:
        retry: Whether points that failed are done again.
        progress: Called with a label, the number done, the number to do, and facts by name.
        warn: Called with what a person should know at once.
        far: Whether workers are on other machines.
    """

    engine: Engine = field(default_factory=Inline)
    store: Store | None = None
    retry: bool = False
    progress: Callable[..., None] | None = None
    warn: Callable[[Diagnostic], None] = lambda warning: None
    far: bool = False

    def tell(self, label: str, done: int, total: int, **facts: Any) -> None:
        """Say how far things are."""
        if self.progress is not None:
            self.progress(label, done, total, **facts)


@dataclass
class Task:
    """The jobs of one line, wherever they are done; sent to workers once."""

    plan: Plan
    line: Line
    grids: dict[str, np.ndarray]
    elsewhere: frozenset[bytes] = frozenset()
    points: Points | None = field(default=None, repr=False)

    def __call__(self, jobs: Sequence[Job]) -> list[PointResult | PartResult]:
        """Do some jobs; what is made once for all of them is kept."""
        if self.points is None:
            self.points = Points(self.plan, self.line, self.grids)
            self.points.session.elsewhere = self.elsewhere
        return self.points.many(jobs)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.plan, self.line, self.grids, self.elsewhere

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.plan, self.line, self.grids, self.elsewhere = state
        self.points = None


class LineRun:
    """One line of a plan being computed."""

    def __init__(self, plan: Plan, line: Line, workshop: Workshop) -> None:
        self.plan, self.line, self.workshop = plan, line, workshop
        self.addresses = Addresses(plan, line)
        store = workshop.store
        self.shelf = store.shelf(plan, line, self.addresses) if store else Shelf()
        self.points = Points(plan, line)
        self.begun: BegunPoints | None = None
        if self.points.session.method.realizations and not self.points.session.follows:
            kept = store.stretches(plan, line, self.addresses) if store else Stretches()
            self.begun = BegunPoints(kept)
            self.points.session.elsewhere = kept.keys()
        self.items: dict[str, str] = {}
        self.done = self.total = self.failed = 0
        self._queue: Queue | None = None
        self.points.session.tell = self._tell_share
        self._rare = {n: r.parameter.key for n, r in self.points.locates.items()}

    # ── what is wanted ───────────────────────────────────────────────────────────────────

    def names(self, index: tuple[int, ...]) -> tuple[str, ...]:
        """Measures and located values that belong to a point."""
        if not self._rare:
            return self.points.names
        return tuple(
            name
            for name in self.points.names
            if name not in self._rare
            or self.points.first_along(self._rare[name], index)
        )

    def open_jobs(self, indices: Iterable[tuple[int, ...]]) -> Iterator[Job]:
        """What is not known yet of some points."""
        for index in indices:
            names = self.names(index)
            wanted = [self.items[n] for n in names]
            for draw in range(self.plan.draws):
                address = self.addresses.point(index, draw)
                missing = self.shelf.missing(address, wanted, self.workshop.retry)
                if missing:
                    left = tuple(n for n in names if self.items[n] in missing)
                    kept = self.shelf.state_place(address) if self.plan.keeps else None
                    part = None if self.begun is None else self.begun.opening()
                    yield Job(index, draw, left, kept, part)

    def result(self, index: tuple[int, ...]) -> PointResult:
        """What is known of a point, averaged over the draws of disorder."""
        draws = []
        for draw in range(self.plan.draws):
            address = self.addresses.point(index, draw)
            known = self.shelf.known(address, self.items)
            if known is not None:
                draws.append(self.ordered(known, index))
        return averaged(draws) if draws else PointResult(index, {}, Trust())

    def ordered(self, known: PointResult, index: tuple[int, ...]) -> PointResult:
        """Measures in the order of the file, whichever came first."""
        measures, failures = known.measures, known.failures
        names = ("", *self.points.names)
        if tuple(measures) != self.points.names[: len(measures)]:
            measures = {n: measures[n] for n in names if n in measures}
        if len(failures) > 1:
            failures = {n: failures[n] for n in names if n in failures}
        return PointResult(
            index,
            measures,
            known.trust,
            failures,
            known.seconds,
            known.draw,
            known.grids,
            known.direction,
            known.state,
        )

    def results(self, indices: Sequence[tuple[int, ...]]) -> list[PointResult]:
        """What is known of some points, averaged over the draws of disorder."""
        with _uncollected():
            return [self.result(index) for index in indices]

    def averaged(self, draws: Mapping[Any, list[PointResult]]) -> list[PointResult]:
        """Points of which several draws are known, in order."""
        return [averaged(draws[place]) for place in sorted(draws)]

    def count(self, indices: Sequence[tuple[int, ...]]) -> tuple[int, int]:
        """How many solves are done, and how many there are."""
        total = len(indices) * self.plan.draws
        return total - sum(1 for _ in self.open_jobs(indices)), total

    # ── doing it ─────────────────────────────────────────────────────────────────────────

    def run(self, indices: Sequence[tuple[int, ...]]) -> list[PointResult]:
        """Compute what is missing of some points, and return all of them in order."""
        several = len(indices) * self.plan.draws > 1 or self.begun is not None
        try:
            with one_thread_here(several):
                self._warm(indices)
                self.pilot(indices)
                self.compute(indices)
        finally:
            self.shelf.close()
            if self.begun is not None:
                self.begun.shelf.close()
        return self.results(indices)

    def _warm(self, indices: Sequence[tuple[int, ...]]) -> None:
        """Let other processes start now where there is so much to do that they will be asked."""
        left = len(indices) * self.plan.draws - len(self.shelf)
        if self.workshop.engine.workers > 1 and left > _MANY:
            self.workshop.engine.warm(self.task())

    def known(self, indices: Sequence[tuple[int, ...]]) -> list[PointResult]:
        """What is known of some points already."""
        for index in indices[:_PILOTS]:
            self.items = self.addresses.items({})
            known = self.shelf.known(self.addresses.point(index, 0), self.items)
            if known is not None and "" not in known.failures:
                self.items = self.addresses.items(known.grids)
                break
        return self.results(indices)

    def pilot(self, indices: Sequence[tuple[int, ...]]) -> None:
        """The first points, until one gives the grids on which distributions are drawn."""
        for index in indices[:_PILOTS]:
            self.items = self.addresses.items({})
            jobs = [job for job in self.open_jobs([index]) if job.draw == 0]
            self.total, self.done = len(jobs), 0
            self.empty(self.queue(self.task(), jobs))
            known = self.shelf.known(self.addresses.point(index, 0), self.items)
            if known is not None and "" not in known.failures:
                self.points.grids = dict(known.grids)
                break
        self.total = self.done = self.failed = 0
        self._keep_pilot(indices)

    def _keep_pilot(self, indices: Sequence[tuple[int, ...]]) -> None:
        """Grids enter the addresses of measures: what the pilot found is kept under these too."""
        before = self.items
        self.items = self.addresses.items(self.points.grids)
        if before == self.items:
            return
        for index in indices[:_PILOTS]:
            address = self.addresses.point(index, 0)
            known = self.shelf.known(address, before)
            if known is None or not known.grids:
                continue
            names = {n for n in known.measures if before[n] != self.items[n]}
            new = {n: m for n, m in known.measures.items() if n in names}
            if self.shelf.missing(address, [self.items[n] for n in new]):
                self.shelf.keep(
                    [Row(address, replace(known, measures=new), self.items)]
                )
            return

    def task(self) -> Task:
        """The work of this line; here it is done with what is made already."""
        elsewhere = self.points.session.elsewhere
        return Task(self.plan, self.line, self.points.grids, elsewhere, self.points)

    def compute(self, indices: Sequence[tuple[int, ...]]) -> None:
        """Everything that is missing of some points."""
        jobs = list(self.open_jobs(indices))
        self.total += len(indices) * self.plan.draws
        self.done = self.total - len(jobs)
        self.tell()
        self.empty(self.queue(self.task(), jobs))

    def empty(self, queue: Queue) -> None:
        """Do all jobs of a queue; here, unless there is more to do than starting others costs.

        Raises:
            ModelError: E747, E748 if the rest does not fit in memory or on the disk.
        """
        self._queue = queue
        engine = self.workshop.engine
        begin = time.perf_counter()
        while queue.open and time.perf_counter() - begin < _ALONE:
            batch = queue.take(_ALONE / 4, 4)
            if batch is None:
                break
            start = time.perf_counter()
            answers = queue.work(batch.jobs)
            queue.done(batch, answers, time.perf_counter() - start, peak_memory())
        if not queue.open:
            return
        rest = self._estimate(queue)
        refuse(rest, self.shelf.folder, not self.workshop.far)
        if rest.seconds > _SAID:
            self.tell(text=f"{self.line.label}: {rest.text()}")
        if rest.seconds * rest.workers < _WORTH:
            Inline().run(queue)
        if queue.open:
            if engine.workers > 1:
                # What was made here for the first points is made there again.
                self.points.session.forget()
            engine.run(queue)

    def _estimate(self, queue: Queue) -> Estimate:
        """What the rest will take, from what the first points took."""
        workers = self.workshop.engine.workers
        each = self.shelf.written / max(1, self.shelf.added)
        left = self.total - self.done
        seconds = left * (queue.seconds or 0.0)
        disk = left * each
        if self.begun is not None and len(self.begun):
            seconds = (left - len(self.begun)) * self.begun.each + self.begun.seconds
            done, count = self.begun.realizations
            disk += (count - done) * self.begun.shelf.each
        return Estimate(
            left,
            seconds / workers,
            workers,
            queue.memory or peak_memory(),
            disk,
            self.total * self.shelf.numbers,
        )

    def queue(self, work: Callable[..., Any], jobs: list[Job]) -> Queue:
        """A queue whose answers go to the shelf."""
        together, depth = self.points.together, self.begun is not None
        return Queue(work, jobs, self.answered, self.gave_up, 0.0, together, depth)

    def answered(self, results: Sequence[PointResult | PartResult]) -> Iterable[Job]:
        """Keep what came out; points that were begun go on."""
        more: list[Job] = []
        points = [r for r in results if isinstance(r, PointResult)]
        for part in results:
            if isinstance(part, PartResult):
                assert self.begun is not None
                for following in self.begun.heard(part):
                    if isinstance(following, Job):
                        more.append(following)
                    else:
                        points.append(following)
        self._keep(points)
        self.tell()
        return more

    def _keep(self, results: Sequence[PointResult]) -> None:
        """Keep points that are finished."""
        rows = [
            Row(self.addresses.point(r.index, r.draw), r, self.items) for r in results
        ]
        self.shelf.keep(rows)
        for row in rows:
            result = row.result
            if result.state is not None:
                block = state_block(row.address, result.state, result.trust)
                self.shelf.keep_state(row.address, block)
        self.shelf.sync()
        self.done += len(results)
        self.failed += sum(bool(r.failures) for r in results)
        if self.begun is not None:
            for result in results:
                self.begun.finished(result)

    def gave_up(self, job: Job, fault: Diagnostic) -> Iterable[Job]:
        """Keep why nothing came out."""
        if job.part is not None and job.part.span is not None:
            assert job.part.begun is not None
            bare, reason = replace(job, part=None), SolveError(fault)
            lost = PartResult(bare, job.part.begun, job.part.span, (), reason)
            return self.answered([lost])
        return self.answered(
            [PointResult(job.index, {}, Trust(), {"": fault}, 0.0, job.draw)]
        )

    def complain(self) -> tuple[Diagnostic, ...]:
        """What was found damaged on the shelf and is computed again."""
        return tuple(
            Diagnostic(
                "W745",
                f"{part.length} bytes of '{part.path.name}' are damaged: "
                "their points are computed again",
                help="'qsyncdsl clean' removes what is damaged",
            )
            for part in self._damaged()
            # The end of a file that nobody finished is no wonder.
            if not part.cut_off
        )

    def _damaged(self) -> list[Damage]:
        more = [] if self.begun is None else self.begun.shelf.damaged
        return [*self.shelf.damaged, *more]

    def _tell_share(self, share: float) -> None:
        """Say how far the point is that is solved here."""
        self.workshop.tell(f"{self.line.label}, % of a point", int(100 * share), 100)

    def tell(self, text: str = "") -> None:
        """Say how far this line is."""
        memory = self._queue.memory if self._queue is not None else 0.0
        if self.begun is not None and len(self.begun):
            done, count = self.begun.realizations
            self._tell_share(done / max(1, count))
        self.workshop.tell(
            self.line.label,
            self.done,
            self.total,
            failed=self.failed,
            memory=memory,
            text=text,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Many objects are made of which none is garbage: looking for some takes longer than making them."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
