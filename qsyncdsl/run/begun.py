"""Points of a line of which some realizations are done: what is kept of them, and what is next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from qsyncdsl.problem import pieces
from qsyncdsl.result import Trust
from qsyncdsl.run.point_results import Job, PartResult, PointResult, failure
from qsyncdsl.run.realizations import Begun, Part, cover, gaps
from qsyncdsl.run.store.stretches import Span, Stretches

# Seconds at the beginning of a point after which the rest is left to others.
_BUDGET = 0.1
# Seconds of a stretch, at least and at most; between them a point has so many stretches.
_SHORTEST, _LONGEST, _STRETCHES = 0.1, 2.0, 500


@dataclass
class _Point:
    """One point that was begun."""

    job: Job
    begun: Begun
    waiting: set[Span] = field(default_factory=set)
    fault: tuple[int, Exception] | None = None
    done: int = 0


class BegunPoints:
    """Keeps stretches of realizations and says what is to be done next.

    Attributes:
        each: Seconds that all realizations of a point take, as far as that is known.
    """

    def __init__(self, shelf: Stretches) -> None:
        self.shelf = shelf
        self.each = 0.0
        self._points: dict[tuple[tuple[int, ...], int], _Point] = {}

    def opening(self) -> Part:
        """How a point is begun."""
        return Part(budget=_BUDGET)

    def heard(self, found: PartResult) -> Iterator[Job | PointResult]:
        """Keep what was done of a point.

        Yields:
            What is to be done next of it; or the point, if its realizations cannot be done.

        Raises:
            OSError: If it cannot be kept.
        """
        place = (found.job.index, found.job.draw)
        known = self.shelf.spans(found.begun.key)
        for stretch in found.done:
            if (stretch.first, stretch.size) not in known:
                self.shelf.keep(found.begun.key, stretch)
        if found.span is None:
            self._points[place] = _Point(found.job, found.begun)
            self.each = found.begun.each * found.begun.count or self.each
            yield from self._missing(self._points[place])
            return
        point = self._points[place]
        point.waiting.discard(found.span)
        point.done += sum(stretch.size for stretch in found.done)
        if found.done:
            point.begun = replace(point.begun, each=found.seconds / found.span[1])
        if found.fault is not None:
            first = found.span[0]
            if point.fault is None or first < point.fault[0]:
                point.fault = (first, found.fault)
        if point.waiting:
            return
        if point.fault is None:
            yield from self._missing(point)
            return
        del self._points[place]
        reason = {"": failure(point.fault[1])}
        yield PointResult(*place[:1], {}, Trust(), reason, 0.0, found.job.draw)

    def _missing(self, point: _Point) -> Iterator[Job]:
        """The stretches that nobody has done; else the job of putting the point together."""
        begun = point.begun
        spans = cover(self.shelf.spans(begun.key), begun.count, begun.unit)
        missing = list(gaps(spans, begun.count))
        if not missing:
            read = [self.shelf.read(begun.key, span) for span in spans]
            done = tuple(stretch for stretch in read if stretch is not None)
            if len(done) == len(spans):
                yield replace(point.job, part=Part(begun, None, done, _BUDGET))
                return
            missing = list(gaps([(s.first, s.size) for s in done], begun.count))
        most = self._most(begun)
        bare = replace(begun, done=())
        for first, end in missing:
            for span in pieces(first, end, begun.unit, most):
                point.waiting.add(span)
                yield replace(point.job, part=Part(bare, span))
        point.done = begun.count - sum(size for _, size in point.waiting)

    def _most(self, begun: Begun) -> int:
        """Realizations of a stretch."""
        if not begun.each:
            # as many as whoever was here before
            sizes = [size for _, size in self.shelf.spans(begun.key)]
            return max([begun.unit, *sizes])
        wanted = begun.each * begun.count / _STRETCHES
        seconds = float(np.clip(wanted, _SHORTEST, _LONGEST))
        return max(begun.unit, int(seconds / begun.each))

    def finished(self, result: PointResult) -> None:
        """A point is kept."""
        point = self._points.pop((result.index, result.draw), None)
        if point is not None:
            self.shelf.finished(point.begun.key)

    @property
    def realizations(self) -> tuple[int, int]:
        """How many are done, and how many there are, of the points that were begun."""
        points = self._points.values()
        return sum(p.done for p in points), sum(p.begun.count for p in points)

    @property
    def seconds(self) -> float:
        """What is left of the points that were begun, on one worker."""
        points = self._points.values()
        return sum((p.begun.count - p.done) * p.begun.each for p in points)

    def __len__(self) -> int:
        return len(self._points)
