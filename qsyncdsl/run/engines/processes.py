"""Processes of this machine: started afresh, one thread of linear algebra each, replaced when they die."""

from __future__ import annotations

import gc
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.run.engines.queue import Batch, Queue, peak_memory
from qsyncdsl.run.threads import one_thread

# Seconds of a batch: much more than the 0.3 ms of sending it, little to lose.
_TARGET = 0.1
# Workers that may die before they ever said that they are there.
_HOPELESS = 3


class Processes:
    """`count` worker processes, kept from queue to queue."""

    def __init__(self, count: int) -> None:
        self.workers = count
        self._crew: list[_Worker] = []
        self._stillborn = 0

    def warm(self, work: Any) -> None:
        """Start the workers, so that they import what a task needs while its first jobs are done here."""
        task, given = _packed(work)
        while len(self._crew) < self.workers:
            worker = _start()
            self._crew.append(worker)
            worker.learn(task, given)

    def run(self, queue: Queue) -> None:
        """Do all jobs of a queue.

        Raises:
            SolveError: E741 if no worker can be started.
        """
        task, work = _packed(queue.work)
        try:
            while queue.open:
                self._hand_out(queue, task, work)
                for worker in self._ready():
                    self._hear(worker, queue)
        except BaseException:
            # What is being computed is of no use any more.
            self.close()
            raise

    def _hand_out(self, queue: Queue, task: bytes, work: bytes) -> None:
        """Give every idle worker something to do; start workers while there is work for them."""
        while len(self._crew) < min(self.workers, queue.running + queue.waiting):
            self._crew.append(_start())
        for worker in self._crew:
            if worker.batch is None:
                worker.batch = queue.take(_TARGET, self.workers)
                if worker.batch is not None:
                    worker.send(task, work)

    def _ready(self) -> list[_Worker]:
        """Workers that have answered or died; waits for one."""
        doors = {worker.pipe: worker for worker in self._crew}
        found = connection.wait(list(doors), timeout=5.0)
        return [doors[door] for door in found]  # type: ignore[index]

    def _hear(self, worker: _Worker, queue: Queue) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker, queue)
            return
        if message is None:
            self._stillborn = 0
            return
        answers, seconds, memory = message
        batch, worker.batch = worker.batch, None
        if isinstance(answers, Exception):
            raise answers
        assert batch is not None
        queue.done(batch, answers, seconds, memory)

    def _bury(self, worker: _Worker, queue: Queue) -> None:
        """A worker died: another takes its place."""
        self._crew.remove(worker)
        worker.process.join(5)
        code = worker.process.exitcode
        self._stillborn += 1
        if self._stillborn > _HOPELESS + self.workers and worker.batch is None:
            raise SolveError(Diagnostic("E741", "worker processes end at once"))
        if worker.batch is not None:
            queue.lost(worker.batch, _ending(code))
        worker.pipe.close()

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._crew:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._crew:
            worker.process.join(2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._crew.clear()


@dataclass
class _Worker:
    """One process, what it knows and what it does."""

    process: Any
    pipe: Connection
    batch: Batch | None = None
    knows: bytes = b""

    def learn(self, task: bytes, work: bytes) -> None:
        """Send the task with nothing to do yet."""
        self._tell(task, work, ())

    def send(self, task: bytes, work: bytes) -> None:
        """Send the batch; the task itself only once."""
        assert self.batch is not None
        self._tell(task, work, self.batch.jobs)

    def _tell(self, task: bytes, work: bytes, jobs: tuple[Any, ...]) -> None:
        given = None if task == self.knows else work
        self.knows = task
        try:
            self.pipe.send((given, jobs))
        except (BrokenPipeError, OSError):
            # Its death is noticed, and its batch given to another, when it is listened to.
            return


def _packed(work: Any) -> tuple[bytes, bytes]:
    """The name of a task and what is sent of it."""
    text = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    return blake2b(text, digest_size=16).digest(), text


def _start() -> _Worker:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    with one_thread(), _deaf():
        process.start()
    there.close()
    return _Worker(process, here)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection) -> None:
    """A worker: do what comes through the pipe until it is closed."""
    does: Any = None
    # Nearly all that is made for a point is kept or goes by itself.
    gc.set_threshold(50_000, 20, 20)
    try:
        pipe.send(None)
        while True:
            work, jobs = pipe.recv()
            if work is not None:
                does = pickle.loads(work)
            start = time.perf_counter()
            try:
                answers: Any = does(jobs)
            except Exception as fault:
                answers = fault
            if not jobs:
                # It was only to be made ready: a fault comes again with the first job.
                continue
            pipe.send((answers, time.perf_counter() - start, peak_memory()))
    except (EOFError, OSError):
        return


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
