"""Quantum jumps: realizations one after the other by the compiled evolution of a state vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, Request, TrajectoryProblem
from qsyncdsl.result import TrajectoryResult, Trust
from qsyncdsl.solve import coefficients, jump_numbers
from qsyncdsl.solve.checks import refuse_unphysical
from qsyncdsl.solve.jump_checks import edge_trust, refuse_edges
from qsyncdsl.solve.jump_numbers import LONGEST, Coefficients, Numbers, Table
from qsyncdsl.solve.kicks import Kicks
from qsyncdsl.solve.records import Records, Shape

# Bytes of states that the kernel hands over at once, and of a whole run's working arrays.
_CHUNK = 16 << 20
_ROOM = 4 << 30
# Samples in a window at least and at most, where only an average is asked for.
_SAMPLES = (400, 20_000)
# Parts of a single run that errors are found from.
_PARTS = 10
# What one step may err by, in norm, where coefficients depend on time.
_ACCURACY = 1e-7


class TrajectorySolver:
    """Solves one problem at many points."""

    def __init__(self, problem: TrajectoryProblem, backend: str = "own") -> None:
        self.problem = problem
        self.backend = backend

    def solve(self, point: Point) -> TrajectoryResult:
        """Run all realizations.

        Raises:
            SolveError: E502, E503, E507 for operators and rates, E509-E512 for times and sizes,
                E550 for a run whose highest levels are populated, E551 for a run that fails.
        """
        realizations = int(point.options.get("realizations", 1))
        if realizations < 1:
            raise SolveError(Diagnostic("E511", "realizations must be at least 1"))
        _refuse_size(self.problem)
        f = coefficients.evaluate(self.problem.coefficients, point.values, 0.0)
        refuse_unphysical(self.problem.lindblad, f)
        end = _end(point)
        numbers = jump_numbers.numbers(self.problem, point, end)
        times, series = _times(point, LONGEST / numbers.spectrum.radius)
        run = _Run(self.problem, point, numbers, times, series, realizations)
        return run.result(self.backend)


def _end(point: Point) -> float:
    """The last time of a run."""
    options = point.options
    if "times" in options:
        times = np.atleast_1d(np.asarray(options["times"], dtype=float))
        if not len(times) or times[0] < 0 or np.any(np.diff(times) <= 0):
            raise SolveError(Diagnostic("E511", "times must increase from 0 on"))
        return float(times[-1])
    if not options.get("time"):
        raise SolveError(
            Diagnostic(
                "E510",
                "how long shall the trajectories run?",
                help="write time = T (averages, after burn_in) or times = linspace(0, T, n)",
            )
        )
    return float(options["time"])


def _times(point: Point, longest: float) -> tuple[np.ndarray, bool]:
    """The times at which states are looked at, and whether they are asked for one by one."""
    options = point.options
    if "times" in options:
        return np.atleast_1d(np.asarray(options["times"], dtype=float)), True
    end = float(options["time"])
    window = options.get("window")
    low, high = (
        (float(x) for x in window)
        if window
        else (float(options.get("burn_in", 0)), end)
    )
    if not 0 <= low < high <= end:
        message = f"the window {low:g}..{high:g} does not lie within 0..{end:g}"
        raise SolveError(Diagnostic("E511", message))
    count = int(np.clip(np.ceil((high - low) / longest), *_SAMPLES))
    return np.linspace(low, high, count + 1)[1:], False


def _refuse_size(problem: TrajectoryProblem) -> None:
    """E512 for a space whose states or generator do not fit in memory."""
    entries = sum(term.matrix.nnz for term in problem.terms)
    groups = 1 + len(problem.moving)
    bands = len(problem.offsets) * 2 * groups * problem.dimension
    need = 16.0 * 12 * problem.dimension + 8.0 * (
        bands if problem.source else 4 * entries
    )
    if need > _ROOM:
        message = f"{problem.dimension} basis states need {need / 2**30:.1f} GB"
        raise SolveError(Diagnostic("E512", message, help="keep fewer levels"))


@dataclass
class _Run:
    """All realizations at one point; begun again where a measure asks for more."""

    problem: TrajectoryProblem
    point: Point
    numbers: Numbers
    times: np.ndarray
    series: bool
    realizations: int

    def result(self, backend: str) -> TrajectoryResult:
        """Run with the requests of the point."""
        by_time = self.realizations == 1 and not self.series
        items = len(self.times) if by_time else self.realizations
        parts = min(_PARTS, items)
        blocks = np.arange(items) * parts // items
        shape = Shape(
            self.problem.parts,
            self.realizations,
            len(self.times),
            self.series,
            blocks,
            by_time,
        )
        go: Callable[[Records], Any] = self._own if backend == "own" else self._qutip
        records = Records(shape, self.point.requests)
        jumps, trust = go(records)
        trust = edge_trust(records, trust)
        labels = tuple(
            self.problem.lindblad.channels[k].label for k in self.numbers.channels
        )
        kept = [records]

        def record(request: Request) -> Any:
            if request not in kept[0].entries:
                kept[0] = Records(shape, [*kept[0].entries, request])
                go(kept[0])
            return kept[0].result(request)

        return TrajectoryResult(
            self.problem.parts,
            self.times,
            self.realizations,
            self.series,
            blocks,
            jumps,
            labels,
            _window(self.point, self.times),
            record,
            trust,
        )

    # ── the compiled evolution ───────────────────────────────────────────────────────────────

    def _own(self, records: Records) -> tuple[Any, Trust]:
        at = Coefficients(self.problem, self.point.values)
        longest = LONGEST / self.numbers.spectrum.radius
        longest = min(longest, 16.0 / max(self.numbers.spectrum.damping, 1e-300))
        kicks = Kicks(self.problem.lindblad, at.fixed, float(self.times[-1]))
        numbers: dict[str, float] = {}
        table = at.table(0.0, 1.0) if not at.moving else None
        if table is None:
            step, error, table = self._moving_step(at, longest)
            longest = step
            numbers["step"], numbers["step_error"] = step, error
        jumps = []
        for k in range(self.realizations):
            walker = _Walker(self.problem, self.numbers, table, longest, self.point, k)
            place = 0
            for states in walker.run(self.times, kicks):
                records.add(k, place, states)
                place += len(states)
                if self.point.tell is not None:
                    done = (k + place / len(self.times)) / self.realizations
                    self.point.tell(done)
            cutoff = str(self.point.options.get("cutoff", "refuse"))
            refuse_edges(records, cutoff, k == self.realizations - 1)
            jumps.append(walker.jumps())
        numbers["jumps"] = float(sum(len(t) for t, _ in jumps))
        numbers["series_cut_at"] = jump_numbers.TOLERANCE
        facts = {
            "solver": "Monte Carlo wave functions, Chebyshev series between jumps",
            "realizations": str(self.realizations),
        }
        return tuple(jumps), Trust(numbers, facts)

    def _moving_step(
        self, at: Coefficients, longest: float
    ) -> tuple[float, float, Table]:
        """A step for coefficients that depend on time: halved until two halves agree with one.

        At least a thousand steps are made in all, so that no pulse falls between two.
        """
        end = float(self.times[-1])
        given = float(self.point.options.get("dt", 0) or 0)
        step = min(longest, end / 1000 if end > 0 else 1.0, given or np.inf)
        wanted = float(self.point.options.get("accuracy", 0) or _ACCURACY)
        while True:
            table = at.table(end, step / 4)
            walker = _Walker(self.problem, self.numbers, table, step, self.point, 0)
            error = walker.step_error(step, end)
            if error <= wanted or given:
                return step, error, table
            step *= max(0.8 * (wanted / error) ** 0.2, 0.2)

    # ── QuTiP ────────────────────────────────────────────────────────────────────────────────

    def _qutip(self, records: Records) -> tuple[Any, Trust]:
        from qsyncdsl.solve.qutip_door import trajectory

        if self.problem.lindblad.kicks:
            raise SolveError(
                Diagnostic(
                    "E513", "kicks are not part of mcsolve", help="backend = own"
                )
            )
        jumps = []
        for k in range(self.realizations):
            start = start_of(self.problem, self.point, k)
            states, when, which = trajectory(
                self.problem.lindblad,
                self.point.values,
                start,
                self.times,
                int(
                    np.random.SeedSequence([self.point.seed, k, 2]).generate_state(1)[0]
                ),
            )
            records.add(k, 0, states)
            jumps.append((when, which))
        facts = {"solver": "qutip.mcsolve", "realizations": str(self.realizations)}
        return tuple(jumps), Trust({}, facts)


def _window(point: Point, times: np.ndarray) -> tuple[float, float]:
    """The time over which jumps are counted."""
    if "times" in point.options:
        return float(min(times[0], 0.0)), float(times[-1])
    window = point.options.get("window")
    low = float(window[0]) if window else float(point.options.get("burn_in", 0))
    return low, float(times[-1])


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


class _Walker:
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
