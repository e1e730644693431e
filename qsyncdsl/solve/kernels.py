"""Compiling generated source with numba, kept on disk so that the next process need not.

A kernel is a module file named by the hash of its text; numba keeps machine code beside it. The
folder may be deleted, read-only or shared: the worst that happens is compiling again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem
from qsyncdsl.resources import cache_folder
from qsyncdsl.solve import (
    dormand_prince,
    draws,
    roots,
    stepping,
    wander,
    wander_diagonal,
    wander_series,
)
from qsyncdsl.solve.machine_code import Compiled
from qsyncdsl.solve.pulses import changes

_HEAD = '''"""Generated; may be deleted at any time."""
import numpy as np
from numba import njit
from qsyncdsl.solve.intrinsics import lane_rows, to_bits, to_float

LANES = {lanes}
SUMS = {sums}
NOISY = {noisy}
_jit = njit({options})

'''
_VECTORS = """from qsyncdsl.solve.vectors import vectors

_side = vectors(LANES)
zeros, load, store, negative = _side.zeros, _side.load, _side.store, _side.negative
reciprocal, product, reduced = _side.reciprocal, _side.product, _side.reduced
added, larger = _side.added, _side.larger
"""
_OPTIONS = 'cache={cache}, error_model="numpy", fastmath={{"contract", "reassoc", "nsz", "arcp"}}'
_DEBUG = "boundscheck=True"


def kernel_source(
    problem: FieldProblem, lanes: int, noise: int = 0, cache: bool = True
) -> str:
    """The text of the module: readable, the same for the same model and version.

    `noise` is 0 for Gaussian random numbers, 1 or 2 for weak schemes of that order.
    With `QSYNCDSL_DEBUG` set, every index is checked.
    """
    loop = [inspect.getsource(f) for f in (stepping.copy, stepping.run)]
    pieces = [problem.source, *loop]
    if problem.noisy:
        pieces = [*_random(noise), *pieces]
    if problem.shared:
        pieces = [inspect.getsource(roots.square_root), *pieces]
    return module_text(pieces, lanes, 2 * problem.sums, problem.noisy, cache)


def random_source(lanes: int, noise: int = 0) -> str:
    """The text of a module that only has `fill(state, z, rows)` and `draw`."""
    return module_text(_random(noise), lanes, 0, True, False)


# What a state vector with jumps needs beside `term`, in this order.
_WANDER = (
    wander.uniform, wander.bessel, wander.interpolate, wander.exponential, wander.means, wander.copy,
    wander.propagate, wander.apply_jump, wander.jump, wander.advance,
)  # fmt: skip


def jump_source(term: str, diagonal: bool = False, series: bool = False) -> str:
    """The text of a module with `advance` for the `term(...)` of a model, or for sparse rows.

    Args:
        diagonal: The generator is diagonal, and its exponential exact.
        series: Coefficients are Chebyshev polynomials in time rather than a table.
    """
    pieces = [term or inspect.getsource(wander.term)]
    others: dict[Any, Any] = {}
    if diagonal:
        others[wander.exponential] = wander_diagonal.exponential
    if series:
        others[wander.interpolate] = wander_series.interpolate
    return module_text(
        [*pieces, *(inspect.getsource(others.get(f, f)) for f in _WANDER)],
        1,
        0,
        False,
        True,
    )


def integrator_source(pieces: Sequence[str], lanes: int = 1, sums: int = 0) -> str:
    """The text of a module with `integrate` for the `right(y, data, out)` among some pieces."""
    loop = [
        inspect.getsource(f) for f in (dormand_prince.combine, dormand_prince.integrate)
    ]
    return module_text([*pieces, *loop], lanes, sums)


def lane_source(pieces: Sequence[str], lanes: int) -> str:
    """The text of a module of functions that work on `LANES` things side by side, see `solve.vectors`."""
    return module_text([_VECTORS, *pieces], lanes, 0, False, True)


def integrate(
    source: str,
    first: np.ndarray,
    times: np.ndarray,
    data: Any,
    tolerance: tuple[float, float],
) -> np.ndarray:
    """Values of y at times, shape (T, n), by a module of `integrator_source`.

    Args:
        tolerance: Relative and absolute.

    Raises:
        SolveError: E514 where the integration fails.
    """
    call = compiled(source, "integrate")
    found, _, reached = call(first, times, *tolerance, np.inf, tableau(), data)
    if reached < times[-1] * (1 - 1e-12) or not np.isfinite(found).all():
        raise SolveError(
            Diagnostic(
                "E514",
                f"the integration ended at t = {reached:.4g}",
                help="does a field or its variance grow without bound?",
            )
        )
    return np.asarray(found)


@lru_cache(maxsize=1)
def tableau() -> tuple[np.ndarray, ...]:
    """The coefficients of DOP853: a, b, e3, e5, those of the extra stages, d."""
    known = _coefficients()
    stages = known.N_STAGES
    arrays = (
        known.A[:stages, :stages],
        known.B,
        known.E3,
        known.E5,
        known.A[stages + 1 :],
        known.D,
    )
    return tuple(map(np.ascontiguousarray, arrays))


def _coefficients() -> Any:
    """SciPy's table of them: its own file, since all of `scipy.integrate` takes half a second."""
    package = importlib.util.find_spec("scipy")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "integrate" / "_ivp" / "dop853_coefficients.py"
        spec = importlib.util.spec_from_file_location("dop853_coefficients", path)
        if path.is_file() and spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    from scipy.integrate._ivp import dop853_coefficients

    return dop853_coefficients


