"""One realization of quantum jumps: the compiled evolution of a state vector from time to time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import Point, TrajectoryProblem
from qsyncdsl.solve.jump_numbers import LONGEST, Numbers, Table
from qsyncdsl.solve.kicks import Kicks
from qsyncdsl.solve.pulled import Course, settled
from qsyncdsl.solve.windows import mean_label, moved, origin

# Bytes of states that the kernel hands over at once.
_CHUNK = 16 << 20


def start_of(problem: TrajectoryProblem, point: Point, realization: int) -> np.ndarray:
    """The state vector a realization starts from: of each mode an eigenvector of its state.

    A thermal mode starts in a level, drawn anew for each realization.
    """
    rng = np.random.default_rng([point.seed, realization, 3])
    state = np.ones(1, dtype=complex)
    for factor in getattr(point.initial, "data", point.initial):
        vector = np.asarray(factor, dtype=complex)
        if vector.ndim == 2:
            weights, vectors = np.linalg.eigh(vector)
            weights = np.clip(weights, 0.0, None)
            vector = vectors[:, rng.choice(len(weights), p=weights / weights.sum())]
        state = np.kron(state, vector)
    return state / np.linalg.norm(state)


class Walker:
    """One realization."""

    def __init__(
        self,
        problem: TrajectoryProblem,
        numbers: Numbers,
        table: Table,
        longest: float,
        point: Point,
        realization: int,
    ) -> None:
        self.longest = longest
        self.where: tuple[Place, ...] | None = None
        self.enter(numbers, table)
        row = int(numbers.layout[3])
        self.room = np.zeros(8 * row)
        self.put(start_of(problem, point, realization))
        sequence = np.random.SeedSequence([point.seed, realization, 2])
        self.rng = sequence.generate_state(4, dtype=np.uint64)
        wanted = numbers.function("uniform")(self.rng)
        self.clock = np.array([0.0, wanted, 1.0, 0.0, 0.0, 0.0])
        self.when, self.which = np.empty(256), np.empty(256, dtype=np.int64)

    def enter(self, numbers: Numbers, table: Table) -> None:
        """Go on with other arrays."""
        self.numbers = numbers
        self.table = table
        size, _, margin, _ = (int(n) for n in numbers.layout)
        self.inside = slice(margin, margin + size)
        width = table.values.shape[1]
        self.work = (
            np.zeros(width),
            np.zeros(width),
            np.zeros(512),
            np.zeros((2, size)),
            np.zeros(max(len(numbers.channels), 1)),
        )
        self._advance = numbers.function("advance")
        self._propagate = numbers.function("propagate")
        if table.values.shape[0] == 1:
            self.work[0][:] = table.values[0]

    @property
    def state(self) -> np.ndarray:
        """The state, not normalized."""
        row = int(self.numbers.layout[3])
        pair = self.room[: 2 * row].reshape(2, row)[:, self.inside]
        return np.asarray(pair[0] + 1j * pair[1])

    def put(self, state: np.ndarray) -> None:
        """Go on from another state."""
        row = int(self.numbers.layout[3])
        pair = self.room[: 2 * row].reshape(2, row)
        pair[0, self.inside], pair[1, self.inside] = state.real, state.imag

    def run(self, times: np.ndarray, kicks: Kicks) -> Iterator[np.ndarray]:
        """States at times, chunk by chunk, shape (n, D); those at a kick are just before it."""
        size = self.inside.stop - self.inside.start
        most = max(_CHUNK // (16 * size), 1)
        place = 0
        for stop in (*kicks.times, np.inf):
            while place < len(times) and times[place] <= stop * (1 + 1e-12):
                goals = times[place : place + most]
                goals = goals[goals <= stop * (1 + 1e-12)]
                yield self._chunk(goals)
                place += len(goals)
            if place == len(times):
                return
            self._chunk(np.array([stop]))
            self.put(kicks.apply(self.state, stop))

    @property
    def awaited(self) -> float:
        """Jumps that were to be expected since the last one: minus the logarithm of the norm squared."""
        left = float(np.linalg.norm(self.state)) ** 2
        return -float(np.log(max(left, 1e-300)))

    def jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and channels of all jumps so far."""
        count = int(self.clock[5])
        return self.when[:count].copy(), self.which[:count].copy()

    def _chunk(self, goals: np.ndarray) -> np.ndarray:
        n, table = self.numbers, self.table
        out = np.empty(
            (len(goals), self.inside.stop - self.inside.start), dtype=complex
        )
        self.clock[4] = 0
        while True:
            status = self._advance(
                self.clock, np.ascontiguousarray(goals), self.rng, self.room, n.layout,
                n.spectrum.radius, n.spectrum.numbers, self.longest, n.d, n.rows, n.columns,
                table.values, table.start, table.spacing, n.pieces, n.starts, n.places, n.entries,
                n.rates, out, self.when, self.which, *self.work,
            )  # fmt: skip
            if status != 1:
                break
            self.when = np.concatenate((self.when, np.empty_like(self.when)))
            self.which = np.concatenate((self.which, np.empty_like(self.which)))
        if status:
            reason = "its norm grows" if status == 2 else "no jump can be found"
            message = f"a trajectory failed at t = {self.clock[0]:.6g}: {reason}"
            raise SolveError(Diagnostic("E551", message, help="try a smaller dt"))
        return out

    def step_error(
        self,
        step: float,
        end: float,
        begin: float = 0.0,
        looks: int = 64,
        at: np.ndarray | None = None,
    ) -> float:
        """Largest difference of one step and two halves, at some times of a run.

        Args:
            at: Times that are looked at besides.
        """
        n, table = self.numbers, self.table
        worst = 0.0
        start = self.state

        def moved(time: float, tau: float, state: np.ndarray) -> np.ndarray:
            self.put(state)
            self._propagate(
                time, tau, False, n.d, n.rows, n.columns, self.room, n.layout, n.spectrum.radius,
                n.spectrum.numbers, table.values, table.start, table.spacing, self.work[0],
                self.work[1], self.work[2],
            )  # fmt: skip
            return self.state

        state = start
        times = np.linspace(begin, max(end - step, begin), looks)
        if at is not None:
            times = np.sort(np.concatenate([times, np.clip(at, begin, times[-1])]))
        for time in times:
            whole = moved(float(time), step, state)
            half = moved(float(time), step / 2, state)
            halves = moved(float(time) + step / 2, step / 2, half)
            worst = max(worst, float(np.linalg.norm(whole - halves)))
            state = halves / np.linalg.norm(halves)
        return worst


