r"""Quantum jumps under static forces: generators whose quasi-momentum moves, as series in time.

$$ G(t) = -\frac{i}{\hbar}H - \tfrac12\sum_c\gamma_c L_c^\dagger L_c = \sum_k T_k(2s - 1)\,G_k ,
   \qquad \sqrt{\gamma_c}L_c = \sum_k T_k(2s - 1)\,L_{ck} $$

on stretches of time, in a window of the basis that follows the momentum. Operators in which label and
quasi-momentum only occur as $n + \beta$ need no change of labels when $\beta$ passes an integer; the
series tells whether a stretch ends at a branch point of $\sqrt{n + \beta}$, from where on
$s = \sin^2(\pi u/2)$ and polynomials in u take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import Point, TrajectoryProblem
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import combine, refuse_rates
from qsyncdsl.solve.jump_numbers import (
    Numbers,
    Spectrum,
    Table,
    jump_pieces,
    on_rows,
    spectrum_of,
)
from qsyncdsl.solve.kernels import jump_source
from qsyncdsl.solve.windows import problem_at

# Turns of the fastest element on the first stretch that is tried without a force.
_TURNS = 100.0
# Orders of series that are tried: in time, and where a stretch ends at integer quasi-momenta in u.
_PLAIN = ((False, 6), (False, 16))
_SMOOTH = ((True, 20), (True, 32), (True, 64))
# Last terms of a series over its largest that end the search.
_TAIL = 1e-11
# Times that a stretch may be halved where coefficients depend on time.
_HALVINGS = 12
# Part of a window over which a label may run before the window is looked at again.
_DRIFT = 16
_NEAR = 1e-9
_KEPT = 64

# The generator and the jump operators at a part s of a stretch.
Sample = Callable[[float], tuple[sp.csr_array, list[sp.csr_array]]]


@dataclass(frozen=True)
class Series:
    """Numbers of the kernel on a stretch of time.

    Attributes:
        begin, length: s = (t - begin)/length; for t where quasi-momenta are what the first stretch took
            them to be.
        tail: Of the worst series.
    """

    numbers: Numbers
    orders: np.ndarray
    begin: float
    length: float
    tail: float

    @property
    def table(self) -> Table:
        """The coefficients as the kernel takes them."""
        return Table(self.orders, self.begin, self.length)


class Course:
    """The windows that trajectories go through at one point, and the series there."""

    def __init__(
        self, problem: TrajectoryProblem, point: Point, accuracy: float
    ) -> None:
        self.problem = problem.lindblad
        self.accuracy = accuracy
        self.steps: dict[int, float] = {}
        self.point = point
        self.diagonal = problem.offsets == (0,)
        self.f = coefficients.evaluate(problem.coefficients, point.values, 0.0)
        self.rates = {
            force.part: float(self.f[force.rate].real) for force in self.problem.forces
        }
        self.moving = bool(problem.coefficients.time_dependent)
        self.tail = 0.0
        self._known: dict[Any, Series | None] = {}

    @cached_property
    def free(self) -> bool:
        """Whether labels may stay as they are while one quasi-momentum runs on."""
        pulled = [k for k, rate in self.rates.items() if rate]
        if self.moving or len(pulled) != 1:
            return False
        (part,) = pulled
        zeros = [0] * len(self.problem.parts)
        for center in (0, 3):
            here, there = list(zeros), list(zeros)
            here[part], there[part] = center, center + 1
            beta = [0.0] * len(zeros)
            beta[part] = 1.37
            one = problem_at(self.problem, Place(tuple(here), tuple(beta)))
            beta[part] = 0.37
            two = problem_at(self.problem, Place(tuple(there), tuple(beta)))
            for a, b in zip(one.matrices, two.matrices, strict=True):
                scale = max(abs(a).max(), 1e-300) if a.nnz else 1.0
                if (abs(a - b) if a.nnz or b.nnz else a).max() > 1e-10 * scale:
                    return False
        return True

    def unit(self, part: int) -> int:
        """Steps in which the window of a part moves."""
        return max(self.problem.parts[part].dimension // _DRIFT, 1)

    def stretch(self, place: Place, now: float, end: float) -> tuple[Series, float]:
        """A series that begins at a place and time, and how far it serves, at most to `end`.

        Raises:
            SolveError: E507, E543 where coefficients move too fast.
        """
        if self.free:
            return self._single(place, now, end)
        length = min(end, *(self._integer(place, now))) - now
        if self.moving and length == np.inf:
            length = self._many_turns(place)
        for _ in range(_HALVINGS):
            series = self._several(place, now, length)
            if series.tail <= _TAIL or not self.moving:
                break
            length /= 2
        else:
            message = f"coefficients of the model change too fast at t = {now:.6g}"
            raise SolveError(Diagnostic("E543", message))
        self.tail = max(self.tail, series.tail)
        return replace(series, begin=now, length=length), now + length

    def _many_turns(self, place: Place) -> float:
        """A time to begin the search with, where nothing else ends a stretch."""
        generator, _ = self._operators(place, self.f)
        fastest = float(abs(generator).sum(axis=1).max())
        return _TURNS / fastest if fastest else 1.0

    def _integer(self, place: Place, now: float) -> list[float]:
        """When each quasi-momentum is an integer."""
        return [
            now + ((1 if rate > 0 else 0) - place.beta[k]) / rate
            for k, rate in self.rates.items()
            if rate
        ] or [np.inf]

    # ── one rotor whose labels may run on ────────────────────────────────────────────────────

    def _single(self, place: Place, now: float, end: float) -> tuple[Series, float]:
        ((part, rate),) = [(k, r) for k, r in self.rates.items() if r]
        run = self.unit(part) * (1 if rate > 0 else -1)
        low, high = min(0, run), 1 + max(0, run)
        series = self._over(place, part, low, high, _PLAIN)
        stop = now + run / rate
        if series is None:
            low, high = 0, 1
            series = self._over(place, part, low, high, (_PLAIN[0], *_SMOOTH))
            assert series is not None
            (stop,) = self._integer(place, now)
        self.tail = max(self.tail, series.tail)
        begin = now - (place.beta[part] - low) / rate
        placed = replace(series, begin=begin, length=(high - low) / rate)
        return placed, min(stop, end)

    def _over(
        self, place: Place, part: int, low: int, high: int, trials: Any
    ) -> Series | None:
        """The series over an interval of quasi-momenta; None where it does not end."""
        key = place.centers, low, high
        if key not in self._known:

            def sample(s: float) -> tuple[sp.csr_array, list[sp.csr_array]]:
                beta = list(place.beta)
                beta[part] = low + (high - low) * s
                return self._operators(Place(place.centers, tuple(beta)), self.f)

            self._keep(key, self._fit(sample, trials, must=low == 0 and high == 1))
        return self._known[key]

    # ── anything ─────────────────────────────────────────────────────────────────────────────

    def _several(self, place: Place, now: float, length: float) -> Series:
        """The series on a stretch that begins now."""
        key: Any = place.centers, tuple(round(b, 9) for b in place.beta), length
        if self.moving:
            key = *key, now
        if key not in self._known:

            def sample(s: float) -> tuple[sp.csr_array, list[sp.csr_array]]:
                t = length * s if self.moving or any(self.rates.values()) else 0.0
                beta = tuple(
                    b + self.rates.get(k, 0.0) * t for k, b in enumerate(place.beta)
                )
                f = self.f
                if self.moving:
                    table = self.problem.coefficients
                    f = coefficients.evaluate(table, self.point.values, now + t)
                    refuse_rates(self.problem, f)
                return self._operators(Place(place.centers, beta), f)

            self._keep(key, self._fit(sample, (*_PLAIN, *_SMOOTH), True))
        found = self._known[key]
        assert found is not None
        return found

    def _keep(self, key: Any, series: Series | None) -> None:
        if len(self._known) >= _KEPT:
            self._known.clear()
            self.steps.clear()
        self._known[key] = series

    def _operators(
        self, place: Place, f: np.ndarray
    ) -> tuple[sp.csr_array, list[sp.csr_array]]:
        """G and the jump operators with the roots of their rates."""
        here = problem_at(self.problem, place)
        size = here.dimension
        total = sp.csr_array((size, size), dtype=complex)
        if here.hamiltonian:
            total = total - 1j * combine(here, here.hamiltonian, f)
        jumps = []
        for channel in self._channels:
            jump = combine(here, channel.jump, f) * np.sqrt(f[channel.rate].real)
            jumps.append(sp.csr_array(jump))
            total = total - 0.5 * (jump.conj().T @ jump)
        return sp.csr_array(total), jumps

    @property
    def _channels(self) -> list[Any]:
        return [self.problem.channels[k] for k in self.numbers_of_channels]

    @cached_property
    def numbers_of_channels(self) -> tuple[int, ...]:
        """The channels that are not always without a rate."""
        moves = self.problem.coefficients.time_dependent
        return tuple(
            k
            for k, channel in enumerate(self.problem.channels)
            if channel.jump and (channel.rate in moves or self.f[channel.rate] != 0)
        )

    def _fit(self, sample: Sample, trials: Any, must: bool) -> Series | None:
        """Sample the operators until their series end; None where they do not and need not."""
        known: dict[Any, Any] = {}
        parts = [0, *range(1, len(self.numbers_of_channels) + 1)]
        fitted: list[tuple[bool, list[sp.csr_array]]] = []
        worst = 0.0
        for which in parts:
            for trial in trials:
                if trial not in known:
                    known[trial] = [sample(s) for s in _nodes(*trial)]
                matrices = [
                    x[0] if which == 0 else x[1][which - 1] for x in known[trial]
                ]
                series, tail = _series(matrices)
                if tail <= _TAIL:
                    break
            if tail > _TAIL and not must:
                return None
            worst = max(worst, tail)
            fitted.append((trial[0], series))
        (first, *_), *_ = known.values()
        middle = next(iter(known.values()))
        generators = [first[0], middle[len(middle) // 2][0], middle[-1][0]]
        return self._numbers(fitted, spectrum_of(generators), worst)

    def _numbers(
        self,
        fitted: list[tuple[bool, list[sp.csr_array]]],
        spectrum: Spectrum,
        tail: float,
    ) -> Series:
        size = self.problem.dimension
        smooth, generators = fitted[0]
        fixed = generators[0]
        groups = [
            sp.csr_array(
                (fixed - spectrum.center * sp.eye_array(size)) * (2 / spectrum.radius)
            )
        ]
        orders = [(0.0, 0.0)]
        for k, matrix in enumerate(generators[1:], start=1):
            groups.append(sp.csr_array(matrix * (2 / spectrum.radius)))
            orders.append((float(k), float(smooth)))
        pieces = []
        for place, (smooth, jumps) in enumerate(fitted[1:]):
            for k, matrix in enumerate(jumps):
                pieces.append((place, len(orders), matrix))
                orders.append((float(k), float(smooth)))
        table = np.full((2, 2 * len(orders)), -1.0)
        table[:, ::2] = np.array(orders).T
        d, rows, columns = on_rows(groups)
        numbers = Numbers(
            np.array([size, size, 0, size]),
            spectrum,
            d,
            rows,
            columns,
            *jump_pieces(size, pieces),
            np.zeros(len(self.numbers_of_channels), dtype=np.int64),
            self.numbers_of_channels,
            jump_source("", self.diagonal, True),
            fixed,
        )
        return Series(numbers, table, 0.0, 1.0, tail)


def _nodes(smooth: bool, order: int) -> np.ndarray:
    """The places s of the Chebyshev nodes."""
    u = (np.cos(np.pi * (np.arange(order) + 0.5) / order) + 1) / 2
    return np.asarray(np.sin(np.pi * u / 2) ** 2 if smooth else u)


def _series(matrices: list[sp.csr_array]) -> tuple[list[sp.csr_array], float]:
    """Chebyshev coefficients of matrices at the nodes, and the last ones over the largest."""
    order = len(matrices)
    angles = np.pi * np.outer(np.arange(order), np.arange(order) + 0.5) / order
    weights = 2 / order * np.cos(angles)
    weights[0] /= 2
    pattern = sp.csr_array(sum(abs(m) for m in matrices))
    pattern.sort_indices()
    data = np.array([_on(pattern, m) for m in matrices])
    found = weights @ data
    scale = float(np.abs(found).max()) if found.size else 0.0
    tail = float(np.abs(found[-2:]).max() / scale) if scale else 0.0
    if not scale:
        return [pattern * 0j], 0.0
    last = int(np.flatnonzero(np.abs(found).max(axis=1) > 1e-13 * scale)[-1])
    return [
        sp.csr_array((row, pattern.indices, pattern.indptr), shape=pattern.shape)
        for row in found[: last + 1]
    ], tail


def _on(pattern: sp.csr_array, matrix: sp.csr_array) -> np.ndarray:
    """The entries of a matrix in the order of a larger pattern."""
    size = pattern.shape[1]
    owner = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    keys = owner.astype(np.int64) * size + pattern.indices
    entries = matrix.tocoo()
    rows, columns = entries.coords
    wanted = rows.astype(np.int64) * size + columns
    inside = entries.data != 0
    found = np.zeros(len(keys), dtype=complex)
    found[np.searchsorted(keys, wanted[inside])] = entries.data[inside]
    return found


def settled(place: Place, rates: dict[int, float]) -> tuple[Place, dict[int, int]]:
    """Quasi-momenta within [0, 1) (or (0, 1] where they fall), and the steps that labels make."""
    beta, steps = list(place.beta), {}
    for k, rate in rates.items():
        if rate > 0:
            steps[k] = int(np.floor(beta[k] + _NEAR))
        elif rate < 0:
            steps[k] = int(np.ceil(beta[k] - _NEAR)) - 1
        else:
            continue
        beta[k] = min(max(beta[k] - steps[k], 0.0), 1.0)
    return Place(place.centers, tuple(beta)), {k: n for k, n in steps.items() if n}
