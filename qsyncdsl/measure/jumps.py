"""Records of quantum jumps: times, numbers, rates and waiting times, channel by channel.

Channels are numbered from 1 in the order of the dissipators (those with rate 0 are left out); 0 is
all of them together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.trajectories import TrajectoryScene, jumping
from qsyncdsl.measure.values import Distribution, Records

_BINS = 40


def jump_times(scene: Any, channel: int = 0, realization: int = 1) -> tuple[float, ...]:
    """Times of the jumps of one realization.

    Raises:
        SolveError: E613 without jumps, E660 for a channel or a realization that is not there.
    """
    given = _jumping(scene, "jump_times").given
    if not 1 <= realization <= given.realizations:
        message = f"there are {given.realizations} realizations, not {realization}"
        raise SolveError(Diagnostic("E660", message))
    times, which = given.jumps[realization - 1]
    return tuple(times[_of(scene, which, channel)].tolist())


def jump_records(scene: Any) -> tuple[tuple[float, float, float], ...]:
    """Every jump of every realization, rows (realization, time, channel), both counted from 1.

    The whole record of photon counting, from the start of the run on, in the order of realizations and
    times.

    Raises:
        SolveError: E613 without jumps.
    """
    given = _jumping(scene, "jump_records").given
    return tuple(
        (float(realization), float(time), float(channel + 1))
        for realization, (times, which) in enumerate(given.jumps, start=1)
        for time, channel in zip(times.tolist(), which.tolist(), strict=True)
    )


def jump_counts(scene: Any, channel: int = 0) -> Distribution:
    """Share of the realizations with n jumps in the window, against n."""
    numbers = _counts(scene, channel, "jump_counts")
    shares = np.bincount(numbers) / len(numbers)
    labels = np.arange(len(shares))

    def at(n: Any) -> float:
        k = int(np.real(n))
        return float(shares[k]) if 0 <= k < len(shares) else 0.0

    return Distribution("n", labels, shares, at, discrete=True)


def jump_rate(scene: Any, channel: int = 0) -> float:
    """Jumps in a unit of time, the mean over the window and the realizations."""
    scene = _jumping(scene, "jump_rate")
    found = _inside(scene, channel)
    return sum(len(times) for times in found) / (len(found) * _span(scene))


def _span(scene: TrajectoryScene) -> float:
    """Time in which the jumps of a realization are looked at."""
    low, high = scene.given.window
    share = 1.0
    if scene.left_out is not None and scene.given.realizations == 1:
        share = 1 - float(np.mean(scene.given.blocks == scene.left_out))
    return share * (high - low)


def jump_fano(scene: Any, channel: int = 0) -> float:
    r"""$\mathrm{Var}(n)/\langle n\rangle$ of the numbers of jumps in the window; 1 for a coherent state.

    Biased low by $1/R$ for R realizations.

    Raises:
        SolveError: E664 for one realization, whose number has no variance.
    """
    if _jumping(scene, "jump_fano").given.realizations < 2:
        message = "one realization has one number of jumps, which does not scatter"
        help = "give realizations = 100"
        raise SolveError(Diagnostic("E664", message, help=help))
    numbers = _counts(scene, channel, "jump_fano")
    return float(numbers.var() / numbers.mean()) if numbers.any() else float("nan")


def waiting_times(scene: Any, channel: int = 0) -> Distribution:
    r"""Density of the times between one jump and the next in a stationary state, from cells of equal width.

    A window of length W holds both ends of a wait $\tau$ in $W - \tau$ of its places, so that each counts
    $1/(W - \tau)$, of the number of jumps in a unit of time (the estimator of D. G. Horvitz, D. J. Thompson,
    J. Am. Stat. Assoc. 47, 663 (1952)); the integral is the share of waits shorter than the window.

    Raises:
        SolveError: E661 where no realization has two jumps.
    """
    found = _inside(_jumping(scene, "waiting_times"), channel)
    waits = np.concatenate([np.diff(times) for times in found])
    if not len(waits):
        message = "no realization has two jumps in the window"
        raise SolveError(Diagnostic("E661", message, help="run for longer"))
    span, far = _span(scene), float(waits.max())
    weights = 1 / np.maximum(span - waits, far / _BINS)
    sums, edges = np.histogram(waits, _BINS, (0.0, far), weights=weights)
    width = float(edges[1])
    heights = sums * span / (sum(len(times) for times in found) * width)

    def at(tau: Any) -> float:
        k = int(np.real(tau) // width)
        return float(heights[k]) if 0 <= k < _BINS else 0.0

    return Distribution("tau", (edges[1:] + edges[:-1]) / 2, heights, at)


def jumps(scene: Any, channel: int = 0) -> np.ndarray:
    """Number of jumps up to each time along each realization, shape (R, T)."""
    scene = _jumping(scene, "jumps")
    given = scene.given
    found = [
        np.searchsorted(
            np.sort(times[_of(scene, which, channel)]), given.times, "right"
        )
        for times, which in (given.jumps[row] for row in scene.rows)
    ]
    return np.array(found, dtype=float).view(Records)


def _counts(scene: Any, channel: int, word: str) -> np.ndarray:
    """Numbers of jumps in the window, one for each realization."""
    return np.array([len(times) for times in _inside(_jumping(scene, word), channel)])


def _inside(scene: TrajectoryScene, channel: int) -> list[np.ndarray]:
    """Times of the jumps in the window of the realizations, or the parts of one, that count."""
    given = scene.given
    low, high = given.window
    many = given.realizations > 1
    found = []
    for realization, (times, which) in enumerate(given.jumps):
        if many and scene.left_out == given.blocks[realization]:
            continue
        keep = _of(scene, which, channel) & (times >= low) & (times <= high)
        if not many and scene.left_out is not None:
            place = np.clip(
                np.searchsorted(given.times, times), 0, len(given.times) - 1
            )
            keep &= given.blocks[place] != scene.left_out
        found.append(times[keep])
    return found


def _of(scene: TrajectoryScene, which: np.ndarray, channel: int) -> np.ndarray:
    """Where the jumps are those of a channel."""
    names = scene.given.channels
    if not 0 <= channel <= len(names):
        listed = ", ".join(f"{k} {name}" for k, name in enumerate(names, start=1))
        message = f"there is no channel {channel} of jumps"
        raise SolveError(Diagnostic("E660", message, help=f"channels: 0 all, {listed}"))
    return np.ones(len(which), dtype=bool) if channel == 0 else which == channel - 1


def _jumping(scene: Any, word: str) -> TrajectoryScene:
    if not jumping(scene):
        message = f"'{word}' looks at quantum jumps"
        raise SolveError(Diagnostic("E613", message, help="solve by 'trajectories'"))
    return scene
