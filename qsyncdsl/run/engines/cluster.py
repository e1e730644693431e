"""Workers of dask.distributed: on this machine, behind a scheduler, or jobs of a batch system."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.run.engines.queue import Batch, Queue, peak_memory
from qsyncdsl.run.threads import one_thread

# Seconds of a batch: the scheduler takes some milliseconds for each.
_TARGET = 0.4
# Seconds to wait for the first worker before saying so, and between looks at a silent cluster.
_LOOK = 2.0
_CONNECT = 20


class Cluster:
    """Batches on the workers of a scheduler.

    Args:
        where: `tcp://HOST:PORT` of a scheduler, `local` for processes of this machine, `slurm` for jobs
            of Slurm as dask-jobqueue's configuration describes them.
        jobs: Workers to start, for `local` and `slurm`.

    Raises:
        ModelError: E742 without dask, E743 if the scheduler cannot be reached.
    """

    def __init__(self, where: str, jobs: int = 1) -> None:
        self._owned: Any = None
        try:
            with one_thread():
                self._client = self._connect(where, max(jobs, 1))
        except ImportError as missing:
            raise ModelError([_not_installed(missing)]) from None
        except (OSError, ValueError) as reason:
            raise ModelError([_unreachable(where, str(reason))]) from None

    def _connect(self, where: str, jobs: int) -> Any:
        from distributed import Client, LocalCluster

        if where == "local":
            self._owned = LocalCluster(
                n_workers=jobs, threads_per_worker=1, dashboard_address=None
            )
        elif where == "slurm":
            from dask_jobqueue import SLURMCluster

            self._owned = SLURMCluster()
            self._owned.scale(jobs)
        elif "://" not in where:
            raise ValueError("an address is written tcp://HOST:PORT")
        return Client(self._owned or where, timeout=_CONNECT)

    @property
    def workers(self) -> int:
        """Threads of all workers that are there now; at least 2, so that they are asked."""
        return max(2, sum(self._client.nthreads().values()))

    def warm(self, work: Any) -> None:
        """The workers are there, or come when they come."""

    def run(self, queue: Queue) -> None:
        """Do all jobs of a queue.

        Raises:
            ModelError: E743 if the scheduler is gone.
        """
        work = pickle.dumps(queue.work, pickle.HIGHEST_PROTOCOL)
        running: dict[Any, Batch] = {}
        try:
            while queue.open:
                self._hand_out(queue, work, running)
                for future in self._finished(running):
                    self._hear(future, running.pop(future), queue)
        finally:
            self._client.cancel(list(running))

    def _hand_out(self, queue: Queue, work: bytes, running: dict[Any, Batch]) -> None:
        """One batch for each thread of the workers.

        The task goes with every batch: what is left with workers dies with them.
        """
        room = self.workers
        while len(running) < room:
            batch = queue.take(_TARGET, room)
            if batch is None:
                return
            # Not pure: an answer is never taken from what the scheduler remembers.
            future = self._client.submit(_do, work, batch.jobs, pure=False, retries=0)
            running[future] = batch

    def _finished(self, running: dict[Any, Batch]) -> list[Any]:
        """Futures that are done; waits for one."""
        from concurrent.futures import CancelledError

        from distributed import TimeoutError as Late
        from distributed import wait

        while True:
            try:
                return list(
                    wait(
                        list(running), timeout=_LOOK, return_when="FIRST_COMPLETED"
                    ).done
                )
            except CancelledError:
                return [f for f in running if f.status == "cancelled"]
            except (Late, TimeoutError):
                if self._client.status not in ("running", "connecting"):
                    raise ModelError(
                        [_unreachable("the scheduler", "it is gone")]
                    ) from None

    def _hear(self, future: Any, batch: Batch, queue: Queue) -> None:
        from distributed import KilledWorker

        if future.status == "finished":
            answers, seconds, memory = future.result()
            queue.done(batch, answers, seconds, memory)
            return
        fault = future.exception() if future.status == "error" else None
        if fault is None or isinstance(fault, KilledWorker):
            queue.lost(batch, "its workers died")
            return
        raise fault

    def close(self) -> None:
        """Leave the scheduler; end the workers that were started here."""
        self._client.close(timeout=5)
        if self._owned is not None:
            self._owned.close(timeout=10)


def _do(work: bytes, jobs: Any) -> tuple[Any, float, float]:
    """A batch on a worker."""
    from threadpoolctl import threadpool_limits

    does = _unpacked(work, threading.get_ident())
    start = time.perf_counter()
    with threadpool_limits(1):
        answers = does(jobs)
    return answers, time.perf_counter() - start, peak_memory()


@lru_cache(maxsize=16)
def _unpacked(work: bytes, thread: int) -> Callable[[Any], Any]:
    """A task, unpacked once in each thread of a worker: what it keeps is not shared."""
    found: Callable[[Any], Any] = pickle.loads(work)
    return found


def _not_installed(missing: ImportError) -> Diagnostic:
    return Diagnostic(
        "E742",
        f"a cluster needs '{missing.name or 'distributed'}'",
        help="pip install 'qsyncdsl[cluster]'",
    )


def _unreachable(where: str, reason: str) -> Diagnostic:
    text = reason.strip().splitlines()[0][:120] if reason.strip() else "no answer"
    return Diagnostic(
        "E743",
        f"'{where}' cannot be reached: {text}",
        help="--cluster tcp://HOST:PORT of a dask scheduler, 'local' or 'slurm'",
    )
