"""Along trajectories: residence times, slips, mean angular velocities, spectra of time series."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.values import Distribution, Lifted, PhaseSpaceMap

# Numbers of samples for which weights are no better than the ends.
SHORT = 20
# Distance from the middle of a well within which a slip has ended, where no orbit tells: a fifth of a turn.
_CORE = 0.4 * pi
# Times between which a phase is looked at for its diffusion.
_LAGS = 24
# Harmonics of densities of phases.
_HARMONICS = 10


def residence_times(scene: Any, x: Any, near: Any, enter: float) -> tuple[float, ...]:
    """Mean stays near given values of an angle, with hysteresis.

    A stay begins when x comes within `enter` of a value and ends when x comes within `enter` of
    another one. Stays that the record cuts off are left out; NaN where there are none.

    Raises:
        SolveError: E614 unless x is known along trajectories.
    """
    records, times = _records(scene, x, "residence_times")
    targets = np.array([float(np.real(v)) for v in np.atleast_1d(near)])
    stays: list[list[float]] = [[] for _ in targets]
    for record in records:
        distance = np.abs((record[:, None] - targets + pi) % (2 * pi) - pi)
        inside = distance < enter
        marks = np.flatnonzero(inside.any(axis=1))
        if not len(marks):
            continue
        visited = inside[marks].argmax(axis=1)
        changes = np.flatnonzero(np.diff(visited)) + 1
        begins = times[marks[changes]]
        for k in range(len(changes) - 1):
            stays[visited[changes[k]]].append(begins[k + 1] - begins[k])
    return tuple(float(np.mean(found)) if found else float("nan") for found in stays)


def winding(scene: Any, phi: Any) -> float:
    r"""Mean angular velocity of an angle along the trajectories.

    Without noise it is a weighted Birkhoff average, $\sum_n w_n\dot\phi_n$ with
    $w \propto \exp[-1/(s(1 - s))]$, s = 0..1 along the window: on a quasi-periodic orbit it converges
    faster than any power of the window.

    References:
        S. Das, Y. Saiki, E. Sander, J. A. Yorke, Nonlinearity 30, 4111 (2017).
    """
    records, times = _records(scene, phi, "winding")
    turned = _turned(records)
    given = getattr(scene, "given", None)
    noisy = given is not None and getattr(given, "symmetric", True)
    if not noisy and len(times) > SHORT:
        return birkhoff(turned, times)
    return float(((turned[:, -1] - turned[:, 0]) / (times[-1] - times[0])).mean())


def birkhoff(turned: np.ndarray, times: np.ndarray) -> float:
    """The weighted average of the slope of records, shape (R, T)."""
    slopes = np.diff(turned, axis=1) / np.diff(times)
    return float((slopes @ bump(len(times) - 1)).mean())


def bump(count: int) -> np.ndarray:
    r"""Weights $w \propto \exp[-1/(s(1 - s))]$ of samples, of sum 1: what oscillates drops out of their mean.

    >>> turning = np.cos(2 * np.linspace(0, 90, 400))
    >>> bool(abs(turning.mean()) > 1e-3), bool(abs(bump(400) @ turning) < 1e-7)
    (True, True)
    """
    s = (np.arange(count) + 0.5) / count
    weights = np.exp(-1 / (s * (1 - s)))
    return np.asarray(weights / weights.sum())


def phase_slips(scene: Any, x: Callable[..., Any], within: float = 0.0) -> float:
    r"""Slips of 2 pi in a unit of time, up and down together (gross rate).

    A slip has ended when x comes to where the motion without noise stays locked in another well: the range
    of x along that orbit (a point for a fixed point), in the second half of a run without noise from the same
    start. Excursions over a barrier and back are none. For one angle in a potential the rate is
    1/T, T the mean time to leave ($\psi^* - 2\pi, \psi^* + 2\pi$) from the fixed point $\psi^*$.

    With `within` a slip ends at that distance from the middle of a well instead. Where slips take as long as the
    stays between them the rate depends on it: by a factor of 2 from 0.25 pi to 0.45 pi for Josephson and Bloch
    oscillations at Qm = 10. The middle is the circular mean of the orbit; of the record itself, and `within` is
    0.4 pi, where there is no motion without noise that is locked (fields, quantum jumps). Equations are then looked
    at every second step, where that fits (else W563). The trust report has the number of slips N, the Poisson
    error $\sqrt N/t$ of the rate, and the share of slips that is missed with every second sample alone.
    """
    records, low, high, duration = _watched(scene, x, "phase_slips", within)
    up, down = _counted(records, low, high)
    count = up + down
    trust = getattr(getattr(scene, "given", None), "trust", None)
    if trust is not None:
        # measures of parts of the data come later and have less
        trust.numbers.setdefault("slips", float(count))
        trust.numbers.setdefault("slips_poisson_error", count**0.5 / duration)
        if count and "slips_missed" not in trust.numbers:
            rarer = sum(_counted(records[:, ::2], low, high))
            trust.numbers["slips_missed"] = 1 - rarer / count
    return count / duration


def net_slips(scene: Any, x: Callable[..., Any], within: float = 0.0) -> float:
    """Slips up less slips down in a unit of time: near the middle of a domain they cancel."""
    records, low, high, duration = _watched(scene, x, "net_slips", within)
    up, down = _counted(records, low, high)
    return (up - down) / duration


def _watched(
    scene: Any, x: Callable[..., Any], word: str, within: float
) -> tuple[np.ndarray, float, float, float]:
    """Records, the well about 0, and the time of all records together."""
    records, times = lifted_records(scene, x(), word)
    low, high = _well(scene, x, word, within) or _own_well(records, within)
    duration = len(records) * float(times[-1] - times[0])
    return np.asarray(records), low, high, duration


def _counted(records: np.ndarray, low: float, high: float) -> tuple[int, int]:
    """Slips up and slips down."""
    up = down = 0
    for record in records:
        steps = np.diff(_wells(record, low, high))
        up += int(steps[steps > 0].sum())
        down -= int(steps[steps < 0].sum())
    return up, down


def _own_well(records: np.ndarray, within: float) -> tuple[float, float]:
    """A well about the circular mean of the records."""
    middle = float(np.angle(np.exp(1j * records).mean()))
    return middle - (within or _CORE), middle + (within or _CORE)


def _well(
    scene: Any, x: Callable[..., Any], word: str, within: float
) -> tuple[float, float] | None:
    """Where x stays without noise; None where it is not locked, or there is no such motion."""
    quiet = scene.quiet() if hasattr(scene, "quiet") else None
    if quiet is None:
        return None
    record = lifted_records(quiet, x((quiet,)), word)[0]
    late = record[:, record.shape[1] // 2 :]
    low, high = float(late.min()), float(late.max())
    if high - low >= 2 * pi:
        return None
    return _own_well(late, within) if within else (low, high)


def _wells(record: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers of the wells, low + 2 pi k .. high + 2 pi k, that a record comes to one after the other."""
    above = np.floor((record - low) / (2 * pi))
    below = np.ceil((record - high) / (2 * pi))
    # inside a well they agree; between wells `below` is one more, and where they move there, a well was passed
    inside = above == below
    up = ~inside & (np.diff(above, prepend=above[0]) > 0)
    down = ~inside & (np.diff(below, prepend=below[0]) < 0)
    start = np.round((record[:1] - (low + high) / 2) / (2 * pi))
    found = np.where(up, above, below)[inside | up | down]
    return np.concatenate([np.clip(start, above[:1], below[:1]), found])


