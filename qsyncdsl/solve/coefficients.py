"""Evaluating the coefficients of a problem at a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from qsyncdsl.model.numbers import FUNCTIONS
from qsyncdsl.problem import Coefficients

# The names that generated source may use; nothing else is in reach of it.
_NAMES = {
    **{
        n: FUNCTIONS[n]
        for n in FUNCTIONS
        if n not in ("linspace", "logspace", "integral")
    },
    "re": FUNCTIONS["real"],
    "im": FUNCTIONS["imag"],
    "conjugate": FUNCTIONS["conj"],
    "pi": math.pi,
    "inf": math.inf,
    "abs": abs,
    "__builtins__": {},
}


@lru_cache(maxsize=256)
def compiled(source: str) -> Callable[[Sequence[Any], float], tuple[Any, ...]]:
    """The function `coefficients(p, t)` behind its source."""
    namespace: dict[str, Any] = dict(_NAMES)
    exec(compile(source, "<coefficients>", "exec"), namespace)
    return namespace["coefficients"]  # type: ignore[no-any-return]


def evaluate(
    coefficients: Coefficients, values: Sequence[Any], time: float = 0.0
) -> np.ndarray:
    """The numbers f_k(p, t), shape (count,), complex."""
    return np.array(compiled(coefficients.source)(values, time), dtype=complex)
