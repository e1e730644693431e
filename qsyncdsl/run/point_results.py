"""What is asked of one point, and what came out of it: plain data that can leave a process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.problem import Stretch
from qsyncdsl.result import Trust
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.realizations import Begun, Part


@dataclass(frozen=True, slots=True)
class Job:
    """One solve: a point of the sweep, a draw of disorder, and the measures wanted of it.

    Attributes:
        kept: The file and the place where its state was kept.
        part: What of its realizations is to be done, where it consists of them.
    """

    index: tuple[int, ...]
    draw: int
    names: tuple[str, ...]
    kept: tuple[str, int] | None = None
    part: Part | None = None


@dataclass(frozen=True)
class PartResult:
    """Some realizations of a point.

    Attributes:
        job: The point, without its part.
        begun: How far it was when they were done.
        span: The stretch that was to be done; None where the point was begun.
        fault: Why it could not be done.
        seconds: Wall time of the stretch.
    """

    job: Job
    begun: Begun
    span: tuple[int, int] | None
    done: tuple[Stretch, ...] = field(default=(), repr=False)
    fault: Exception | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class PointResult:
    """What came out at one point.

    Attributes:
        measures: Measures and located values; those that failed are missing.
        failures: Why, by name; under the empty name why nothing came out.
        seconds: Wall time.
        draw: Which draw of disorder.
        grids: Grids on which distributions were drawn here, where none were given.
        direction: 0 on the way up or where there is one way only, 1 on the way down.
        state: The result as arrays, where it shall be kept.
    """

    index: tuple[int, ...]
    measures: Mapping[str, Labelled]
    trust: Trust
    failures: Mapping[str, Diagnostic] = field(default_factory=dict)
    seconds: float = 0.0
    draw: int = 0
    grids: Mapping[str, np.ndarray] = field(default_factory=dict)
    direction: int = 0
    state: Mapping[str, np.ndarray] | None = field(default=None, repr=False)


def failure(fault: Exception) -> Diagnostic:
    """Why a point or a measure gave no number; the other points go on."""
    if isinstance(fault, ModelError):
        return fault.diagnostics[0]
    if isinstance(fault, SolveError):
        return fault.diagnostic
    if os.environ.get("QSYNCDSL_TRACEBACK"):
        raise fault
    if isinstance(fault, MemoryError):
        return Diagnostic(
            "E501",
            "the memory of this machine is not enough",
            help="fewer levels, or fewer processes at once",
        )
    text = f"{type(fault).__name__}: {fault}".splitlines()[0][:200]
    return Diagnostic(
        "E900", "this is a bug in qsyncdsl, please report it with your model", help=text
    )
