"""Averages over time; `x` is a series, one value for each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.scene import Scene
from qsyncdsl.measure.trajectories import jumping
from qsyncdsl.measure.values import Distribution, Records

_FEW = "fewer than two times lie in the window"


def timeaverage(scene: Scene, x: Any, window: Any = None) -> Any:
    r"""$\frac{1}{t_1 - t_0}\int_{t_0}^{t_1} x(t)\,dt$ of the line through the values on the grid.

    Raises:
        SolveError: E620 without a series in time, E621 for a window with fewer than two times.
    """
    series = np.asarray(x)
    if series.ndim == 0:
        return x
    if series.ndim == 2:
        series = series.mean(axis=0)
    times = _times(scene)
    chosen = window or scene.parameters.get("window")
    keep = np.ones(len(times), dtype=bool)
    if chosen:
        low, high = (float(np.real(value)) for value in chosen)
        keep = (times >= low - 1e-12) & (times <= high + 1e-12)
    if keep.sum() < 2:
        raise SolveError(Diagnostic("E621", _FEW))
    if not chosen:
        low, high = float(times[0]), float(times[-1])
    return weighted(line_weights(times, low, high), series)


@dataclass(frozen=True)
class Behind:
    """The values in time behind a scene that is a mean over a window.

    Attributes:
        window: Over which the scene is a mean.
        times: At which there are scenes.
        scenes: One for each time.
        whole: Whether the times are those of the whole run, from 0 on; else they are the middles of equal
            parts of the window.
    """

    window: tuple[float, float]
    times: np.ndarray
    scenes: Callable[[], tuple[Any, ...]]
    whole: bool

    def means(self, window: Any = None) -> bool:
        """Whether the scene is the mean over a window; None stands for its own."""
        if window is None:
            return True
        return bool(np.allclose(_ends(window), self.window, rtol=1e-9, atol=1e-12))

    def average(self, series: np.ndarray, window: Any = None) -> Any:
        """The mean of a series over a window.

        Raises:
            SolveError: E621 where its times are not kept.
        """
        if not self.whole:
            if not self.means(window):
                raise SolveError(_not_kept(self.window))
            return series.mean(axis=0)
        low, high = self.window if window is None else _ends(window)
        inside = (self.times >= low - 1e-12) & (self.times <= high + 1e-12)
        if inside.sum() < 2:
            raise SolveError(Diagnostic("E621", _FEW))
        return weighted(window_weights(self.times, low, high), series)

    def last(self, series: np.ndarray) -> Any:
        """The value at the end of the run.

        Raises:
            SolveError: E621 where that is not kept.
        """
        if not self.whole:
            raise SolveError(_not_kept(self.window))
        return series[-1]


# Times of a mean that are looked at one by one; of more only every third.
_ONE_BY_ONE = 3000


def behind_mean(
    times: np.ndarray,
    options: Mapping[str, Any],
    scenes: Callable[[Iterable[int]], list[Any]],
) -> Behind:
    """The times behind a mean over the middles of equal parts of a window.

    Args:
        scenes: Those at some places.
    """
    half = float(times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    low, high = options.get("window") or (
        options.get("burn_in", 0.0),
        float(times[-1]) + half,
    )
    # every third one is the middle of a larger part
    thinned = len(times) > _ONE_BY_ONE and len(times) % 3 == 0
    places = range(1, len(times), 3) if thinned else range(len(times))
    window = float(low), float(high)
    return Behind(window, times[places], lambda: tuple(scenes(places)), False)


def _ends(window: Any) -> tuple[float, float]:
    low, high = (float(np.real(value)) for value in window)
    return low, high


def _not_kept(window: tuple[float, float]) -> Diagnostic:
    low, high = window
    message = (
        f"the line keeps the mean over {low:g}..{high:g}, and nothing of other times"
    )
    help_ = "write times = linspace(0, T, n) in place of time = T"
    return Diagnostic("E621", message, help=help_)


def window_weights(times: np.ndarray, low: float, high: float) -> np.ndarray:
    r"""Weights with which values at times make the mean over a window; sum 1.

    They integrate the cubic through four neighbors on each interval: of smooth curves the error is
    $O(h^4)$. The part of a window where there are no times is left out.

    >>> window_weights(np.array([0.0, 1.0, 2.0]), 0.0, 2.0) * 6
    array([1., 4., 1.])
    """
    low, high = max(low, float(times[0])), min(high, float(times[-1]))
    weights = np.zeros(len(times))
    size = min(len(times), 4)
    nodes, shares = np.polynomial.legendre.leggauss(2)
    for k in range(len(times) - 1):
        left, right = max(low, float(times[k])), min(high, float(times[k + 1]))
        if right <= left:
            continue
        first = min(max(k - 1, 0), len(times) - size)
        own = times[first : first + size]
        x = (left + right) / 2 + (right - left) / 2 * nodes
        part = (right - left) / 2 * shares
        for j in range(size):
            others = np.delete(own, j)
            lagrange = np.prod((x[:, None] - others) / (own[j] - others), axis=1)
            weights[first + j] += float(part @ lagrange)
    return weights / weights.sum()


def line_weights(times: np.ndarray, low: float, high: float) -> np.ndarray:
    """The same for the line through the values.

    >>> line_weights(np.array([0.0, 1.0, 2.0]), 0.0, 1.5)
    array([0.33333333, 0.58333333, 0.08333333])
    """
    low, high = max(low, float(times[0])), min(high, float(times[-1]))
    weights = np.zeros(len(times))
    a, b = times[:-1], times[1:]
    left, right = np.clip(low, a, b), np.clip(high, a, b)
    upper = (right - left) * ((left + right) / 2 - a) / (b - a)
    np.add.at(weights, np.arange(1, len(times)), upper)
    np.add.at(weights, np.arange(len(times) - 1), right - left - upper)
    return np.asarray(weights / weights.sum())


def weighted(weights: np.ndarray, series: np.ndarray) -> Any:
    """A mean over times; what is not known where the weight is zero is of no account."""
    inside = weights != 0
    return np.tensordot(weights[inside], series[inside], axes=(0, 0))


def final(scene: Scene, x: Any) -> Any:
    """The value at the last time."""
    series = np.asarray(x)
    if series.ndim == 2:
        series = series.mean(axis=0)
    return x if series.ndim == 0 else series[-1]


def mean(scene: Scene, x: Any) -> Any:
    """Mean of a list or a series."""
    values = np.asarray(_items(x))
    if values.ndim == 0:
        return x
    return values.mean() if values.ndim == 2 else values.mean(axis=0)


def fraction(scene: Scene, x: Any) -> float:
    """Share of a list or a series for which a condition holds."""
    return float(np.asarray(_items(x), dtype=float).mean())


def along(scene: Scene, x: Any) -> Any:
    """x along each trajectory, shape (R, T); for a density matrix the series itself."""
    if np.ndim(x) != 2 or isinstance(x, Records):
        return x
    return np.asarray(x).view(Records)


def autocorrelation_time(series: np.ndarray) -> float:
    r"""$\tau = \tfrac12 + \sum_{t=1}^W\rho(t)$ in steps of a series, shape (n,); at least 1/2.

    The variance of its mean is $2\tau\,\mathrm{Var}(x)/n$. W is the least window with $W \ge 5\tau(W)$: longer
    ones add noise only. Complex values count with both parts.

    References:
        A. Sokal, Monte Carlo methods in statistical mechanics (1996), Sec. 3.

    Examples:
        >>> bool(autocorrelation_time(np.random.default_rng(0).normal(size=4000)) < 0.6)
        True
    """
    x = np.asarray(series) - np.mean(series)
    n = len(x)
    transformed = np.fft.fft(x, 2 * n)
    correlation = np.fft.ifft(np.abs(transformed) ** 2).real[:n]
    if not correlation[0] > 0:
        return 0.5
    total = 0.5
    for window in range(1, n):
        total += float(correlation[window] / correlation[0])
        if window >= 5 * total:
            break
    return max(total, 0.5)


def _items(x: Any) -> Any:
    return x.values if isinstance(x, Distribution) else x


def _times(scene: Scene) -> np.ndarray:
    times = (
        scene.given.times
        if sampled(scene) or jumping(scene)
        else getattr(scene.result, "times", None)
    )
    if times is None:
        raise SolveError(
            Diagnostic(
                "E620",
                "a time average needs an evolution",
                help="use 'solve evolve(times = ...)', or a method with trajectories",
            )
        )
    return np.asarray(times)
