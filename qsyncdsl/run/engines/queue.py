"""What is to be computed, handed out in batches, and what comes back. Knows nothing of processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.run.stopping import obey

# Most jobs of a batch before one was timed, and ever.
_FIRST, _MOST = 1, 5000
# Weight of a new batch in the mean time of a job.
_NEW = 0.3


@dataclass(frozen=True)
class Batch:
    """Jobs that one worker does in one go; `alone`: its worker died of it once."""

    jobs: tuple[Any, ...]
    alone: bool = False


@dataclass
class Queue:
    """Jobs of one task.

    Attributes:
        work: Does a list of jobs and returns as many answers; can be sent to another process.
        answered: Called with the answers of a batch; returns jobs that they make possible.
        gave_up: Called for a job that two workers died of.
        memory: Bytes that a worker had at most.
        together: Jobs that are best done together; batches are multiples of it.
        depth: Whether jobs that answers make possible come before the others.
    """

    work: Callable[[Sequence[Any]], list[Any]]
    jobs: Iterable[Any]
    answered: Callable[[Sequence[Any]], Iterable[Any]]
    gave_up: Callable[[Any, Diagnostic], Iterable[Any]]
    memory: float = 0.0
    together: int = 1
    depth: bool = False
    seconds: float | None = None
    running: int = 0
    _waiting: deque[Any] = field(default_factory=deque)
    _alone: deque[Any] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._waiting.extend(self.jobs)

    @property
    def open(self) -> bool:
        """Whether there is anything left to hand out or to wait for."""
        return bool(self._waiting or self._alone or self.running)

    @property
    def waiting(self) -> int:
        """Jobs that nobody has yet."""
        return len(self._waiting) + len(self._alone)

    def take(self, target: float, workers: int) -> Batch | None:
        """Jobs worth about `target` seconds; None where there are none just now.

        Near the end batches become small, so that all workers end together.

        Raises:
            Stopped: If a stop was asked for.
        """
        obey()
        if self._alone:
            self.running += 1
            return Batch((self._alone.popleft(),), True)
        if not self._waiting:
            return None
        count = _FIRST
        if self.seconds is not None:
            count = int(min(target / max(self.seconds, 1e-7), _MOST))
        count = max(1, min(count, -(-len(self._waiting) // workers)))
        whole = max(self.together, count // self.together * self.together)
        count = min(whole, len(self._waiting))
        self.running += 1
        return Batch(tuple(self._waiting.popleft() for _ in range(count)))

    def done(
        self, batch: Batch, answers: Sequence[Any], seconds: float, memory: float = 0.0
    ) -> None:
        """Hand in the answers of a batch.

        Raises:
            Stopped: If a stop was asked for: the answers may have suffered from it.
        """
        obey()
        self.running -= 1
        self.memory = max(self.memory, memory)
        each = seconds / max(1, len(batch.jobs))
        before = self.seconds
        self.seconds = each if before is None else (1 - _NEW) * before + _NEW * each
        self._add(self.answered(answers))

    def _add(self, jobs: Iterable[Any]) -> None:
        if self.depth:
            self._waiting.extendleft(reversed(list(jobs)))
        else:
            self._waiting.extend(jobs)

    def lost(self, batch: Batch, reason: str) -> None:
        """A worker died: its jobs are done again one by one, and given up the second time."""
        self.running -= 1
        if not batch.alone:
            self._alone.extend(batch.jobs)
            return
        fault = Diagnostic(
            "E740",
            f"the process that computed this point ended: {reason}",
            help="most often memory: fewer processes, or fewer levels",
        )
        for job in batch.jobs:
            self._add(self.gave_up(job, fault))


class Engine(Protocol):
    """Something that empties queues."""

    @property
    def workers(self) -> int:
        """How many batches it does at once."""

    def warm(self, work: Any) -> None:
        """Make ready for a task, of which there is much to do."""

    def run(self, queue: Queue) -> None:
        """Do all jobs of a queue, also those that answers add."""

    def close(self) -> None:
        """End every process that it started."""


class Inline:
    """One batch after the other, in this process."""

    workers = 1
    # Seconds of a batch: what a sudden end may cost.
    _TARGET = 0.1

    def warm(self, work: Any) -> None:
        """Nothing has to be started."""

    def run(self, queue: Queue) -> None:
        """Do all jobs of a queue."""
        while batch := queue.take(self._TARGET, 1):
            start = time.perf_counter()
            answers = queue.work(batch.jobs)
            queue.done(batch, answers, time.perf_counter() - start, peak_memory())

    def close(self) -> None:
        """Nothing was started."""


def peak_memory() -> float:
    """Bytes that this process had at most; 0 where that cannot be known."""
    try:
        import resource
        import sys
    except ImportError:
        return 0.0
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else 1024 * peak
