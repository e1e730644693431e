"""Where points are computed: in this process, or spread over several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")

# Batches per worker: few enough that starting them costs nothing, many enough to share the work.
_BATCHES = 8
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def inline(work: Callable[[Job], Answer], jobs: Sequence[Job]) -> Iterator[Answer]:
    """One after the other, here."""
    return (work(job) for job in jobs)


def processes(
    work: Callable[[list[Job]], list[Answer]], jobs: Sequence[Job], count: int
) -> Iterator[Answer]:
    """In `count` new processes, in batches; answers come in any order.

    Each worker has one thread for linear algebra, so that workers do not get in one another's way.
    """
    size = max(1, -(-len(jobs) // (count * _BATCHES)))
    batches = [list(jobs[k : k + size]) for k in range(0, len(jobs), size)]
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with ProcessPoolExecutor(
            min(count, len(batches)), get_context("spawn")
        ) as pool:
            waiting: set[Future[list[Answer]]] = {
                pool.submit(work, batch) for batch in batches
            }
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield from future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
