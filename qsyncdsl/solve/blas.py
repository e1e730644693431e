"""One thread of linear algebra around many small steps.

Threads that wait for each other at every small block cost more than they save: where other processes keep the
cores busy, a hundred times as much as the work.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """A context in which the libraries of linear algebra use one thread."""
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limited


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
