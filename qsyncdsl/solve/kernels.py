"""Compiling generated source with numba, kept on disk so that the next process need not.

A kernel is a module file named by the hash of its text; numba keeps machine code beside it. The
folder may be deleted, read-only or shared: the worst that happens is compiling again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from qsyncdsl.problem import FieldProblem
from qsyncdsl.resources import cache_folder
from qsyncdsl.solve import stepping

_HEAD = '''"""Generated; may be deleted at any time."""
import numpy as np
from numba import njit
from qsyncdsl.solve.lanes import gaussian, three_point, two_point

LANES = {lanes}
SUMS = {sums}
_jit = njit({options})

'''
_OPTIONS = 'cache={cache}, error_model="numpy", fastmath={{"contract", "reassoc", "nsz", "arcp"}}'
_DEBUG = "boundscheck=True"


def kernel_source(problem: FieldProblem, lanes: int, cache: bool = True) -> str:
    """The text of the module: readable, the same for the same model and version.

    With `QSYNCDSL_DEBUG` set, every index is checked.
    """
    options = (
        _DEBUG if os.environ.get("QSYNCDSL_DEBUG") else _OPTIONS.format(cache=cache)
    )
    head = _HEAD.format(lanes=lanes, sums=max(2 * problem.sums, 1), options=options)
    body = problem.source.replace("\ndef ", "\n@_jit\ndef ")
    if body.startswith("def "):
        body = "@_jit\n" + body
    return f"{head}{body}\n\n@_jit\n{inspect.getsource(stepping.run)}"


@lru_cache(maxsize=32)
def compiled(source: str) -> Any:
    """The function `run` of a module."""
    name = "qsyncdsl_kernel_" + hashlib.sha256(source.encode()).hexdigest()[:24]
    path = _written(name, source)
    if path is None:
        text = source.replace("cache=True", "cache=False")
        module = type(sys)(name)
        exec(compile(text, f"<{name}>", "exec"), module.__dict__)
        return module.run
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.run


def _written(name: str, source: str) -> Path | None:
    """The module file, written atomically; None where nothing can be written."""
    try:
        folder = cache_folder() / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.py"
        if not path.exists() or path.read_text(encoding="utf-8") != source:
            handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(source)
            os.replace(temporary, path)
    except OSError:
        return None
    return path