def phase_diffusion(scene: Any, x: Any) -> float:
    r"""$D$ in $\mathrm{Var}[\phi(t + \tau) - \phi(t)] = 2 D \tau + c(\tau)$, from stretches of the records.

    The slope of a line through the variances at `_LAGS` times from a twentieth to a tenth of the record: c, from the
    modulation within a turn, is bounded and oscillates, and drops out where these times are many turns.
    """
    records, times = _records(scene, x, "phase_diffusion")
    turned = _turned(records)
    half = (turned.shape[1] - 1) // 20
    if half < 2:
        return _variance(turned, 1) / (2 * float(times[1] - times[0]))
    lags = np.unique(np.linspace(half, 2 * half, _LAGS).astype(int))
    slope = np.polyfit(times[lags] - times[0], [_variance(turned, k) for k in lags], 1)
    return float(slope[0]) / 2


def _variance(turned: np.ndarray, lag: int) -> float:
    """Variance of what records do in stretches of a length."""
    marks = turned[:, ::lag]
    return float(np.diff(marks, axis=1).var())


def frequency(scene: Any, a: int) -> float:
    r"""Mean of $-\dot\phi$, $\phi = \arg\alpha$: $H = \omega a^\dagger a$ gives $+\omega$."""
    samples = scene.samples[a]
    return -winding(scene, np.angle(samples))


