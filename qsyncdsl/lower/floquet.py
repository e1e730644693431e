"""Kicked and periodic models as master equations whose operators can be made again in any window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.lindblad import lindblad
from qsyncdsl.problem import Lowered

# Bytes that density matrices of one calculation may take, and how many of them there are.
_MEMORY = 2e9
_COPIES = 40


def floquet(system: System, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the problem of its period map.

    Raises:
        ModelError: As `lindblad`, and E442 for a dimension that is too large.
    """
    dimension = 1
    for mode in system.space.modes:
        if mode.ensemble is None and (mode.kind.name != "boson" or mode.size):
            dimension *= mode.dimension
    most = int((_MEMORY / (16 * _COPIES)) ** 0.5)
    if dimension > most:
        raise ModelError(
            [
                Diagnostic(
                    "E442",
                    f"a period map on density matrices of dimension {dimension} does not fit: it needs "
                    f"about {16 * _COPIES * dimension**2 / 1e9:.3g} GB",
                    help=f"dimension {most} fits, the product of the levels of all modes; or solve by "
                    "'trajectories'",
                )
            ]
        )
    return lindblad(system, title)
