"""Integrators that take the right side of a model as a compiled function.

They are compiled once for all models whose right sides take the same kinds of numbers; a new model
only costs the compilation of its own `right(y, data, out)`.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve import dormand_prince, equation_steps
from qsyncdsl.solve.kernels import compiled, module_text, tableau

_ROW = "types.float64[::1]"
_TABLEAU = (
    f"types.Tuple((types.float64[:, ::1], {_ROW}, {_ROW}, {_ROW},"
    " types.float64[:, ::1], types.float64[:, ::1]))"
)
# Arguments of the drivers after `right`, as types.
_ARGUMENTS = {
    "integrate": f"{_ROW}, {_ROW}, types.float64, types.float64, types.float64, {_TABLEAU}, DATA",
    "iterate": f"{_ROW}, types.int64[::1], DATA",
    "stochastic": f"{_ROW}, types.float64[:, ::1], types.float64, types.int64,"
    f" types.boolean, DATA, {_ROW}, types.float64[:, ::1]",
    "noisy_steps": f"{_ROW}, types.float64[:, ::1], types.int64, DATA, {_ROW},"
    " types.float64[:, ::1]",
}


def type_text(data: Any) -> str:
    """The type of nested tuples of contiguous arrays, as text that numba's `types` evaluates."""
    if isinstance(data, tuple):
        return f"types.Tuple(({', '.join(map(type_text, data))},))"
    array = np.asarray(data)
    return f"types.{array.dtype.name}[{':, ' * (array.ndim - 1)}::1]"


def _typed(data: Any) -> str:
    return (
        "from numba import types\n\n"
        f"DATA = {type_text(data)}\n"
        f"RIGHT = types.void({_ROW}, DATA, {_ROW})\n"
        "FUNCTION = types.FunctionType(RIGHT)\n"
    )


def _with_options(text: str) -> str:
    """A module whose options can be used again."""
    return re.sub(
        r"^_jit = njit\((.*)\)$",
        r"_options = dict(\1)\n_jit = njit(**_options)",
        text,
        flags=re.MULTILINE,
    )


def right_source(pieces: list[str], data: Any, lanes: int = 1, sums: int = 0) -> str:
    """The module of a model's own functions; `right(y, data, out)` can be given to a driver."""
    text = _with_options(module_text([_typed(data), *pieces], lanes, sums))
    return text.replace("@_jit\ndef right(", "@njit(RIGHT, **_options)\ndef right(")


_DRIVERS = {
    "integrate": (dormand_prince.combine, dormand_prince.integrate),
    "iterate": (equation_steps.iterate,),
    "stochastic": (equation_steps.stochastic,),
    "noisy_steps": (equation_steps.noisy_steps,),
}


def driver_source(name: str, data: Any) -> str:
    """The module of one driver."""
    pieces = [inspect.getsource(f) for f in _DRIVERS[name]]
    text = _with_options(module_text([_typed(data), *pieces], 1, 0))
    return text.replace(
        f"@_jit\ndef {name}(",
        f"@njit((FUNCTION, {_ARGUMENTS[name]}), **_options)\ndef {name}(right, ",
    )


class Driver:
    """Runs one right side.

    Args:
        pieces: Its source, with what it needs.
        data: Nested tuples of contiguous arrays, as the source takes them.
    """

    def __init__(
        self, pieces: list[str], data: Any, lanes: int = 1, sums: int = 0
    ) -> None:
        self.source = right_source(pieces, data, lanes, sums)
        self._right = compiled(self.source, "right")
        self._data = data
        self._drivers: dict[str, Any] = {}

    def right(self, y: np.ndarray, data: Any, out: np.ndarray) -> None:
        """The right side itself."""
        self._right(y, data, out)

    def call(self, name: str, *arguments: Any) -> Any:
        """A driver: `iterate`, `stochastic`, `noisy_steps`."""
        if name not in self._drivers:
            source = driver_source(name, self._data)
            self._drivers[name] = compiled(source, name)
        return self._drivers[name](self._right, *arguments)

    def integrate(
        self,
        first: np.ndarray,
        times: np.ndarray,
        data: Any,
        tolerance: float,
        longest: float = np.inf,
    ) -> np.ndarray:
        """y at times from 0 on, shape (T, n), in steps up to `longest`.

        Raises:
            SolveError: E514 where the integration fails.
        """
        tolerances = (tolerance, tolerance / 1e3)
        found, _, reached = self.call(
            "integrate", first, times, *tolerances, longest, tableau(), data
        )
        if reached < times[-1] * (1 - 1e-12) or not np.isfinite(found).all():
            raise SolveError(
                Diagnostic(
                    "E514",
                    f"the integration ended at t = {reached:.4g}",
                    help="does a variable grow without bound?",
                )
            )
        return np.asarray(found)
