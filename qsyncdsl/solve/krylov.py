"""GMRES for real equations, given up where it is not worth going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg as spla


class _GivenUpError(Exception):
    """More iterations than an answer is worth."""


@dataclass(frozen=True)
class Iterated:
    """What GMRES has found.

    Attributes:
        steps: Iterations.
        norm: What was left after the last one, in units of the right side; infinite without any.
        failed: Whether that is more than was asked for.
    """

    x: np.ndarray
    steps: int
    norm: float
    failed: bool


def gmres(
    equation: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    relative: float,
    restart: int,
    cycles: int = 1,
    absolute: float = 0.0,
    first: np.ndarray | None = None,
    hopeless: Callable[[int, float], bool] = lambda steps, norm: False,
) -> Iterated | None:
    """x of equation(x) = right, for a linear one; None where it was given up.

    Args:
        equation: From x to its left side, shape (n,).
        relative, absolute: What may be left, the first in units of the right side.
        restart, cycles: Iterations until a restart, and how often they begin.
        first: Where they begin; 0 if not given.
        hopeless: Whether to give up, from the number of iterations and what is left.
    """
    steps, left = 0, np.inf

    def noted(norm: float) -> None:
        nonlocal steps, left
        steps, left = steps + 1, norm
        if hopeless(steps, norm):
            raise _GivenUpError

    operator = spla.LinearOperator((right.size, right.size), equation, dtype=float)
    try:
        x, failed = spla.gmres(
            operator,
            right,
            x0=first,
            rtol=relative,
            atol=absolute,
            restart=restart,
            maxiter=cycles,
            callback=noted,
            callback_type="pr_norm",
        )
    except _GivenUpError:
        return None
    return Iterated(x, steps, left, bool(failed))