class PulledWalker(Walker):
    """One realization under static forces, in windows that follow its momentum.

    Attributes:
        lost: Largest part of the state that left a window at once.
    """

    def __init__(
        self,
        problem: TrajectoryProblem,
        course: Course,
        point: Point,
        realization: int,
        longest: float,
    ) -> None:
        self.course = course
        self.most = longest
        self.lost = 0.0
        start = getattr(point.initial, "place", None) or origin(problem.lindblad)
        self.place, steps = settled(start, course.rates)
        series, self.end = course.stretch(self.place, 0.0, np.inf)
        numbers, table = series.numbers, series.table
        super().__init__(problem, numbers, table, longest, point, realization)
        self._shift(steps)

    def run(self, times: np.ndarray, kicks: Kicks) -> Iterator[np.ndarray]:
        """States at times, stretch by stretch; `where` tells their windows."""
        stops = [*kicks.times, np.inf]
        done, now, which = 0, 0.0, 0
        while done < len(times):
            series, end = self.course.stretch(self.place, now, stops[which])
            self.enter(series.numbers, series.table)
            self._set_step(series.numbers, now, end)
            goals = times[done:][times[done:] <= end * (1 + 1e-12)]
            if len(goals):
                self.where = tuple(self._at(float(t) - now) for t in goals)
                yield self._chunk(goals)
                done += len(goals)
                if done == len(times):
                    return
            self._chunk(np.array([end]))
            self._arrive(end - now)
            now = end
            if stops[which] <= end * (1 + 1e-12):
                self.put(kicks.apply(self.state, end, self.place))
                which += 1

    def _set_step(self, numbers: Numbers, now: float, end: float) -> None:
        """The longest step on which the moving generator is followed."""
        known = self.course.steps.get(id(numbers))
        if known is None:
            state, known = self.state, min(end - now, self._longest(numbers))
            while known > 0:
                until = end if end < np.inf else now + 6 * known
                error = self.step_error(known, until, now, 6)
                if error <= self.course.accuracy:
                    break
                known *= max(0.8 * (self.course.accuracy / error) ** 0.2, 0.2)
            self.put(state)
            if known > 0:
                self.course.steps[id(numbers)] = known
        self.longest = known if known > 0 else self._longest(numbers)

    def _longest(self, numbers: Numbers) -> float:
        """What the series of an exponential allows."""
        damped = 16.0 / max(numbers.spectrum.damping, 1e-300)
        if self.course.diagonal:
            return min(self.most, damped)
        return min(self.most, damped, LONGEST / numbers.spectrum.radius)

    def _at(self, tau: float) -> Place:
        """The window with the quasi-momenta after a time."""
        rates = self.course.rates
        beta = tuple(b + rates.get(k, 0.0) * tau for k, b in enumerate(self.place.beta))
        return Place(self.place.centers, beta)

    def _arrive(self, tau: float) -> None:
        """Quasi-momenta within [0, 1], and windows in the middle of their packets."""
        self.place, steps = settled(self._at(tau), self.course.rates)
        self._shift(steps)
        problem, state = self.course.problem, self.state
        centers, shifts = list(self.place.centers), {}
        for part in self.course.rates:
            unit = self.course.unit(part)
            middle = problem.parts[part].dimension // 2
            off = mean_label(problem, part, state) - middle
            if abs(off) > 0.75 * unit:
                shifts[part] = -unit * round(off / unit)
                centers[part] -= shifts[part]
        if shifts:
            self.place = Place(tuple(centers), self.place.beta)
            self._shift(shifts)

    def _shift(self, steps: dict[int, int]) -> None:
        """Move the state up in its window, and keep its norm."""
        if not steps:
            return
        state = self.state
        before = np.linalg.norm(state)
        for part, count in steps.items():
            state = moved(self.course.problem, part, state, -count)
        after = np.linalg.norm(state)
        self.lost = max(self.lost, 1 - float((after / before) ** 2))
        self.put(state * (before / after))
