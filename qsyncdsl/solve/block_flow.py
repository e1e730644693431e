r"""Exact dissipative evolution between kicks, also where rotors are pulled by a static force.

Density matrices are vectors of the elements that weak symmetries of the flow keep apart: without kicks
a rotor or a boson that only loses quanta evolves diagonal by diagonal. Constant generators are
exponentials. Moving ones are analytic in u on stretches $t = t_a + (t_b - t_a)\sin^2(\pi u/2)$ between
the instants at which a quasi-momentum is an integer, where $\sqrt{n + \beta}$ has its branch points; on
a stretch their entries are Legendre series in u, and the equation is solved in fixed steps of order 8
that take the diagonal exactly: far from it elements turn fast and are coupled slowly.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.blocks import layout
from qsyncdsl.solve.march import march, tableau
from qsyncdsl.solve.pulses import changes
from qsyncdsl.solve.stretches import (
    Piece,
    Stretch,
    appended,
    label_steps,
    on_pattern,
    without_diagonal,
)
from qsyncdsl.solve.windows import problem_at

# Largest block of elements whose exponential or propagator is taken as a dense matrix.
DENSE = 1200
# Memory for the propagators of one stretch, in bytes.
_PROPAGATORS = 4e8
# Series that are tried: smooth or linear in time, and the order; and the size of the last terms that
# ends the search. Under a force far from rest nothing is singular, and few terms do.
_TRIALS = ((False, 8), (False, 16), (False, 32))
_TRIALS_FORCE = ((False, 8), (True, 20), (True, 32), (True, 64))
_TAIL = 1e-12
# Stretches of one period of a moving generator without forces, at most.
_STRETCHES = 512
# Stretches that need not repeat: what is left of one that no series serves, and lengths of a change in one.
_SHORTEST, _SEEN = 1e-6, 3.0
# A step times what it must be short against.
_STEP = 0.75
# Change of a state by halving the steps that is small enough; times that they are halved, at most.
_STEP_ERROR, _FINEST = 1e-11, 64
# An instant this close to an integer quasi-momentum is at it.
_NEAR = 1e-9
# Steps whose tables are made at once.
_AT_ONCE = 64
# Tables of entries that are kept, in bytes.
_TABLES = 4e8


class Flow:
    """The evolution between kicks at one point, in one window of the basis.

    Args:
        problem: The master equation.
        point: Values of its parameters.
        place: Centers of the rotors' windows.
        period: Of coefficients that depend on time; None where they need not repeat.
    """

    def __init__(
        self,
        problem: LindbladProblem,
        point: Point,
        place: Place,
        period: float | None = None,
    ) -> None:
        self.problem = problem
        self.point = point
        self.place = place
        self.period = period
        f = coefficients.evaluate(problem.coefficients, point.values)
        self.f = f
        self.rates = {force.part: float(f[force.rate].real) for force in problem.forces}
        self.rates = {part: rate for part, rate in self.rates.items() if rate}
        self.moving = bool(problem.coefficients.time_dependent)
        self.on = superoperator.active(problem, f)
        # A pattern that holds everywhere: at a quasi-momentum where nothing vanishes.
        self.layout = layout(self._problem(0.377), self.on)
        self.refinement = 1
        self.step_error: float | None = None
        self.tail = 0.0
        self._stretches: dict[Any, Stretch] = {}
        self._tables: OrderedDict[Any, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._held = 0.0
        self._exponentials: dict[float, list[np.ndarray]] = {}
        self._pieces = 1

    # ── the generator ────────────────────────────────────────────────────────────────────────

    def _problem(self, phase: float) -> LindbladProblem:
        """The problem with the quasi-momenta of the pulled rotors set."""
        if not self.rates:
            return problem_at(self.problem, self.place)
        beta = tuple(
            phase if k in self.rates else b for k, b in enumerate(self.place.beta)
        )
        return problem_at(self.problem, Place(self.place.centers, beta))

    def _at(self, t: float, labels: dict[int, int]) -> LindbladProblem:
        """The problem at a time, with the labels of the stretch it lies on."""
        if not self.rates:
            return problem_at(self.problem, self.place)
        beta = tuple(
            self.place.beta[k] + self.rates[k] * t - labels[k]
            if k in self.rates
            else self.place.beta[k]
            for k in range(len(self.place.beta))
        )
        return problem_at(self.problem, Place(self.place.centers, beta))

    def _matrix(self, problem: LindbladProblem, t: float) -> sp.csr_array:
        f = self._coefficients(t) if self.moving else self.f
        all_sides = superoperator.sides(problem, self.on)
        strengths = superoperator.strengths(all_sides, f)
        total = sp.csr_array((self._sector.size, self._sector.size), dtype=complex)
        for side, strength in zip(all_sides, strengths, strict=True):
            total = total + strength * superoperator.sector_matrix(side, self._sector)
        return sp.csr_array(total)

    def _coefficients(self, t: float) -> np.ndarray:
        """f(t)."""
        return coefficients.evaluate(self.problem.coefficients, self.point.values, t)

    @cached_property
    def _sector(self) -> superoperator.Sector:
        """The elements that are kept; the table of positions is large: shared with the layout."""
        where = superoperator.Sector(
            self.layout.rows, self.layout.columns, self.layout.dimension
        )
        where.__dict__["place"] = self.layout.place
        return where

    @cached_property
    def _longest(self) -> float:
        """An interval on which a series sees every change of coefficients that need not repeat."""
        if not self.moving or self.period is not None or self.point.times is None:
            return np.inf
        times = self.point.times
        begin, end = min(0.0, float(times[0])), float(times[-1])
        return _SEEN * changes(self._coefficients, begin, end).longest

    @cached_property
    def constant(self) -> sp.csr_array:
        """The generator, where it does not move."""
        return self._matrix(problem_at(self.problem, self.place), 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether neither coefficients nor quasi-momenta move."""
        return not self.moving and not self.rates

    @cached_property
    def pattern(self) -> sp.csr_array:
        """Every entry that may occur at some time, whatever its coefficient is at any other, and the diagonal."""
        total = sp.csr_array(sp.identity(self.layout.size, format="csr"))
        for phase in (0.377, 0.713):
            for side in superoperator.sides(self._problem(phase), self.on):
                total = total + abs(superoperator.sector_matrix(side, self._sector))
        total.sort_indices()
        return total

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def labels(self, t: float) -> dict[int, int]:
        """How far the label of each pulled rotor has moved until a time."""
        return {
            k: int(np.floor(self.place.beta[k] + rate * t + _NEAR))
            for k, rate in self.rates.items()
        }

    def quasi_momentum(self, t: float) -> tuple[float, ...]:
        """beta of every part at a time, in [0, 1)."""
        steps = self.labels(t)
        return tuple(
            max(b + self.rates[k] * t - steps[k], 0.0) if k in self.rates else b
            for k, b in enumerate(self.place.beta)
        )

    def breaks(self, begin: float, end: float) -> list[float]:
        """The instants between two times at which a quasi-momentum is an integer."""
        found = {begin, end}
        for k, rate in self.rates.items():
            low, high = sorted(self.place.beta[k] + rate * t for t in (begin, end))
            for m in range(int(np.ceil(low - _NEAR)), int(np.floor(high + _NEAR)) + 1):
                t = (m - self.place.beta[k]) / rate
                if begin + _NEAR / abs(rate) < t < end - _NEAR / abs(rate):
                    found.add(t)
        return sorted(found)

    def advance(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The elements at `end` from those at `begin`; the window stays where it is."""
        if end <= begin:
            return vector
        if self.is_constant:
            return self._exponential(vector, end - begin)
        if self.moving and not self._repeats:
            return self._controlled(vector, begin, end)
        self.calibrate(vector, begin, end)
        return self._along(vector, begin, end)

    def _controlled(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The same where one interval says nothing of the next: steps are halved in each."""
        self.refinement = max(1, self.refinement // 4)
        coarse = self._along(vector, begin, end)
        while True:
            self.refinement *= 2
            fine = self._along(vector, begin, end)
            error = float(np.abs(fine - coarse).max())
            if error < _STEP_ERROR or self.refinement > _FINEST:
                self.step_error = max(self.step_error or 0.0, error)
                return fine
            coarse = fine

    def calibrate(self, vector: np.ndarray, begin: float, end: float) -> None:
        """Halve the steps, once and for all, until a state no longer notices."""
        if self.is_constant or self.step_error is not None:
            return
        coarse = self._along(vector, begin, end)
        while True:
            self.refinement *= 2
            fine = self._along(vector, begin, end)
            error = float(np.abs(fine - coarse).max())
            if error < _STEP_ERROR or self.refinement > _FINEST:
                break
            coarse = fine
        self.step_error = error
        self.refinement //= 2

    def _along(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The evolution through all breaks."""
        times = self.breaks(begin, end)
        before = self.labels(begin)
        for a, b in pairwise(times):
            inside = self._inside(a, b)
            vector = self.relabel(vector, before, inside)
            vector = self._cross(vector, a, b, inside)
            before = inside
        return self.relabel(vector, before, self.labels(end))

    def _inside(self, a: float, b: float) -> dict[int, int]:
        """The labels that hold between two breaks: beta is in [0, 1] there."""
        middle = (a + b) / 2
        return {
            k: int(np.floor(self.place.beta[k] + rate * middle))
            for k, rate in self.rates.items()
        }

    def relabel(
        self, vector: np.ndarray, before: dict[int, int], after: dict[int, int]
    ) -> np.ndarray:
        """Move the elements where labels have changed."""
        for part in before:
            steps = after[part] - before[part]
            if steps:
                source = self._shift(part, steps)
                vector = np.where(source >= 0, vector[source].T, 0).T
        return vector

    def _shift(self, part: int, steps: int) -> np.ndarray:
        """For each element the one whose labels are smaller by `steps`, or -1."""
        dims = [p.dimension for p in self.problem.parts]
        stride = int(np.prod(dims[part + 1 :])) * steps
        rows, columns = self.layout.rows, self.layout.columns
        states = np.arange(self.layout.dimension)
        level = (states // int(np.prod(dims[part + 1 :]))) % dims[part] - steps
        kept = (level >= 0) & (level < dims[part])
        inside = kept[rows] & kept[columns]
        m, n = np.where(inside, rows - stride, 0), np.where(inside, columns - stride, 0)
        return np.where(inside, self.layout.place[m, n], -1)

    # ── constant generators ──────────────────────────────────────────────────────────────────

    def _exponential(self, vector: np.ndarray, span: float) -> np.ndarray:
        starts = self.layout.starts
        if np.diff(starts).max() > DENSE:
            return np.asarray(spla.expm_multiply(self.constant * span, vector))
        blocks = self.exponentials(span)
        return np.concatenate(
            [
                block @ vector[a:b]
                for block, a, b in zip(blocks, starts[:-1], starts[1:], strict=True)
            ]
        )

    def exponentials(self, span: float) -> list[np.ndarray]:
        """exp(L span), block by block."""
        key = float(f"{span:.13e}")
        if key not in self._exponentials:
            if len(self._exponentials) > 64:
                self._exponentials.clear()
            starts = self.layout.starts
            self._exponentials[key] = [
                scipy.linalg.expm(self.constant[a:b, a:b].toarray() * span)
                for a, b in pairwise(starts)
            ]
        return self._exponentials[key]

    # ── moving generators ────────────────────────────────────────────────────────────────────

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
        if self.period is None or self.rates:
            return a, b
        length = self.period / self._pieces
        first = np.floor(a / length + _NEAR) * length
        return float(first), float(first + length)

    def _cross(
        self, vector: np.ndarray, a: float, b: float, labels: dict[int, int]
    ) -> np.ndarray:
        """Evolution between two breaks."""
        while a < b:
            stretch, high = self._around(a, b, labels)
            inner = high if high < b - _NEAR * (b - a) else b
            vector = self._march(stretch, vector, *self._span(stretch, a, inner))
            a = inner
        return vector

    def _around(
        self, a: float, b: float, labels: dict[int, int]
    ) -> tuple[Stretch, float]:
        """The stretch that begins at or before a, and its end."""
        b = min(b, a + self._longest)
        while True:
            low, high = self._natural(a, b, labels)
            stretch = self._stretch(low, high, labels)
            if stretch is not None:
                return stretch, high
            if self._repeats:
                self._pieces *= 2
            else:
                b = (a + b) / 2

    @property
    def _repeats(self) -> bool:
        """Whether a stretch serves in other periods too."""
        return self.period is not None and not self.rates

    def _span(self, stretch: Stretch, a: float, b: float) -> tuple[float, float]:
        """u at two times; a stretch that is used in another period is moved there."""
        if self.moving and self.period is not None and not self.rates:
            shift = np.floor(a / self.period + _NEAR) * self.period
            first = np.floor(stretch.begin / self.period + _NEAR) * self.period
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
            if not self._repeats:
                # what hardly acts need not be known to many digits
                scale = max(scale, 1.0)
            tail = float(np.abs(series[-2:]).max() / scale) if scale else 0.0
            if tail < _TAIL:
                break
        last = self._pieces >= _STRETCHES
        if not self._repeats:
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
            matrix = self._matrix(self._at(t, labels), t)
            rows.append(on_pattern(matrix, self.pattern) * factor)
        data = np.array(rows)
        basis = np.polynomial.legendre.legvander(nodes, order - 1)
        project = (basis * (weights / 2)[:, None] * (2 * np.arange(order) + 1)).T
        return data, project @ data

    def _march(
        self, stretch: Stretch, vector: np.ndarray, u: float, v: float
    ) -> np.ndarray:
        """From one u to another."""
        if v <= u:
            return vector
        return self._stepped(stretch, vector[:, None], u, v, self.layout.starts)[:, 0]

    def _stepped(
        self,
        stretch: Stretch,
        columns: np.ndarray,
        u: float,
        v: float,
        starts: np.ndarray,
    ) -> np.ndarray:
        """The steps on the blocks that begin at `starts`."""
        count = self._steps(stretch, u, v)
        pattern, step = self.pattern, (v - u) / count
        for done in range(0, count, _AT_ONCE):
            now = min(count - done, _AT_ONCE)
            tables, turns = self._table(
                stretch, u + done * step, u + (done + now) * step, now
            )
            columns = march(
                pattern.indptr, pattern.indices, tables, turns, step, columns, starts
            )
        return columns

    # ── propagators ──────────────────────────────────────────────────────────────────────────

    def propagators(self, begin: float, end: float) -> list[np.ndarray]:
        """The evolution from one time to another as a matrix for each block."""
        if self.is_constant:
            return self.exponentials(end - begin)
        pieces = self._pieces_between(begin, end)
        found = []
        for block in range(len(self.layout.starts) - 1):
            a, b = self.layout.starts[block : block + 2]
            total = np.eye(b - a, dtype=complex)
            known: dict[Any, np.ndarray] = {}
            for piece, repeats in pieces:
                key = (
                    id(getattr(piece.stretch, "series", None)),
                    piece.u,
                    piece.v,
                    piece.steps,
                )
                if key not in known:
                    known[key] = self._block_piece(piece, block)
                total = np.linalg.matrix_power(known[key], repeats) @ total
            found.append(total)
        return found

    @property
    def has_propagators(self) -> bool:
        """Whether propagators fit in memory."""
        sizes = np.diff(self.layout.starts).astype(float)
        return bool((sizes**2).sum() * 16 < _PROPAGATORS and sizes.max() <= DENSE)

    def _block_piece(self, piece: Piece, block: int) -> np.ndarray:
        """One piece with the relabeling behind it, on one block."""
        a, b = self.layout.starts[block : block + 2]
        columns = np.eye(b - a, dtype=complex)
        if piece.v > piece.u:
            ends = self.layout.starts[block : block + 2]
            columns = self._stepped(piece.stretch, columns, piece.u, piece.v, ends)
        for part, steps in piece.steps:
            source = self._shift(part, steps)[a:b]
            inside = np.where(source >= 0, source - a, 0)
            columns = np.where((source >= 0)[:, None], columns[inside], 0)
        return columns

    def _pieces_between(self, begin: float, end: float) -> list[tuple[Piece, int]]:
        """The pieces of an interval, equal neighbors together."""
        found: list[tuple[Piece, int]] = []
        before = self.labels(begin)
        for a, b in pairwise(self.breaks(begin, end)):
            inside = self._inside(a, b)
            if inside != before:
                found = appended(
                    found, Piece(None, 0.0, 0.0, label_steps(before, inside))
                )
            inner = a
            while inner < b - _NEAR * (b - a):
                stretch, high = self._around(inner, b, inside)
                last = min(b, high)
                u, v = self._span(stretch, inner, last)
                after = inside if last < b - _NEAR * (b - a) else self.labels(b)
                found = appended(
                    found, Piece(stretch, u, v, label_steps(inside, after))
                )
                inner, before = last, after
        return found

    def _steps(self, stretch: Stretch, u: float, v: float) -> int:
        needed = self.refinement * stretch.size * (v - u) / _STEP
        if needed > 2e6:
            raise SolveError(
                Diagnostic(
                    "E543",
                    f"the generator is too stiff to be followed in time: {needed:.1g} steps",
                    help="fewer levels, or rates of more equal size",
                )
            )
        return max(int(np.ceil(needed)), self.refinement)

    def _table(
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
