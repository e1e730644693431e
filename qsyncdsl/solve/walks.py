"""Single realizations of quantum jumps: by the compiled evolution of a state vector, or by QuTiP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, TrajectoryProblem
from qsyncdsl.solve import jump_numbers
from qsyncdsl.solve.jump_numbers import LONGEST, Coefficients, Numbers, Table
from qsyncdsl.solve.kicks import Kicks

# Bytes of states that the kernel hands over at once.
_CHUNK = 16 << 20
# What one step may err by, in norm, where coefficients depend on time.
_ACCURACY = 1e-7


class OwnWalk:
    """Realizations by the compiled evolution."""

    name = "Monte Carlo wave functions, Chebyshev series between jumps"

    def __init__(
        self,
        problem: TrajectoryProblem,
        point: Point,
        numbers: Numbers,
        times: np.ndarray,
        settled: Mapping[str, float],
    ) -> None:
        self.problem, self.point, self._numbers, self.times = (
            problem,
            point,
            numbers,
            times,
        )
        at = Coefficients(problem, point.values)
        longest = LONGEST / numbers.spectrum.radius
        self.longest = min(longest, 16.0 / max(numbers.spectrum.damping, 1e-300))
        self.kicks = Kicks(problem.lindblad, at.fixed, float(times[-1]))
        self.settled: Mapping[str, float] = {}
        if at.moving:
            self.settled = settled or self._moving_step(at, self.longest)
            self.longest = self.settled["step"]
            self.table = at.table(float(times[-1]), self.longest / 4)
        else:
            self.table = at.table(0.0, 1.0)
        self.numbers = {**self.settled, "series_cut_at": jump_numbers.TOLERANCE}

    def begin(self, realization: int) -> Iterator[np.ndarray]:
        """The states of a realization at the times, chunk by chunk."""
        self._walker = self._at(self.table, self.longest, realization)
        return self._walker.run(self.times, self.kicks)

    def jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and channels of the jumps of the realization that was begun."""
        return self._walker.jumps()

    def _at(self, table: Table, longest: float, realization: int) -> Walker:
        return Walker(
            self.problem, self._numbers, table, longest, self.point, realization
        )

    def _moving_step(self, at: Coefficients, longest: float) -> dict[str, float]:
        """A step for coefficients that depend on time: halved until two halves agree with one.

        At least a thousand steps are made in all, so that no pulse falls between two.
        """
        end = float(self.times[-1])
        given = float(self.point.options.get("dt", 0) or 0)
        step = min(longest, end / 1000 if end > 0 else 1.0, given or np.inf)
        wanted = float(self.point.options.get("accuracy", 0) or _ACCURACY)
        while True:
            walker = self._at(at.table(end, step / 4), step, 0)
            error = walker.step_error(step, end)
            if error <= wanted or given:
                return {"step": float(step), "step_error": float(error)}
            step *= max(0.8 * (wanted / error) ** 0.2, 0.2)


class QutipWalk:
    """Realizations by QuTiP."""

    name = "qutip.mcsolve"

    def __init__(
        self,
        problem: TrajectoryProblem,
        point: Point,
        numbers: Numbers,
        times: np.ndarray,
        settled: Mapping[str, float],
    ) -> None:
        if problem.lindblad.kicks:
            message = "kicks are not part of mcsolve"
            raise SolveError(Diagnostic("E513", message, help="backend = own"))
        self.problem, self.point, self.times = problem, point, times
        self.settled: Mapping[str, float] = {}
        self.numbers: Mapping[str, float] = {}

    def begin(self, realization: int) -> Iterator[np.ndarray]:
        """The states of a realization at the times."""
        from qsyncdsl.solve.qutip_door import trajectory

        sequence = np.random.SeedSequence([self.point.seed, realization, 2])
        states, when, which = trajectory(
            self.problem.lindblad,
            self.point.values,
            start_of(self.problem, self.point, realization),
            self.times,
            int(sequence.generate_state(1)[0]),
        )
        self._found = np.asarray(when, dtype=float), np.asarray(which, dtype=np.int64)
        yield states

    def jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and channels of the jumps of the realization that was begun."""
        return self._found


def start_of(problem: TrajectoryProblem, point: Point, realization: int) -> np.ndarray:
    """The state vector a realization starts from: of each mode an eigenvector of its state.

    A thermal mode starts in a level, drawn anew for each realization.
    """
    rng = np.random.default_rng([point.seed, realization, 3])
    state = np.ones(1, dtype=complex)
    for factor in point.initial:
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
        self.numbers = numbers
        self.table = table
        self.longest = longest
        size, _, margin, row = (int(n) for n in numbers.layout)
        self.inside = slice(margin, margin + size)
        self.room = np.zeros(8 * row)
        self.put(start_of(problem, point, realization))
        sequence = np.random.SeedSequence([point.seed, realization, 2])
        self.rng = sequence.generate_state(4, dtype=np.uint64)
        wanted = numbers.function("uniform")(self.rng)
        self.clock = np.array([0.0, wanted, 1.0, 0.0, 0.0, 0.0])
        self.when, self.which = np.empty(256), np.empty(256, dtype=np.int64)
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

    def step_error(self, step: float, end: float) -> float:
        """Largest difference of one step and two halves, at 64 times of the run."""
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
        for time in np.linspace(0.0, max(end - step, 0.0), 64):
            whole = moved(float(time), step, state)
            half = moved(float(time), step / 2, state)
            halves = moved(float(time) + step / 2, step / 2, half)
            worst = max(worst, float(np.linalg.norm(whole - halves)))
            state = halves / np.linalg.norm(halves)
        return worst
