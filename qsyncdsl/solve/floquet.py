r"""Kicked and periodic models: stroboscopic steady states, records from an initial state, multipliers.

Values at the instants $jT$ are those just before the kick. The mean over a period is another thing: it is
taken from states at Gauss points inside the periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import FloquetResult, PlacedState, QuantumState, Trust
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.block_flow import Flow
from qsyncdsl.solve.checks import TOP_POPULATION, refuse_unphysical, state_trust
from qsyncdsl.solve.clock import Clock, clock_of, periods_asked
from qsyncdsl.solve.drifts import settling_place
from qsyncdsl.solve.period_map import PeriodMap
from qsyncdsl.solve.windows import (
    edge_weight,
    mean_label,
    moved,
    origin,
    parts_at,
)

# Points inside a period, or between changes of labels, at which the mean over time is taken: of a
# steady state, where a period has many changes of labels, and at most for a record.
_POINTS, _POINTS_MANY = 24, 2
_RECORD_POINTS = 16
# Memory for the states of a record, in bytes.
_MEMORY = 5e8
# Windows whose maps a record keeps.
_WINDOWS = 3
# Population at the ends of a window that moves it.
_EDGE = 1e-9
# Periods of an average over quasi-momenta: before it begins, and at most.
_SETTLE, _AVERAGE = 60, 240


class FloquetSolver:
    """Solves one problem at any number of points."""

    def __init__(self, problem: LindbladProblem) -> None:
        self.problem = problem

    def solve(self, point: Point) -> FloquetResult:
        """A steady state, or with `periods` (or `time`) a record from the initial state.

        Raises:
            SolveError: E502, E503, E504, E505, E540-E548.
        """
        f = coefficients.evaluate(self.problem.coefficients, point.values)
        refuse_unphysical(self.problem, f)
        clock = clock_of(self.problem, point, f)
        periods = periods_asked(point, clock.period)
        if periods:
            return self._record(point, clock, periods)
        if clock.count is None:
            return self._averaged(point, clock)
        return self._steady(point, clock)

    # ── steady states ────────────────────────────────────────────────────────────────────────

    def _flow(self, point: Point, clock: Clock, place: Place) -> Flow:
        cycle = clock.period * (clock.count or 1)
        return Flow(self.problem, point, place, cycle)

    def _steady(self, point: Point, clock: Clock) -> FloquetResult:
        assert clock.count is not None
        place, start = self._begin(point)
        for _ in range(4):
            flow = self._flow(point, clock, place)
            cycle = PeriodMap(flow, clock.period, clock.count)
            first = None if start is None else flow.layout.pack(start)
            vector, numbers = cycle.steady(cycle._start() if first is None else first)
            rho = flow.layout.unpack(vector)
            better = self._recentered(rho, place)
            if better == place:
                break
            start, place = self._carried(rho, place, better), better
        states, weights = self._inside(cycle, vector, 0, clock.count)
        placed = self._placed(flow, vector, 0.0)
        trust = self._trust(flow, placed, numbers, clock)
        return FloquetResult(
            (placed,), None, clock.period, tuple(states), weights, cycle, trust
        )

    def _begin(self, point: Point) -> tuple[Place, np.ndarray | None]:
        """Where to look: where pulled rotors are at rest on the mean.

        Not where the last point was: a state that belongs elsewhere leaks out of that window.
        """
        first = origin(self.problem)
        if not self.problem.forces:
            return first, None
        return settling_place(self.problem, point, first), None

    def _recentered(self, rho: np.ndarray, place: Place) -> Place:
        """The window in the middle of the state, where the state reaches an end of the old one."""
        centers = list(place.centers)
        for force in self.problem.forces:
            part = self.problem.parts[force.part]
            if edge_weight(self.problem, force.part, rho) > _EDGE:
                shift = mean_label(self.problem, force.part, rho) - part.dimension // 2
                centers[force.part] += round(shift)
        return replace(place, centers=tuple(centers))

    def _carried(self, rho: np.ndarray, old: Place, new: Place) -> np.ndarray:
        """A state in another window."""
        for k, (a, b) in enumerate(zip(old.centers, new.centers, strict=True)):
            if a != b:
                rho = moved(self.problem, k, rho, b - a)
        return rho

    def _placed(self, flow: Flow, vector: np.ndarray, t: float) -> PlacedState:
        """A packed state with its window and quasi-momentum at a time."""
        place = replace(flow.place, beta=flow.quasi_momentum(t))
        rho = flow.layout.unpack(vector)
        trace = np.trace(rho).real
        parts = parts_at(self.problem, place)
        return PlacedState(QuantumState(parts, rho / trace), place)

    def _inside(
        self, cycle: PeriodMap, vector: np.ndarray, first: int, count: int
    ) -> tuple[list[PlacedState], np.ndarray]:
        """States at Gauss points of some periods, and their weights."""
        states, shares = [], []
        for k in range(first, first + count):
            begin = now = k * cycle.period
            vector = cycle.kicked(vector, k)
            begin_end = k * cycle.period, (k + 1) * cycle.period
            pieces = len(cycle.flow.breaks(*begin_end)) - 1 + len(cycle.inner)
            most = max(_POINTS // count, _POINTS_MANY * pieces)
            parts, weights = _gauss(cycle, k, most)
            for x in parts:
                later = begin + x * cycle.period
                vector = cycle.between(vector, now, later, k)
                states.append(self._placed(cycle.flow, vector, later))
                now = later
            shares.append(weights / count)
            vector = cycle.between(vector, now, begin + cycle.period, k)
        return states, np.concatenate(shares)

    # ── records ──────────────────────────────────────────────────────────────────────────────

    def _record(self, point: Point, clock: Clock, periods: int) -> FloquetResult:
        """States before every kick and inside every period, from the initial state."""
        size = self.problem.dimension
        points = int(_MEMORY / (16 * size**2 * (periods + 1))) - 1
        if points < 1:
            raise SolveError(
                Diagnostic(
                    "E546",
                    f"{periods} periods of a density matrix of dimension {size} do not fit in memory",
                    help=f"at most {int(_MEMORY / (32 * size**2))} periods fit, or fewer levels",
                )
            )
        points = min(points, _RECORD_POINTS)
        walk = _Walk(self, point, clock)
        strobe, inside, shares, inner = [walk.state()], [], [], []
        for k in range(periods):
            parts, weights = _gauss(walk.map, k, points)
            inside += list(walk.period(parts))
            strobe.append(walk.state())
            shares.append(weights / periods)
            inner.append((k + parts) * clock.period)
        times = clock.period * np.arange(periods + 1)
        numbers = {"lost": walk.lost, "points_per_period": float(points)}
        trust = self._trust(walk.flow, strobe[-1], numbers, clock)
        return FloquetResult(
            tuple(strobe),
            times,
            clock.period,
            tuple(inside),
            np.concatenate(shares),
            None,
            trust,
            np.concatenate(inner),
        )

    def _averaged(self, point: Point, clock: Clock) -> FloquetResult:
        """The mean over quasi-momenta, where f T/hbar is no simple fraction: a long smooth average.

        A quasi-periodic series averages faster than any power of its length under a weight that
        vanishes smoothly at both ends (S. Das et al., Nonlinearity 30, 4111 (2017)).
        """
        walk = _Walk(self, point, clock)
        for _ in range(_SETTLE):
            walk.skip()
        length = self._length()
        x = (np.arange(length) + 1.0) / (length + 1.0)
        smooth = np.exp(-1 / (x * (1 - x)))
        smooth /= smooth.sum()
        strobe, inside, shares = [], [], []
        for share in smooth:
            parts, weights = _gauss(walk.map, walk.done, 3)
            strobe.append(walk.state())
            inside += list(walk.period(parts))
            shares.append(share * weights)
        whole = np.concatenate(shares)
        numbers = {"lost": walk.lost, "periods_averaged": float(len(strobe))}
        trust = self._trust(walk.flow, strobe[-1], numbers, clock)
        return FloquetResult(
            tuple(strobe),
            None,
            clock.period,
            tuple(inside),
            whole,
            None,
            trust,
            None,
            smooth,
        )

    def _length(self) -> int:
        """Periods of an average that fit in memory."""
        return int(min(_AVERAGE, max(_MEMORY / (64 * self.problem.dimension**2), 32)))

    # ── what is known of the error ───────────────────────────────────────────────────────────

    def _trust(
        self, flow: Flow, placed: PlacedState, numbers: dict[str, float], clock: Clock
    ) -> Trust:
        found, warnings = state_trust(placed.state)
        numbers = {**found, **numbers}
        if not flow.is_constant:
            numbers["series_tail"] = flow.tail
            numbers["step_error"] = flow.step_error or 0.0
        lost = max(numbers.get("lost_per_cycle", 0.0), numbers.get("lost", 0.0))
        if lost > TOP_POPULATION and not warnings:
            warnings = (
                Diagnostic(
                    "W540",
                    f"{lost:.1e} of the state left the basis at kicks or by the force",
                    help="raise levels or nmax",
                ),
            )
        blocks = len(flow.layout.starts) - 1
        facts = {
            "solver": f"period map on {blocks} blocks of up to "
            f"{int(np.diff(flow.layout.starts).max())} elements",
            "values": "just before the kick"
            if self.problem.kicks
            else "at the end of a period",
            "cycle": f"{clock.count} period(s)" if clock.count else "does not close",
        }
        if self.problem.forces:
            facts["momentum"] = (
                "p = hbar*(n + beta): r.p in jumps takes beta, r.n does not"
            )
            facts["window"] = (
                f"centered at n = {', '.join(map(str, placed.place.centers))}"
            )
            if clock.count is None:
                facts["average"] = "over quasi-momenta, by a smooth weight in time"
        return Trust(numbers, facts, warnings)


class _Walk:
    """A state going through periods, in windows that follow it."""

    def __init__(self, solver: FloquetSolver, point: Point, clock: Clock) -> None:
        self.solver = solver
        self.point = point
        self.clock = clock
        self.done = 0
        self.lost = 0.0
        self._maps: dict[Place, PeriodMap] = {}
        if point.initial is not None:
            self.place = point.initial.place
            rho = _matrix(point.initial.data)
        else:
            self.place, _ = solver._begin(point)
            rho = None
        self._enter(self.place)
        layout = self.flow.layout
        self.vector = self.map._start() if rho is None else layout.pack(rho)

    def _enter(self, place: Place) -> None:
        if place not in self._maps:
            if len(self._maps) >= _WINDOWS:
                self._maps.clear()
            flow = self.solver._flow(self.point, self.clock, place)
            self._maps[place] = PeriodMap(
                flow, self.clock.period, self.clock.count or 10**6
            )
        self.place = place
        self.map = self._maps[place]
        self.flow = self.map.flow

    def state(self) -> PlacedState:
        """The state just before the next kick."""
        return self.solver._placed(
            self.flow, self.vector, self.done * self.clock.period
        )

    def skip(self) -> None:
        """One period."""
        self.vector = self.map.one(self.vector, self.done)
        self._arrive()

    def period(self, parts: np.ndarray) -> Iterator[PlacedState]:
        """One period, with the states at some parts of it."""
        begin = now = self.done * self.clock.period
        vector = self.map.kicked(self.vector, self.done)
        for x in parts:
            later = begin + x * self.clock.period
            vector = self.map.between(vector, now, later, self.done)
            yield self.solver._placed(self.flow, vector, later)
            now = later
        end = begin + self.clock.period
        self.vector = self.map.between(vector, now, end, self.done)
        self._arrive()

    def _arrive(self) -> None:
        """Count what was lost at the ends, and let the windows follow."""
        self.done += 1
        trace = self.map._trace(self.vector)
        self.lost += abs(1 - trace)
        self.vector = self.vector / trace
        if not self.solver.problem.forces:
            return
        rho = self.flow.layout.unpack(self.vector)
        centers = list(self.place.centers)
        for force in self.solver.problem.forces:
            size = self.solver.problem.parts[force.part].dimension
            # In steps of an eighth of the window, so that few windows are met.
            unit = max(size // 8, 1)
            off = mean_label(self.solver.problem, force.part, rho) - size // 2
            if abs(off) > 0.75 * unit:
                centers[force.part] += unit * round(off / unit)
        new = replace(self.place, centers=tuple(centers))
        if new != self.place:
            rho = self.solver._carried(rho, self.place, new)
            self._enter(new)
            self.vector = self.flow.layout.pack(rho)


def _gauss(cycle: PeriodMap, k: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss points in parts of period k, and their weights: between kicks, and changes of labels if they suffice."""
    period, kicks = cycle.period, [t / cycle.period for t in cycle.inner]
    labels = np.array(cycle.flow.breaks(k * period, (k + 1) * period)) / period - k
    breaks = np.unique(np.round([*labels, *kicks], 12))
    if 2 * (len(breaks) - 1) > points:
        breaks = np.array([0.0, *kicks, 1.0])
    each = max(points // (len(breaks) - 1), 2 if kicks else 1)
    nodes, weights = np.polynomial.legendre.leggauss(each)
    lengths = np.diff(breaks)[:, None]
    parts = breaks[:-1, None] + lengths * (nodes + 1) / 2
    return parts.ravel(), (lengths * weights / 2).ravel()


def _matrix(state: Any) -> np.ndarray:
    data = np.asarray(state, dtype=complex)
    return data if data.ndim == 2 else np.outer(data, data.conj())
