r"""A moving generator as Legendre series, and their values at the stages of steps.

Entries are analytic in u on stretches $t = t_a + (t_b - t_a)\sin^2(\pi u/2)$ between the instants at which a
quasi-momentum is an integer, where $\sqrt{n + \beta}$ has its branch points. A stretch is halved until a
series serves; it is used again where the generator repeats.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve.block_generator import NEAR, BlockGenerator
from qsyncdsl.solve.march import tableau
from qsyncdsl.solve.pulses import changes
from qsyncdsl.solve.stretches import Stretch, on_pattern, without_diagonal

# Series that are tried: smooth or linear in time, and the order; and the size of the last terms that
# ends the search. Under a force far from rest nothing is singular, and few terms do.
_TRIALS = ((False, 8), (False, 16), (False, 32))
_TRIALS_FORCE = ((False, 8), (True, 20), (True, 32), (True, 64))
_TAIL = 1e-12
# Stretches of one period of a moving generator without forces, at most.
_STRETCHES = 512
# Stretches that need not repeat: what is left of one that no series serves, and lengths of a change in one.
_SHORTEST, _SEEN = 1e-6, 3.0
# Tables of entries that are kept, in bytes.
_TABLES = 4e8


class SeriesGenerator(BlockGenerator):
    """A generator as series on stretches of time.

    Args:
        problem: The master equation.
        point: Values of its parameters.
        place: Centers of the rotors' windows.
        period: Of coefficients that depend on time; None where they need not repeat.

    Attributes:
        tail: The largest last term of a series, relative to the generator.
    """

    def __init__(
        self,
        problem: LindbladProblem,
        point: Point,
        place: Place,
        period: float | None = None,
    ) -> None:
        super().__init__(problem, point, place)
        self.period = period
        self.tail = 0.0
        self._stretches: dict[Any, Stretch] = {}
        self._tables: OrderedDict[Any, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._held = 0.0
        self._pieces = 1

    @cached_property
    def _longest(self) -> float:
        """An interval on which a series sees every change of coefficients that need not repeat."""
        if not self.moving or self.period is not None or self.point.times is None:
            return np.inf
        times = self.point.times
        begin, end = min(0.0, float(times[0])), float(times[-1])
        return _SEEN * changes(self.coefficients_at, begin, end).longest

    def _natural(
        self, a: float, b: float, labels: dict[int, int]
    ) -> tuple[float, float]:
        """The longest interval around [a, b] on which one series serves: it can be used again."""
        if self.moving:
            return self._within_period(a, b)
        low, high = -np.inf, np.inf
        for k, rate in self.rates.items():
            ends = sorted((labels[k] + m - self.place.beta[k]) / rate for m in (0, 1))
            low, high = max(low, ends[0]), min(high, ends[1])
        return low, high

    def _within_period(self, a: float, b: float) -> tuple[float, float]:
        """The part of a period around [a, b]; [a, b] itself where nothing repeats."""
        if self.period is None or self.rates:
            return a, b
        length = self.period / self._pieces
        first = np.floor(a / length + NEAR) * length
        return float(first), float(first + length)

    def around(
        self, a: float, b: float, labels: dict[int, int]
    ) -> tuple[Stretch, float]:
        """The stretch that begins at or before a, and its end."""
        b = min(b, a + self._longest)
        while True:
            low, high = self._natural(a, b, labels)
            stretch = self._stretch(low, high, labels)
            if stretch is not None:
                return stretch, high
            if self.repeats:
                self._pieces *= 2
            else:
                b = (a + b) / 2

    @property
    def repeats(self) -> bool:
        """Whether a stretch serves in other periods too."""
        return self.period is not None and not self.rates

    def span(self, stretch: Stretch, a: float, b: float) -> tuple[float, float]:
        """u at two times; a stretch that is used in another period is moved there."""
        if self.moving and self.period is not None and not self.rates:
            shift = np.floor(a / self.period + NEAR) * self.period
            first = np.floor(stretch.begin / self.period + NEAR) * self.period
            a, b = a - shift + first, b - shift + first
        return stretch.u(a), stretch.u(b)

    def _stretch(
        self, low: float, high: float, labels: dict[int, int]
    ) -> Stretch | None:
        """The series on an interval; None where it should be shorter."""
        key = self._key(low, high, labels)
        if key in self._stretches:
            found = self._stretches[key]
            return replace(found, begin=low, end=high) if self.rates else found
        found_or_none = self._fit(low, high, labels)
        if found_or_none is None:
            return None
        if len(self._stretches) > 64:
            self._stretches.clear()
            self._tables.clear()
            self._held = 0.0
        self._stretches[key] = found_or_none
        return found_or_none

    def _key(self, low: float, high: float, labels: dict[int, int]) -> Any:
        """What two stretches with one series have in common."""
        if self.rates:
            phase = tuple(
                round(self.place.beta[k] + rate * low - labels[k], 9)
                for k, rate in self.rates.items()
            )
            start = 0.0
            if self.moving:
                start = round(low % self.period, 9) if self.period else round(low, 9)
            return phase, round(high - low, 10), start
        start = round(low % self.period, 9) if self.period else round(low, 9)
        return start, round(high - low, 10)

    def _fit(self, low: float, high: float, labels: dict[int, int]) -> Stretch | None:
        """Sample the generator until its Legendre series ends."""
        for smooth, order in _TRIALS_FORCE if self.rates else _TRIALS:
            data, series = self._series(low, high, labels, smooth, order)
            scale = np.abs(series).max()
            if not self.repeats:
                # what hardly acts need not be known to many digits
                scale = max(scale, 1.0)
            tail = float(np.abs(series[-2:]).max() / scale) if scale else 0.0
            if tail < _TAIL:
                break
        last = self._pieces >= _STRETCHES
        if not self.repeats:
            last = not self.moving or high - low < _SHORTEST * max(1.0, abs(low))
        if tail > _TAIL and not last:
            return None
        self.tail = max(self.tail, tail)
        return without_diagonal(self.pattern, (low, high), smooth, series, data)

    def _series(
        self, low: float, high: float, labels: dict[int, int], smooth: bool, order: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Entries of A dt/du at Gauss points in u, and their Legendre series."""
        span = high - low
        nodes, weights = np.polynomial.legendre.leggauss(order)
        u = (nodes + 1) / 2
        x, slope = u, np.full(order, span)
        if smooth:
            x, slope = np.sin(np.pi * u / 2) ** 2, np.pi / 2 * np.sin(np.pi * u) * span
        rows = []
        for part, factor in zip(x, slope, strict=True):
            t = low + span * part
            matrix = self.matrix(self.at(t, labels), t)
            rows.append(on_pattern(matrix, self.pattern) * factor)
        data = np.array(rows)
        basis = np.polynomial.legendre.legvander(nodes, order - 1)
        project = (basis * (weights / 2)[:, None] * (2 * np.arange(order) + 1)).T
        return data, project @ data

    def table(
        self, stretch: Stretch, u: float, v: float, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Entries at the stages of every step, and exp of the integral of the diagonal since its start.

        Shapes (steps, 12, entries) and (steps, 12, rows).
        """
        key = (id(stretch.series), round(u, 12), round(v, 12), count)
        if key in self._tables:
            self._tables.move_to_end(key)
            return self._tables[key]
        _, _, c = tableau()
        step = (v - u) / count
        begin = u + step * np.arange(count)
        at = begin[:, None] + step * c[None, :]
        orders = len(stretch.series)
        basis = np.polynomial.legendre.legvander(2 * at - 1, orders)
        entries = basis[:, :, :orders] @ stretch.series
        first = np.polynomial.legendre.legvander(2 * begin - 1, orders)
        turns = np.exp((basis - first[:, None, :]) @ stretch.phase)
        found = entries, turns
        self._tables[key] = found
        self._held += entries.nbytes + turns.nbytes
        while self._held > _TABLES and len(self._tables) > 1:
            _, old = self._tables.popitem(last=False)
            self._held -= sum(table.nbytes for table in old)
        return found