def turning_rate(amplitude: np.ndarray, times: np.ndarray) -> float:
    r"""$-\dot\phi$ of the rotating part of mean values along times, shape (R, T): a weighted Birkhoff average.

    For a few times it is a linear fit.
    """
    if len(times) > SHORT:
        moving = amplitude - (amplitude @ bump(len(times)))[:, None]
        return -birkhoff(np.unwrap(np.angle(moving), axis=1), times)
    moving = amplitude - amplitude.mean(axis=1, keepdims=True)
    phase = np.unwrap(np.angle(moving), axis=1).mean(axis=0)
    return -float(np.polyfit(times - times.mean(), phase, 1)[0])


def power_spectrum(scene: Any, values: np.ndarray) -> Distribution:
    r"""$\int e^{i\omega t}\langle A(t)A^\dagger(0)\rangle dt$ less the mean, from segments of records.

    Welch's method: Hann windows, half overlapping; the resolution is that of the segments.

    Raises:
        SolveError: E614 for values at single times.
    """
    from scipy.signal import welch

    if values.shape[1] < 2:
        message = "a spectrum of trajectories needs their whole records"
        help = "give the solve line time = T instead of times, or write spectrum(along(<a>), along(<a'>))"
        raise SolveError(Diagnostic("E614", message, help=help))
    times = scene.times if len(scene.times) == values.shape[1] else scene.given.times
    step = times[1] - times[0]
    length = min(max(values.shape[1] // 8, 16), values.shape[1])
    frequencies, power = welch(
        values - values.mean(), fs=1 / step, nperseg=length, return_onesided=False
    )
    omega = -2 * pi * frequencies
    order = np.argsort(omega)
    grid, heights = omega[order], power.mean(axis=0)[order]
    return Distribution(
        "omega", grid, heights, lambda w: float(np.interp(w, grid, heights))
    )


def phase_histogram(samples: np.ndarray) -> Distribution:
    """Density of phases in (-pi, pi]: a histogram, smoothed by its harmonics up to the tenth."""
    size = np.abs(samples).ravel()
    turn = samples.ravel().conj() / np.where(size > 0, size, 1.0)
    orders = np.arange(-_HARMONICS, _HARMONICS + 1)
    positive = []
    power = np.ones_like(turn)
    for _ in range(_HARMONICS):
        power = power * turn
        positive.append(power.mean())
    found = np.array(positive)
    moments = np.concatenate((found[::-1].conj(), [1.0], found)) / (2 * pi)

    def at(phi: float) -> float:
        return float((moments * np.exp(1j * orders * np.real(phi))).sum().real)

    grid = np.linspace(-pi, pi, 181)
    values = (np.exp(1j * np.outer(grid, orders)) @ moments).real
    return Distribution("phi", grid, values, at, period=2 * pi)


def density_map(samples: np.ndarray, extent: float, points: int) -> PhaseSpaceMap:
    """The density of samples over alpha, from cells of a grid; integral 1."""
    cells = min(points, 101)
    edges = np.linspace(-extent, extent, cells + 1)
    counts, _, _ = np.histogram2d(
        samples.imag.ravel(), samples.real.ravel(), bins=[edges, edges]
    )
    width = edges[1] - edges[0]
    values = counts / (samples.size * width**2)
    middle = (edges[1:] + edges[:-1]) / 2

    def at(alpha: complex) -> float:
        x, y = np.real(alpha), np.imag(alpha)
        if max(abs(x), abs(y)) >= extent:
            return 0.0
        return float(values[int((y + extent) / width), int((x + extent) / width)])

    return PhaseSpaceMap(middle, middle, values, at)


def _turned(records: np.ndarray) -> np.ndarray:
    """Angles without jumps of 2 pi; those of typed variables have none."""
    if isinstance(records, Lifted):
        return np.asarray(records)
    return np.unwrap(records, axis=1)


def lifted_records(scene: Any, x: Any, word: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of an angle without jumps of 2 pi, one row a trajectory, and their times."""
    records, times = _records(scene, x, word)
    return _turned(records), times


def _records(scene: Any, x: Any, word: str) -> tuple[np.ndarray, np.ndarray]:
    """Real records, one row a trajectory, and their times."""
    values = np.atleast_2d(np.real(np.asanyarray(x)))
    times = getattr(scene, "times", None)
    if times is None and scene.result is not None:
        times = getattr(scene.result, "times", None)
    if times is None or values.shape[1] < 2 or values.shape[1] != len(times):
        raise SolveError(
            Diagnostic(
                "E614",
                f"'{word}' needs values along trajectories",
                help="write along(x) under a method with trajectories and time = T",
            )
        )
    return values, np.asarray(times)