def run_integrator(
    source: str,
    first: np.ndarray,
    times: np.ndarray,
    data: Callable[[float], Any],
    moving: bool,
    tolerance: tuple[float, float],
    start: float = 0.0,
    right: str = "right",
    coefficients: Callable[[float], np.ndarray] | None = None,
) -> np.ndarray:
    """Values of y at `start + times`, compiled; by SciPy where the data of `right` move.

    Args:
        data: What `right` takes at a time.
        coefficients: Those that move, so that no step passes over a pulse.

    Raises:
        SolveError: E514 where the integration fails.
    """
    if not moving:
        return integrate(source, first, times, data(start), tolerance)
    from scipy.integrate import solve_ivp

    from qsyncdsl.solve.dop853 import Dop853

    compiled_right = compiled(source, right)

    def rates(time: float, y: np.ndarray) -> np.ndarray:
        out = np.empty(len(y))
        compiled_right(y, data(time), out)
        return out

    end = start + float(times[-1])
    if end == start:
        return np.repeat(first[None, :], len(times), axis=0)
    longest = changes(coefficients, start, end).longest if coefficients else np.inf
    found = solve_ivp(
        rates,
        (start, end),
        first,
        method=Dop853,
        t_eval=start + times,
        rtol=tolerance[0],
        atol=tolerance[1],
        max_step=longest,
    )
    if not found.success or not np.isfinite(found.y).all():
        reached = found.t[-1] if len(found.t) else start
        message = f"the integration ended at t = {reached:.4g}"
        raise SolveError(Diagnostic("E514", message))
    return np.ascontiguousarray(found.y.T)


def module_source(pieces: Sequence[str]) -> str:
    """The text of a module of compiled functions without noise."""
    return module_text(list(pieces), 1, 0, False, True)


def _random(noise: int) -> list[str]:
    chosen = (draws.gaussian, draws.two_point, draws.three_point)[noise]
    functions = [inspect.getsource(f) for f in (draws.uniforms, chosen)]
    return [*functions, f"fill = {chosen.__name__}\n", inspect.getsource(draws.draw)]


def module_text(
    pieces: list[str], lanes: int, sums: int, noisy: bool = False, cache: bool = True
) -> str:
    """The text of a module from functions, each of which is compiled."""
    options = (
        _DEBUG if os.environ.get("QSYNCDSL_DEBUG") else _OPTIONS.format(cache=cache)
    )
    head = _HEAD.format(lanes=lanes, sums=max(sums, 1), noisy=noisy, options=options)
    text = "\n\n".join(pieces)
    return head + re.sub(r"^def ", "@_jit\ndef ", text, flags=re.MULTILINE)


@lru_cache(maxsize=32)
def compiled(source: str, name: str = "run") -> Any:
    """A function of a module."""
    module_name = "qsyncdsl_kernel_" + hashlib.sha256(source.encode()).hexdigest()[:24]
    path = _written(module_name, source)
    if path is None:
        text = source.replace("cache=True", "cache=False")
        module = type(sys)(module_name)
        exec(compile(text, f"<{module_name}>", "exec"), module.__dict__)
        return getattr(module, name)
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


@lru_cache(maxsize=32)
def loaded(source: str, name: str = "run") -> Compiled:
    """A function of a module that takes arrays and numbers and returns numbers: numba is spared if it can be."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Compiled(lambda: compiled(source, name), digest, name)


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
