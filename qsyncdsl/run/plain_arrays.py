"""Datasets of plain arrays: nothing is imported to recognize other ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_arrays() -> Iterator[None]:
    """No dataset inside holds arrays of dask: xarray does not import it to find that out.

    That takes longer than many a run. What xarray has noted is forgotten afterwards. Where dask is imported
    already, or xarray keeps its notes elsewhere, everything is as always.
    """
    # The parts of xarray that tell kinds of arrays apart.
    from xarray.namedarray import pycompat, utils

    noted: Any = getattr(pycompat, "_cached_duck_array_modules", None)
    installed: Any = getattr(utils, "module_available", None)
    if "dask" in sys.modules or noted is None or not hasattr(installed, "cache_clear"):
        yield
        return
    # As if it were not installed.
    sys.modules["dask"] = None  # type: ignore[assignment]
    installed.cache_clear()
    try:
        yield
    finally:
        del sys.modules["dask"]
        installed.cache_clear()
        noted.pop("dask", None)
