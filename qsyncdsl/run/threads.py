"""One thread of linear algebra: in processes that are started, and in this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# What libraries of linear algebra look at when they are loaded.
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes that are started meanwhile use one thread of linear algebra."""
    with _set_to_one((*_LIBRARIES, "NUMBA_NUM_THREADS")):
        yield


@contextmanager
def one_thread_here(several: bool) -> Iterator[None]:
    """Sweeps use one thread of linear algebra everywhere, so that the bits are the same."""
    if not several:
        yield
        return
    from threadpoolctl import ThreadpoolController

    here, modules = ThreadpoolController(), len(sys.modules)
    before = {library.filepath for library in here.lib_controllers}
    with here.limit(limits=1), _set_to_one(_LIBRARIES):
        yield
    if len(sys.modules) == modules:
        return
    # Libraries that were loaded inside have begun with one thread.
    threads = int(os.environ.get("OMP_NUM_THREADS", "") or os.cpu_count() or 1)
    for library in ThreadpoolController().lib_controllers:
        if library.filepath not in before:
            library.set_num_threads(threads)


@contextmanager
def _set_to_one(names: Iterable[str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
