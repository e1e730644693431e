"""The times that a `solve` line asks for: `times`, or an end and a window to average over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError

# Samples of all fields together that are kept for averages, and times at most.
_SAMPLES = 1_000_000
_TIMES = 200_000
# The same where events are counted, which must not fall between samples.
_EVENTS, _EVENT_TIMES = 8_000_000, 4_000_000
# Parts of a period of kicks, at least.
_PARTS = 8
# Times between 0 and `time = T` at which moments are kept, at most and at least.
_MOMENT_TIMES = (200, 8000)


def increasing(given: Any) -> np.ndarray:
    """`times = [...]`.

    Raises:
        SolveError: E511 for times that do not increase from 0 on.
    """
    times = np.atleast_1d(np.asarray(given, dtype=float))
    if not len(times) or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise SolveError(Diagnostic("E511", "times must increase from 0 on"))
    return times


def duration(options: Mapping[str, Any], what: str) -> float:
    """`time = T`.

    Raises:
        SolveError: E510 where there is none.
    """
    end = float(np.real(options.get("time", 0) or 0))
    if end <= 0:
        raise SolveError(
            Diagnostic(
                "E510",
                f"how long shall {what}?",
                help="write time = T (averages, after burn_in) or times = linspace(0, T, n)",
            )
        )
    return end


def window(options: Mapping[str, Any], end: float) -> tuple[float, float]:
    """`window = [low, high]` to average over, or what is left after `burn_in`.

    Raises:
        SolveError: E511 for one that is not part of the run.
    """
    low, high = options.get("window") or (options.get("burn_in", 0.0), end)
    if not 0 <= float(low) < float(high) <= end * (1 + 1e-12):
        message = (
            f"the window {float(low):g}..{float(high):g} does not lie within 0..{end:g}"
        )
        raise SolveError(Diagnostic("E511", message))
    return float(low), float(high)


@dataclass(frozen=True)
class Sampling:
    """When fields are looked at: `times`, and whether as a series or for an average."""

    times: np.ndarray
    series: bool


def sampling(
    options: Mapping[str, Any],
    fields: int,
    realizations: int,
    finest: float,
    period: float = 0.0,
) -> Sampling:
    """The times to keep.

    Args:
        period: Of kicks: averages then take samples in the middle of equal parts of the periods.

    Raises:
        SolveError: E510 if there is no `time` and no `times`, E511 for times out of order.
    """
    if "times" in options:
        times = increasing(options["times"])
        if fields * realizations * len(times) > 160 * _SAMPLES:
            raise SolveError(
                Diagnostic(
                    "E512",
                    f"{fields} fields x {realizations} realizations x {len(times)} times do not fit in memory",
                    help=f"ask for at most {160 * _SAMPLES // (fields * realizations)} times",
                )
            )
        return Sampling(times, True)
    low, high = window(options, duration(options, "the trajectories run"))
    most, longest = (
        (_EVENTS, _EVENT_TIMES) if options.get("events") else (_SAMPLES, _TIMES)
    )
    finest /= int(options.get("fineness", 1))
    room = max(most // max(fields * realizations, 1), 20)
    count = int(np.clip(min(room, (high - low) / finest), 2, longest))
    if period:
        return Sampling(_inside_periods(low, high, count, period), False)
    return Sampling(np.linspace(low, high, count + 1)[1:], False)


def _inside_periods(low: float, high: float, count: int, period: float) -> np.ndarray:
    """Equidistant times, as often in every part of the periods, never at a kick."""
    parts = max(int(count * period / (high - low)), _PARTS)
    # where so many do not fit, every m-th one: all parts are met in turn
    m = 1
    while (high - low) / period * parts / m > count or gcd(m, parts) > 1:
        m += 1
    step = period / parts
    first = step * (np.ceil(low / step - 1e-9) + 0.5)
    found = np.arange(first, high, m * step)
    return found if len(found) > 1 else np.array([low + (high - low) / 2, high])


def coarse_events(
    options: Mapping[str, Any], times: np.ndarray, step: float
) -> tuple[Diagnostic, ...]:
    """W563 where events are counted on samples that lie much farther apart than two steps."""
    if not options.get("events") or len(times) < 2:
        return ()
    spacing = float(times[1] - times[0])
    if spacing <= 4 * step * (1 + 1e-9):
        return ()
    message = (
        f"slips and visits are counted on samples that lie {spacing:.3g} apart, {spacing / step:.3g} steps:"
        " shorter visits are missed"
    )
    help = (
        "a shorter time or fewer realizations in one line; slips_missed in the trust report is the share that"
        " is lost with every second sample"
    )
    return (Diagnostic("W563", message, help=help),)


def sampling_of_moments(options: Mapping[str, Any], size: int, room: int) -> np.ndarray:
    """Times at which moments are kept: `times`, or a grid from 0 to `time`.

    Args:
        size: Bytes of the moments at one time.
        room: Bytes of all of them.

    Raises:
        SolveError: E510, E511 for times, E512 if they do not fit.
    """
    most = max(room // size, 1)
    if "times" in options:
        times = increasing(options["times"])
        if len(times) > most:
            message = (
                f"moments at {len(times)} times need {len(times) * size / 2**30:.1f} GB"
            )
            raise SolveError(
                Diagnostic("E512", message, help=f"ask for at most {most} times")
            )
        return times
    end = duration(options, "the moments evolve")
    window(options, end)
    if most < _MOMENT_TIMES[0]:
        message = f"moments at one time need {size / 2**20:.0f} MB"
        raise SolveError(Diagnostic("E512", message, help="ask for few times = [...]"))
    wanted = _MOMENT_TIMES[1] * min(int(options.get("fineness", 1)), 16)
    return np.linspace(0.0, end, min(most, wanted) + 1)


def window_of_moments(options: Mapping[str, Any], times: np.ndarray) -> np.ndarray:
    """The times of an average over a window, as many as the grid from 0 on has.

    They are the middles of equal parts, whose mean is that of a smooth curve to second order; a multiple of
    three of them, so that every third one is the middle of a larger part.
    """
    low, high = options.get("window") or (options.get("burn_in", 0.0), times[-1])
    count = max((len(times) - 1) // 3 * 3, 3)
    parts = (np.arange(count) + 0.5) / count
    return np.asarray(float(low) + parts * (float(high) - float(low)))


def even(chosen: Sampling) -> Sampling:
    """An even number of times for an average, so that every second one is at the end of a part twice as long."""
    times = chosen.times
    if chosen.series or len(times) % 2 == 0:
        return chosen
    low = float(times[0] - (times[-1] - times[0]) / max(len(times) - 1, 1))
    return Sampling(np.linspace(low, float(times[-1]), len(times) + 2)[1:], False)


def whole(chosen: Sampling) -> Sampling:
    """Times of a map are whole numbers.

    Raises:
        SolveError: E511 for times between steps.
    """
    times = np.round(chosen.times)
    if chosen.series and np.any(times != chosen.times):
        raise SolveError(Diagnostic("E511", "the times of a map are whole numbers"))
    return Sampling(np.unique(times), chosen.series)
