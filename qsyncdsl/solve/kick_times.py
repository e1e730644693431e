"""When classical fields and variables are kicked: t = 0, T, 2T, ... for each kick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError

# Kicks at times that agree to this part of the period fall together.
_NEAR = 1e-9


def common(periods: Sequence[float]) -> float:
    """The period of all kicks; 0 where they differ."""
    first = periods[0]
    return first if all(abs(p - first) <= _NEAR * first for p in periods) else 0.0


def instants(periods: Sequence[float], end: float) -> list[float]:
    """When anything is kicked before a time, ascending from 0."""
    found: list[float] = []
    for time in sorted(p * k for p in periods for k in range(int(end / p) + 2)):
        if time >= end * (1 - 1e-12):
            break
        if not found or time - found[-1] > _NEAR * min(periods):
            found.append(time)
    return found


def falls(time: float, period: float) -> bool:
    """Whether a kick of a period acts at a time."""
    rounds = time / period
    return abs(rounds - round(rounds)) < _NEAR * max(1.0, rounds)


def positive_period(value: complex) -> float:
    """A period of kicks.

    Raises:
        SolveError: E540 unless it is positive.
    """
    if value.imag or not np.isfinite(value.real) or value.real <= 0:
        shown = f"{value.real:.6g}" if value.imag == 0 else f"{value:.6g}"
        message = f"the period of a kick is {shown} here"
        raise SolveError(Diagnostic("E540", message, help="it must be positive"))
    return value.real


def intervals(
    times: np.ndarray, kicks: Sequence[float]
) -> list[tuple[float, slice, float]]:
    """Each kick, the times until the next one, and that one (or the last time).

    A time at the instant of a kick belongs to the interval before it.
    """
    found = []
    if not kicks:
        return []
    ends = [*kicks[1:], float(times[-1])]
    first = int(np.searchsorted(times, 0.0, side="right"))
    for begin, end in zip(kicks, ends, strict=True):
        slack = _NEAR * (end - begin)
        last = int(np.searchsorted(times, end + slack, side="right"))
        found.append((begin, slice(first, last), end))
        first = last
    return found
